//! Mean and standard deviation of each coordinate over the updates that an adversary knows.
//!
//! Sums run over the rows in order with `f64` accumulation; attacks round once, at the end. Each
//! column has a sum of its own, so wider registers do not change a bit.
#![allow(
    clippy::inline_always,
    reason = "only what is inlined into the dispatched function is compiled for the processor"
)]

use ndarray::ArrayView2;
use pulp::{Arch, Simd, WithSimd};

use super::AttackError;
use crate::kernels::prefetch;
use crate::kernels::quotients::{Divisor, quotients};
use crate::vector::slices_of;

/// Columns whose sums stay in registers while row after row joins them.
const BLOCK: usize = 16;

/// How many columns ahead rows are asked for: the processor does not follow many by itself.
const AHEAD: usize = 8 * BLOCK;

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

impl WithSimd for Means<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Means { rows, means } = self;
        let (whole, columns) = whole_blocks(rows);
        for start in (0..whole).step_by(BLOCK) {
            means.extend_from_slice(&mean_block::<S, BLOCK>(simd, rows, start));
        }
        for column in whole..columns {
            means.extend_from_slice(&mean_block::<S, 1>(simd, rows, column));
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

impl WithSimd for Deviations<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Deviations { rows, means, lost, found } = self;
        let (whole, columns) = whole_blocks(rows);
        for start in (0..whole).step_by(BLOCK) {
            let means = means[start..].first_chunk().expect("a mean for each column");
            found.extend_from_slice(&deviation_block::<S, BLOCK>(simd, rows, start, means, lost));
        }
        for (column, &mean) in (whole..columns).zip(&means[whole..]) {
            found.extend_from_slice(&deviation_block::<S, 1>(simd, rows, column, &[mean], lost));
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

impl WithSimd for Shifted<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Shifted { rows, shift, lost, vector } = self;
        let (whole, columns) = whole_blocks(rows);
        for start in (0..whole).step_by(BLOCK) {
            vector.extend_from_slice(&shifted_block::<S, BLOCK>(simd, rows, start, shift, lost));
        }
        for column in whole..columns {
            vector.extend_from_slice(&shifted_block::<S, 1>(simd, rows, column, shift, lost));
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
fn mean_block<S: Simd, const N: usize>(simd: S, rows: &[&[f32]], start: usize) -> [f64; N] {
    let mut sums = [0.0f64; N];
    for row in rows {
        prefetch::ahead(row, start + AHEAD);
        let row: &[f32; N] = row[start..].first_chunk().expect("rows of one length");
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += f64::from(value);
        }
    }
    divide(simd, &mut sums, rows.len());
    sums
}

/// The deviations of the columns from `start` on around their means.
#[inline(always)]
fn deviation_block<S: Simd, const N: usize>(
    simd: S,
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
    divide(simd, &mut squares, rows.len() - lost);
    squares.map(f64::sqrt)
}

/// Divides sums, which are 0 or far from the smallest numbers, by how many were summed.
#[inline(always)]
fn divide<S: Simd>(simd: S, sums: &mut [f64], count: usize) {
    let count = count as f64;
    let divisor = Divisor::new(simd, count, 1.0 / count);
    let (registers, rest) = S::as_mut_simd_f64s(sums);
    for sums in registers {
        *sums = quotients(simd, *sums, divisor);
    }
    for sum in rest {
        *sum /= count;
    }
}

/// The means of the columns from `start` on, each with so many deviations added.
#[inline(always)]
fn shifted_block<S: Simd, const N: usize>(
    simd: S,
    rows: &[&[f32]],
    start: usize,
    shift: f64,
    lost: usize,
) -> [f32; N] {
    let means = mean_block::<S, N>(simd, rows, start);
    let deviations = deviation_block(simd, rows, start, &means, lost);
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
