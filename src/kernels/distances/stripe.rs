//! Sums of squared differences from the rows of a stripe to all rows behind them, block of columns
//! by block of columns.

use std::cmp::Reverse;

use pulp::{Arch, Simd, WithSimd};

use super::tiles::Tiles;
use crate::kernels::row_norms::{ENLARGE, enlarged};

/// Columns summed in single precision before the partial sum joins the total.
pub(super) const BLOCK: usize = 1024;

/// Rows on each side of a tile: nine sums and six operands fit the sixteen registers of AVX2.
const SIDE: usize = 3;

/// The same for the 32 registers of AVX-512: 25 sums and six operands.
const WIDE_SIDE: usize = 5;

/// The lanes of a register of AVX-512.
const WIDE_LANES: usize = 16;

/// What huge rows, and all they are compared with, are scaled by: 2^-96, so that no digit changes
/// and squares fit in either direction.
pub(super) const DOWN: f32 = f32::from_bits((127 - 96) << 23);

/// How rows are scaled while they are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// As they are. Where the squares of a pair are too large for single precision, a block is
    /// summed once more while a cache has it, scaled down.
    One,
    /// By [`DOWN`]: what is too large even then, or not finite, comes to `+inf`.
    Down,
    /// By [`ENLARGE`], for tiny rows.
    Up,
}

impl Scale {
    /// What sums of squares are divided by.
    pub(super) fn squared(self) -> f64 {
        let factor = match self {
            Scale::One => 1.0,
            Scale::Down => DOWN,
            Scale::Up => ENLARGE,
        };
        f64::from(factor).powi(2)
    }
}

/// Adds to `totals`, one row of them for each row of the stripe from `first` on, what each comes
/// to with the rows behind it.
pub(super) fn accumulate(rows: &[&[f32]], first: usize, scale: Scale, totals: &mut [f64]) {
    let enlarge = scale == Scale::Up;
    let totals = Totals { totals, overflowed: Vec::new() };
    match scale {
        Scale::Down => Arch::new().dispatch(Accumulate::<true> { rows, first, enlarge, totals }),
        _ => Arch::new().dispatch(Accumulate::<false> { rows, first, enlarge, totals }),
    }
}

/// The sums of a stripe.
pub(super) struct Totals<'a> {
    totals: &'a mut [f64],
    /// The places of those to which the block at hand has too much to add.
    overflowed: Vec<usize>,
}

impl Totals<'_> {
    /// Adds what a block comes to at one place.
    #[inline(always)]
    pub(super) fn add(&mut self, place: usize, sum: f64) {
        if sum.is_finite() {
            self.totals[place] += sum;
        } else if self.totals[place].is_finite() {
            self.overflowed.push(place);
        }
    }
}

/// A stripe, compiled for each kind of processor.
struct Accumulate<'a, const DOWN: bool> {
    rows: &'a [&'a [f32]],
    first: usize,
    enlarge: bool,
    totals: Totals<'a>,
}

impl<const DOWN: bool> WithSimd for Accumulate<'_, DOWN> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Accumulate { rows, first, enlarge, mut totals } = self;
        let columns = rows.first().map_or(0, |row| row.len());
        let end = first + totals.totals.len() / rows.len().max(1);
        let mut room = vec![0.0; if enlarge { rows.len() * BLOCK } else { 0 }];
        for start in (0..columns).step_by(BLOCK) {
            let block = rows.iter().map(|row| &row[start..columns.min(start + BLOCK)]);
            let mut block: Vec<&[f32]> = block.collect();
            if enlarge {
                // A loop, so that it is compiled for the processor.
                for (row, target) in block.iter_mut().zip(room.chunks_mut(BLOCK)) {
                    *row = enlarged_row(row, target);
                }
            }
            let tiles = Tiles::<S, DOWN> { simd, rows: &block, first, end };
            if S::F32_LANES == WIDE_LANES {
                tiles.add::<WIDE_SIDE>(&mut totals);
            } else {
                tiles.add::<SIDE>(&mut totals);
            }
            match DOWN {
                _ if totals.overflowed.is_empty() => {}
                true => give_up(&mut totals),
                false => add_scaled_down(&block, first, &mut totals),
            }
        }
    }
}

/// What overflows although it is scaled down is not finite.
fn give_up(totals: &mut Totals<'_>) {
    for place in totals.overflowed.drain(..) {
        totals.totals[place] = f64::INFINITY;
    }
}

/// Adds what a block comes to where it overflowed.
fn add_scaled_down(block: &[&[f32]], first: usize, totals: &mut Totals<'_>) {
    let n = block.len();
    let pair = |place: usize| (first + place / n, place % n);
    // A huge row overflows against all that are not: with those of most partners in front, a
    // low stripe has all pairs.
    let mut partners = vec![0_usize; n];
    for (i, j) in totals.overflowed.iter().map(|&place| pair(place)) {
        partners[i] += 1;
        partners[j] += 1;
    }
    let mut order: Vec<usize> = (0..n).filter(|&row| partners[row] > 0).collect();
    order.sort_by_key(|&row| Reverse(partners[row]));
    let mut places = vec![0; n];
    order.iter().enumerate().for_each(|(place, &row)| places[row] = place);
    let ends = |place: usize| {
        let (i, j) = pair(place);
        (places[i].min(places[j]), places[i].max(places[j]))
    };
    let last = totals.overflowed.iter().map(|&place| ends(place).0).max();
    let rows: Vec<&[f32]> = order.iter().map(|&row| block[row]).collect();
    let mut sums = vec![0.0; last.map_or(0, |last| last + 1) * rows.len()];
    accumulate(&rows, 0, Scale::Down, &mut sums);
    for place in totals.overflowed.drain(..) {
        let (i, j) = ends(place);
        totals.totals[place] += sums[i * rows.len() + j] / Scale::Down.squared();
    }
}

/// Writes a row times [`ENLARGE`] to the beginning of `target`.
#[inline(always)]
fn enlarged_row<'a>(row: &[f32], target: &'a mut [f32]) -> &'a [f32] {
    let target = &mut target[..row.len()];
    for (target, &value) in target.iter_mut().zip(row) {
        *target = enlarged(value);
    }
    target
}
