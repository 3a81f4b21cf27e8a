//! The float types that networks compute with.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, NdFloat};

use crate::kernels::product::{self, Onto};

/// A float that networks compute with: `f32` in runs, `f64` where tests judge the same lines.
pub trait Float: NdFloat + Into<f64> {
    /// The nearest value of this type.
    fn nearest(value: f64) -> Self;

    /// `into = left · right`, or `into = into + left · right`, of any strides.
    fn product(
        left: ArrayView2<'_, Self>,
        right: ArrayView2<'_, Self>,
        onto: Onto,
        into: ArrayViewMut2<'_, Self>,
    );
}

impl Float for f32 {
    fn nearest(value: f64) -> Self {
        value as f32
    }

    fn product(
        left: ArrayView2<'_, f32>,
        right: ArrayView2<'_, f32>,
        onto: Onto,
        into: ArrayViewMut2<'_, f32>,
    ) {
        product::product(left, right, onto, into);
    }
}

impl Float for f64 {
    fn nearest(value: f64) -> Self {
        value
    }

    fn product(
        left: ArrayView2<'_, f64>,
        right: ArrayView2<'_, f64>,
        onto: Onto,
        mut into: ArrayViewMut2<'_, f64>,
    ) {
        let before = if onto == Onto::Before { 1.0 } else { 0.0 };
        general_mat_mul(1.0, &left, &right, before, &mut into);
    }
}
