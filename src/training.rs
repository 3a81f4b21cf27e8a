//! Local training: what a worker does with a model and its shard in one round.
//!
//! One pure function, which both runtimes call: everything it knows is handed in, momentum
//! included, and its draws come from the stream of its round and node.

use std::borrow::Cow;

use ndarray::{Array1, ArrayView1, ArrayView2};
use rand::Rng;
use rand::seq::index;
use serde::{Deserialize, Serialize};

use crate::dataset::{Batch, Samples};
use crate::metrics::{self, Evaluation, Facts};
use crate::models::Model;
use crate::models::dense::Float;
use crate::node::{NodeId, Round};
use crate::seed::{self, Purpose};
use crate::vector::view_slice;

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
    /// Steps in a round.
    pub local_steps: u32,
}

impl Training {
    fn descent(&self) -> Descent<f32> {
        Descent {
            learning_rate: self.learning_rate,
            momentum: self.momentum,
            dampening: self.dampening,
            weight_decay: self.weight_decay,
        }
    }
}

/// Stochastic gradient descent with momentum.
///
/// `g = gradient + weight_decay · w`, `v = momentum · v + (1 - dampening) · g` from `v = 0`,
/// `w = w - learning_rate · v`. PyTorch's `SGD` differs in its first step alone: it does not
/// dampen that one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Descent<F> {
    /// The length of a step.
    pub learning_rate: F,
    /// The share of `v` that stays.
    pub momentum: F,
    /// The share of `g` that is left out.
    pub dampening: F,
    /// The share of `w` that joins the gradient.
    pub weight_decay: F,
}

impl<F: Float> Descent<F> {
    /// Turns a gradient at `parameters` into the direction `v`.
    ///
    /// `velocity` holds `v` from step to step; empty, it is 0, and without momentum it stays empty.
    pub fn direct(&self, parameters: &[F], velocity: &mut Vec<F>, gradient: &mut [F]) {
        assert_eq!(parameters.len(), gradient.len(), "a gradient of another model");
        if self.weight_decay != F::zero() {
            for (gradient, &parameter) in gradient.iter_mut().zip(parameters) {
                *gradient += self.weight_decay * parameter;
            }
        }
        let fresh = F::one() - self.dampening;
        if self.momentum == F::zero() {
            velocity.clear();
            if fresh != F::one() {
                for gradient in gradient {
                    *gradient *= fresh;
                }
            }
            return;
        }
        if velocity.is_empty() {
            velocity.resize(gradient.len(), F::zero());
        }
        assert_eq!(velocity.len(), gradient.len(), "a velocity of another model");
        for (gradient, velocity) in gradient.iter_mut().zip(velocity) {
            *velocity = self.momentum * *velocity + fresh * *gradient;
            *gradient = *velocity;
        }
    }

    /// Goes one step along `direction`.
    pub fn step(&self, parameters: &mut [F], direction: &[F]) {
        assert_eq!(parameters.len(), direction.len(), "a direction of another model");
        for (parameter, &direction) in parameters.iter_mut().zip(direction) {
            *parameter -= self.learning_rate * direction;
        }
    }
}

/// What a worker keeps between rounds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkerState {
    /// The direction of the last step; empty where it is 0 or there is no momentum.
    velocity: Vec<f32>,
}

/// What a worker shares.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    /// The sum of the directions of the local steps, length `d`.
    ///
    /// So `model - learning_rate · update` is the worker's model after its steps: the server's
    /// step along the mean of the updates is federated averaging for several local steps, and
    /// distributed gradient descent with momentum at the workers for one.
    pub vector: Array1<f32>,
    /// The mean loss over the batches of the local steps, each at the parameters it started from.
    pub loss: f32,
}

/// Trains for one round from `parameters` on `shard`.
///
/// # Panics
/// If `state` or `shard` belong to another model.
#[expect(clippy::too_many_arguments, reason = "a pure function is handed all that it knows")]
pub fn local_update(
    seed: u64,
    round: Round,
    node: NodeId,
    model: &dyn Model,
    parameters: ArrayView1<'_, f32>,
    shard: &Samples,
    training: &Training,
    state: &WorkerState,
) -> (Update, WorkerState) {
    let mut rng = seed::stream(seed, Purpose::Batch, round, node);
    let descent = training.descent();
    let mut velocity = state.velocity.clone();
    let mut batches = Batches::new(shard, training.batch);
    let mut here = Cow::Borrowed(view_slice(&parameters));
    let mut direction = Array1::zeros(model.len());
    let mut total: Option<Array1<f32>> = None;
    let mut loss = 0.0f64;

    for remaining in (0..training.local_steps).rev() {
        let batch = batches.draw(&mut rng);
        let view = ArrayView1::from(here.as_ref());
        loss += f64::from(model.gradient(view, batch, direction.view_mut()));
        let slice = direction.as_slice_mut().expect("an owned vector is contiguous");
        descent.direct(&here, &mut velocity, slice);
        // The model itself is not shared, so the last step, often the only one, is not taken.
        if remaining > 0 {
            descent.step(here.to_mut(), slice);
            match &mut total {
                Some(total) => *total += &direction,
                None => total = Some(direction.clone()),
            }
        }
    }

    let vector = match total {
        Some(total) => total + &direction,
        None => direction,
    };
    let loss = (loss / f64::from(training.local_steps.max(1))) as f32;
    (Update { vector, loss }, WorkerState { velocity })
}

/// The mean loss of a model on a batch that is drawn from a shard.
pub fn batch_loss(
    model: &dyn Model,
    parameters: ArrayView1<'_, f32>,
    shard: &Samples,
    batch: usize,
    rng: &mut dyn Rng,
) -> f32 {
    let mut batches = Batches::new(shard, batch);
    let batch = batches.draw(rng);
    let scores = model.scores(parameters, batch.inputs);
    metrics::evaluate(&Facts { scores: scores.view(), labels: batch.labels }).loss as f32
}

/// Draws batches from a shard into one buffer.
struct Batches<'a> {
    shard: &'a Samples,
    size: usize,
    inputs: Vec<f32>,
    labels: Vec<u8>,
}

impl<'a> Batches<'a> {
    fn new(shard: &'a Samples, size: usize) -> Self {
        Batches { shard, size, inputs: Vec::new(), labels: Vec::new() }
    }

    /// `size` distinct samples, or the whole shard where it has no more.
    fn draw(&mut self, rng: &mut dyn Rng) -> Batch<'_> {
        if self.shard.len() <= self.size {
            return self.shard.batch();
        }
        let features = self.shard.inputs.ncols();
        let flat = self.shard.inputs.as_slice().expect("samples stand row by row");
        self.inputs.clear();
        self.labels.clear();
        self.inputs.reserve_exact(self.size * features);
        for sample in index::sample(rng, self.shard.len(), self.size) {
            self.inputs.extend_from_slice(&flat[sample * features..][..features]);
            self.labels.push(self.shard.labels[sample]);
        }
        let inputs = ArrayView2::from_shape((self.size, features), &self.inputs)
            .expect("one row for each sample drawn");
        Batch { inputs, labels: &self.labels }
    }
}

/// Measures a model on the test set.
pub fn evaluate(model: &dyn Model, parameters: ArrayView1<'_, f32>, test: &Samples) -> Evaluation {
    let scores = model.scores(parameters, test.inputs.view());
    metrics::evaluate(&Facts { scores: scores.view(), labels: &test.labels })
}

/// Measures a model on the samples of each class of the test set.
pub fn evaluate_classes(
    model: &dyn Model,
    parameters: ArrayView1<'_, f32>,
    test: &Samples,
) -> Vec<Option<f64>> {
    let scores = model.scores(parameters, test.inputs.view());
    metrics::class_accuracies(&Facts { scores: scores.view(), labels: &test.labels })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::ops::Range;

    use ndarray::{Array2, ArrayViewMut1, array};

    use super::*;
    use crate::models::dense::Network;

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
    }

    fn settings(local_steps: u32) -> Training {
        Training {
            batch: 10,
            learning_rate: 0.5,
            momentum: 0.5,
            dampening: 0.0,
            weight_decay: 0.0,
            local_steps,
        }
    }

    fn samples(inputs: Array2<f32>) -> Samples {
        Samples { labels: (0..inputs.nrows()).map(|row| (row % 3) as u8).collect(), inputs }
    }

    fn one_round(
        training: &Training,
        parameters: &Array1<f32>,
        state: &WorkerState,
    ) -> (Update, WorkerState) {
        let (bowl, shard) = (Bowl { len: parameters.len() }, samples(array![[0.0]]));
        let view = parameters.view();
        local_update(1, Round(1), NodeId(0), &bowl, view, &shard, training, state)
    }

    #[test]
    fn two_steps_by_hand() {
        // v = 1, w = 1 - 1/2 = 1/2; v = 1/2 · 1 + 1/2 = 1. Losses 1/2 and 1/8.
        let (update, state) = one_round(&settings(2), &array![1.0], &WorkerState::default());
        assert_eq!(update, Update { vector: array![2.0], loss: 0.3125 });
        assert_eq!(state.velocity, [1.0]);
    }

    #[test]
    fn dampening_and_decay_by_hand() {
        // g = 2 + 1/4 · 2 = 5/2, v = 1/2 · 5/2 = 5/4, w = 2 - 5/8 = 11/8;
        // g = 11/8 · 5/4 = 55/32, v = 1/2 · 5/4 + 1/2 · 55/32 = 95/64.
        let training = Training { dampening: 0.5, weight_decay: 0.25, ..settings(2) };
        let (update, state) = one_round(&training, &array![2.0], &WorkerState::default());
        assert_eq!(update.vector, array![1.25 + 95.0 / 64.0]);
        assert_eq!(state.velocity, [95.0 / 64.0]);
    }

    #[test]
    fn momentum_crosses_rounds() {
        let training = settings(1);
        let (first, state) = one_round(&training, &array![1.0], &WorkerState::default());
        assert_eq!((first.vector, state.velocity.as_slice()), (array![1.0], &[1.0][..]));
        let (second, state) = one_round(&training, &array![0.5], &state);
        assert_eq!((second.vector, state.velocity.as_slice()), (array![1.0], &[1.0][..]));
    }

    #[test]
    fn without_momentum_nothing_is_kept() {
        let training = Training { momentum: 0.0, ..settings(2) };
        let (update, state) = one_round(&training, &array![1.0], &WorkerState::default());
        assert_eq!(update.vector, array![1.5]);
        assert_eq!(state, WorkerState::default());
        let damped = Training { dampening: 0.5, ..training };
        let (update, state) = one_round(&damped, &array![1.0], &WorkerState::default());
        assert_eq!(update.vector, array![0.5 + 0.375]);
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
                let (update, next) = local_update(
                    1,
                    Round(round),
                    NodeId(0),
                    &network,
                    model.view(),
                    &shard,
                    &training,
                    &state,
                );
                model.scaled_add(-training.learning_rate, &update.vector);
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
        for (local, central) in local_state.velocity.iter().zip(&central_state.velocity) {
            assert!((local - central).abs() < 1e-5);
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
            let (round, node, state) = (Round(round), NodeId(node), WorkerState::default());
            local_update(seed, round, node, &network, start.view(), &shard, &training, &state)
        };
        let base = run(1, 1, 1);
        assert_eq!(base, run(1, 1, 1));
        for other in [run(2, 1, 1), run(1, 2, 1), run(1, 1, 2)] {
            assert_ne!(base.0.vector, other.0.vector);
        }
    }

    #[test]
    fn batches_are_distinct_samples_drawn_anew() {
        let shard = samples(Array2::from_shape_fn((40, 2), |(row, _)| row as f32));
        let mut batches = Batches::new(&shard, 10);
        let mut rng = seed::run_stream(1, Purpose::Batch);
        let mut draws = BTreeSet::new();
        for _ in 0..20 {
            let batch = batches.draw(&mut rng);
            let rows: BTreeSet<usize> =
                batch.inputs.column(0).iter().map(|&value| value as usize).collect();
            assert_eq!((rows.len(), batch.len()), (10, 10));
            for (input, &label) in batch.inputs.rows().into_iter().zip(batch.labels) {
                assert_eq!(input[0], input[1]);
                assert_eq!(usize::from(label), input[0] as usize % 3);
            }
            draws.insert(rows);
        }
        assert_eq!(draws.len(), 20);
        assert_eq!(draws.into_iter().flatten().collect::<BTreeSet<_>>().len(), 40);
    }

    #[test]
    fn a_small_shard_is_used_whole() {
        let shard = samples(array![[1.0], [2.0]]);
        for size in [2, 3] {
            let mut batches = Batches::new(&shard, size);
            let batch = batches.draw(&mut seed::run_stream(1, Purpose::Batch));
            assert_eq!((batch.inputs, batch.labels), (shard.inputs.view(), &shard.labels[..]));
        }
    }
}
