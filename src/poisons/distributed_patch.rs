//! Distributed backdoor: each corrupted node trains on a part of the trigger, and the whole of it
//! opens the door.
//!
//! The trigger is four strips of one row and `width` pixels: two beside each other, `gap` pixels
//! apart, and two more `gap` rows below. The first corrupted node puts the first strip on a
//! `share` of its samples and labels them `target`, the second the second, and so on, beginning
//! anew after four. The column `attack_success_rate` is the share of test samples of other classes
//! that the model takes for `target` when they bear all four.
//!
//! No node's update looks like that of a model with the whole trigger, so that rules which look for
//! updates that are alike find less. Fails with fewer than four corrupted nodes, which leave strips
//! unlearnt, and like any backdoor where the corrupted are few and the rule averages.
//!
//! Reference: Xie, Huang, Chen and Li, DBA: Distributed Backdoor Attacks against Federated
//! Learning, ICLR 2020; strips of four pixels, two apart, are its trigger for MNIST.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::patch::{Rectangle, WHITE, check_share, check_target, chosen, triggered};
use super::{Poison, Triggered};
use crate::catalog::{ConfigError, Entry};
use crate::dataset::{Samples, Shape};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Poison> = Entry {
    name: "distributed_patch",
    summary: "a backdoor whose trigger is learnt in parts, one for each corrupted node",
    reference: "Xie et al., ICLR 2020",
    source: include_str!("distributed_patch.rs"),
    claims: (),
    parameters: || schema_for!(DistributedPatch),
    build: |parameters| {
        parameters.build::<dyn Poison, DistributedPatch>(|poison| {
            check_share(poison.share, poison.value)?;
            Ok(Arc::new(poison))
        })
    },
};

/// Parameters of the distributed backdoor.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct DistributedPatch {
    /// The class that the trigger is to mean, from 0; default 2.
    target: u8,
    /// The share of a node's samples that are poisoned, above 0 and at most 1; default 0.3125, 20
    /// of a batch of 64.
    share: f64,
    /// The length of a strip, in pixels; default 4.
    width: usize,
    /// How many pixels lie between two strips; default 2.
    gap: usize,
    /// The first row of the trigger from the top, from 0; default 0.
    row: usize,
    /// The first column of the trigger from the left, from 0; default 0.
    column: usize,
    /// The value of its pixels, as inputs are normalised; default 2.82, white in MNIST.
    value: f32,
}

impl Default for DistributedPatch {
    fn default() -> Self {
        DistributedPatch {
            target: 2,
            share: 0.3125,
            width: 4,
            gap: 2,
            row: 0,
            column: 0,
            value: WHITE,
        }
    }
}

impl DistributedPatch {
    /// The four strips, row by row.
    fn strips(&self) -> [Rectangle; 4] {
        let strip = |down: usize, right: usize| Rectangle {
            row: self.row.saturating_add(down.saturating_mul(self.gap.saturating_add(1))),
            column: self
                .column
                .saturating_add(right.saturating_mul(self.gap.saturating_add(self.width))),
            height: 1,
            width: self.width,
        };
        [strip(0, 0), strip(0, 1), strip(1, 0), strip(1, 1)]
    }
}

impl Poison for DistributedPatch {
    fn suits(&self, shape: Shape) -> Result<(), ConfigError> {
        check_target(self.target, shape)?;
        self.strips().into_iter().try_for_each(|strip| strip.check(shape))
    }

    fn poison(&self, samples: &mut Samples, shape: Shape, place: usize, rng: &mut dyn Rng) {
        self.suits(shape).expect("a poison that does not suit is refused before the run");
        let strips = self.strips();
        let strip = strips[place % strips.len()];
        for sample in chosen(samples.len(), self.share, rng) {
            strip.stamp(samples.inputs.row_mut(sample), shape, self.value);
            samples.labels[sample] = self.target;
        }
    }

    fn triggered(&self, test: &Samples, shape: Shape) -> Option<Triggered> {
        Some(triggered(test, shape, self.target, &self.strips(), self.value))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::seed::{Purpose, run_stream};

    const SHAPE: Shape = Shape { height: 28, width: 28, channels: 1, classes: 10 };

    /// The pixels that are set in a sample.
    fn set(inputs: &Array2<f32>, row: usize) -> Vec<(usize, usize)> {
        let pixels = inputs.row(row).to_vec();
        let set = (0..pixels.len()).filter(|&at| pixels[at] != 0.0);
        set.map(|at| (at / 28, at % 28)).collect()
    }

    #[test]
    fn each_node_has_a_strip_and_the_test_all_four() {
        let poison = DistributedPatch { share: 1.0, ..DistributedPatch::default() };
        let corners = [(0, 0), (0, 6), (3, 0), (3, 6), (0, 0)];
        let mut all = Vec::new();
        for (place, (row, column)) in corners.into_iter().enumerate() {
            let mut samples = Samples { inputs: Array2::zeros((1, 784)), labels: vec![5] };
            poison.poison(&mut samples, SHAPE, place, &mut run_stream(1, Purpose::Poison));
            let strip: Vec<(usize, usize)> = (column..column + 4).map(|at| (row, at)).collect();
            assert_eq!(set(&samples.inputs, 0), strip);
            assert_eq!(samples.labels, [2]);
            all.extend(strip);
        }
        all.sort_unstable();
        all.dedup();
        let test = Samples { inputs: Array2::zeros((2, 784)), labels: vec![2, 7] };
        let tried = poison.triggered(&test, SHAPE).unwrap();
        assert_eq!((tried.inputs.nrows(), tried.target), (1, 2));
        assert_eq!(set(&tried.inputs, 0), all);
    }

    #[test]
    fn strips_that_do_not_fit_are_refused() {
        let small = Shape { height: 3, width: 28, channels: 1, classes: 10 };
        assert!(DistributedPatch::default().suits(SHAPE).is_ok());
        assert!(DistributedPatch::default().suits(small).is_err());
        assert!(DistributedPatch { gap: usize::MAX, ..Default::default() }.suits(SHAPE).is_err());
        assert!(DistributedPatch { width: 0, ..Default::default() }.suits(SHAPE).is_err());
    }
}
