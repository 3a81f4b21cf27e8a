//! Means of groups of a few rows, a tile of columns at a time.
//!
//! Sums run as in the tables for many rows, four rows at a time in their order, so that the bits
//! are the same. But of few rows groups want few of the sums: only these are made, each once, and
//! groups that have the same members share their mean.

use pulp::Simd;

use super::Members;
use crate::kernels::blocks;
use crate::kernels::quotients::{Divisor, quotients};

/// Up to how many rows are few.
pub(in crate::kernels) const FEW: usize = 128;

/// Columns of a tile.
pub(in crate::kernels) const WIDTH: usize = 64;

/// One row of a tile of means, at the beginning of a line of the cache.
#[repr(align(64))]
pub(in crate::kernels) struct Wide(pub(in crate::kernels) [f64; WIDTH]);

/// Rows that are summed before the sum joins the total.
const ROWS: usize = 4;

/// Registers of one total: enough to hide how long an addition takes.
const REGISTERS: usize = 8;

/// How the means of groups are made. A slot holds a row, or behind all rows a sum of some.
#[derive(Debug)]
pub(in crate::kernels) struct Recipe {
    rows: usize,
    /// What is in the slots behind the rows: the sum of a slot before and a row.
    sums: Vec<(usize, usize)>,
    /// Every mean that some group has.
    means: Vec<Mean>,
}

/// One mean.
#[derive(Debug)]
pub(in crate::kernels) struct Mean {
    /// The slots that are summed.
    slots: Vec<usize>,
    /// How many rows are in them, and the inverse of that.
    count: f64,
    inverse: f64,
    /// The groups whose mean it is.
    pub(in crate::kernels) groups: Vec<usize>,
}

impl Recipe {
    /// The recipe for groups of few rows.
    pub(in crate::kernels) fn new(members: &Members) -> Self {
        let rows = members.groups;
        let mut recipe = Recipe { rows, sums: Vec::new(), means: Vec::new() };
        let mut known: Vec<(usize, u8, usize)> = Vec::new();
        for (group, count) in members.counts().into_iter().enumerate() {
            let same = |mean: &&mut Mean| members.of(mean.groups[0]) == members.of(group);
            if let Some(mean) = recipe.means.iter_mut().find(same) {
                mean.groups.push(group);
                continue;
            }
            let mut slots = Vec::new();
            for (four, mask) in fours(members.of(group)).enumerate().filter(|(_, mask)| *mask > 0) {
                slots.push(recipe.slot(four, mask, &mut known));
            }
            recipe.means.push(Mean { slots, count, inverse: 1.0 / count, groups: vec![group] });
        }
        recipe
    }

    /// The slot with the sum of some of four rows.
    fn slot(&mut self, four: usize, mask: u8, known: &mut Vec<(usize, u8, usize)>) -> usize {
        if let Some(&(_, _, slot)) = known.iter().find(|known| (known.0, known.1) == (four, mask)) {
            return slot;
        }
        let last = mask.ilog2();
        let row = four * ROWS + last as usize;
        let before = mask & !(1 << last);
        let slot = match before {
            0 => row,
            before => {
                let before = self.slot(four, before, known);
                self.sums.push((before, row));
                self.rows + self.sums.len() - 1
            }
        };
        known.push((four, mask, slot));
        slot
    }

    /// Room for the slots of a tile.
    pub(in crate::kernels) fn room(&self) -> Vec<f64> {
        blocks::room(self.slots(), 0.0)
    }

    fn slots(&self) -> usize {
        (self.rows + self.sums.len()) * WIDTH
    }

    /// Puts up to [`WIDTH`] columns of a row into its slot. Where they are less the others have no
    /// meaning.
    #[inline(always)]
    pub(in crate::kernels) fn load(&self, row: usize, source: &[f32], room: &mut [f64]) {
        let slots = blocks::lined_up(room, self.slots());
        let slot = &mut slots[row * WIDTH..][..WIDTH];
        // Slots are never -0, so that adding nothing to one changes nothing.
        if let Ok(source) = <&[f32; WIDTH]>::try_from(source) {
            for (wide, &value) in slot.iter_mut().zip(source) {
                *wide = f64::from(value) + 0.0;
            }
        } else {
            for (wide, &value) in slot.iter_mut().zip(source) {
                *wide = f64::from(value) + 0.0;
            }
        }
    }

    /// Makes the sums of the rows that are loaded.
    #[inline(always)]
    pub(in crate::kernels) fn sum<S: Simd>(&self, simd: S, room: &mut [f64]) {
        let slots = blocks::lined_up(room, self.slots());
        for (index, &(before, row)) in self.sums.iter().enumerate() {
            let (made, sum) = slots.split_at_mut((self.rows + index) * WIDTH);
            let sum = S::as_mut_simd_f64s(&mut sum[..WIDTH]).0;
            let before = S::as_simd_f64s(&made[before * WIDTH..][..WIDTH]).0;
            let row = S::as_simd_f64s(&made[row * WIDTH..][..WIDTH]).0;
            for ((sum, &before), &row) in sum.iter_mut().zip(before).zip(row) {
                *sum = simd.add_f64s(before, row);
            }
        }
    }

    /// Every mean that some group has.
    pub(in crate::kernels) fn means(&self) -> &[Mean] {
        &self.means
    }

    /// One of the means, of the sums that are made, before it is rounded to single precision.
    #[inline(always)]
    pub(in crate::kernels) fn mean<S: Simd>(&self, simd: S, mean: &Mean, room: &mut [f64]) -> Wide {
        mean.over(simd, blocks::lined_up(room, self.slots()))
    }
}

impl Mean {
    /// The mean over the columns of a tile.
    #[inline(always)]
    fn over<S: Simd>(&self, simd: S, slots: &[f64]) -> Wide {
        let divisor = Divisor::new(simd, self.count, self.inverse);
        let mut means = Wide([0.0; WIDTH]);
        let registers = S::as_mut_simd_f64s(&mut means.0).0;
        for (chunk, means) in registers.chunks_mut(REGISTERS).enumerate() {
            let mut totals = [simd.splat_f64s(0.0); REGISTERS];
            for &slot in &self.slots {
                let slot = S::as_simd_f64s(&slots[slot * WIDTH..][..WIDTH]).0;
                let slot = &slot[chunk * REGISTERS..][..means.len()];
                for (total, &sum) in totals.iter_mut().zip(slot) {
                    *total = simd.add_f64s(*total, sum);
                }
            }
            for (mean, total) in means.iter_mut().zip(totals) {
                *mean = quotients(simd, total, divisor);
            }
        }
        means
    }
}

/// The bits of a group, those of four rows at a time.
fn fours(bits: &[u8]) -> impl Iterator<Item = u8> {
    bits.iter().flat_map(|byte| [byte & 0xf, byte >> 4])
}
