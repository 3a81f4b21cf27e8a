//! Means over ranks of every coordinate, in either precision.
//!
//! Unlike the kernel behind the median and the trimmed mean of servers this one works on rows that
//! need not lie in one matrix, so that a neighbourhood is screened without copying it.

use std::ops::Range;

use pulp::{Arch, Simd, WithSimd};

use super::Float;

/// Columns that are sorted together.
const LANES: usize = 16;

/// The number of rows up to which exchanging neighbours beats sorting column by column.
const EXCHANGES_UP_TO: usize = 64;

/// In every one of `columns` columns the mean of the values of the given ranks and of `also`.
///
/// Not a number counts as +inf. Sums ascend, in `f64`, `also` last.
pub(super) fn mean_of_ranks<F: Float>(
    rows: &[&[F]],
    ranks: Range<usize>,
    also: Option<&[F]>,
    columns: usize,
) -> Vec<F> {
    Arch::new().dispatch(MeanOfRanks { rows, ranks, also, columns })
}

struct MeanOfRanks<'a, F> {
    rows: &'a [&'a [F]],
    ranks: Range<usize>,
    also: Option<&'a [F]>,
    columns: usize,
}

impl<F: Float> WithSimd for MeanOfRanks<'_, F> {
    type Output = Vec<F>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) -> Vec<F> {
        let counted = (self.ranks.len() + usize::from(self.also.is_some())) as f64;
        let mut tile = vec![[0.0; LANES]; self.rows.len()];
        let mut means = Vec::with_capacity(self.columns);
        for start in (0..self.columns).step_by(LANES) {
            let width = LANES.min(self.columns - start);
            load(&mut tile, self.rows, start, width);
            sort(&mut tile);
            let mut sums = [0.0; LANES];
            for row in &tile[self.ranks.clone()] {
                for lane in 0..LANES {
                    sums[lane] += row[lane];
                }
            }
            for (lane, sum) in sums[..width].iter().enumerate() {
                let also: f64 = self.also.map_or(0.0, |also| also[start + lane].into());
                means.push(F::nearest((sum + also) / counted));
            }
        }
        means
    }
}

#[inline(always)]
fn load<F: Float>(tile: &mut [[f64; LANES]], rows: &[&[F]], start: usize, width: usize) {
    for (lanes, row) in tile.iter_mut().zip(rows) {
        for (lane, &value) in lanes.iter_mut().zip(&row[start..start + width]) {
            let value: f64 = value.into();
            *lane = if value.is_nan() { f64::INFINITY } else { value };
        }
    }
}

/// Sorts every lane, smallest first.
#[inline(always)]
fn sort(tile: &mut [[f64; LANES]]) {
    if tile.len() > EXCHANGES_UP_TO {
        return sort_by_column(tile);
    }
    for end in (1..tile.len()).rev() {
        for low in 0..end {
            let (a, b) = (tile[low], tile[low + 1]);
            for lane in 0..LANES {
                tile[low][lane] = if b[lane] < a[lane] { b[lane] } else { a[lane] };
                tile[low + 1][lane] = if b[lane] < a[lane] { a[lane] } else { b[lane] };
            }
        }
    }
}

fn sort_by_column(tile: &mut [[f64; LANES]]) {
    let mut column = vec![0.0; tile.len()];
    for lane in 0..LANES {
        column.iter_mut().zip(&*tile).for_each(|(value, row)| *value = row[lane]);
        column.sort_unstable_by(f64::total_cmp);
        tile.iter_mut().zip(&column).for_each(|(row, value)| row[lane] = *value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_by_hand() {
        let rows: [&[f32]; 4] = [&[4.0, 1.0], &[1.0, f32::NAN], &[3.0, 2.0], &[2.0, -1.0]];
        assert_eq!(mean_of_ranks(&rows, 1..3, None, 2), [2.5, 1.5]);
        assert_eq!(mean_of_ranks(&rows, 1..3, Some(&[4.0, 0.0]), 2), [3.0, 1.0]);
        assert_eq!(mean_of_ranks(&rows, 2..2, Some(&[4.0, 0.0]), 2), [4.0, 0.0]);
    }

    #[test]
    fn both_ways_of_sorting_agree_with_the_definition() {
        // Multiples of 37 modulo 101 are the numbers 0 to 100 in another order.
        for count in [EXCHANGES_UP_TO, EXCHANGES_UP_TO + 1, 101] {
            let value = |row: usize, column: usize| ((row * 37 + column) % 101) as f64;
            let rows: Vec<Vec<f64>> =
                (0..count).map(|row| (0..35).map(|column| value(row, column)).collect()).collect();
            let slices: Vec<&[f64]> = rows.iter().map(Vec::as_slice).collect();
            let ours = mean_of_ranks(&slices, 3..10, None, 35);
            for (column, ours) in ours.iter().enumerate() {
                let mut values: Vec<f64> = (0..count).map(|row| value(row, column)).collect();
                values.sort_by(f64::total_cmp);
                assert_eq!(*ours, values[3..10].iter().sum::<f64>() / 7.0);
            }
        }
    }
}
