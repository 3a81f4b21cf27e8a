//! Mean and standard deviation of each coordinate over the updates that an adversary knows.
//!
//! Sums run over the rows in order with `f64` accumulation; attacks round once, at the end.

use ndarray::ArrayView2;

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
        for (sum, &value) in sums.iter_mut().zip(view_slice(&row)) {
            *sum += f64::from(value);
        }
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
        for ((square, &mean), &value) in squares.iter_mut().zip(means).zip(view_slice(&row)) {
            let difference = f64::from(value) - mean;
            *square += difference * difference;
        }
    }
    let count = (rows.nrows() - lost) as f64;
    Ok(squares.into_iter().map(|square| (square / count).sqrt()).collect())
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
