//! Order statistics of every column: the inner loop of the median and the trimmed mean.
//!
//! Columns are sorted many at once by a network of comparators (`network`), each of which works
//! on two whole registers, so that the processor's vector minimum and maximum do the work and
//! nothing branches on data. Networks grow as `n log² n`; from some thousands of rows on, selection
//! in each column is the faster way.
//!
//! Every value has a place: NaN, of either sign, counts as `+inf`, and `-0` as `0`.

mod mixed;
mod network;

pub use mixed::{MIXED_MAX, summarise_ranks_of_means};

use std::ops::Range;

use ndarray::{Array1, ArrayView2};
use pulp::{Arch, Simd, WithSimd};

use super::blocks;

/// Columns that are summarised together.
pub const LANES: usize = 64;

/// One row of a tile.
pub type Lanes = [f32; LANES];

/// The number of rows from which selection beats the sorting network.
const SELECTION_FROM: usize = 16_385;

/// Columns that one thread takes at a time.
const BLOCK: usize = 4096;

/// Columns whose rows are copied next to each other before they are sorted: long enough for memory
/// to stream, short enough for a cache to hold all rows.
const TILE: usize = 256;

/// The number of rows from which tiles are as narrow as they can be.
const NARROW_FROM: usize = 256;

/// Reduces, in every column of `updates`, the values of the given `ranks` to one number.
///
/// `summarise` sees 64 columns at a time: element `[k][lane]` is the value of rank
/// `ranks.start + k` in one column, so that the rows ascend in every lane. It must treat all lanes
/// alike; those behind the last column hold no meaning. The result has one element per column.
///
/// # Panics
/// If `ranks` is empty or reaches past the number of rows.
pub fn summarise_ranks(
    updates: ArrayView2<'_, f32>,
    ranks: Range<usize>,
    summarise: impl Fn(&[Lanes]) -> Lanes + Sync,
) -> Array1<f32> {
    let all: Vec<usize> = (0..updates.nrows()).collect();
    summarise_ranks_of(updates, &all, ranks, summarise)
}

/// The same of some of the rows.
///
/// # Panics
/// If `ranks` is empty or reaches past the number of these rows, or one of them is not there.
pub fn summarise_ranks_of(
    updates: ArrayView2<'_, f32>,
    rows: &[usize],
    ranks: Range<usize>,
    reduce: impl Fn(&[Lanes]) -> Lanes + Sync,
) -> Array1<f32> {
    let updates = updates.as_standard_layout();
    let columns = updates.ncols();
    let flat = updates.as_slice().expect("standard layout is contiguous");
    let rows: Vec<&[f32]> =
        rows.iter().map(|row| &flat[row * columns..(row + 1) * columns]).collect();
    summarise_ranks_apart(&rows, ranks, reduce)
}

/// The same of rows that stand anywhere.
///
/// # Panics
/// If `ranks` is empty or reaches past the number of rows, or these differ in length.
pub fn summarise_ranks_apart(
    rows: &[&[f32]],
    ranks: Range<usize>,
    reduce: impl Fn(&[Lanes]) -> Lanes + Sync,
) -> Array1<f32> {
    let (count, columns) = (rows.len(), rows.first().map_or(0, |row| row.len()));
    assert!(ranks.start < ranks.end && ranks.end <= count, "ranks {ranks:?} of {count} rows");
    assert!(rows.iter().all(|row| row.len() == columns), "rows of different lengths");
    summarise(columns, &Plain(rows), &ranks, &reduce)
}

/// The same over whatever rows there are.
fn summarise<R: Rows + Sync>(
    columns: usize,
    rows: &R,
    ranks: &Range<usize>,
    reduce: &(impl Fn(&[Lanes]) -> Lanes + Sync),
) -> Array1<f32> {
    let mut result = vec![0.0; columns];
    let shared = blocks::shared(rows.count() * columns);
    blocks::for_each(&mut result, BLOCK, shared, |block, result| {
        let start = block * BLOCK;
        Arch::new().dispatch(Sort { rows, start, ranks, reduce, result });
    });
    Array1::from(result)
}

/// The rows whose columns are sorted.
trait Rows {
    /// What it takes to load a tile.
    type Room;

    /// How many there are.
    fn count(&self) -> usize;

    /// Columns of a tile, a multiple of [`LANES`].
    fn tile(&self) -> usize;

    /// Room for one tile.
    fn room(&self) -> Self::Room;

    /// Puts the rows of up to a tile of columns into the strips, which are so far `apart`: a row's
    /// registers into one place of one strip after the other.
    fn load<S: Simd>(
        &self,
        simd: S,
        columns: Range<usize>,
        room: &mut Self::Room,
        strips: &mut [S::f32s],
        apart: usize,
    );
}

/// Rows that are there.
struct Plain<'a>(&'a [&'a [f32]]);

impl Rows for Plain<'_> {
    type Room = ();

    fn count(&self) -> usize {
        self.0.len()
    }

    fn tile(&self) -> usize {
        if self.0.len() < NARROW_FROM { TILE } else { LANES }
    }

    fn room(&self) {}

    #[inline(always)]
    fn load<S: Simd>(
        &self,
        simd: S,
        columns: Range<usize>,
        (): &mut (),
        strips: &mut [S::f32s],
        apart: usize,
    ) {
        for (row, source) in self.0.iter().enumerate() {
            load(simd, &source[columns.clone()], &mut strips[row..], apart);
        }
    }
}

/// One pass over a block of columns, compiled for each kind of processor.
struct Sort<'a, R, F> {
    rows: &'a R,
    /// The first column of the block.
    start: usize,
    ranks: &'a Range<usize>,
    reduce: &'a F,
    result: &'a mut [f32],
}

impl<R: Rows, F: Fn(&[Lanes]) -> Lanes> WithSimd for Sort<'_, R, F> {
    type Output = ();

    // Everything below must be inlined: only then is it compiled for the processor at hand.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Sort { rows: source, start, ranks, reduce, result } = self;
        let (rows, tile) = (source.count(), source.tile());
        let height = network::padded(rows);
        // Strips that were powers of two apart would compete for the same lines of the cache.
        let apart = height + 1;
        // One strip of rows for every register that the columns of a tile fill.
        let mut room = blocks::room(apart * tile, f32::INFINITY);
        let strips = S::as_mut_simd_f32s(blocks::lined_up(&mut room, apart * tile)).0;
        let mut values = vec![[0.0f32; LANES]; ranks.len()];
        let mut loading = source.room();
        for (index, result) in result.chunks_mut(tile).enumerate() {
            let first = start + index * tile;
            source.load(simd, first..first + result.len(), &mut loading, strips, apart);
            let groups = strips.chunks_mut(apart * (LANES / S::F32_LANES));
            for (group, result) in groups.zip(result.chunks_mut(LANES)) {
                for (place, strip) in group.chunks_mut(apart).enumerate() {
                    let strip = &mut strip[..height];
                    if rows < SELECTION_FROM {
                        network::sort(simd, strip, rows, ranks);
                    } else {
                        select(bytemuck::cast_slice_mut(strip), S::F32_LANES, rows, ranks);
                    }
                    for (values, &row) in values.iter_mut().zip(&strip[ranks.clone()]) {
                        S::as_mut_simd_f32s(values).0[place] = row;
                    }
                }
                let summary = reduce(&values);
                result.copy_from_slice(&summary[..result.len()]);
            }
        }
    }
}

/// Copies one row of a tile to its place in every strip, with a place for every value.
#[inline(always)]
fn load<S: Simd>(simd: S, source: &[f32], strips: &mut [S::f32s], apart: usize) {
    let (whole, rest) = S::as_simd_f32s(source);
    let mut strips = strips.iter_mut().step_by(apart);
    for (&value, target) in whole.iter().zip(strips.by_ref()) {
        *target = placed(simd, value);
    }
    if !rest.is_empty() {
        let value = simd.partial_load_f32s(rest);
        if let Some(target) = strips.next() {
            *target = placed(simd, value);
        }
    }
}

/// The values as they are compared: no NaN and one zero.
#[inline(always)]
fn placed<S: Simd>(simd: S, values: S::f32s) -> S::f32s {
    let (zero, infinity) = (simd.splat_f32s(0.0), simd.splat_f32s(f32::INFINITY));
    let numbers = simd.equal_f32s(values, values);
    simd.select_f32s(numbers, simd.add_f32s(values, zero), infinity)
}

/// Sorts the wanted ranks of each of `lanes` columns into their rows; other rows are left as they
/// are.
fn select(strip: &mut [f32], lanes: usize, rows: usize, ranks: &Range<usize>) {
    for lane in 0..lanes {
        let mut column: Vec<f32> = (0..rows).map(|row| strip[row * lanes + lane]).collect();
        if ranks.start > 0 {
            column.select_nth_unstable_by(ranks.start, f32::total_cmp);
        }
        let upper = &mut column[ranks.start..];
        if ranks.len() < upper.len() {
            upper.select_nth_unstable_by(ranks.len(), f32::total_cmp);
        }
        upper[..ranks.len()].sort_unstable_by(f32::total_cmp);
        for rank in ranks.clone() {
            strip[rank * lanes + lane] = column[rank];
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use rand::{Rng, RngExt};

    use super::*;
    use crate::seed::{Purpose, run_stream};

    /// The value of one rank in every column, the slow way.
    fn rank_by_sorting(updates: &Array2<f32>, rank: usize) -> Vec<u32> {
        let column = |column: ndarray::ArrayView1<'_, f32>| {
            let placed = |&x: &f32| if x.is_nan() { f32::INFINITY } else { x + 0.0 };
            let mut column: Vec<f32> = column.iter().map(placed).collect();
            column.sort_by(f32::total_cmp);
            column[rank].to_bits()
        };
        updates.columns().into_iter().map(column).collect()
    }

    fn rank(updates: &Array2<f32>, rank: usize) -> Vec<u32> {
        let row = summarise_ranks(updates.view(), rank..rank + 1, |rows| rows[0]);
        row.into_iter().map(f32::to_bits).collect()
    }

    #[test]
    fn every_rank_agrees_with_sorting_whatever_the_bits() {
        let mut rng = run_stream(1, Purpose::Aggregation);
        for rows in [1, 2, 3, 7, 13, 16, 17, 20, 31, 33, 50, 70, 100, 129, 200, 300] {
            let updates = Array2::from_shape_fn((rows, 70), |_| f32::from_bits(rng.next_u32()));
            for wanted in (0..rows).step_by(rows.div_ceil(20)) {
                assert_eq!(rank(&updates, wanted), rank_by_sorting(&updates, wanted));
            }
        }
    }

    #[test]
    fn selection_agrees_with_sorting_at_its_threshold() {
        let mut rng = run_stream(2, Purpose::Aggregation);
        for rows in [SELECTION_FROM - 1, SELECTION_FROM, SELECTION_FROM + 1] {
            let updates = Array2::from_shape_fn((rows, 5), |_| rng.random::<f32>());
            for wanted in [0, rows / 2, rows - 1] {
                assert_eq!(rank(&updates, wanted), rank_by_sorting(&updates, wanted));
            }
            let smallest = summarise_ranks(updates.view(), 10..rows - 10, |rows| {
                assert!((0..5).all(|lane| rows.is_sorted_by(|a, b| a[lane] <= b[lane])));
                rows[0]
            });
            let bits: Vec<u32> = smallest.into_iter().map(f32::to_bits).collect();
            assert_eq!(bits, rank_by_sorting(&updates, 10));
        }
    }

    #[test]
    fn every_range_of_ranks_is_sorted() {
        // Zeros and ones find every fault of a network (Knuth 5.3.4, theorem Z).
        let mut rng = run_stream(3, Purpose::Aggregation);
        for rows in [5, 16, 18, 40, 64, 100, 130, 257, 520] {
            let bits = Array2::from_shape_fn((rows, 640), |(_, column)| {
                if rng.random_range(0..640) < column { 1.0f32 } else { 0.0 }
            });
            let zeros = bits.map_axis(ndarray::Axis(0), |column| {
                column.iter().filter(|&&bit| bit == 0.0).count() as f32
            });
            for ranks in [0..rows, 0..1, rows / 5..rows - rows / 5, rows - 1..rows, 3..rows / 2 + 2]
            {
                let start = ranks.start;
                let ones = summarise_ranks(bits.view(), ranks.clone(), |rows| {
                    let mut ones = [0.0; LANES];
                    for row in rows {
                        (0..LANES).for_each(|lane| ones[lane] += row[lane]);
                    }
                    let sorted = |lane: usize| rows.is_sorted_by(|a, b| a[lane] <= b[lane]);
                    assert!((0..LANES).all(sorted), "{ranks:?} of {start}");
                    ones
                });
                let end = ranks.end as f32;
                let expected = zeros.mapv(|zeros| (end - zeros.max(start as f32)).max(0.0));
                assert_eq!(ones, expected, "ranks {ranks:?} of {rows}");
            }
        }
    }

    #[test]
    fn the_bits_do_not_depend_on_threads() {
        let mut rng = run_stream(4, Purpose::Aggregation);
        let updates = Array2::from_shape_fn((20, 20_000), |_| rng.random::<f32>());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        assert_eq!(pool.install(|| rank(&updates, 9)), rank(&updates, 9));
    }

    #[test]
    fn any_memory_layout_and_any_width() {
        let updates = Array2::from_shape_fn((5, 129), |(row, column)| (row * column) as f32);
        let transposed = updates.t().to_owned();
        let median = summarise_ranks(transposed.t(), 2..3, |rows| rows[0]);
        assert_eq!(median, Array1::from_shape_fn(129, |column| 2.0 * column as f32));
        assert!(summarise_ranks(Array2::zeros((3, 0)).view(), 1..2, |rows| rows[0]).is_empty());
    }
}
