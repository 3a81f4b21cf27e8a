//! Squared Euclidean distances between all pairs of rows: what Krum, its relatives and
//! nearest-neighbour mixing decide by.
//!
//! Distances are sums of squared differences and never come from a Gram matrix: one huge row
//! would cancel every digit of the others' distances. Differences are taken in single precision
//! over tiles of three by three rows that stay in registers, and join an `f64` total every 1024
//! columns. Where single precision cannot hold the squares, a pair is done again in `f64`.

use ndarray::{Array2, ArrayView2};
use pulp::{Arch, Simd, WithSimd};

use crate::vector::squared_distance;

/// Columns summed in single precision before the partial sum joins the total.
const BLOCK: usize = 1024;

/// Rows on each side of a tile: nine sums and six operands fit the sixteen registers of AVX2.
const SIDE: usize = 3;

/// Below this a sum of squares may have lost digits to underflow.
const SMALLEST: f64 = 1e-30;

/// The matrix of `‖x_i - x_j‖²`, shape `[n, n]`: symmetric, zero on the diagonal, never NaN.
///
/// The distance to a row with a NaN or an infinity is `+inf`. The bits of a distance depend on
/// its two rows alone, not on their places, so that equal rows are at equal distances from any
/// third, and reordering rows reorders the matrix.
pub fn squared_distances(updates: ArrayView2<'_, f32>) -> Array2<f64> {
    let updates = updates.as_standard_layout();
    let flat = updates.as_slice().expect("standard layout is contiguous");
    let columns = updates.ncols();
    let rows: Vec<&[f32]> =
        (0..updates.nrows()).map(|row| &flat[row * columns..(row + 1) * columns]).collect();
    let n = rows.len();
    let mut totals = vec![0.0; n * n];
    Arch::new().dispatch(Accumulate { rows: &rows, totals: &mut totals });
    for i in 0..n {
        for j in i + 1..n {
            let distance = checked(totals[i * n + j], rows[i], rows[j]);
            totals[i * n + j] = distance;
            totals[j * n + i] = distance;
        }
    }
    Array2::from_shape_vec((n, n), totals).expect("n times n elements")
}

/// The fast sum where it can be trusted, else one in `f64`; `+inf` in place of NaN.
fn checked(fast: f64, a: &[f32], b: &[f32]) -> f64 {
    if fast.is_finite() && fast >= SMALLEST {
        return fast;
    }
    // Colluders often send one vector: comparing bytes is cheaper than summing zeros.
    if fast == 0.0 && bytemuck::cast_slice::<f32, u8>(a) == bytemuck::cast_slice::<f32, u8>(b) {
        return 0.0;
    }
    let exact = squared_distance(a, b);
    if exact.is_nan() { f64::INFINITY } else { exact }
}

/// Adds the distances above the diagonal, compiled for each kind of processor.
struct Accumulate<'a> {
    rows: &'a [&'a [f32]],
    totals: &'a mut [f64],
}

impl WithSimd for Accumulate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let columns = self.rows.first().map_or(0, |row| row.len());
        let mut block = Vec::with_capacity(self.rows.len());
        for start in (0..columns).step_by(BLOCK) {
            block.clear();
            block.extend(self.rows.iter().map(|row| &row[start..columns.min(start + BLOCK)]));
            add_block(simd, &block, self.totals);
        }
    }
}

/// Adds what one block of columns contributes to every pair `i < j`.
#[inline(always)]
fn add_block<S: Simd>(simd: S, rows: &[&[f32]], totals: &mut [f64]) {
    for i in (0..rows.len()).step_by(SIDE) {
        match rows.len() - i {
            1 => {}
            2 => add_tile::<S, 1, 1>(simd, rows, totals, i, i + 1),
            _ => {
                add_tile::<S, 1, 2>(simd, rows, totals, i, i + 1);
                add_tile::<S, 1, 1>(simd, rows, totals, i + 1, i + 2);
            }
        }
        for j in (i + SIDE..rows.len()).step_by(SIDE) {
            match rows.len() - j {
                1 => add_tile::<S, SIDE, 1>(simd, rows, totals, i, j),
                2 => add_tile::<S, SIDE, 2>(simd, rows, totals, i, j),
                _ => add_tile::<S, SIDE, SIDE>(simd, rows, totals, i, j),
            }
        }
    }
}

/// Adds the distances of rows `i..i + R` to rows `j..j + C`.
///
/// Every pair has a sum of its own and the same order of additions, whatever the tile's shape.
#[inline(always)]
fn add_tile<S: Simd, const R: usize, const C: usize>(
    simd: S,
    rows: &[&[f32]],
    totals: &mut [f64],
    i: usize,
    j: usize,
) {
    let length = rows[i].len() / S::F32_LANES;
    let left: [_; R] = std::array::from_fn(|r| split::<S>(rows[i + r], length));
    let right: [_; C] = std::array::from_fn(|c| split::<S>(rows[j + c], length));
    let mut sums = [[simd.splat_f32s(0.0); C]; R];
    for k in 0..length {
        let others: [S::f32s; C] = std::array::from_fn(|c| right[c].0[k]);
        for r in 0..R {
            let own = left[r].0[k];
            for c in 0..C {
                let difference = simd.sub_f32s(own, others[c]);
                sums[r][c] = simd.mul_add_f32s(difference, difference, sums[r][c]);
            }
        }
    }
    for r in 0..R {
        for c in 0..C {
            let rest = left[r].1.iter().zip(right[c].1).map(|(a, b)| f64::from(a - b).powi(2));
            let sum = f64::from(simd.reduce_sum_f32s(sums[r][c])) + rest.sum::<f64>();
            totals[(i + r) * rows.len() + j + c] += sum;
        }
    }
}

/// A row as `length` whole registers and the rest.
#[inline(always)]
fn split<S: Simd>(row: &[f32], length: usize) -> (&[S::f32s], &[f32]) {
    let (registers, rest) = S::as_simd_f32s(row);
    (&registers[..length], rest)
}

#[cfg(test)]
mod tests {
    use ndarray::{Axis, array};
    use rand::RngExt;

    use super::*;
    use crate::seed::{Purpose, run_stream};

    fn random(rows: usize, columns: usize) -> Array2<f32> {
        let mut rng = run_stream(3, Purpose::Aggregation);
        Array2::from_shape_fn((rows, columns), |_| rng.random::<f32>() - 0.5)
    }

    #[test]
    fn by_hand() {
        let distances = squared_distances(array![[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]].view());
        assert_eq!(distances, array![[0.0, 25.0, 1.0], [25.0, 0.0, 18.0], [1.0, 18.0, 0.0]]);
    }

    #[test]
    fn every_shape_agrees_with_the_slow_sum() {
        for rows in 0..=11 {
            for columns in [0, 1, 7, 8, 100, 1024, 2500] {
                let updates = random(rows, columns);
                let distances = squared_distances(updates.view());
                for ((i, j), &distance) in distances.indexed_iter() {
                    let (a, b) = (updates.row(i), updates.row(j));
                    let exact = squared_distance(a.as_slice().unwrap(), b.as_slice().unwrap());
                    assert!((distance - exact).abs() <= 2e-6 * exact, "{distance} {exact}");
                }
            }
        }
    }

    #[test]
    fn reordering_rows_reorders_the_bits() {
        let updates = random(11, 1500);
        let order = [7, 2, 9, 0, 10, 4, 3, 8, 1, 6, 5];
        let distances = squared_distances(updates.view());
        let reordered = squared_distances(updates.select(Axis(0), &order).view());
        for (i, &a) in order.iter().enumerate() {
            for (j, &b) in order.iter().enumerate() {
                assert_eq!(reordered[[i, j]], distances[[a, b]]);
            }
        }
    }

    #[test]
    fn huge_and_tiny_rows_keep_their_digits() {
        let updates = array![[1e30f32, 0.0], [-1e30, 0.0], [1e-30, 0.0], [3e-30, 0.0]];
        let distances = squared_distances(updates.view());
        assert!((distances[[0, 1]] / 4e60 - 1.0).abs() < 1e-6);
        assert!((distances[[2, 3]] / 4e-60 - 1.0).abs() < 1e-6);
    }

    #[test]
    fn rows_that_are_not_finite_are_infinitely_far() {
        let updates =
            array![[1.0, f32::NAN], [f32::INFINITY, 0.0], [f32::INFINITY, 0.0], [2.0, 5.0]];
        let distances = squared_distances(updates.view());
        for ((i, j), &distance) in distances.indexed_iter() {
            assert_eq!(distance, if i == j { 0.0 } else { f64::INFINITY });
        }
    }
}
