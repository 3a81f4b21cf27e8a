//! Order statistics of every column: the inner loop of the median and the trimmed mean.
//!
//! A tile of 64 columns is sorted at once by Batcher's merge-exchange network (Batcher, Sorting
//! Networks and their Applications, AFIPS 1968; Knuth, The Art of Computer Programming 3, 5.2.2,
//! algorithm M). Every comparator works on two whole rows of the tile, so that the processor's
//! vector minimum and maximum do the work and nothing branches on data. Networks grow as
//! `n log² n`; from about a thousand rows on, selection in each column is the faster way.
//!
//! Values are compared as integers in IEEE 754 total order: -NaN < -inf < -0 < 0 < inf < NaN.

use std::ops::Range;

use ndarray::{Array1, ArrayView2};
use pulp::{Arch, Simd, WithSimd};

/// Columns that are sorted together.
pub const LANES: usize = 64;

/// One row of a tile.
pub type Lanes = [f32; LANES];

/// The number of rows from which selection beats the sorting network.
const SELECTION_FROM: usize = 1000;

/// Reduces, in every column of `updates`, the values of the given `ranks` to one number.
///
/// `summarise` sees a tile at a time: element `[k][lane]` is the value of rank `ranks.start + k`
/// in one column, so that the rows ascend in every lane. It must treat all lanes alike; those
/// behind the last column hold no meaning. The result has one element per column.
///
/// # Panics
/// If `ranks` is empty or reaches past the number of rows.
pub fn summarise_ranks(
    updates: ArrayView2<'_, f32>,
    ranks: Range<usize>,
    summarise: impl Fn(&[Lanes]) -> Lanes,
) -> Array1<f32> {
    let (rows, columns) = updates.dim();
    assert!(ranks.start < ranks.end && ranks.end <= rows, "ranks {ranks:?} of {rows} rows");
    let updates = updates.as_standard_layout();
    let flat = updates.as_slice().expect("standard layout is contiguous");
    let method = if rows < SELECTION_FROM {
        Method::Network(prune(&merge_exchange(rows), &ranks, rows))
    } else {
        Method::Selection
    };
    let mut result = vec![0.0; columns];
    Arch::new().dispatch(Sort { flat, rows, ranks, method, summarise, result: &mut result });
    Array1::from(result)
}

/// How the wanted ranks are found.
enum Method {
    /// Comparators `(low, high)` in order, each placing the smaller value at `low`.
    Network(Vec<(usize, usize)>),
    /// Column by column.
    Selection,
}

/// The comparators that sort `rows` values.
fn merge_exchange(rows: usize) -> Vec<(usize, usize)> {
    let mut comparators = Vec::new();
    let top = rows.next_power_of_two() / 2;
    let mut p = top;
    while p > 0 {
        let (mut q, mut r, mut d) = (top, 0, p);
        loop {
            let pairs = (0..rows.saturating_sub(d)).filter(|i| i & p == r).map(|i| (i, i + d));
            comparators.extend(pairs);
            if q == p {
                break;
            }
            (d, q, r) = (q - p, q / 2, p);
        }
        p /= 2;
    }
    comparators
}

/// Drops the comparators that cannot change what ends up at `ranks`.
fn prune(comparators: &[(usize, usize)], ranks: &Range<usize>, rows: usize) -> Vec<(usize, usize)> {
    let mut wanted: Vec<bool> = (0..rows).map(|row| ranks.contains(&row)).collect();
    let mut kept: Vec<(usize, usize)> = comparators
        .iter()
        .rev()
        .copied()
        .filter(|&(low, high)| {
            let useful = wanted[low] || wanted[high];
            wanted[low] |= useful;
            wanted[high] |= useful;
            useful
        })
        .collect();
    kept.reverse();
    kept
}

/// One pass over all tiles, compiled for each kind of processor.
struct Sort<'a, F> {
    flat: &'a [f32],
    rows: usize,
    ranks: Range<usize>,
    method: Method,
    summarise: F,
    result: &'a mut [f32],
}

impl<F: Fn(&[Lanes]) -> Lanes> WithSimd for Sort<'_, F> {
    type Output = ();

    // Everything below must be inlined: only then is it compiled for the processor at hand.
    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let columns = self.result.len();
        let mut keys = vec![[0i32; LANES]; self.rows];
        let mut values = vec![[0.0f32; LANES]; self.ranks.len()];
        for (tile, result) in self.result.chunks_mut(LANES).enumerate() {
            for (row, keys) in keys.iter_mut().enumerate() {
                let start = row * columns + tile * LANES;
                load(&self.flat[start..start + result.len()], keys);
            }
            match &self.method {
                Method::Network(comparators) => {
                    for &(low, high) in comparators {
                        compare(&mut keys, low, high);
                    }
                }
                Method::Selection => select(&mut keys, &self.ranks),
            }
            for (values, keys) in values.iter_mut().zip(&keys[self.ranks.clone()]) {
                for (value, &key) in values.iter_mut().zip(keys) {
                    *value = from_key(key);
                }
            }
            let summary = (self.summarise)(&values);
            result.copy_from_slice(&summary[..result.len()]);
        }
    }
}

/// An integer that compares as the value does in total order.
#[inline(always)]
fn to_key(value: f32) -> i32 {
    flip(value.to_bits() as i32)
}

/// The value of a key.
#[inline(always)]
fn from_key(key: i32) -> f32 {
    f32::from_bits(flip(key) as u32)
}

/// Reverses the order of the negative numbers; its own inverse.
#[inline(always)]
fn flip(bits: i32) -> i32 {
    bits ^ ((bits >> 31) as u32 >> 1) as i32
}

#[inline(always)]
fn load(source: &[f32], keys: &mut [i32; LANES]) {
    for (key, &value) in keys.iter_mut().zip(source) {
        *key = to_key(value);
    }
}

/// Puts the smaller of two rows into `low` and the larger into `high`, lane by lane.
#[inline(always)]
fn compare(keys: &mut [[i32; LANES]], low: usize, high: usize) {
    let (head, tail) = keys.split_at_mut(high);
    let (low, high) = (&mut head[low], &mut tail[0]);
    for lane in 0..LANES {
        let (a, b) = (low[lane], high[lane]);
        low[lane] = a.min(b);
        high[lane] = a.max(b);
    }
}

/// Sorts the wanted ranks of each lane into their rows; the other rows are left in any order.
fn select(keys: &mut [[i32; LANES]], ranks: &Range<usize>) {
    for lane in 0..LANES {
        let mut column: Vec<i32> = keys.iter().map(|row| row[lane]).collect();
        if ranks.start > 0 {
            column.select_nth_unstable(ranks.start);
        }
        let upper = &mut column[ranks.start..];
        if ranks.len() < upper.len() {
            upper.select_nth_unstable(ranks.len());
        }
        upper[..ranks.len()].sort_unstable();
        for rank in ranks.clone() {
            keys[rank][lane] = column[rank];
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
            let mut column = column.to_vec();
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
    fn networks_sort_all_zeros_and_ones() {
        // A network that sorts every 0-1 input sorts everything (Knuth 5.3.4, theorem Z).
        for rows in 1..=13 {
            let network = merge_exchange(rows);
            for bits in 0u32..1 << rows {
                let mut values: Vec<u32> = (0..rows).map(|row| bits >> row & 1).collect();
                for &(low, high) in &network {
                    if values[low] > values[high] {
                        values.swap(low, high);
                    }
                }
                assert!(values.is_sorted(), "{rows} rows, input {bits:b}");
            }
        }
    }

    #[test]
    fn known_network_sizes() {
        // Knuth's table of merge exchange: 31 comparators for 10 values, 63 for 16.
        assert_eq!(merge_exchange(1).len(), 0);
        assert_eq!(merge_exchange(10).len(), 31);
        assert_eq!(merge_exchange(16).len(), 63);
        assert_eq!(prune(&merge_exchange(10), &(4..6), 10).len(), 29);
    }

    #[test]
    fn every_rank_agrees_with_sorting_whatever_the_bits() {
        let mut rng = run_stream(1, Purpose::Aggregation);
        for rows in [1, 2, 3, 7, 13, 20] {
            let updates = Array2::from_shape_fn((rows, 70), |_| f32::from_bits(rng.next_u32()));
            for wanted in 0..rows {
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
    fn any_memory_layout_and_any_width() {
        let updates = Array2::from_shape_fn((5, 129), |(row, column)| (row * column) as f32);
        let transposed = updates.t().to_owned();
        let median = summarise_ranks(transposed.t(), 2..3, |rows| rows[0]);
        assert_eq!(median, Array1::from_shape_fn(129, |column| 2.0 * column as f32));
        assert!(summarise_ranks(Array2::zeros((3, 0)).view(), 1..2, |rows| rows[0]).is_empty());
    }
}
