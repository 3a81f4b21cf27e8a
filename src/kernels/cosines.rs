//! Cosines of the angles between rows.

use ndarray::{Array2, ArrayView2};

use super::blocks;
use super::panels::{Row, exponent, power, products};
use super::row_norms::largest_of;

/// The matrix of cosines, shape `[n, n]`: symmetric, 1 on the diagonal, within -1 and 1.
///
/// Where a row is zero or not finite it has no direction: its cosine to any other row is
/// `undefined`. Equal rows have exactly 1; others are exact to about 1e-7.
pub fn cosines(updates: ArrayView2<'_, f32>, undefined: f64) -> Array2<f64> {
    let updates = updates.as_standard_layout();
    let flat = updates.as_slice().expect("standard layout is contiguous");
    let (n, columns) = updates.dim();
    let rows: Vec<&[f32]> = (0..n).map(|row| &flat[row * columns..(row + 1) * columns]).collect();
    let shared = blocks::shared(flat.len());
    let largest = largest_of(&rows, shared);
    let directed: Vec<usize> =
        (0..n).filter(|&row| largest[row] > 0.0 && largest[row].is_finite()).collect();
    // Angles do not change with lengths: no square overflows.
    let row = |&row: &usize| Row { values: rows[row], scale: power(-exponent(largest[row])) };
    let scaled: Vec<Row<'_>> = directed.iter().map(row).collect();
    let mut totals = vec![0.0; n * n];
    products(&scaled, None, &mut totals, n, shared);
    let mut cosines = Array2::from_elem((n, n), undefined);
    cosines.diag_mut().fill(1.0);
    let squares: Vec<f64> = (0..directed.len()).map(|i| totals[i * n + i]).collect();
    for (i, &one) in directed.iter().enumerate() {
        for (j, &other) in directed.iter().enumerate().skip(i + 1) {
            // The root of the product, so that equal rows have exactly 1.
            let lengths = (squares[i] * squares[j]).sqrt();
            let cosine = cosine(totals[i * n + j], lengths, 1.0).unwrap_or(undefined);
            cosines[[one, other]] = cosine;
            cosines[[other, one]] = cosine;
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
