//! Means of groups of rows.

use ndarray::{Array2, ArrayView2};
use pulp::{Arch, Simd, WithSimd};

/// Columns whose sums stay in registers.
const LANES: usize = 16;

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
    fn with_simd<S: Simd>(self, _simd: S) {
        // The tile is widened once and read by all groups.
        let mut tile = vec![[0.0f64; LANES]; self.rows];
        for start in (0..self.columns).step_by(LANES) {
            let width = LANES.min(self.columns - start);
            for (row, wide) in tile.iter_mut().enumerate() {
                let source = &self.flat[row * self.columns + start..][..width];
                for (wide, &value) in wide.iter_mut().zip(source) {
                    *wide = f64::from(value);
                }
            }
            for (group, members) in self.groups.iter().enumerate() {
                let mean = mean_of(&tile, members);
                let target = &mut self.means[group * self.columns + start..][..width];
                target.copy_from_slice(&mean[..width]);
            }
        }
    }
}

#[inline(always)]
fn mean_of(tile: &[[f64; LANES]], members: &[usize]) -> [f32; LANES] {
    let mut sums = [0.0f64; LANES];
    for &member in members {
        let row = &tile[member];
        for lane in 0..LANES {
            sums[lane] += row[lane];
        }
    }
    let count = members.len() as f64;
    sums.map(|sum| (sum / count) as f32)
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
    fn any_width() {
        for columns in [0, 1, 15, 16, 17, 40] {
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
