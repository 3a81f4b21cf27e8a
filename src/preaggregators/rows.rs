//! Lengths of rows, and making rows shorter: what both kinds of clipping share.

use ndarray::Array2;

use crate::kernels::row_norms::{each_row, scale_rows};
use crate::vector::norm;

/// The Euclidean norm of every row of `updates`; NaN where a row holds one.
pub(super) fn norms(updates: &Array2<f32>) -> Vec<f64> {
    each_row(updates.view(), |_, row| norm(row))
}

/// Scales the rows, whose norms are given, down to `threshold` where they are longer.
///
/// A row without a finite norm has no direction to keep and is left as it is.
pub(super) fn shorten(updates: Array2<f32>, norms: &[f64], threshold: f64) -> Array2<f32> {
    let factor = |&norm: &f64| match norm.is_finite() && norm > threshold {
        true => threshold / norm,
        false => 1.0,
    };
    scale_rows(updates, &norms.iter().map(factor).collect::<Vec<f64>>())
}
