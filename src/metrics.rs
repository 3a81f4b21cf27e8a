//! Metrics: what is measured on the test set.

mod accuracy;
mod attack_success_rate;
mod loss;
mod worst_class;

use std::fmt::Debug;

use ndarray::ArrayView2;

use crate::catalog::Catalog;

/// All metrics.
pub static CATALOG: Catalog<dyn Metric> = Catalog {
    kind: "metric",
    entries: &[&accuracy::ENTRY, &loss::ENTRY, &worst_class::ENTRY, &attack_success_rate::ENTRY],
};

/// One number about a model's answers.
pub trait Metric: Debug + Send + Sync {
    /// Measures what the model answered.
    fn measure(&self, facts: &Facts<'_>) -> f64;
}

/// A model's answers to the test set.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The scores of each class, shape `[n, classes]`.
    pub scores: ArrayView2<'a, f32>,
    /// The right classes.
    pub labels: &'a [u8],
}

/// What every evaluation records of a model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Evaluation {
    /// The share of test samples answered rightly.
    pub accuracy: f64,
    /// The mean cross-entropy, in nats.
    pub loss: f64,
}

/// The accuracy on the samples of each class, in the order of classes; nothing for a class without
/// samples.
pub fn class_accuracies(facts: &Facts<'_>) -> Vec<Option<f64>> {
    worst_class::class_accuracies(facts)
}

/// Measures what every evaluation records. Of no samples, both numbers are NaN.
pub fn evaluate(facts: &Facts<'_>) -> Evaluation {
    Evaluation {
        accuracy: accuracy::Accuracy {}.measure(facts),
        loss: loss::Loss {}.measure(facts),
    }
}

/// The share of samples with a trigger that are taken for the class that the labels name.
pub fn attack_success_rate(facts: &Facts<'_>) -> f64 {
    attack_success_rate::AttackSuccessRate {}.measure(facts)
}
