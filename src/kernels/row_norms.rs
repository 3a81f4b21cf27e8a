//! Lengths of rows and what else is found or done row by row, and medians of such numbers.

use ndarray::{Array2, ArrayView2};
use pulp::{Arch, Simd, WithSimd};

use super::blocks;
use crate::vector::{norm, view_slice};

/// Numbers of a row that are scaled together.
const SCALED: usize = 1 << 15;

/// What `find` makes of every row and its position, each on one of the threads that are at hand.
pub fn each_row<T: Clone + Default + Send>(
    updates: ArrayView2<'_, f32>,
    find: impl Fn(usize, &[f32]) -> T + Sync,
) -> Vec<T> {
    each_row_with(updates, &mut vec![(); updates.nrows()], |row, values, ()| find(row, values))
}

/// The same where each row has a state that `find` may change.
///
/// # Panics
/// If there are not as many states as rows.
pub fn each_row_with<S: Send, T: Clone + Default + Send>(
    updates: ArrayView2<'_, f32>,
    states: &mut [S],
    find: impl Fn(usize, &[f32], &mut S) -> T + Sync,
) -> Vec<T> {
    assert_eq!(states.len(), updates.nrows(), "one state for each row");
    // Some columns of a matrix need no copy: each of their rows is in one piece.
    let whole = updates.rows().into_iter().all(|row| row.to_slice().is_some());
    let updates = if whole { updates.into() } else { updates.as_standard_layout() };
    let mut found = vec![T::default(); updates.nrows()];
    let (places, shared) = ((found.as_mut_slice(), 1), blocks::shared(updates.len()));
    blocks::for_each_of_two(places, (states, 1), shared, |row, found, state| {
        found[0] = find(row, view_slice(&updates.row(row)), &mut state[0]);
    });
    found
}

/// The chosen columns, in the order given, of all rows.
///
/// # Panics
/// If a column is chosen that is not there.
pub fn select_columns(updates: ArrayView2<'_, f32>, chosen: &[usize]) -> Array2<f32> {
    let updates = updates.as_standard_layout();
    let (rows, columns) = updates.dim();
    let flat = updates.as_slice().expect("standard layout is contiguous");
    let mut selected = Array2::zeros((rows, chosen.len()));
    let shared = blocks::shared(selected.len());
    let targets = selected.as_slice_mut().expect("standard layout is contiguous");
    // Row by row: a cache knows the way to one row better than to all.
    blocks::for_each(targets, chosen.len().max(1), shared, |row, target| {
        let row = &flat[row * columns..(row + 1) * columns];
        for (target, &column) in target.iter_mut().zip(chosen) {
            *target = row[column];
        }
    });
    selected
}

/// The Euclidean norm of every row; `+inf` for a row with a NaN or an infinity.
pub fn row_norms(updates: ArrayView2<'_, f32>) -> Vec<f64> {
    each_row(updates, |_, row| {
        let length = norm(row);
        if length.is_nan() { f64::INFINITY } else { length }
    })
}

/// Multiplies each row with its factor, in `f64`; rows of factor 1 are left as they are.
///
/// # Panics
/// If there are not as many factors as rows.
pub fn scale_rows(updates: Array2<f32>, factors: &[f64]) -> Array2<f32> {
    assert_eq!(factors.len(), updates.nrows(), "one factor for each row");
    scale_each_row(updates, |row, _| factors[row])
}

/// The same with the factor that `find` has for a row and its position: a row is read by both
/// while a cache holds it.
pub fn scale_each_row(
    updates: Array2<f32>,
    find: impl Fn(usize, &[f32]) -> f64 + Sync,
) -> Array2<f32> {
    let mut updates = match updates.is_standard_layout() {
        true => updates,
        false => updates.as_standard_layout().into_owned(),
    };
    let (shared, columns) = (blocks::shared(updates.len()), updates.ncols());
    let flat = updates.as_slice_mut().expect("standard layout is contiguous");
    blocks::for_each(flat, columns.max(1), shared, |row, values| {
        let factor = find(row, values);
        if factor != 1.0 {
            // From the end, which is what was read last of a row that no cache holds.
            for values in values.chunks_mut(SCALED).rev() {
                Arch::new().dispatch(Scale { values, factor });
            }
        }
    });
    updates
}

/// Multiplies one row.
struct Scale<'a> {
    values: &'a mut [f32],
    factor: f64,
}

impl WithSimd for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        for value in self.values {
            *value = (f64::from(*value) * self.factor) as f32;
        }
    }
}

/// What tiny rows are multiplied by to be compared with each other: 2^96.
pub(super) const ENLARGE: f32 = f32::from_bits((127 + 96) << 23);

/// A value times [`ENLARGE`]: one that is not normal by way of whole numbers, as processors
/// multiply such a value two hundred times as slowly.
#[inline(always)]
pub(super) fn enlarged(value: f32) -> f32 {
    const NORMAL: u32 = f32::MIN_POSITIVE.to_bits();
    /// What a unit of a value that is not normal is worth: 2^(96 - 149).
    const UNIT: f32 = f32::from_bits((127 + 96 - 149) << 23);
    let magnitude = value.to_bits() & (u32::MAX >> 1);
    let whole = (magnitude as i32 as f32 * UNIT).to_bits();
    let enlarged = if magnitude < NORMAL { whole } else { magnitude + (96 << 23) };
    f32::from_bits(enlarged | (value.to_bits() & !(u32::MAX >> 1)))
}

/// The largest absolute value of each row; infinity if one is not finite.
pub(super) fn largest_of(rows: &[&[f32]], shared: bool) -> Vec<f32> {
    let mut largest = vec![0.0; rows.len()];
    blocks::for_each(&mut largest, 1, shared, |row, largest| {
        largest[0] = Arch::new().dispatch(Largest(rows[row]));
    });
    largest
}

/// The largest absolute value of a row; infinity if one is not finite.
pub(super) struct Largest<'a>(pub(super) &'a [f32]);

impl WithSimd for Largest<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> f32 {
        // Without their sign, bits are in the order of the values, and NaN is the largest.
        let magnitude = |value: &f32| value.to_bits() & (u32::MAX >> 1);
        let largest = self.0.iter().map(magnitude).fold(0, u32::max);
        f32::from_bits(largest.min(f32::INFINITY.to_bits()))
    }
}

/// The median of `values`, halfway between the two middle ones of an even number; NaN of none.
pub fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    match (sorted.get(sorted.len().wrapping_sub(1) / 2), sorted.get(sorted.len() / 2)) {
        (Some(lower), Some(upper)) if lower == upper => *lower,
        (Some(lower), Some(upper)) => 0.5 * (lower + upper),
        _ => f64::NAN,
    }
}

/// The median of `values`, the smaller of the two middle ones of an even number; NaN of none.
pub fn lower_median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    sorted.get(sorted.len().wrapping_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use ndarray::{array, s};

    use super::*;

    #[test]
    fn lengths_by_hand() {
        let rows = array![[3.0, 4.0], [0.0, 0.0], [f32::NAN, 1.0], [f32::NEG_INFINITY, 1.0]];
        assert_eq!(row_norms(rows.view()), [5.0, 0.0, f64::INFINITY, f64::INFINITY]);
    }

    #[test]
    fn rows_of_some_columns_are_found() {
        let rows = array![[3.0, 4.0, 0.0], [1.0, 6.0, 8.0]];
        let of = |rows: ArrayView2<'_, f32>| each_row(rows, |row, values| (row, values.to_vec()));
        assert_eq!(of(rows.slice(s![.., 1..])), [(0, vec![4.0, 0.0]), (1, vec![6.0, 8.0])]);
        assert_eq!(of(rows.t())[1], (1, vec![4.0, 6.0]));
        assert_eq!(of(rows.slice(s![.., 3..])), [(0, vec![]), (1, vec![])]);
        let mut sums = [10.0, 20.0];
        let first = each_row_with(rows.view(), &mut sums, |_, row, sum| {
            *sum += row.iter().sum::<f32>();
            row[0]
        });
        assert_eq!((first, sums), (vec![3.0, 1.0], [17.0, 35.0]));
    }

    #[test]
    fn columns_are_selected_on_any_number_of_threads() {
        let rows = Array2::from_shape_fn((300, 9), |(row, column)| (10 * row + column) as f32);
        let chosen: Vec<usize> = (0..1000).map(|place| place * 7 % 9).collect();
        let select = || select_columns(rows.view(), &chosen);
        assert_eq!(select(), rows.select(ndarray::Axis(1), &chosen));
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        assert_eq!(pool.install(select), select());
        assert_eq!(select_columns(rows.t(), &[5, 2])[[8, 1]], 28.0);
    }

    #[test]
    fn rows_are_scaled_on_any_number_of_threads() {
        let rows = Array2::from_shape_fn((3, 100_000), |(row, column)| (row + column) as f32);
        let expected = Array2::from_shape_fn((3, 100_000), |(row, column)| {
            [1.0, 0.5, 0.0][row] * (row + column) as f32
        });
        let scale = || scale_rows(rows.clone(), &[1.0, 0.5, 0.0]);
        assert_eq!(scale(), expected);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        assert_eq!(pool.install(scale), expected);
        assert_eq!(scale_rows(rows.t().to_owned(), &vec![1.0; 100_000]), rows.t());
    }

    #[test]
    fn medians_by_hand() {
        assert_eq!(median(&[9.0, 1.0, 4.0, 2.0]), 3.0);
        assert_eq!(lower_median(&[9.0, 1.0, 4.0, 2.0]), 2.0);
        assert_eq!(median(&[9.0, 1.0, 4.0]), 4.0);
        assert_eq!(lower_median(&[9.0, 1.0, 4.0]), 4.0);
        assert_eq!(median(&[f64::INFINITY, f64::INFINITY]), f64::INFINITY);
        assert!(median(&[]).is_nan() && lower_median(&[]).is_nan());
    }
}
