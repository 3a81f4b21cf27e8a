//! Means and weighted sums of rows.

use ndarray::{Array1, Array2, ArrayView2};
use pulp::Arch;

use super::blocks;
use super::centres::{WIDE_BLOCK, WeightedSum, weighted_sum_apart, weighted_sum_with};

/// Columns whose means take the place of rows at a time: with as many rows as are usual, the second
/// cache holds them.
const IN_PLACE: usize = 2048;

/// Blocks of so many columns that one thread takes at a time.
const PARTS: usize = 16;

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

/// The same of rows that stand anywhere.
///
/// # Panics
/// If there are more weights than rows, or a row is of another length than `extra`.
pub fn weighted_sum_apart_from(
    rows: &[&[f32]],
    weights: &[f64],
    extra: &[f32],
    weight: f64,
) -> Array1<f32> {
    weighted_sum_apart(rows, extra.len(), weights, Some((extra, weight)))
}

/// The mean of the rows of which the indices are given, length d.
///
/// Sums run in the order given in `f64` and are rounded once. The mean of no rows is NaN.
///
/// # Panics
/// If a row is named that is not there.
pub fn mean_of_rows(updates: ArrayView2<'_, f32>, rows: &[usize]) -> Array1<f32> {
    Array1::from(means(updates, &[rows]))
}

/// For each group of row indices, the mean of those rows as [`mean_of_rows`] has it; shape
/// `[groups, d]`.
///
/// # Panics
/// If a group names a row that is not there.
pub fn means_of_rows(updates: ArrayView2<'_, f32>, groups: &[Vec<usize>]) -> Array2<f32> {
    let groups: Vec<&[usize]> = groups.iter().map(Vec::as_slice).collect();
    Array2::from_shape_vec((groups.len(), updates.ncols()), means(updates, &groups))
        .expect("groups times columns elements")
}

/// The same in the place of the first rows: it takes no memory but a block's, and nothing is
/// written that was not read just before.
///
/// # Panics
/// If a group names a row that is not there, or there are more groups than rows.
pub fn means_in_place(updates: Array2<f32>, groups: &[Vec<usize>]) -> Array2<f32> {
    let mut updates = match updates.is_standard_layout() {
        true => updates,
        false => updates.as_standard_layout().into_owned(),
    };
    let columns = updates.ncols();
    assert!(groups.len() <= updates.nrows(), "more groups than rows");
    let shared = blocks::shared(updates.len());
    let mut parts = columns_of(&mut updates, IN_PLACE);
    blocks::for_each(&mut parts, PARTS, shared, |_, parts| {
        let mut room = vec![0.0; groups.len() * IN_PLACE];
        for part in parts {
            let counted = |&row: &usize| (&*part[row], 1.0);
            for (group, sum) in groups.iter().zip(room.chunks_mut(IN_PLACE)) {
                let rows: Vec<(&[f32], f64)> = group.iter().map(counted).collect();
                let (rows, divisor) = (rows.as_slice(), group.len() as f64);
                let sum = &mut sum[..part[0].len()];
                Arch::new().dispatch(WeightedSum::<IN_PLACE> { rows, divisor, start: 0, sum });
            }
            for (target, sum) in part.iter_mut().zip(room.chunks(IN_PLACE)).take(groups.len()) {
                target.copy_from_slice(&sum[..target.len()]);
            }
        }
    });
    drop(parts);
    let (mut means, _) = updates.into_raw_vec_and_offset();
    means.truncate(groups.len() * columns);
    Array2::from_shape_vec((groups.len(), columns), means).expect("groups times columns elements")
}

/// The means of all groups, one behind the other.
fn means(updates: ArrayView2<'_, f32>, groups: &[&[usize]]) -> Vec<f32> {
    let updates = updates.as_standard_layout();
    let columns = updates.ncols();
    let flat = updates.as_slice().expect("standard layout is contiguous");
    let counted = |&row: &usize| (&flat[row * columns..(row + 1) * columns], 1.0);
    let groups: Vec<Vec<(&[f32], f64)>> =
        groups.iter().map(|group| group.iter().map(counted).collect()).collect();
    let read = groups.iter().map(Vec::len).sum::<usize>() * columns;
    let shape = (groups.len(), columns);
    blocks::collected::<WIDE_BLOCK>(shape, blocks::shared(read), |group, block, sum| {
        let rows = groups[group].as_slice();
        let (divisor, start) = (rows.len() as f64, block * WIDE_BLOCK);
        Arch::new().dispatch(WeightedSum::<WIDE_BLOCK> { rows, divisor, start, sum });
    })
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

#[cfg(test)]
mod tests {
    use ndarray::{Axis, array};

    use super::*;

    #[test]
    fn by_hand() {
        let updates = array![[1.0, 2.0], [3.0, 6.0], [5.0, 1.0]];
        let means = means_of_rows(updates.view(), &[vec![0, 1], vec![2], vec![0, 1, 2]]);
        assert_eq!(means, array![[2.0, 4.0], [5.0, 1.0], [3.0, 3.0]]);
        assert_eq!(mean_of_rows(updates.view(), &[2, 1]), array![4.0, 3.5]);
        assert!(mean_of_rows(updates.view(), &[]).iter().all(|mean| mean.is_nan()));
    }

    #[test]
    fn in_place_as_elsewhere() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        for (rows, columns) in [(5, 0), (1, 7), (6, 3000), (7, 90_000)] {
            let value = |(row, column): (usize, usize)| ((row * 7 + column * 3) % 101) as f32 / 7.0;
            let updates = Array2::from_shape_fn((rows, columns), value);
            let groups: Vec<Vec<usize>> =
                (0..rows).step_by(2).map(|row| (row..rows.min(row + 2)).rev().collect()).collect();
            let means = means_of_rows(updates.view(), &groups);
            assert_eq!(means_in_place(updates.clone(), &groups), means);
            assert_eq!(pool.install(|| means_in_place(updates.clone(), &groups)), means);
            let turned = updates.t().as_standard_layout().reversed_axes().into_owned();
            assert_eq!(means_in_place(turned, &groups), means);
        }
        assert_eq!(means_in_place(array![[1.0], [2.0]], &[]).dim(), (0, 1));
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
        for (rows, columns) in [(3, 100_001), (9, 70), (0, 4), (4, 0), (2048, 150)] {
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
