//! Means and weighted sums of rows.

use ndarray::{Array1, Array2, ArrayView2};
use pulp::{Arch, Simd, WithSimd};

/// Registers of sums that one group has at a time: enough to hide how long an addition takes.
const REGISTERS: usize = 8;

/// Columns of a weighted sum that are finished together.
const COLUMNS: usize = 64;

/// `Σ w_i x_i` with one weight per row, length d: in row order, in `f64`, rounded once.
///
/// Rows of weight 0 are left out, whatever they hold.
///
/// # Panics
/// If there are more weights than rows.
pub fn weighted_sum(updates: ArrayView2<'_, f32>, weights: &[f32]) -> Array1<f32> {
    let updates = updates.as_standard_layout();
    let flat = updates.as_slice().expect("standard layout is contiguous");
    let counted = |(row, &weight): (usize, &f32)| (weight != 0.0).then_some((row, weight));
    let counted: Vec<(usize, f32)> = weights.iter().enumerate().filter_map(counted).collect();
    let mut sum = vec![0.0; updates.ncols()];
    Arch::new().dispatch(WeightedSum { flat, weights: &counted, sum: &mut sum });
    Array1::from(sum)
}

/// One pass over all tiles of columns, compiled for each kind of processor.
struct WeightedSum<'a> {
    flat: &'a [f32],
    weights: &'a [(usize, f32)],
    sum: &'a mut [f32],
}

impl WithSimd for WeightedSum<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let columns = self.sum.len();
        for (tile, result) in self.sum.chunks_mut(COLUMNS).enumerate() {
            let mut sums = [0.0f64; COLUMNS];
            for &(row, weight) in self.weights {
                let weight = f64::from(weight);
                let source = &self.flat[row * columns + tile * COLUMNS..][..result.len()];
                for (sum, &value) in sums.iter_mut().zip(source) {
                    *sum += weight * f64::from(value);
                }
            }
            for (result, &sum) in result.iter_mut().zip(&sums) {
                *result = sum as f32;
            }
        }
    }
}

/// For each group of row indices, the mean of those rows; shape `[groups, d]`.
///
/// Sums run in the order of the group in `f64` and are rounded once. An empty group yields NaN.
///
/// # Panics
/// If a group names a row that is not there.
pub fn means_of_rows(updates: ArrayView2<'_, f32>, groups: &[Vec<usize>]) -> Array2<f32> {
    let updates = updates.as_standard_layout();
    let flat = updates.as_slice().expect("standard layout is contiguous");
    let (rows, columns) = updates.dim();
    let mut means = vec![0.0; groups.len() * columns];
    Arch::new().dispatch(Average { flat, rows, columns, groups, means: &mut means });
    Array2::from_shape_vec((groups.len(), columns), means).expect("groups times columns elements")
}

/// One pass over all tiles of columns, compiled for each kind of processor.
struct Average<'a> {
    flat: &'a [f32],
    rows: usize,
    columns: usize,
    groups: &'a [Vec<usize>],
    means: &'a mut [f32],
}

impl WithSimd for Average<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let lanes = REGISTERS * S::F64_LANES;
        // The tile is widened once and read by all groups.
        let mut tile = vec![0.0f64; self.rows * lanes];
        let mut mean = vec![0.0f64; lanes];
        for start in (0..self.columns).step_by(lanes) {
            let width = lanes.min(self.columns - start);
            for (row, wide) in tile.chunks_exact_mut(lanes).enumerate() {
                let source = &self.flat[row * self.columns + start..][..width];
                for (wide, &value) in wide.iter_mut().zip(source) {
                    *wide = f64::from(value);
                }
            }
            for (group, members) in self.groups.iter().enumerate() {
                mean_of(simd, &tile, members, &mut mean);
                let target = &mut self.means[group * self.columns + start..][..width];
                for (target, &mean) in target.iter_mut().zip(&mean) {
                    *target = mean as f32;
                }
            }
        }
    }
}

/// Writes the mean of the `members` among the rows of `tile`, each as long as `mean`.
#[inline(always)]
fn mean_of<S: Simd>(simd: S, tile: &[f64], members: &[usize], mean: &mut [f64]) {
    let mut sums = [simd.splat_f64s(0.0); REGISTERS];
    for &member in members {
        // An array, so that its length is known and the sums stay in registers.
        let row = S::as_simd_f64s(&tile[member * mean.len()..][..mean.len()]).0;
        let row: &[S::f64s; REGISTERS] = row.first_chunk().expect("a row fills the registers");
        for register in 0..REGISTERS {
            sums[register] = simd.add_f64s(sums[register], row[register]);
        }
    }
    let count = simd.splat_f64s(members.len() as f64);
    for (mean, sum) in S::as_mut_simd_f64s(mean).0.iter_mut().zip(sums) {
        *mean = simd.div_f64s(sum, count);
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Axis, array};

    use super::*;

    #[test]
    fn by_hand() {
        let updates = array![[1.0, 2.0], [3.0, 6.0], [5.0, 1.0]];
        let means = means_of_rows(updates.view(), &[vec![0, 1], vec![2], vec![0, 1, 2]]);
        assert_eq!(means, array![[2.0, 4.0], [5.0, 1.0], [3.0, 3.0]]);
    }

    #[test]
    fn weighted_sums_by_hand() {
        let updates = array![[1.0, 2.0], [f32::NAN, 6.0], [5.0, 1.0]];
        assert_eq!(weighted_sum(updates.view(), &[0.5, 0.0, 2.0]), array![10.5, 3.0]);
        for columns in [0, 63, 64, 130] {
            let updates =
                Array2::from_shape_fn((3, columns), |(row, column)| (row + column) as f32);
            let expected = Array1::from_shape_fn(columns, |column| (4 * column + 6) as f32);
            assert_eq!(weighted_sum(updates.view(), &[1.0, 0.0, 3.0]), expected);
        }
    }

    #[test]
    fn any_width() {
        for columns in [0, 1, 31, 32, 33, 100] {
            let updates = Array2::from_shape_fn((4, columns), |(row, column)| {
                (row * row * 7 + column) as f32 / 4.0
            });
            let means = means_of_rows(updates.view(), &[vec![0, 1, 3]]);
            let slow = updates.select(Axis(0), &[0, 1, 3]).map_axis(Axis(0), |column| {
                (column.iter().map(|&value| f64::from(value)).sum::<f64>() / 3.0) as f32
            });
            assert_eq!(means.row(0), slow);
        }
    }

    #[test]
    fn huge_values_do_not_overflow() {
        let updates = array![[f32::MAX], [f32::MAX]];
        assert_eq!(means_of_rows(updates.view(), &[vec![0, 1]]), array![[f32::MAX]]);
    }
}
