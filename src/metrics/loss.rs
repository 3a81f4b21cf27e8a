//! Loss: the mean cross-entropy on the test samples, in nats.
//!
//! `mean_i (ln Σ_c exp s_ic - s_iy)`, in `f64` and with the largest score subtracted first. A
//! model that gives all of `c` classes equal scores has `ln c`: 2.303 for ten. Scores that hold
//! NaN or infinity make it NaN.
//!
//! Fails when a few samples are answered wrongly with great confidence: they outweigh all others,
//! so the loss of a model under attack can rise while its accuracy does.
//!
//! Reference: the standard definition, as in Goodfellow, Bengio and Courville, Deep Learning, MIT
//! Press 2016, section 6.2.

use std::sync::Arc;

use ndarray::ArrayView1;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Facts, Metric};
use crate::catalog::Entry;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Metric> = Entry {
    name: "loss",
    summary: "the mean cross-entropy on the test samples, in nats",
    reference: "Goodfellow, Bengio and Courville, Deep Learning, MIT Press 2016",
    source: include_str!("loss.rs"),
    claims: (),
    parameters: || schema_for!(Loss),
    build: |parameters| parameters.build::<dyn Metric, Loss>(|it| Ok(Arc::new(it))),
};

/// The loss has no parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Loss {}

impl Metric for Loss {
    fn measure(&self, facts: &Facts<'_>) -> f64 {
        let answers = facts.scores.rows().into_iter().zip(facts.labels);
        let total: f64 = answers.map(|(row, &label)| cross_entropy(row, usize::from(label))).sum();
        total / facts.labels.len() as f64
    }
}

fn cross_entropy(scores: ArrayView1<'_, f32>, label: usize) -> f64 {
    let largest = scores.iter().fold(f32::NEG_INFINITY, |largest, &score| largest.max(score));
    let largest = f64::from(largest);
    let total: f64 = scores.iter().map(|&score| (f64::from(score) - largest).exp()).sum();
    total.ln() + largest - f64::from(scores[label])
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    fn loss(scores: &Array2<f32>, labels: &[u8]) -> f64 {
        Loss {}.measure(&Facts { scores: scores.view(), labels })
    }

    #[test]
    fn by_hand() {
        // Probabilities 1/2 and 3/4 for the right classes.
        let scores = array![[0.0, 0.0], [3.0f32.ln(), 0.0]];
        let expected = f64::midpoint(2.0f64.ln(), (4.0f64 / 3.0).ln());
        assert!((loss(&scores, &[1, 0]) - expected).abs() < 1e-7);
    }

    #[test]
    fn huge_scores_stay_exact() {
        assert_eq!(loss(&array![[1e30, 0.0]], &[1]), f64::from(1e30f32));
        assert_eq!(loss(&array![[1e30, 0.0]], &[0]), 0.0);
    }

    #[test]
    fn what_is_not_finite_shows() {
        assert!(loss(&array![[f32::NAN, 0.0]], &[1]).is_nan());
        assert!(loss(&array![[f32::INFINITY, 0.0]], &[0]).is_nan());
    }
}
