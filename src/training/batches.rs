//! Which samples of its shard a worker's step takes.

use ndarray::ArrayView2;
use rand::rngs::ChaCha8Rng;
use rand::seq::index;
use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::dataset::{Batch, Shard};

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

/// Takes batches from a shard into one buffer.
pub(super) struct Batches<'a> {
    shard: &'a Shard,
    size: usize,
    inputs: Vec<f32>,
    labels: Vec<u8>,
    /// The epoch that was last asked for, and its order.
    order: Option<(u64, Vec<usize>)>,
}

impl<'a> Batches<'a> {
    pub(super) fn new(shard: &'a Shard, size: usize) -> Self {
        Batches { shard, size, inputs: Vec::new(), labels: Vec::new(), order: None }
    }

    /// `size` distinct samples, or the whole shard where it has no more.
    pub(super) fn draw(&mut self, rng: &mut dyn Rng) -> Batch<'_> {
        if self.shard.len() <= self.size {
            return self.copy(0..self.shard.len());
        }
        let drawn = index::sample(rng, self.shard.len(), self.size);
        self.copy(drawn.into_iter())
    }

    /// `size` samples, each drawn from the whole shard.
    pub(super) fn draw_with_replacement(&mut self, rng: &mut dyn Rng) -> Batch<'_> {
        let (samples, size) = (self.shard.len(), self.size);
        if samples == 0 {
            return self.copy(0..0);
        }
        self.copy((0..size).map(|_| rng.random_range(0..samples)))
    }

    /// The batch that is number `position`, from 0, of all epochs; `stream` has the draws of one.
    pub(super) fn of_epoch(
        &mut self,
        position: u64,
        stream: impl Fn(u64) -> ChaCha8Rng,
    ) -> Batch<'_> {
        let samples = self.shard.len();
        if samples <= self.size {
            return self.copy(0..samples);
        }
        let batches = samples.div_ceil(self.size) as u64;
        let (epoch, first) = (position / batches, (position % batches) as usize * self.size);
        let order = match self.order.take() {
            Some((of, order)) if of == epoch => order,
            _ => index::sample(&mut stream(epoch), samples, samples).into_vec(),
        };
        self.copy(order[first..samples.min(first + self.size)].iter().copied());
        self.order = Some((epoch, order));
        self.copied()
    }

    fn copy(&mut self, drawn: impl Iterator<Item = usize>) -> Batch<'_> {
        self.inputs.clear();
        self.labels.clear();
        self.inputs.reserve_exact(self.size.min(self.shard.len()) * self.shard.features());
        for place in drawn {
            self.shard.push(place, &mut self.inputs, &mut self.labels);
        }
        self.copied()
    }

    fn copied(&self) -> Batch<'_> {
        let shape = (self.labels.len(), self.shard.features());
        let inputs = ArrayView2::from_shape(shape, &self.inputs)
            .expect("one row for each sample that was drawn");
        Batch { inputs, labels: &self.labels }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use ndarray::{Array2, array};

    use super::*;
    use crate::dataset::Samples;
    use crate::node::{NodeId, Round};
    use crate::seed::{self, Purpose};

    fn samples(inputs: Array2<f32>) -> Shard {
        let labels = (0..inputs.nrows()).map(|row| (row % 3) as u8).collect();
        Samples { inputs, labels }.into()
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
            let whole = shard.samples();
            assert_eq!((batch.inputs, batch.labels), (whole.inputs.view(), &whole.labels[..]));
        }
    }

    #[test]
    fn with_replacement_one_may_come_twice() {
        let shard = samples(array![[1.0], [2.0], [3.0]]);
        let mut batches = Batches::new(&shard, 8);
        let batch = batches.draw_with_replacement(&mut seed::run_stream(1, Purpose::Batch));
        assert_eq!((batch.len(), batch.inputs.dim()), (8, (8, 1)));
        for (input, &label) in batch.inputs.rows().into_iter().zip(batch.labels) {
            assert_eq!(usize::from(label), input[0] as usize - 1);
        }
    }

    #[test]
    fn an_epoch_has_every_sample_once_and_the_next_another_order() {
        let shard = samples(Array2::from_shape_fn((23, 1), |(row, _)| row as f32));
        let stream = |epoch: u64| seed::stream(1, Purpose::Epoch, Round(epoch as u32), NodeId(0));
        let mut batches = Batches::new(&shard, 10);
        let mut epoch = |number: u64| -> Vec<usize> {
            let positions = 3 * number..3 * number + 3;
            let taken = positions.flat_map(|position| {
                let batch = batches.of_epoch(position, stream);
                batch.inputs.iter().map(|&value| value as usize).collect::<Vec<usize>>()
            });
            taken.collect()
        };
        let (first, second) = (epoch(0), epoch(1));
        for order in [&first, &second] {
            assert_eq!(order.len(), 23);
            assert_eq!(order.iter().copied().collect::<BTreeSet<usize>>().len(), 23);
        }
        assert_ne!(first, second);
        assert_eq!(first, epoch(0));
    }
}
