//! Lengths of rows, and making rows shorter: what both kinds of clipping share.

use ndarray::{Array2, ArrayViewMut1};

use crate::vector::{norm, view_slice};

/// The Euclidean norm of every row of `updates`, which are in standard layout.
pub(super) fn norms(updates: &Array2<f32>) -> Vec<f64> {
    updates.rows().into_iter().map(|row| norm(view_slice(&row))).collect()
}

/// Scales `row`, whose norm is given, down to `threshold` if it is longer.
///
/// A row without a finite norm has no direction to keep and is left as it is.
pub(super) fn shorten(mut row: ArrayViewMut1<'_, f32>, norm: f64, threshold: f64) {
    if norm.is_finite() && norm > threshold {
        let factor = threshold / norm;
        row.mapv_inplace(|value| (f64::from(value) * factor) as f32);
    }
}
