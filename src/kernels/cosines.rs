//! Cosines of the angles between rows.

use ndarray::{Array2, ArrayView2};

use super::row_norms::row_norms;
use crate::vector::{dot, view_slice};

/// The matrix of cosines, shape `[n, n]`: symmetric, 1 on the diagonal, within -1 and 1.
///
/// Where a row is zero or not finite it has no direction: its cosine to any other row is
/// `undefined`.
pub fn cosines(updates: ArrayView2<'_, f32>, undefined: f64) -> Array2<f64> {
    let updates = updates.as_standard_layout();
    let norms = row_norms(updates.view());
    let mut cosines = Array2::eye(updates.nrows());
    for i in 0..updates.nrows() {
        for j in i + 1..updates.nrows() {
            let (a, b) = (updates.row(i), updates.row(j));
            let product = dot(view_slice(&a), view_slice(&b));
            let cosine = cosine(product, norms[i], norms[j]).unwrap_or(undefined);
            cosines[[i, j]] = cosine;
            cosines[[j, i]] = cosine;
        }
    }
    cosines
}

/// The cosine from an inner product and two norms, where both vectors have a direction.
pub fn cosine(product: f64, one: f64, other: f64) -> Option<f64> {
    let lengths = one * other;
    (lengths > 0.0 && lengths.is_finite()).then(|| (product / lengths).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn angles_by_hand() {
        let rows = array![[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0], [0.0, 0.0], [f32::NAN, 1.0]];
        let cosines = cosines(rows.view(), -7.0);
        assert_eq!(cosines.row(0).to_vec(), [1.0, 0.0, -1.0, -7.0, -7.0]);
        assert_eq!(cosines[[3, 3]], 1.0);
    }
}
