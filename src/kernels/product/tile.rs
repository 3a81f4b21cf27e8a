//! A tile of sums that stays in registers.

use std::array;

use pulp::{NullaryFnOnce, Simd};

use super::Onto;
use super::matrix::{Matrix, Target};
use super::strip::Strip;

/// The widest register.
const LANES: usize = 16;

/// Registers that a tile is wide at most.
const WIDTH: usize = 4;

/// Steps along the inner dimension that are read of a row at a time.
const STEPS: usize = 4;

/// Repeats a body for each of these numbers below a bound. A loop would be unrolled too late, if at
/// all, and its sums would not be in registers.
macro_rules! unroll {
    ($index:ident < $bound:ident in $($number:literal)* $body:block) => {
        $(if $number < $bound {
            let $index = $number;
            $body
        })*
    };
}

/// Rows from `start` on, by the columns of a strip.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a, S> {
    pub(super) simd: S,
    pub(super) left: Matrix<'a>,
    pub(super) start: usize,
    pub(super) strip: Strip<'a>,
    /// The first of the strip's columns, and how many are not zeros beyond the matrix.
    pub(super) first: usize,
    pub(super) columns: usize,
    pub(super) onto: Onto,
}

/// A tile of `R` rows and `C` registers, and where it is written to.
struct Whole<'a, 'b, S, const R: usize, const C: usize> {
    tile: Tile<'a, S>,
    into: &'a mut Target<'b>,
}

impl<S: Simd, const R: usize, const C: usize> NullaryFnOnce for Whole<'_, '_, S, R, C> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.tile.compute::<R, C>(self.into);
    }
}

impl<S: Simd> Tile<'_, S> {
    /// Computes `R` rows of `C` registers, in a function of its own: the compiler has registers for
    /// one tile, not for all shapes of them at once.
    #[inline(always)]
    pub(super) fn add<const R: usize, const C: usize>(self, into: &mut Target<'_>) {
        self.simd.vectorize(Whole::<'_, '_, S, R, C> { tile: self, into });
    }

    #[inline(always)]
    fn compute<const R: usize, const C: usize>(self, into: &mut Target<'_>) {
        let sums = match self.onto {
            Onto::Nothing => [[self.simd.splat_f32s(0.0); C]; R],
            Onto::Before => self.read(into),
        };
        let sums = match self.left.column_stride {
            1 => self.along_rows(sums),
            _ => self.along_columns(sums),
        };
        self.write(sums, into);
    }

    /// The rows of the left side are contiguous: several steps are read of each at a time.
    #[allow(clippy::needless_range_loop, reason = "an index reads all rows at once")]
    #[inline(always)]
    fn along_rows<const R: usize, const C: usize>(
        self,
        mut sums: [[S::f32s; C]; R],
    ) -> [[S::f32s; C]; R] {
        let Matrix { values, columns: inner, row_stride, .. } = self.left;
        let rows: [&[f32]; R] =
            array::from_fn(|row| &values[(self.start + row) * row_stride..][..inner]);
        let chunks = rows.map(|row| row.as_chunks::<STEPS>().0);
        let together = self.strip.in_place() / STEPS;
        for chunk in 0..together {
            let left: [&[f32; STEPS]; R] = array::from_fn(|row| &chunks[row][chunk]);
            unroll!(step < STEPS in 0 1 2 3 {
                let right = self.strip.row_in_place(chunk * STEPS + step, C * S::F32_LANES);
                self.step(right, |row| left[row][step], &mut sums);
            });
        }
        for step in together * STEPS..inner {
            let right = self.strip.row(step, C * S::F32_LANES);
            self.step(right, |row| rows[row][step], &mut sums);
        }
        sums
    }

    /// The columns of the left side are contiguous: one step is a run of each.
    #[inline(always)]
    fn along_columns<const R: usize, const C: usize>(
        self,
        mut sums: [[S::f32s; C]; R],
    ) -> [[S::f32s; C]; R] {
        let Matrix { values, columns: inner, column_stride, .. } = self.left;
        for step in 0..inner {
            let run: &[f32; R] = values[step * column_stride + self.start..]
                .first_chunk()
                .expect("rows of the matrix");
            let right = self.strip.row(step, C * S::F32_LANES);
            self.step(right, |row| run[row], &mut sums);
        }
        sums
    }

    #[inline(always)]
    fn step<const R: usize, const C: usize>(
        self,
        right: &[f32],
        left: impl Fn(usize) -> f32,
        sums: &mut [[S::f32s; C]; R],
    ) {
        let (right, _) = S::as_simd_f32s(right);
        let right: &[S::f32s; C] = right.first_chunk().expect("a strip is as wide as its tiles");
        unroll!(row < R in 0 1 2 3 4 5 6 7 8 {
            let left = self.simd.splat_f32s(left(row));
            unroll!(column < C in 0 1 2 3 {
                sums[row][column] =
                    self.simd.mul_add_f32s(left, right[column], sums[row][column]);
            });
        });
    }

    /// What stands in the places of the tile.
    #[inline(always)]
    fn read<const R: usize, const C: usize>(self, from: &Target<'_>) -> [[S::f32s; C]; R] {
        let mut sums = [[self.simd.splat_f32s(0.0); C]; R];
        unroll!(row < R in 0 1 2 3 4 5 6 7 8 {
            let mut room = [0.0; WIDTH * LANES];
            let places = &from.values[self.place(from, row)..];
            let places = if from.column_stride == 1 {
                &places[..self.columns]
            } else {
                gather(places, from.column_stride, &mut room[..self.columns]);
                &room[..self.columns]
            };
            let (registers, rest) = S::as_simd_f32s(places);
            unroll!(column < C in 0 1 2 3 {
                sums[row][column] = match registers.get(column) {
                    Some(register) => *register,
                    None => self.simd.partial_load_f32s(rest),
                };
            });
        });
        sums
    }

    #[inline(always)]
    fn write<const R: usize, const C: usize>(self, sums: [[S::f32s; C]; R], into: &mut Target<'_>) {
        unroll!(row < R in 0 1 2 3 4 5 6 7 8 {
            let place = self.place(into, row);
            let places = &mut into.values[place..];
            if into.column_stride == 1 {
                self.store(sums[row], &mut places[..self.columns]);
            } else {
                let mut room = [0.0; WIDTH * LANES];
                self.store(sums[row], &mut room[..self.columns]);
                scatter(&room[..self.columns], places, into.column_stride);
            }
        });
    }

    /// Where a row of the tile begins.
    #[inline(always)]
    fn place(self, target: &Target<'_>, row: usize) -> usize {
        (self.start + row) * target.row_stride + self.first * target.column_stride
    }

    #[inline(always)]
    fn store<const C: usize>(self, sums: [S::f32s; C], places: &mut [f32]) {
        let (registers, rest) = S::as_mut_simd_f32s(places);
        unroll!(column < C in 0 1 2 3 {
            match registers.get_mut(column) {
                Some(register) => *register = sums[column],
                None => self.simd.partial_store_f32s(rest, sums[column]),
            }
        });
    }
}

/// Reads values that stand `stride` apart.
#[inline(always)]
fn gather(from: &[f32], stride: usize, to: &mut [f32]) {
    for (value, place) in to.iter_mut().zip(from.iter().step_by(stride)) {
        *value = *place;
    }
}

/// Writes values to places that are `stride` apart.
#[inline(always)]
fn scatter(from: &[f32], to: &mut [f32], stride: usize) {
    for (value, place) in from.iter().zip(to.iter_mut().step_by(stride)) {
        *place = *value;
    }
}
