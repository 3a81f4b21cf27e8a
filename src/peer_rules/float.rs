//! The two precisions in which peer rules compute.

use std::fmt::Debug;

/// A float that models are made of.
pub trait Float: Copy + Debug + PartialOrd + Into<f64> + Send + Sync + 'static {
    /// The nearest value of this type.
    fn nearest(value: f64) -> Self;
}

impl Float for f32 {
    fn nearest(value: f64) -> Self {
        value as f32
    }
}

impl Float for f64 {
    fn nearest(value: f64) -> Self {
        value
    }
}
