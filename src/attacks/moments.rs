//! Mean and standard deviation of each coordinate over the updates that an adversary knows.
//!
//! Sums run over the rows in order with `f64` accumulation; attacks round once, at the end. Each
//! column has a sum of its own, so wider registers do not change a bit.
#![allow(
    clippy::inline_always,
    reason = "only what is inlined into the dispatched function is compiled for the processor"
)]

use ndarray::ArrayView2;
use pulp::{Arch, NullaryFnOnce};

use super::AttackError;

/// Columns whose sums a cache holds while row after row joins them.
const BLOCK: usize = 1024;

/// The mean of each column, of at least one row.
pub(super) fn means(
    attack: &'static str,
    rows: ArrayView2<'_, f32>,
) -> Result<Vec<f64>, AttackError> {
    require(attack, rows, 1)?;
    // Slices vectorise, iterators over strided rows do not.
    let rows = rows.as_standard_layout();
    let flat = rows.as_slice().expect("standard layout is contiguous");
    let mut means = Vec::with_capacity(rows.ncols());
    Arch::new().dispatch(Means { rows: &slices(flat, rows.ncols()), means: &mut means });
    Ok(means)
}

/// The standard deviation of each column around `means`, of at least two rows.
///
/// The squares are divided by `n - lost`: `lost = 0` for the population, 1 for a sample.
pub(super) fn deviations(
    attack: &'static str,
    rows: ArrayView2<'_, f32>,
    means: &[f64],
    lost: usize,
) -> Result<Vec<f64>, AttackError> {
    require(attack, rows, 2)?;
    let rows = rows.as_standard_layout();
    let flat = rows.as_slice().expect("standard layout is contiguous");
    let count = (rows.nrows() - lost) as f64;
    let mut deviations = Vec::with_capacity(rows.ncols());
    Arch::new().dispatch(Deviations {
        rows: &slices(flat, rows.ncols()),
        means,
        count,
        found: &mut deviations,
    });
    Ok(deviations)
}

/// The rows of a matrix in standard layout; none where they are empty.
fn slices(flat: &[f32], columns: usize) -> Vec<&[f32]> {
    flat.chunks(columns.max(1)).collect()
}

/// Appends the mean of each column.
struct Means<'a> {
    rows: &'a [&'a [f32]],
    means: &'a mut Vec<f64>,
}

impl NullaryFnOnce for Means<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let count = self.rows.len() as f64;
        let columns = self.rows.first().map_or(0, |row| row.len());
        for start in (0..columns).step_by(BLOCK) {
            let end = columns.min(start + BLOCK);
            let mut sums = [0.0f64; BLOCK];
            for row in self.rows {
                for (sum, &value) in sums.iter_mut().zip(&row[start..end]) {
                    *sum += f64::from(value);
                }
            }
            for sum in &mut sums {
                *sum /= count;
            }
            self.means.extend_from_slice(&sums[..end - start]);
        }
    }
}

/// Appends the deviation of each column.
struct Deviations<'a> {
    rows: &'a [&'a [f32]],
    means: &'a [f64],
    count: f64,
    found: &'a mut Vec<f64>,
}

impl NullaryFnOnce for Deviations<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let columns = self.rows.first().map_or(0, |row| row.len());
        for start in (0..columns).step_by(BLOCK) {
            let end = columns.min(start + BLOCK);
            let means = &self.means[start..end];
            let mut squares = [0.0f64; BLOCK];
            for row in self.rows {
                let values = row[start..end].iter().zip(means);
                for (square, (&value, &mean)) in squares.iter_mut().zip(values) {
                    let difference = f64::from(value) - mean;
                    *square += difference * difference;
                }
            }
            for square in &mut squares {
                *square = (*square / self.count).sqrt();
            }
            self.found.extend_from_slice(&squares[..end - start]);
        }
    }
}

/// Refuses fewer than `needed` rows.
fn require(
    attack: &'static str,
    rows: ArrayView2<'_, f32>,
    needed: usize,
) -> Result<(), AttackError> {
    let got = rows.nrows();
    if got < needed { Err(AttackError::TooFewKnown { attack, needed, got }) } else { Ok(()) }
}
