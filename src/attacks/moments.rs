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
use crate::vector::slices_of;

/// Columns whose sums a cache holds while row after row joins them.
const BLOCK: usize = 1024;

/// The mean of each column, of at least one row.
pub(super) fn means(
    attack: &'static str,
    rows: ArrayView2<'_, f32>,
) -> Result<Vec<f64>, AttackError> {
    let rows = rows.as_standard_layout();
    means_of(attack, &slices_of(&rows.view()))
}

/// The same of rows that stand anywhere.
pub(super) fn means_of(attack: &'static str, rows: &[&[f32]]) -> Result<Vec<f64>, AttackError> {
    require(attack, rows, 1)?;
    let mut means = vec![0.0; columns(rows)];
    Arch::new().dispatch(Moments { rows, of: Found::Means(&mut means) });
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
    let rows = rows.as_standard_layout();
    let view = rows.view();
    let rows = &slices_of(&view);
    require(attack, rows, 2)?;
    let mut deviations = vec![0.0; columns(rows)];
    let of = Found::Deviations { means, lost, deviations: &mut deviations };
    Arch::new().dispatch(Moments { rows, of });
    Ok(deviations)
}

/// Means and deviations in one pass over at least two rows.
pub(super) fn moments(
    attack: &'static str,
    rows: &[&[f32]],
    lost: usize,
) -> Result<(Vec<f64>, Vec<f64>), AttackError> {
    require(attack, rows, 2)?;
    let (mut means, mut deviations) = (vec![0.0; columns(rows)], vec![0.0; columns(rows)]);
    let of = Found::Both { means: &mut means, lost, deviations: &mut deviations };
    Arch::new().dispatch(Moments { rows, of });
    Ok((means, deviations))
}

fn columns(rows: &[&[f32]]) -> usize {
    rows.first().map_or(0, |row| row.len())
}

/// What is asked of the rows, compiled for each kind of processor.
struct Moments<'a> {
    rows: &'a [&'a [f32]],
    of: Found<'a>,
}

/// What is to be found.
enum Found<'a> {
    Means(&'a mut [f64]),
    Deviations { means: &'a [f64], lost: usize, deviations: &'a mut [f64] },
    Both { means: &'a mut [f64], lost: usize, deviations: &'a mut [f64] },
}

impl NullaryFnOnce for Moments<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Moments { rows, mut of } = self;
        let columns = columns(rows);
        for start in (0..columns).step_by(BLOCK) {
            let block = start..columns.min(start + BLOCK);
            match &mut of {
                Found::Means(means) => mean_block(rows, start, &mut means[block]),
                Found::Deviations { means, lost, deviations } => {
                    let found = &mut deviations[block.clone()];
                    deviation_block(rows, start, &means[block], *lost, found);
                }
                // The second time a cache has the rows of the block.
                Found::Both { means, lost, deviations } => {
                    let means = &mut means[block.clone()];
                    mean_block(rows, start, means);
                    deviation_block(rows, start, means, *lost, &mut deviations[block]);
                }
            }
        }
    }
}

/// Adds the columns from `start` on to sums, which are 0, and divides them.
#[inline(always)]
fn mean_block(rows: &[&[f32]], start: usize, sums: &mut [f64]) {
    let count = rows.len() as f64;
    for row in rows {
        for (sum, &value) in sums.iter_mut().zip(&row[start..]) {
            *sum += f64::from(value);
        }
    }
    for sum in sums {
        *sum /= count;
    }
}

/// The deviations of the columns from `start` on around their means.
#[inline(always)]
fn deviation_block(rows: &[&[f32]], start: usize, means: &[f64], lost: usize, squares: &mut [f64]) {
    let count = (rows.len() - lost) as f64;
    for row in rows {
        let values = row[start..].iter().zip(means);
        for (square, (&value, &mean)) in squares.iter_mut().zip(values) {
            let difference = f64::from(value) - mean;
            *square += difference * difference;
        }
    }
    for square in squares {
        *square = (*square / count).sqrt();
    }
}

/// Refuses fewer than `needed` rows.
fn require(attack: &'static str, rows: &[&[f32]], needed: usize) -> Result<(), AttackError> {
    let got = rows.len();
    if got < needed { Err(AttackError::TooFewKnown { attack, needed, got }) } else { Ok(()) }
}
