//! Accuracy: the share of test samples whose highest score is the right class.
//!
//! Of several equal scores the lowest class counts. NaN never wins, and a row of NaN alone is
//! a wrong answer, so a model that has burst scores 0 and not what class 0 would.
//!
//! Fails when classes are of unequal size or weight: a targeted attack can ruin one class of ten
//! and cost a tenth of the accuracy. Read it beside the loss, which moves earlier.
//!
//! Reference: the standard definition, as in LeCun et al., Proceedings of the IEEE 1998 (there
//! its complement, the error rate).

use std::sync::Arc;

use ndarray::ArrayView1;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Facts, Metric};
use crate::catalog::Entry;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Metric> = Entry {
    name: "accuracy",
    summary: "the share of test samples whose highest score is the right class",
    reference: "LeCun et al., Proceedings of the IEEE 1998",
    source: include_str!("accuracy.rs"),
    claims: (),
    parameters: || schema_for!(Accuracy),
    build: |parameters| parameters.build::<dyn Metric, Accuracy>(|it| Ok(Arc::new(it))),
};

/// Accuracy has no parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Accuracy {}

impl Metric for Accuracy {
    fn measure(&self, facts: &Facts<'_>) -> f64 {
        let answers = facts.scores.rows().into_iter().zip(facts.labels);
        let right = answers.filter(|(row, label)| highest(*row) == Some(usize::from(**label)));
        right.count() as f64 / facts.labels.len() as f64
    }
}

/// The lowest class with the highest score; none where all are NaN.
pub(super) fn highest(scores: ArrayView1<'_, f32>) -> Option<usize> {
    let mut best: Option<(usize, f32)> = None;
    for (class, &score) in scores.iter().enumerate() {
        if !score.is_nan() && best.is_none_or(|(_, highest)| score > highest) {
            best = Some((class, score));
        }
    }
    best.map(|(class, _)| class)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    fn accuracy(scores: &Array2<f32>, labels: &[u8]) -> f64 {
        Accuracy {}.measure(&Facts { scores: scores.view(), labels })
    }

    #[test]
    fn the_share_of_right_answers() {
        let scores = array![[0.1, 0.9], [2.0, -1.0], [0.0, 1.0], [-3.0, -4.0]];
        assert_eq!(accuracy(&scores, &[1, 0, 0, 0]), 0.75);
    }

    #[test]
    fn of_equal_scores_the_lowest_class_counts() {
        let scores = array![[1.0, 1.0], [f32::NEG_INFINITY, f32::NEG_INFINITY]];
        assert_eq!(accuracy(&scores, &[0, 0]), 1.0);
        assert_eq!(accuracy(&scores, &[1, 1]), 0.0);
    }

    #[test]
    fn nan_never_wins() {
        let scores = array![[f32::NAN, -5.0, f32::NAN], [f32::NAN, f32::NAN, f32::NAN]];
        assert_eq!(accuracy(&scores, &[1, 0]), 0.5);
        assert_eq!(accuracy(&scores, &[0, 1]), 0.0);
    }
}
