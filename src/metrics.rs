//! Metrics: what is measured on the test set.

use std::fmt::Debug;

use ndarray::ArrayView2;

use crate::catalog::Catalog;

/// All metrics.
pub static CATALOG: Catalog<dyn Metric> = Catalog { kind: "metric", entries: &[] };

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
