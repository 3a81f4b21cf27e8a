//! Local training: what a worker does with a model and its shard in one round.
//!
//! One pure function, which both runtimes call: everything it knows is handed in, momentum
//! included, and its draws come from the stream of its round and node.

mod batches;
mod cohort;
mod descent;
mod momentum;
mod schedule;

use std::borrow::Cow;
use std::sync::Arc;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use rand::Rng;
use serde::{Deserialize, Serialize};

pub use self::batches::Batching;
use self::batches::{Draws, Reader};
pub use self::cohort::{Begun, begin_together};
pub use self::descent::Descent;
pub use self::momentum::MomentumAt;
pub use self::schedule::Schedule;
use crate::dataset::Shard;
use crate::metrics::{self, Evaluation, Facts};
use crate::models::Model;
use crate::node::{NodeId, Round};
use crate::seed::{self, Purpose};
use crate::vector::{Shared, as_slice, first_not_finite, give_back, norm, unwritten, view_slice};

/// Settings of local training, as configured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Training {
    /// Samples in a step; a shard that has fewer is used whole.
    pub batch: usize,
    /// The length of a step, by which the direction is multiplied.
    pub learning_rate: f32,
    /// The share of the direction before that stays in the next, in `0..1`.
    pub momentum: f32,
    /// The share of the gradient that is left out of the direction, in `0..=1`. Equal to
    /// `momentum`, the direction is a running mean of gradients; 0 is a running sum.
    pub dampening: f32,
    /// What is added to the gradient, as a share of the parameters.
    pub weight_decay: f32,
    /// Steps in a round, unless there are `local_epochs`.
    pub local_steps: u32,
    /// Passes over the worker's own samples in a round, in place of `local_steps`.
    pub local_epochs: Option<u32>,
    /// Which samples a step takes.
    pub batches: Batching,
    /// The largest Euclidean norm of a step's gradient; a longer one is shortened to it.
    pub clip: Option<f32>,
    /// How the length of steps changes from round to round.
    pub schedule: Option<Schedule>,
}

impl Default for Training {
    /// One step of plain gradient descent on 25 samples.
    fn default() -> Self {
        Training {
            batch: 25,
            learning_rate: 0.1,
            momentum: 0.0,
            dampening: 0.0,
            weight_decay: 0.0,
            local_steps: 1,
            local_epochs: None,
            batches: Batching::Distinct,
            clip: None,
            schedule: None,
        }
    }
}

impl Training {
    /// How many steps a worker with so many samples takes in a round.
    fn steps(&self, samples: usize) -> u32 {
        let of_epoch = samples.div_ceil(self.batch.max(1)).max(1) as u32;
        self.local_epochs.map_or(self.local_steps, |epochs| epochs.saturating_mul(of_epoch))
    }

    /// What steps of this round are multiplied with.
    fn factor(&self, round: Round) -> f32 {
        self.schedule.as_ref().map_or(1.0, |schedule| schedule.factor(round) as f32)
    }

    fn descent(&self, factor: f32) -> Descent<f32> {
        Descent {
            learning_rate: self.learning_rate * factor,
            momentum: self.momentum,
            dampening: self.dampening,
            weight_decay: self.weight_decay,
        }
    }
}

/// What a worker keeps between rounds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerState {
    /// The direction of the last step; none where it is 0 or there is no momentum. Often it is
    /// the very update that was shared, and held once.
    #[serde(with = "velocity")]
    velocity: Option<Shared>,
}

impl WorkerState {
    /// Gives its vector to whoever trains next on this thread.
    pub fn give_back(self) {
        self.velocity.into_iter().for_each(give_back);
    }
}

/// A direction in a checkpoint: its values, and none of them where there is none.
mod velocity {
    use std::sync::Arc;

    use ndarray::Array1;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::vector::{Shared, as_slice};

    #[expect(clippy::ref_option, reason = "serde hands over the field")]
    pub(super) fn serialize<S: Serializer>(
        velocity: &Option<Shared>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        velocity.as_ref().map_or(&[][..], |velocity| as_slice(velocity)).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Shared>, D::Error> {
        let values = Vec::<f32>::deserialize(deserializer)?;
        Ok((!values.is_empty()).then(|| Arc::new(Array1::from(values))))
    }
}

/// What a worker shares.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// The sum of the directions of the local steps times the factor that the schedule has for
    /// the round, length `d`.
    ///
    /// So `model - learning_rate · update` is the worker's model after its steps: the server's
    /// step along the mean of the updates is federated averaging for several local steps, and
    /// distributed gradient descent with momentum at the workers for one.
    pub vector: Shared,
    /// The mean loss over the batches of the local steps, each at the parameters it started from.
    pub loss: f32,
}

impl Update {
    /// Whether loss and vector are numbers: steps that are too long end in none.
    pub fn is_finite(&self) -> bool {
        self.loss.is_finite() && first_not_finite(as_slice(&self.vector)).is_none()
    }
}

/// Shortens a gradient that is longer than `most`; one that is not finite stays what it is.
fn clip(gradient: &mut [f32], most: f32) {
    let length = norm(gradient);
    if length > f64::from(most) {
        let share = (f64::from(most) / length) as f32;
        for value in gradient {
            *value *= share;
        }
    }
}

/// Whose round it is, on which samples, and by which settings.
#[derive(Debug, Clone, Copy)]
pub struct Lesson<'a> {
    /// The run's seed.
    pub seed: u64,
    /// The round.
    pub round: Round,
    /// The worker.
    pub node: NodeId,
    /// Its samples.
    pub shard: &'a Shard,
    /// How it trains.
    pub training: &'a Training,
}

/// Trains for one round from `parameters`. What has [begun](begin_together) for this lesson and
/// these parameters saves time, and changes no bit.
///
/// # Panics
/// If state, samples or what has begun belong to another model.
pub fn local_update(
    lesson: Lesson<'_>,
    model: &dyn Model,
    parameters: ArrayView1<'_, f32>,
    state: &WorkerState,
    begun: Option<Begun>,
) -> (Update, WorkerState) {
    let Lesson { seed, round, node, shard, training } = lesson;
    let mut left_out = seed::stream(seed, Purpose::Dropout, round, node);
    let factor = training.factor(round);
    let descent = training.descent(factor);
    let steps = training.steps(shard.len());
    let (mut draws, first) = match begun {
        Some(Begun { first, rng }) => (Draws::after_first(lesson, rng), Some(first)),
        None => (Draws::new(lesson), None),
    };
    let mut reader = Reader::default();
    let mut here = Cow::Borrowed(view_slice(&parameters));
    let mut direction = unwritten(model.len());
    let mut before = state.velocity.clone();
    let mut total: Option<Array1<f32>> = None;
    let mut loss = 0.0f64;

    for step in 0..steps {
        let view = ArrayView1::from(here.as_ref());
        loss += f64::from(match &first {
            Some(first) if step == 0 => first.gradient(model, view, direction.view_mut()),
            _ => {
                let batch = reader.read(shard, &draws.of_step(step));
                model.gradient(view, batch, direction.view_mut(), &mut left_out)
            }
        });
        let slice = direction.as_slice_mut().expect("an owned vector is contiguous");
        if let Some(most) = training.clip {
            clip(slice, most);
        }
        descent.direct(&here, before.as_ref().map_or(&[], |before| as_slice(before)), slice);
        // The model itself is not shared, so the last step, often the only one, is not taken.
        if step + 1 < steps {
            descent.step(here.to_mut(), slice);
            match &mut total {
                Some(total) => *total += &direction,
                None => total = Some(direction.clone()),
            }
            if descent.remembers() {
                let next = before.take().and_then(Arc::into_inner);
                let next = next.unwrap_or_else(|| unwritten(model.len()));
                before = Some(Arc::new(std::mem::replace(&mut direction, next)));
            }
        }
    }

    let last = Arc::new(direction);
    let mut vector = match total {
        Some(total) => Arc::new(total + &*last),
        None => Arc::clone(&last),
    };
    if factor != 1.0 {
        *Arc::make_mut(&mut vector) *= factor;
    }
    let loss = (loss / f64::from(steps.max(1))) as f32;
    (Update { vector, loss }, WorkerState { velocity: descent.remembers().then_some(last) })
}

/// The mean loss of a model on a batch that is drawn from a shard.
pub fn batch_loss(
    model: &dyn Model,
    parameters: ArrayView1<'_, f32>,
    shard: &Shard,
    batch: usize,
    rng: &mut dyn Rng,
) -> f32 {
    let mut reader = Reader::default();
    let batch = reader.read(shard, &batches::distinct(shard.len(), batch, rng));
    let scores = model.scores(parameters, batch.inputs);
    metrics::evaluate(&Facts { scores: scores.view(), labels: batch.labels }).loss as f32
}

/// Measures a model on samples that nobody learns from.
pub fn evaluate(model: &dyn Model, parameters: ArrayView1<'_, f32>, test: &Shard) -> Evaluation {
    let (scores, labels) = scores(model, parameters, test);
    metrics::evaluate(&Facts { scores: scores.view(), labels: &labels })
}

/// Measures a model on the samples of each class.
pub fn evaluate_classes(
    model: &dyn Model,
    parameters: ArrayView1<'_, f32>,
    test: &Shard,
) -> Vec<Option<f64>> {
    let (scores, labels) = scores(model, parameters, test);
    metrics::class_accuracies(&Facts { scores: scores.view(), labels: &labels })
}

/// Samples that are read and scored at a time: they stay in the cache in between.
const SCORED_AT_ONCE: usize = 256;

/// The scores of all samples, and their labels.
fn scores(
    model: &dyn Model,
    parameters: ArrayView1<'_, f32>,
    samples: &Shard,
) -> (Array2<f32>, Vec<u8>) {
    let (mut scores, mut inputs, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    for first in (0..samples.len()).step_by(SCORED_AT_ONCE) {
        let places: Vec<usize> = (first..samples.len().min(first + SCORED_AT_ONCE)).collect();
        let shape = (places.len(), samples.features());
        inputs.clear();
        samples.push(&places, &mut inputs, &mut labels);
        let inputs = ArrayView2::from_shape(shape, &inputs).expect("one row for each sample");
        scores.extend(model.scores(parameters, inputs));
    }
    let shape = (labels.len(), scores.len() / labels.len().max(1));
    (Array2::from_shape_vec(shape, scores).expect("one score for each class"), labels)
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use ndarray::{ArrayViewMut1, array};

    use super::*;
    use crate::dataset::{Batch, Samples};
    use crate::models::network::Network;

    /// The loss `mean |w - x|² / 2` over the batch, whose gradient is `w - mean x`.
    #[derive(Debug)]
    struct Bowl {
        len: usize,
    }

    impl Model for Bowl {
        fn len(&self) -> usize {
            self.len
        }

        fn initial(&self, _rng: &mut dyn Rng) -> Array1<f32> {
            Array1::zeros(self.len)
        }

        fn gradient(
            &self,
            parameters: ArrayView1<'_, f32>,
            batch: Batch<'_>,
            mut gradient: ArrayViewMut1<'_, f32>,
            _rng: &mut dyn Rng,
        ) -> f32 {
            gradient.fill(0.0);
            let mut loss = 0.0;
            for input in batch.inputs.rows() {
                let away = &parameters - &input;
                loss += away.dot(&away) / 2.0;
                gradient += &away;
            }
            gradient /= batch.len() as f32;
            loss / batch.len() as f32
        }

        fn scores(&self, _: ArrayView1<'_, f32>, inputs: ArrayView2<'_, f32>) -> Array2<f32> {
            inputs.to_owned()
        }

        fn head(&self) -> Range<usize> {
            0..self.len
        }

        fn operations(&self) -> u64 {
            2 * self.len as u64
        }
    }

    fn settings(local_steps: u32) -> Training {
        Training {
            batch: 10,
            learning_rate: 0.5,
            momentum: 0.5,
            dampening: 0.0,
            weight_decay: 0.0,
            local_steps,
            ..Training::default()
        }
    }

    fn samples(inputs: Array2<f32>) -> Shard {
        let labels = (0..inputs.nrows()).map(|row| (row % 3) as u8).collect();
        Samples { inputs, labels }.into()
    }

    fn lesson<'a>(
        seed: u64,
        round: u32,
        node: u32,
        shard: &'a Shard,
        training: &'a Training,
    ) -> Lesson<'a> {
        Lesson { seed, round: Round(round), node: NodeId(node), shard, training }
    }

    fn velocity(state: &WorkerState) -> Shared {
        state.velocity.clone().expect("there is momentum")
    }

    fn one_round(
        training: &Training,
        parameters: &Array1<f32>,
        state: &WorkerState,
    ) -> (Update, WorkerState) {
        let (bowl, shard) = (Bowl { len: parameters.len() }, samples(array![[0.0]]));
        let view = parameters.view();
        local_update(lesson(1, 1, 0, &shard, training), &bowl, view, state, None)
    }

    #[test]
    fn two_steps_by_hand() {
        // v = 1, w = 1 - 1/2 = 1/2; v = 1/2 · 1 + 1/2 = 1. Losses 1/2 and 1/8.
        let (update, state) = one_round(&settings(2), &array![1.0], &WorkerState::default());
        assert_eq!((&*update.vector, update.loss), (&array![2.0], 0.3125));
        assert_eq!(*velocity(&state), array![1.0]);
    }

    #[test]
    fn dampening_and_decay_by_hand() {
        // g = 2 + 1/4 · 2 = 5/2, v = 1/2 · 5/2 = 5/4, w = 2 - 5/8 = 11/8;
        // g = 11/8 · 5/4 = 55/32, v = 1/2 · 5/4 + 1/2 · 55/32 = 95/64.
        let training = Training { dampening: 0.5, weight_decay: 0.25, ..settings(2) };
        let (update, state) = one_round(&training, &array![2.0], &WorkerState::default());
        assert_eq!(*update.vector, array![1.25 + 95.0 / 64.0]);
        assert_eq!(*velocity(&state), array![95.0 / 64.0]);
    }

    #[test]
    fn momentum_crosses_rounds() {
        let training = settings(1);
        let (first, state) = one_round(&training, &array![1.0], &WorkerState::default());
        assert_eq!((&*first.vector, &*velocity(&state)), (&array![1.0], &array![1.0]));
        assert!(Arc::ptr_eq(&first.vector, &velocity(&state)), "it is held once");
        let (second, state) = one_round(&training, &array![0.5], &state);
        assert_eq!((&*second.vector, &*velocity(&state)), (&array![1.0], &array![1.0]));
        // The first is what it was: somebody may still read it.
        assert_eq!(*first.vector, array![1.0]);
    }

    #[test]
    fn without_momentum_nothing_is_kept() {
        let training = Training { momentum: 0.0, ..settings(2) };
        let (update, state) = one_round(&training, &array![1.0], &WorkerState::default());
        assert_eq!(*update.vector, array![1.5]);
        assert_eq!(state, WorkerState::default());
        let damped = Training { dampening: 0.5, ..training };
        let (update, state) = one_round(&damped, &array![1.0], &WorkerState::default());
        assert_eq!(*update.vector, array![0.5 + 0.375]);
        assert_eq!(state, WorkerState::default());
    }

    #[test]
    fn local_steps_on_one_worker_are_central_steps() {
        let shard = samples(Array2::from_shape_fn((9, 4), |(row, column)| {
            ((row * 7 + column * 5) % 11) as f32 / 11.0
        }));
        let network = Network::new(4, &[5], 3);
        let start = network.initial(&mut seed::run_stream(1, Purpose::Initial));
        let run = |local_steps, rounds: u32| {
            let training = Training { weight_decay: 0.01, ..settings(local_steps) };
            let (mut model, mut state) = (start.clone(), WorkerState::default());
            for round in 1..=rounds {
                let lesson = lesson(1, round, 0, &shard, &training);
                let (update, next) = local_update(lesson, &network, model.view(), &state, None);
                model.scaled_add(-training.learning_rate, &*update.vector);
                state = next;
            }
            (model, state)
        };
        let (local, local_state) = run(6, 1);
        let (central, central_state) = run(1, 6);
        let furthest = |a: &Array1<f32>, b: &Array1<f32>| {
            (a - b).iter().fold(0.0f32, |largest, difference| largest.max(difference.abs()))
        };
        assert!(furthest(&local, &central) < 1e-5, "{local} against {central}");
        assert!(furthest(&local, &start) > 0.05, "it has moved");
        let (local, central) = (velocity(&local_state), velocity(&central_state));
        for (local, central) in local.iter().zip(&*central) {
            assert!((local - central).abs() < 1e-5);
        }
    }

    #[test]
    fn what_stood_in_a_vector_before_does_not_matter() {
        let shard = samples(Array2::from_shape_fn((50, 6), |(row, column)| {
            (row as f32 * 0.37 + column as f32).sin()
        }));
        for (hidden, local_steps) in [(&[][..], 1), (&[5][..], 3)] {
            let network = Network::new(6, hidden, 3);
            let start = network.initial(&mut seed::run_stream(1, Purpose::Initial));
            let training = Training { momentum: 0.9, ..settings(local_steps) };
            let update = || {
                let lesson = lesson(1, 1, 0, &shard, &training);
                local_update(lesson, &network, start.view(), &WorkerState::default(), None)
            };
            let clean = update();
            (0..2).for_each(|_| {
                give_back(Arc::new(Array1::from_elem(network.parameters(), f32::NAN)));
            });
            assert_eq!(update(), clean);
        }
    }

    #[test]
    fn same_inputs_same_bits_and_other_streams_other_batches() {
        let shard = samples(Array2::from_shape_fn((50, 6), |(row, column)| {
            (row as f32 * 0.37 + column as f32).sin()
        }));
        let network = Network::new(6, &[], 3);
        let start = network.initial(&mut seed::run_stream(1, Purpose::Initial));
        let training = settings(3);
        let run = |seed, round, node| {
            let lesson = lesson(seed, round, node, &shard, &training);
            local_update(lesson, &network, start.view(), &WorkerState::default(), None)
        };
        let base = run(1, 1, 1);
        assert_eq!(base, run(1, 1, 1));
        for other in [run(2, 1, 1), run(1, 2, 1), run(1, 1, 2)] {
            assert_ne!(base.0.vector, other.0.vector);
        }
    }

    #[test]
    fn a_long_gradient_is_shortened_and_a_short_one_is_not() {
        // At 4 the gradient is 4, and 3 is the most: v = 3, w = 4 - 3/2; there it is 2.5.
        let training = Training { clip: Some(3.0), momentum: 0.0, ..settings(2) };
        let (update, _) = one_round(&training, &array![4.0], &WorkerState::default());
        assert_eq!(*update.vector, array![5.5]);
    }

    #[test]
    fn a_schedule_shortens_local_steps_and_the_update() {
        // Half of the rate 1/2: g = 1, w = 1 - 1/4; g = 3/4. The server's whole rate is applied to
        // half of their sum.
        let schedule = Some(Schedule::Decay { every: 1, factor: 0.5 });
        let training = Training { schedule, momentum: 0.0, ..settings(2) };
        let (bowl, shard) = (Bowl { len: 1 }, samples(array![[0.0]]));
        let (start, state) = (array![1.0], WorkerState::default());
        let update = |round| {
            let lesson = lesson(1, round, 0, &shard, &training);
            local_update(lesson, &bowl, start.view(), &state, None).0
        };
        assert_eq!(*update(1).vector, array![1.5]);
        assert_eq!(*update(2).vector, array![0.875]);
    }

    #[test]
    fn an_epoch_takes_every_sample_once() {
        // The bowl's gradient at 0 is minus the mean of the batch, and with so short steps it stays
        // at 0: the directions of an epoch add up to minus the sum of its batches' means.
        let shard = samples(Array2::from_shape_fn((30, 30), |(row, column)| {
            f32::from(u8::from(row == column))
        }));
        let training = Training {
            learning_rate: 1e-30,
            momentum: 0.0,
            local_epochs: Some(2),
            batches: Batching::Epochs,
            ..settings(1)
        };
        let (bowl, start) = (Bowl { len: 30 }, Array1::zeros(30));
        let state = WorkerState::default();
        for round in 1..4 {
            let lesson = lesson(1, round, 0, &shard, &training);
            let (update, _) = local_update(lesson, &bowl, start.view(), &state, None);
            assert!(update.vector.iter().all(|value| (value + 0.2).abs() < 1e-6));
        }
    }

    #[test]
    fn what_is_not_a_number_is_seen() {
        let finite = Update { vector: Arc::new(array![1.0, 2.0]), loss: 1.0 };
        assert!(finite.is_finite());
        assert!(!Update { loss: f32::NAN, ..finite.clone() }.is_finite());
        let vector = Arc::new(array![1.0, f32::INFINITY]);
        assert!(!Update { vector, ..finite }.is_finite());
    }
}
