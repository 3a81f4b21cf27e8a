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
use crate::vector::view_slice;

/// The mean of each column, of at least one row.
pub(super) fn means(
    attack: &'static str,
    rows: ArrayView2<'_, f32>,
) -> Result<Vec<f64>, AttackError> {
    require(attack, rows, 1)?;
    // Slices vectorise, iterators over strided rows do not.
    let rows = rows.as_standard_layout();
    let mut sums = vec![0.0f64; rows.ncols()];
    for row in rows.rows() {
        Arch::new().dispatch(AddRow { sums: &mut sums, row: view_slice(&row) });
    }
    let count = rows.nrows() as f64;
    Ok(sums.into_iter().map(|sum| sum / count).collect())
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
    let mut squares = vec![0.0f64; rows.ncols()];
    for row in rows.rows() {
        Arch::new().dispatch(AddSquares { squares: &mut squares, means, row: view_slice(&row) });
    }
    let count = (rows.nrows() - lost) as f64;
    Ok(squares.into_iter().map(|square| (square / count).sqrt()).collect())
}

/// Adds a row to the sums of its columns.
struct AddRow<'a> {
    sums: &'a mut [f64],
    row: &'a [f32],
}

impl NullaryFnOnce for AddRow<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for (sum, &value) in self.sums.iter_mut().zip(self.row) {
            *sum += f64::from(value);
        }
    }
}

/// Adds the squared differences of a row from the means.
struct AddSquares<'a> {
    squares: &'a mut [f64],
    means: &'a [f64],
    row: &'a [f32],
}

impl NullaryFnOnce for AddSquares<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        for ((square, &mean), &value) in self.squares.iter_mut().zip(self.means).zip(self.row) {
            let difference = f64::from(value) - mean;
            *square += difference * difference;
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
