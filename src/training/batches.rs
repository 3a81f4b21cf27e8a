//! Which samples of its shard a worker's step takes.

use ndarray::ArrayView2;
use rand::rngs::ChaCha8Rng;
use rand::seq::index;
use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Lesson;
use crate::dataset::{Batch, Shard};
use crate::node::Round;
use crate::seed::{self, Purpose};

/// Which samples a step takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Batching {
    /// Distinct samples, drawn anew for every step.
    #[default]
    Distinct,
    /// Samples drawn one by one, so that one may come twice.
    Replacement,
    /// The next samples of an order that is shuffled anew when all have had their turn; the last
    /// batch of an order may be smaller. A round in which a worker is absent uses up its batches.
    Epochs,
}

/// Draws the samples of a round's steps.
pub(super) struct Draws<'a> {
    lesson: Lesson<'a>,
    rng: ChaCha8Rng,
    /// The epoch that was last asked for, and its order.
    order: Option<(u64, Vec<usize>)>,
}

impl<'a> Draws<'a> {
    /// Before the first step.
    pub(super) fn new(lesson: Lesson<'a>) -> Self {
        let rng = seed::stream(lesson.seed, Purpose::Batch, lesson.round, lesson.node);
        Draws { lesson, rng, order: None }
    }

    /// After the first step, which ended with this stream.
    pub(super) fn after_first(lesson: Lesson<'a>, rng: ChaCha8Rng) -> Self {
        Draws { lesson, rng, order: None }
    }

    /// The stream as the last draw left it.
    pub(super) fn into_rng(self) -> ChaCha8Rng {
        self.rng
    }

    /// The places in the shard of what the step takes, steps counted from 0 and asked for in order.
    pub(super) fn of_step(&mut self, step: u32) -> Vec<usize> {
        let Lesson { shard, training, .. } = self.lesson;
        match training.batches {
            Batching::Distinct => distinct(shard.len(), training.batch, &mut self.rng),
            Batching::Replacement => replaced(shard.len(), training.batch, &mut self.rng),
            Batching::Epochs => self.of_epochs(step),
        }
    }

    /// The next places in the order of the epoch that the step belongs to.
    fn of_epochs(&mut self, step: u32) -> Vec<usize> {
        let Lesson { seed, round, node, shard, training } = self.lesson;
        let (samples, size) = (shard.len(), training.batch);
        if samples <= size {
            return (0..samples).collect();
        }
        let before = u64::from(round.0.saturating_sub(1)) * u64::from(training.steps(samples));
        let (position, batches) = (before + u64::from(step), samples.div_ceil(size) as u64);
        let (epoch, first) = (position / batches, (position % batches) as usize * size);
        if self.order.as_ref().is_none_or(|(of, _)| *of != epoch) {
            let mut stream = seed::stream(seed, Purpose::Epoch, Round(epoch as u32), node);
            self.order = Some((epoch, index::sample(&mut stream, samples, samples).into_vec()));
        }
        let (_, order) = self.order.as_ref().expect("the order of this epoch");
        order[first..samples.min(first + size)].to_vec()
    }
}

/// `size` distinct places of so many, or all where there are no more.
pub(super) fn distinct(samples: usize, size: usize, rng: &mut dyn Rng) -> Vec<usize> {
    match samples <= size {
        true => (0..samples).collect(),
        false => index::sample(rng, samples, size).into_vec(),
    }
}

/// `size` places, each drawn from all of so many.
fn replaced(samples: usize, size: usize, rng: &mut dyn Rng) -> Vec<usize> {
    match samples {
        0 => Vec::new(),
        _ => (0..size).map(|_| rng.random_range(0..samples)).collect(),
    }
}

/// Room that batches are read into, one after the other.
#[derive(Default)]
pub(super) struct Reader {
    inputs: Vec<f32>,
    labels: Vec<u8>,
}

impl Reader {
    /// The samples at these places of a shard.
    pub(super) fn read(&mut self, shard: &Shard, places: &[usize]) -> Batch<'_> {
        self.inputs.clear();
        self.labels.clear();
        shard.push(places, &mut self.inputs, &mut self.labels);
        let inputs = ArrayView2::from_shape((places.len(), shard.features()), &self.inputs)
            .expect("one row for each sample");
        Batch { inputs, labels: &self.labels }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use ndarray::Array2;

    use super::*;
    use crate::dataset::Samples;
    use crate::node::NodeId;
    use crate::training::Training;

    fn stream() -> ChaCha8Rng {
        seed::run_stream(1, Purpose::Batch)
    }

    #[test]
    fn batches_are_distinct_samples_drawn_anew() {
        let mut rng = stream();
        let mut draws = BTreeSet::new();
        for _ in 0..20 {
            let places = distinct(40, 10, &mut rng);
            let set: BTreeSet<usize> = places.iter().copied().collect();
            assert_eq!((set.len(), places.len()), (10, 10));
            draws.insert(set);
        }
        assert_eq!(draws.len(), 20);
        assert_eq!(draws.into_iter().flatten().collect::<BTreeSet<_>>().len(), 40);
    }

    #[test]
    fn a_small_shard_is_used_whole() {
        for size in [2, 3] {
            assert_eq!(distinct(2, size, &mut stream()), [0, 1]);
        }
    }

    #[test]
    fn with_replacement_one_may_come_twice() {
        let places = replaced(3, 8, &mut stream());
        assert_eq!(places.len(), 8);
        assert!(places.iter().all(|&place| place < 3));
        assert!(replaced(0, 8, &mut stream()).is_empty());
    }

    #[test]
    fn an_epoch_has_every_sample_once_and_the_next_another_order() {
        let inputs = Array2::from_shape_fn((23, 1), |(row, _)| row as f32);
        let shard = Shard::from(Samples { inputs, labels: vec![0; 23] });
        let batches = Batching::Epochs;
        let training = Training { batch: 10, batches, local_steps: 1, ..Training::default() };
        let epoch = |number: u32| -> Vec<usize> {
            let rounds = (3 * number + 1..3 * number + 4).map(Round);
            let taken = rounds.flat_map(|round| {
                let node = NodeId(0);
                let lesson = Lesson { seed: 1, round, node, shard: &shard, training: &training };
                Draws::new(lesson).of_step(0)
            });
            taken.collect()
        };
        let (first, second) = (epoch(0), epoch(1));
        for order in [&first, &second] {
            assert_eq!(order.len(), 23);
            assert_eq!(order.iter().copied().collect::<BTreeSet<usize>>().len(), 23);
        }
        assert_ne!(first, second);
        // The steps of one round go on in the same order.
        let training = Training { local_epochs: Some(2), ..training };
        let (round, node) = (Round(1), NodeId(0));
        let lesson = Lesson { seed: 1, round, node, shard: &shard, training: &training };
        let mut draws = Draws::new(lesson);
        let both: Vec<usize> = (0..6).flat_map(|step| draws.of_step(step)).collect();
        assert_eq!(both, [first, second].concat());
    }

    #[test]
    fn a_reader_has_the_samples_of_the_last_batch_alone() {
        let inputs = Array2::from_shape_fn((5, 2), |(row, _)| row as f32);
        let shard = Shard::from(Samples { inputs, labels: vec![0, 1, 2, 3, 4] });
        let mut reader = Reader::default();
        reader.read(&shard, &[4, 4, 1]);
        let batch = reader.read(&shard, &[3, 0]);
        assert_eq!(
            (batch.inputs, batch.labels),
            (ndarray::array![[3.0, 3.0], [0.0, 0.0]].view(), &[3, 0][..])
        );
    }
}
