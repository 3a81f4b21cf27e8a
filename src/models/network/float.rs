//! The float types that networks compute with.

use ndarray::NdFloat;

/// A float that networks compute with: `f32` in runs, `f64` where tests judge the same lines.
pub trait Float: NdFloat + Into<f64> {
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
