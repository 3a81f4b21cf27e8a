//! Means and weighted sums of rows.

use ndarray::{Array1, Array2, ArrayView2};
use pulp::{Arch, Simd, WithSimd};

use super::blocks;
use super::centres::weighted_sum_with;

/// Registers of sums that one group has at a time: enough to hide how long an addition takes.
const REGISTERS: usize = 8;

/// The same where rows are so many that a wider tile would leave the cache.
const NARROW_REGISTERS: usize = 4;

/// The number of rows from which tiles are narrow.
const NARROW_FROM: usize = 2048;

/// Columns that one thread takes at a time.
const BLOCK: usize = 4096;

/// `Σ w_i x_i` with one weight per row, length d: in row order, in `f64`, rounded once.
///
/// Rows of weight 0 are left out, whatever they hold.
///
/// # Panics
/// If there are more weights than rows.
pub fn weighted_sum(updates: ArrayView2<'_, f32>, weights: &[f32]) -> Array1<f32> {
    let weights: Vec<f64> = weights.iter().map(|&weight| f64::from(weight)).collect();
    weighted_sum_with(updates, &weights, None)
}

/// `Σ w_i x_i + w · extra`, as [`weighted_sum`] with one more row, which is added last.
///
/// # Panics
/// If there are more weights than rows, or the extra row is of another length.
pub fn weighted_sum_from(
    updates: ArrayView2<'_, f32>,
    weights: &[f64],
    extra: &[f32],
    weight: f64,
) -> Array1<f32> {
    weighted_sum_with(updates, weights, Some((extra, weight)))
}

/// For each group of row indices, the mean of those rows; shape `[groups, d]`.
///
/// Sums run in the order of the group in `f64` and are rounded once. An empty group yields NaN.
///
/// # Panics
/// If a group names a row that is not there.
pub fn means_of_rows(updates: ArrayView2<'_, f32>, groups: &[Vec<usize>]) -> Array2<f32> {
    let narrow = |group: &Vec<usize>| group.iter().map(|&row| row as u32).collect();
    let groups: Vec<Vec<u32>> = groups.iter().map(narrow).collect();
    let updates = updates.as_standard_layout();
    let columns = updates.ncols();
    let mut means = Array2::zeros((groups.len(), columns));
    let shared = blocks::shared(updates.len());
    let flat = updates.as_slice().expect("standard layout is contiguous");
    let mut parts = columns_of(&mut means, BLOCK);
    blocks::for_each(&mut parts, 1, shared, |block, parts| {
        let source = |row: usize| &flat[row * columns..(row + 1) * columns][block * BLOCK..];
        let sources: Vec<&[f32]> = (0..updates.nrows()).map(source).collect();
        Arch::new().dispatch(Average { sources: &sources, groups: &groups, means: &mut parts[0] });
    });
    drop(parts);
    means
}

/// The rows of a matrix in standard layout, `block` columns by `block` columns.
pub(super) fn columns_of(matrix: &mut Array2<f32>, block: usize) -> Vec<Vec<&mut [f32]>> {
    let (rows, columns) = matrix.dim();
    let mut parts: Vec<Vec<&mut [f32]>> =
        (0..columns.div_ceil(block)).map(|_| Vec::with_capacity(rows)).collect();
    let flat = matrix.as_slice_mut().expect("standard layout is contiguous");
    for row in flat.chunks_mut(columns.max(1)) {
        for (part, row) in parts.iter_mut().zip(row.chunks_mut(block)) {
            part.push(row);
        }
    }
    parts
}

/// One pass over all tiles of a block of columns, compiled for each kind of processor.
struct Average<'a, 'b> {
    /// The rows, from the block on.
    sources: &'a [&'a [f32]],
    groups: &'a [Vec<u32>],
    means: &'a mut [&'b mut [f32]],
}

impl WithSimd for Average<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if self.sources.len() < NARROW_FROM {
            self.average::<S, REGISTERS>(simd);
        } else {
            self.average::<S, NARROW_REGISTERS>(simd);
        }
    }
}

impl Average<'_, '_> {
    #[inline(always)]
    fn average<S: Simd, const REGISTERS: usize>(self, simd: S) {
        let lanes = REGISTERS * S::F64_LANES;
        let columns = self.means.first().map_or(0, |row| row.len());
        let rows = self.sources.len();
        // The tile is widened once and read by all groups.
        let mut room = blocks::room(rows * lanes, 0.0f64);
        let tile = blocks::lined_up(&mut room, rows * lanes);
        let mut mean = vec![0.0f64; lanes];
        for start in (0..columns).step_by(lanes) {
            let width = lanes.min(columns - start);
            for (wide, source) in tile.chunks_exact_mut(lanes).zip(self.sources) {
                for (wide, &value) in wide.iter_mut().zip(&source[start..start + width]) {
                    *wide = f64::from(value);
                }
            }
            for (target, members) in self.means.iter_mut().zip(self.groups) {
                mean_of::<S, REGISTERS>(simd, tile, members, &mut mean);
                for (target, &mean) in target[start..start + width].iter_mut().zip(&mean) {
                    *target = mean as f32;
                }
            }
        }
    }
}

/// Writes the mean of the `members` among the rows of `tile`, each as long as `mean`.
#[inline(always)]
fn mean_of<S: Simd, const REGISTERS: usize>(
    simd: S,
    tile: &[f64],
    members: &[u32],
    mean: &mut [f64],
) {
    let mut sums = [simd.splat_f64s(0.0); REGISTERS];
    for &member in members {
        // An array, so that its length is known and the sums stay in registers.
        let row = S::as_simd_f64s(&tile[member as usize * mean.len()..][..mean.len()]).0;
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
    fn on_any_number_of_threads_the_bits_are_the_same() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        for (rows, columns) in [(3, 100_001), (9, 70), (0, 4), (4, 0), (NARROW_FROM, 150)] {
            let value = |(row, column): (usize, usize)| ((row * 7 + column * 3) % 101) as f32 / 7.0;
            let updates = Array2::from_shape_fn((rows, columns), value);
            let groups: Vec<Vec<usize>> = (0..rows)
                .map(|row| [row / 2, row].into_iter().chain(0..row / 3).collect())
                .collect();
            let means = means_of_rows(updates.view(), &groups);
            assert_eq!(pool.install(|| means_of_rows(updates.view(), &groups)), means);
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
