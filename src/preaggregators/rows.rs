//! Lengths of rows, and making rows shorter: what both kinds of clipping share.

use ndarray::Array2;

use crate::kernels::row_norms::{each_row, scale_each_row, scale_rows};
use crate::vector::norm;

/// The Euclidean norm of every row of `updates`; NaN where a row holds one.
pub(super) fn norms(updates: &Array2<f32>) -> Vec<f64> {
    each_row(updates.view(), |_, row| norm(row))
}

/// Scales the rows, whose norms are given, down to `threshold` where they are longer.
///
/// A row without a finite norm has no direction to keep and is left as it is.
pub(super) fn shorten(updates: Array2<f32>, norms: &[f64], threshold: f64) -> Array2<f32> {
    let factors: Vec<f64> = norms.iter().map(|&norm| factor(norm, threshold)).collect();
    scale_rows(updates, &factors)
}

/// The same where no norm is known yet.
pub(super) fn shorten_to(updates: Array2<f32>, threshold: f64) -> Array2<f32> {
    scale_each_row(updates, |_, row| factor(norm(row), threshold))
}

/// What a row of this norm is multiplied with.
fn factor(norm: f64, threshold: f64) -> f64 {
    if norm.is_finite() && norm > threshold { threshold / norm } else { 1.0 }
}
