//! Sums of squared differences over one block of columns, in tiles of rows whose sums stay in
//! registers.
//!
//! Every pair has a sum of its own and the same order of additions, whatever tile it is in.

use pulp::Simd;

use super::stripe::{DOWN, Totals};

/// Rows that are compared with all others before the next: as many as a cache holds of a block.
const CHUNK: usize = 240;

/// One block of columns of all rows, which are scaled down as they are read if `SCALED`.
#[derive(Clone, Copy)]
pub(super) struct Tiles<'a, S, const SCALED: bool> {
    pub(super) simd: S,
    pub(super) rows: &'a [&'a [f32]],
    /// The first row of the stripe.
    pub(super) first: usize,
    /// The row behind its last.
    pub(super) end: usize,
}

impl<S: Simd, const SCALED: bool> Tiles<'_, S, SCALED> {
    /// Adds what the block contributes to every pair `i < j` with i in the stripe.
    #[inline(always)]
    pub(super) fn add<const SIDE: usize>(self, totals: &mut Totals<'_>) {
        let (n, end) = (self.rows.len(), self.end);
        for chunk in (self.first..n).step_by(CHUNK) {
            let chunk_end = n.min(chunk + CHUNK);
            for i in (self.first..end.min(chunk_end)).step_by(SIDE) {
                if i >= chunk {
                    self.add_corner::<SIDE>(totals, i);
                }
                let mut j = chunk.max(i + SIDE);
                while j < chunk_end {
                    let right = SIDE.min(chunk_end - j);
                    if end - i >= SIDE {
                        self.add_row_of_tiles::<SIDE, SIDE>(totals, i, j, right);
                    } else {
                        for i in i..end {
                            self.add_row_of_tiles::<1, SIDE>(totals, i, j, right);
                        }
                    }
                    j += right;
                }
            }
        }
    }

    /// A tile of `R` rows and up to `SIDE` others.
    #[inline(always)]
    fn add_row_of_tiles<const R: usize, const SIDE: usize>(
        self,
        totals: &mut Totals<'_>,
        i: usize,
        j: usize,
        right: usize,
    ) {
        match right {
            1 => self.add_tile::<R, 1>(totals, i, j),
            2 => self.add_tile::<R, 2>(totals, i, j),
            3 if SIDE > 3 => self.add_tile::<R, 3>(totals, i, j),
            4 if SIDE > 4 => self.add_tile::<R, 4>(totals, i, j),
            _ => self.add_tile::<R, SIDE>(totals, i, j),
        }
    }

    /// The pairs among rows `i..i + SIDE` themselves whose first is in the stripe.
    #[inline(always)]
    fn add_corner<const SIDE: usize>(self, totals: &mut Totals<'_>, i: usize) {
        let end = self.rows.len().min(i + SIDE);
        if self.end >= end {
            return match end - i {
                1 => {}
                2 => self.add_tile::<1, 1>(totals, i, i + 1),
                3 if SIDE > 3 => self.add_triangle::<3>(totals, i),
                4 if SIDE > 4 => self.add_triangle::<4>(totals, i),
                _ => self.add_triangle::<SIDE>(totals, i),
            };
        }
        for left in i..self.end.min(end) {
            for right in left + 1..end {
                self.add_tile::<1, 1>(totals, left, right);
            }
        }
    }

    /// The pairs among rows `i..i + SIDE`, all at once.
    #[inline(always)]
    fn add_triangle<const SIDE: usize>(self, totals: &mut Totals<'_>, i: usize) {
        let Tiles { simd, rows, first, .. } = self;
        let length = rows[i].len() / S::F32_LANES;
        let rows: [_; SIDE] = std::array::from_fn(|r| split::<S>(rows[i + r], length));
        let mut sums = [[simd.splat_f32s(0.0); SIDE]; SIDE];
        for k in 0..length {
            let values: [S::f32s; SIDE] = std::array::from_fn(|r| self.read(rows[r].0[k]));
            for r in 0..SIDE {
                for c in r + 1..SIDE {
                    let difference = simd.sub_f32s(values[r], values[c]);
                    sums[r][c] = simd.mul_add_f32s(difference, difference, sums[r][c]);
                }
            }
        }
        for r in 0..SIDE {
            for c in r + 1..SIDE {
                let at = (i - first + r) * self.rows.len() + i + c;
                totals.add(at, self.total(sums[r][c], rows[r].1, rows[c].1));
            }
        }
    }

    /// Values as they take part.
    #[inline(always)]
    fn read(self, values: S::f32s) -> S::f32s {
        if SCALED { self.simd.mul_f32s(values, self.simd.splat_f32s(DOWN)) } else { values }
    }

    /// What a register of sums and the rest of two rows come to.
    #[inline(always)]
    fn total(self, sums: S::f32s, a: &[f32], b: &[f32]) -> f64 {
        let scale = if SCALED { DOWN } else { 1.0 };
        let rest = a.iter().zip(b).map(|(a, b)| f64::from(a * scale - b * scale).powi(2));
        f64::from(self.simd.reduce_sum_f32s(sums)) + rest.sum::<f64>()
    }

    /// Adds the distances of rows `i..i + R` to rows `j..j + C`.
    #[inline(always)]
    fn add_tile<const R: usize, const C: usize>(self, totals: &mut Totals<'_>, i: usize, j: usize) {
        let Tiles { simd, rows, first, .. } = self;
        let length = rows[i].len() / S::F32_LANES;
        let left: [_; R] = std::array::from_fn(|r| split::<S>(rows[i + r], length));
        let right: [_; C] = std::array::from_fn(|c| split::<S>(rows[j + c], length));
        let mut sums = [[simd.splat_f32s(0.0); C]; R];
        for k in 0..length {
            let others: [S::f32s; C] = std::array::from_fn(|c| self.read(right[c].0[k]));
            for r in 0..R {
                let own = self.read(left[r].0[k]);
                for c in 0..C {
                    let difference = simd.sub_f32s(own, others[c]);
                    sums[r][c] = simd.mul_add_f32s(difference, difference, sums[r][c]);
                }
            }
        }
        for r in 0..R {
            for c in 0..C {
                let sum = self.total(sums[r][c], left[r].1, right[c].1);
                totals.add((i - first + r) * rows.len() + j + c, sum);
            }
        }
    }
}

/// A row as `length` whole registers and the rest.
#[inline(always)]
fn split<S: Simd>(row: &[f32], length: usize) -> (&[S::f32s], &[f32]) {
    let (registers, rest) = S::as_simd_f32s(row);
    (&registers[..length], rest)
}
