//! A round's first forward pass, made for several workers at once.
//!
//! Workers that start from one model read their first batches in one product: its registers are
//! filled by all their samples together, where those of one batch leave a part of them empty, and
//! the weights are read once. Samples do not meet in a pass, so each worker has the bits that it
//! would have alone.

use std::ops::Range;
use std::sync::Arc;

use ndarray::{Array2, ArrayView1, ArrayViewMut1, s};
use rand::rngs::ChaCha8Rng;

use super::Lesson;
use super::batches::Draws;
use crate::dataset::Batch;
use crate::models::Model;

/// The first batches of several workers, and what the layers of the model put out for them.
#[derive(Debug)]
struct Pass {
    /// One sample per row, worker by worker.
    inputs: Array2<f32>,
    labels: Vec<u8>,
    /// One for each layer, a row for each sample.
    outputs: Vec<Array2<f32>>,
}

/// The beginning of a worker's round: its first batch, and the forward pass over it.
#[derive(Debug)]
pub struct Begun {
    pub(super) first: First,
    /// Where the draw of the first batch left the stream of batches.
    pub(super) rng: ChaCha8Rng,
}

/// A worker's part of the pass.
#[derive(Debug)]
pub(super) struct First {
    pass: Arc<Pass>,
    /// Which samples are the worker's.
    rows: Range<usize>,
}

impl First {
    /// The gradient at the parameters of the pass, and the loss.
    pub(super) fn gradient(
        &self,
        model: &dyn Model,
        parameters: ArrayView1<'_, f32>,
        gradient: ArrayViewMut1<'_, f32>,
    ) -> f32 {
        let (pass, rows) = (&*self.pass, self.rows.clone());
        let inputs = pass.inputs.slice(s![rows.clone(), ..]);
        let batch = Batch { inputs, labels: &pass.labels[rows.clone()] };
        let outputs: Vec<_> =
            pass.outputs.iter().map(|output| output.slice(s![rows.clone(), ..])).collect();
        model.gradient_after(&outputs, parameters, batch, gradient)
    }
}

/// The beginnings of all these rounds, which start from the same parameters; nothing if the model
/// gains nothing by it.
///
/// # Panics
/// If the samples of the lessons have other shapes than the model reads.
pub fn begin_together(
    lessons: &[Lesson<'_>],
    model: &dyn Model,
    parameters: ArrayView1<'_, f32>,
) -> Option<Vec<Begun>> {
    if !model.shares_passes() || lessons.len() < 2 {
        return None;
    }
    let most = |lesson: &Lesson<'_>| lesson.training.batch.min(lesson.shard.len());
    let samples: usize = lessons.iter().map(most).sum();
    let mut inputs = Vec::with_capacity(samples * lessons[0].shard.features());
    let (mut labels, mut ends) = (Vec::with_capacity(samples), Vec::new());
    for &lesson in lessons {
        let mut draws = Draws::new(lesson);
        lesson.shard.push(&draws.of_step(0), &mut inputs, &mut labels);
        ends.push((labels.len(), draws.into_rng()));
    }
    let shape = (labels.len(), lessons[0].shard.features());
    let inputs = Array2::from_shape_vec(shape, inputs).expect("one row for each sample");
    let outputs = model.outputs(parameters, inputs.view());
    let pass = Arc::new(Pass { inputs, labels, outputs });
    let mut start = 0;
    let begun = ends.into_iter().map(|(end, rng)| {
        let rows = start..end;
        start = end;
        Begun { first: First { pass: Arc::clone(&pass), rows }, rng }
    });
    Some(begun.collect())
}

#[cfg(test)]
mod tests {
    use ndarray::Array1;

    use super::*;
    use crate::dataset::{Samples, Shard};
    use crate::models::network::Network;
    use crate::node::{NodeId, Round};
    use crate::seed::{Purpose, run_stream};
    use crate::training::{Batching, Training, WorkerState, local_update};

    fn shard(samples: usize, offset: usize) -> Shard {
        let inputs = Array2::from_shape_fn((samples, 20), |(row, column)| {
            ((row * 37 + column * 11 + offset * 5) as f32).sin()
        });
        let labels = (0..samples).map(|row| ((row + offset) % 4) as u8).collect();
        Samples { inputs, labels }.into()
    }

    #[test]
    fn a_round_that_has_begun_ends_as_it_would_have() {
        // The last has fewer samples than a batch.
        let shards = [shard(60, 0), shard(33, 1), shard(25, 2), shard(4, 3)];
        for (hidden, local_steps) in [(&[][..], 1), (&[33][..], 3), (&[17, 9][..], 1)] {
            let network = Network::new(20, hidden, 4);
            let start = Model::initial(&network, &mut run_stream(3, Purpose::Initial));
            for batches in [Batching::Distinct, Batching::Replacement, Batching::Epochs] {
                let training =
                    Training { batches, local_steps, momentum: 0.9, ..Training::default() };
                let round = Round(5);
                let lessons: Vec<Lesson<'_>> = (0..)
                    .zip(&shards)
                    .map(|(node, shard)| Lesson {
                        seed: 7,
                        round,
                        node: NodeId(node),
                        shard,
                        training: &training,
                    })
                    .collect();
                let begun = begin_together(&lessons, &network, start.view()).unwrap();
                for (lesson, begun) in lessons.into_iter().zip(begun) {
                    let state = WorkerState::default();
                    let view = start.view();
                    let alone = local_update(lesson, &network, view, &state, None);
                    let together = local_update(lesson, &network, view, &state, Some(begun));
                    assert_eq!(alone, together);
                    assert!(alone.0.vector.iter().any(|value| *value != 0.0));
                }
            }
        }
    }

    #[test]
    fn what_draws_on_the_way_up_is_not_shared() {
        let network = Network::new(20, &[], 4);
        let shard = shard(30, 0);
        let training = Training::default();
        let lesson = Lesson {
            seed: 7,
            round: Round(1),
            node: NodeId(0),
            shard: &shard,
            training: &training,
        };
        let start = Array1::zeros(Model::len(&network));
        // One alone has nothing to share either.
        assert!(begin_together(&[lesson], &network, start.view()).is_none());
        assert!(begin_together(&[lesson, lesson], &network, start.view()).is_some());
    }
}
