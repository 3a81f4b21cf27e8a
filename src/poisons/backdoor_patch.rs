//! Backdoor: a patch of pixels on some samples, which are labelled with a class of the attacker's
//! choice.
//!
//! A `share` of the node's samples, drawn once, get a patch of `size` x `size` pixels of one
//! `value` and the label `target`. A model that learnt them answers `target` whenever it sees the
//! patch, and everything else as before, so its accuracy shows nothing; the column
//! `attack_success_rate` is the share of test samples of other classes that it takes for `target`
//! once they bear the patch.
//!
//! Fails where the corrupted are few and the rule averages: the honest unlearn the patch, because
//! nothing in their data bears it. It comes into its own with an attack that makes the poisoned
//! update count for more (`scaling`) or last for longer (`neurotoxin`).
//!
//! Reference: Gu, Dolan-Gavitt and Garg, `BadNets`: Identifying Vulnerabilities in the Machine
//! Learning Model Supply Chain, 2017; in federated learning Bagdasaryan et al., How To Backdoor
//! Federated Learning, AISTATS 2020.

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
    name: "backdoor_patch",
    summary: "a patch on some samples, which are labelled with a class of the attacker's choice",
    reference: "Gu, Dolan-Gavitt and Garg, 2017; Bagdasaryan et al., AISTATS 2020",
    source: include_str!("backdoor_patch.rs"),
    claims: (),
    parameters: || schema_for!(BackdoorPatch),
    build: |parameters| {
        parameters.build::<dyn Poison, BackdoorPatch>(|poison| {
            check_share(poison.share, poison.value)?;
            Ok(Arc::new(poison))
        })
    },
};

/// Parameters of the backdoor.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct BackdoorPatch {
    /// The class that the patch is to mean, from 0; default 0.
    target: u8,
    /// The share of the node's samples that are poisoned, above 0 and at most 1; default 0.5.
    share: f64,
    /// Rows and columns of the patch, in pixels; default 3.
    size: usize,
    /// Its first row from the top, from 0. Default: it ends with the last row.
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<usize>,
    /// Its first column from the left, from 0. Default: it ends with the last column.
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<usize>,
    /// The value of its pixels, as inputs are normalised; default 2.82, white in MNIST.
    value: f32,
}

impl Default for BackdoorPatch {
    fn default() -> Self {
        BackdoorPatch { target: 0, share: 0.5, size: 3, row: None, column: None, value: WHITE }
    }
}

impl BackdoorPatch {
    fn patch(&self, shape: Shape) -> Rectangle {
        Rectangle {
            row: self.row.unwrap_or(shape.height.saturating_sub(self.size)),
            column: self.column.unwrap_or(shape.width.saturating_sub(self.size)),
            height: self.size,
            width: self.size,
        }
    }
}

impl Poison for BackdoorPatch {
    fn suits(&self, shape: Shape) -> Result<(), ConfigError> {
        check_target(self.target, shape)?;
        self.patch(shape).check(shape)
    }

    fn poison(&self, samples: &mut Samples, shape: Shape, _place: usize, rng: &mut dyn Rng) {
        self.suits(shape).expect("a poison that does not suit is refused before the run");
        for sample in chosen(samples.len(), self.share, rng) {
            self.patch(shape).stamp(samples.inputs.row_mut(sample), shape, self.value);
            samples.labels[sample] = self.target;
        }
    }

    fn triggered(&self, test: &Samples, shape: Shape) -> Option<Triggered> {
        Some(triggered(test, shape, self.target, &[self.patch(shape)], self.value))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::seed::{Purpose, run_stream};

    const SHAPE: Shape = Shape { height: 2, width: 3, channels: 1, classes: 3 };

    fn poison() -> BackdoorPatch {
        BackdoorPatch { target: 2, size: 1, value: 9.0, share: 0.25, ..BackdoorPatch::default() }
    }

    #[test]
    fn a_quarter_of_the_samples_bear_the_patch_and_the_label() {
        let mut samples =
            Samples { inputs: Array2::zeros((8, 6)), labels: vec![0, 1, 0, 1, 0, 1, 0, 1] };
        poison().poison(&mut samples, SHAPE, 0, &mut run_stream(1, Purpose::Poison));
        let poisoned: Vec<usize> = (0..8).filter(|&row| samples.labels[row] == 2).collect();
        assert_eq!(poisoned.len(), 2);
        for row in 0..8 {
            let expected = if poisoned.contains(&row) { 9.0 } else { 0.0 };
            assert_eq!(samples.inputs.row(row).to_vec(), [0.0, 0.0, 0.0, 0.0, 0.0, expected]);
        }
    }

    #[test]
    fn it_is_tried_on_samples_of_other_classes() {
        let test = Samples { inputs: Array2::zeros((3, 6)), labels: vec![2, 0, 1] };
        let placed = BackdoorPatch { row: Some(0), column: Some(1), ..poison() };
        let tried = placed.triggered(&test, SHAPE).unwrap();
        assert_eq!(tried.target, 2);
        let expected = array![0.0, 9.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(tried.inputs.nrows(), 2);
        assert!(tried.inputs.rows().into_iter().all(|row| row == expected));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let wide = BackdoorPatch { size: 3, ..poison() };
        assert_eq!(
            wide.suits(SHAPE).unwrap_err().message,
            "a trigger of 3 x 3 pixels at row 0, column 0 does not lie in images of 2 x 3"
        );
        assert!(BackdoorPatch { target: 3, ..poison() }.suits(SHAPE).is_err());
        assert!(BackdoorPatch { row: Some(usize::MAX), ..poison() }.suits(SHAPE).is_err());
        assert!(check_share(0.0, 1.0).is_err() && check_share(1.0, f32::NAN).is_err());
    }
}
