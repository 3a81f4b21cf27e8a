//! Lengths of rows and what else is found row by row, and medians of such numbers.

use ndarray::{Array2, ArrayView2};
use pulp::{Arch, Simd, WithSimd};

use super::blocks;
use crate::vector::norm;

/// What `find` makes of every row and its position, each on one of the threads that are at hand.
pub fn each_row<T: Clone + Default + Send>(
    updates: ArrayView2<'_, f32>,
    find: impl Fn(usize, &[f32]) -> T + Sync,
) -> Vec<T> {
    let updates = updates.as_standard_layout();
    let flat = updates.as_slice().expect("standard layout is contiguous");
    let columns = updates.ncols();
    let mut found = vec![T::default(); updates.nrows()];
    blocks::for_each(&mut found, 1, blocks::shared(flat.len()), |row, found| {
        found[0] = find(row, &flat[row * columns..(row + 1) * columns]);
    });
    found
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
    let mut updates = match updates.is_standard_layout() {
        true => updates,
        false => updates.as_standard_layout().into_owned(),
    };
    let (shared, columns) = (blocks::shared(updates.len()), updates.ncols());
    let flat = updates.as_slice_mut().expect("standard layout is contiguous");
    blocks::for_each(flat, columns.max(1), shared, |row, values| {
        if factors[row] != 1.0 {
            Arch::new().dispatch(Scale { values, factor: factors[row] });
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
    use ndarray::array;

    use super::*;

    #[test]
    fn lengths_by_hand() {
        let rows = array![[3.0, 4.0], [0.0, 0.0], [f32::NAN, 1.0], [f32::NEG_INFINITY, 1.0]];
        assert_eq!(row_norms(rows.view()), [5.0, 0.0, f64::INFINITY, f64::INFINITY]);
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
