//! Cosines of the angles between rows.

use ndarray::{Array2, ArrayView2};

use super::blocks;
use super::panels::{Row, exponent, power, products};
use super::row_norms::{ENLARGE, enlarged, largest_of};
use crate::vector::{dot, norm};

/// Multiplications up to which every product is taken in `f64`: there is time for it.
const FEW: usize = 1 << 26;

/// Rows of values below this are enlarged first.
const TINY: f32 = 1e-30;

/// The matrix of cosines, shape `[n, n]`: symmetric, 1 on the diagonal, within -1 and 1.
///
/// Where a row is zero or not finite it has no direction: its cosine to any other row is
/// `undefined`. Of many long rows, equal ones have exactly 1 and others are exact to about 1e-7.
pub fn cosines(updates: ArrayView2<'_, f32>, undefined: f64) -> Array2<f64> {
    let updates = updates.as_standard_layout();
    let flat = updates.as_slice().expect("standard layout is contiguous");
    let (n, columns) = updates.dim();
    let rows: Vec<&[f32]> = (0..n).map(|row| &flat[row * columns..(row + 1) * columns]).collect();
    cosines_of(&rows, undefined)
}

/// The same of rows that do not lie one behind the other.
///
/// # Panics
/// If the rows differ in length.
pub fn cosines_of(rows: &[&[f32]], undefined: f64) -> Array2<f64> {
    let (n, columns) = (rows.len(), rows.first().map_or(0, |row| row.len()));
    if n * n / 2 * columns <= FEW {
        return few(rows, undefined);
    }
    let shared = blocks::shared(n * columns);
    let largest = largest_of(rows, shared);
    let directed: Vec<usize> =
        (0..n).filter(|&row| largest[row] > 0.0 && largest[row].is_finite()).collect();
    // Numbers that are not normal would be slow to multiply; there are few such rows, if any.
    let tiny = |&row: &usize| (largest[row] < TINY).then(|| rows[row].iter().map(|&x| enlarged(x)));
    let copies: Vec<Option<Vec<f32>>> =
        directed.iter().map(|row| tiny(row).map(Iterator::collect)).collect();
    // Angles do not change with lengths: no square overflows.
    let scaled: Vec<Row<'_>> = directed
        .iter()
        .zip(&copies)
        .map(|(&row, copy)| match copy {
            Some(copy) => Row { values: copy, scale: power(-exponent(largest[row] * ENLARGE)) },
            None => Row { values: rows[row], scale: power(-exponent(largest[row])) },
        })
        .collect();
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

/// The same from products in `f64`.
fn few(rows: &[&[f32]], undefined: f64) -> Array2<f64> {
    let norms: Vec<f64> = rows.iter().map(|row| norm(row)).collect();
    let mut cosines = Array2::eye(rows.len());
    for i in 0..rows.len() {
        for j in i + 1..rows.len() {
            let product = dot(rows[i], rows[j]);
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
    use rand::RngExt;

    use super::*;
    use crate::seed::{Purpose, run_stream};

    #[test]
    fn angles_by_hand() {
        let rows = array![[1.0, 0.0], [0.0, 2.0], [-3.0, 0.0], [0.0, 0.0], [f32::NAN, 1.0]];
        let cosines = cosines(rows.view(), -7.0);
        assert_eq!(cosines.row(0).to_vec(), [1.0, 0.0, -1.0, -7.0, -7.0]);
        assert_eq!(cosines[[3, 3]], 1.0);
    }

    #[test]
    fn many_long_rows_have_the_same_angles_on_any_number_of_threads() {
        let (rows, columns) = (60, 40_000);
        let mut rng = run_stream(6, Purpose::Aggregation);
        let mut updates = Array2::from_shape_fn((rows, columns), |_| rng.random::<f32>() - 0.4);
        let first = updates.row(0).to_owned();
        updates.row_mut(1).assign(&first);
        updates.row_mut(2).assign(&(1e30 * &first));
        updates.row_mut(3).assign(&(-1e-38 * &first));
        updates.row_mut(4).fill(0.0);
        updates[[5, 7]] = f32::INFINITY;
        let many = cosines(updates.view(), -7.0);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        assert_eq!(pool.install(|| cosines(updates.view(), -7.0)), many);
        assert_eq!(many[[0, 1]], 1.0);
        let all: Vec<&[f32]> =
            updates.rows().into_iter().map(|row| row.to_slice().unwrap()).collect();
        for ((i, j), cosine) in few(&all, -7.0).indexed_iter() {
            assert!((many[[i, j]] - cosine).abs() < 1e-5, "{i} {j}");
        }
        assert!((many[[2, 3]] + 1.0).abs() < 1e-5 && many[[4, 6]] == -7.0 && many[[6, 5]] == -7.0);
    }
}
