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

/// Columns whose sums stay in registers while row after row joins them.
const BLOCK: usize = 16;

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
    let mut means = Vec::with_capacity(columns(rows));
    Arch::new().dispatch(Means { rows, means: &mut means });
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
    let mut found = Vec::with_capacity(columns(rows));
    Arch::new().dispatch(Deviations { rows, means, lost, found: &mut found });
    Ok(found)
}

/// The mean of each column and so many of its deviations, in one pass over at least two rows.
pub(super) fn shifted(
    attack: &'static str,
    rows: &[&[f32]],
    shift: f64,
    lost: usize,
) -> Result<Vec<f32>, AttackError> {
    require(attack, rows, 2)?;
    let mut vector = Vec::with_capacity(columns(rows));
    Arch::new().dispatch(Shifted { rows, shift, lost, vector: &mut vector });
    Ok(vector)
}

fn columns(rows: &[&[f32]]) -> usize {
    rows.first().map_or(0, |row| row.len())
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
        let Means { rows, means } = self;
        let (whole, columns) = whole_blocks(rows);
        for start in (0..whole).step_by(BLOCK) {
            means.extend_from_slice(&mean_block::<BLOCK>(rows, start));
        }
        for column in whole..columns {
            means.extend_from_slice(&mean_block::<1>(rows, column));
        }
    }
}

/// Appends the deviation of each column.
struct Deviations<'a> {
    rows: &'a [&'a [f32]],
    means: &'a [f64],
    lost: usize,
    found: &'a mut Vec<f64>,
}

impl NullaryFnOnce for Deviations<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Deviations { rows, means, lost, found } = self;
        let (whole, columns) = whole_blocks(rows);
        for start in (0..whole).step_by(BLOCK) {
            let means = means[start..].first_chunk().expect("a mean for each column");
            found.extend_from_slice(&deviation_block::<BLOCK>(rows, start, means, lost));
        }
        for (column, &mean) in (whole..columns).zip(&means[whole..]) {
            found.extend_from_slice(&deviation_block::<1>(rows, column, &[mean], lost));
        }
    }
}

/// Appends each mean and what is added to it.
struct Shifted<'a> {
    rows: &'a [&'a [f32]],
    shift: f64,
    lost: usize,
    vector: &'a mut Vec<f32>,
}

impl NullaryFnOnce for Shifted<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Shifted { rows, shift, lost, vector } = self;
        let (whole, columns) = whole_blocks(rows);
        for start in (0..whole).step_by(BLOCK) {
            vector.extend_from_slice(&shifted_block::<BLOCK>(rows, start, shift, lost));
        }
        for column in whole..columns {
            vector.extend_from_slice(&shifted_block::<1>(rows, column, shift, lost));
        }
    }
}

/// How many columns stand in whole blocks, and how many there are.
fn whole_blocks(rows: &[&[f32]]) -> (usize, usize) {
    let columns = columns(rows);
    (columns / BLOCK * BLOCK, columns)
}

/// The means of the columns from `start` on, whose sums stay in registers.
#[inline(always)]
fn mean_block<const N: usize>(rows: &[&[f32]], start: usize) -> [f64; N] {
    let mut sums = [0.0f64; N];
    for row in rows {
        let row: &[f32; N] = row[start..].first_chunk().expect("rows of one length");
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += f64::from(value);
        }
    }
    for sum in &mut sums {
        *sum /= rows.len() as f64;
    }
    sums
}

/// The deviations of the columns from `start` on around their means.
#[inline(always)]
fn deviation_block<const N: usize>(
    rows: &[&[f32]],
    start: usize,
    means: &[f64; N],
    lost: usize,
) -> [f64; N] {
    let mut squares = [0.0f64; N];
    for row in rows {
        let row: &[f32; N] = row[start..].first_chunk().expect("rows of one length");
        for (square, (&value, &mean)) in squares.iter_mut().zip(row.iter().zip(means)) {
            let difference = f64::from(value) - mean;
            *square += difference * difference;
        }
    }
    for square in &mut squares {
        *square = (*square / (rows.len() - lost) as f64).sqrt();
    }
    squares
}

/// The means of the columns from `start` on, each with so many deviations added.
#[inline(always)]
fn shifted_block<const N: usize>(
    rows: &[&[f32]],
    start: usize,
    shift: f64,
    lost: usize,
) -> [f32; N] {
    let means = mean_block::<N>(rows, start);
    let deviations = deviation_block(rows, start, &means, lost);
    let mut values = [0.0; N];
    for (value, (mean, deviation)) in values.iter_mut().zip(means.iter().zip(&deviations)) {
        *value = (mean + shift * deviation) as f32;
    }
    values
}

/// Refuses fewer than `needed` rows.
fn require(attack: &'static str, rows: &[&[f32]], needed: usize) -> Result<(), AttackError> {
    let got = rows.len();
    if got < needed { Err(AttackError::TooFewKnown { attack, needed, got }) } else { Ok(()) }
}
