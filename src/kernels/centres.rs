//! Steps towards a centre: how far each row is from a point, and the next point from that.
//!
//! Rules that move a point to where the rows are (geometric median, centered clipping) need in each
//! step the distances of all rows to the point and then a weighted sum of the rows. The sum
//! and the distances to it are found in one pass over memory, block of columns by block.

use ndarray::{Array1, ArrayView2};
use pulp::{Arch, Simd, WithSimd};

use super::blocks;
use super::prefetch::{self, LINE};
use crate::vector::slices_of;

/// Columns whose squares are summed before the partial sum joins the total.
const BLOCK: usize = 1024;

/// Columns that are summed together where no distances are: memory gives long pieces of a row
/// faster than short ones, as long as their sums stay in the nearest cache.
pub(super) const WIDE_BLOCK: usize = 4096;

/// Independent sums inside a block.
const LANES: usize = 16;

/// Rows that are compared with a point together.
const ROWS: usize = 4;

/// Rows that are added together: many streams keep memory busy, and each sum is loaded and stored
/// once for all of them.
const SUMMED: usize = 20;

/// How many numbers are asked for before they are added: half a kilobyte.
const AHEAD: usize = 128;

/// Lanes of the registers of processors that fuse a product with a sum: of AVX2 and later.
const FUSING_LANES: usize = 4;

/// `‖x_i - point‖²` for every row, in `f64` and in an order that depends on the shape alone.
///
/// The same bits as [`crate::vector::squared_distance`]; NaN where a row holds a NaN.
///
/// # Panics
/// If the point is not as long as a row.
pub fn squared_distances_to(updates: ArrayView2<'_, f32>, point: &[f32]) -> Vec<f64> {
    squared_distances_apart(&slices_of(&updates.as_standard_layout().view()), point)
}

/// The same of rows that stand anywhere.
pub fn squared_distances_apart(rows: &[&[f32]], point: &[f32]) -> Vec<f64> {
    let (n, columns) = (rows.len(), point.len());
    assert!(rows.iter().all(|row| row.len() == columns), "a point of another length than the rows");
    let mut partial = vec![0.0; n * columns.div_ceil(BLOCK)];
    blocks::for_each(&mut partial, n.max(1), blocks::shared(n * columns), |block, partial| {
        let start = block * BLOCK;
        let point = &point[start..columns.min(start + BLOCK)];
        Arch::new().dispatch(Distances { rows, start, point, partial });
    });
    sum_of_blocks(&partial, n)
}

/// `Σ w_i x_i`, length d, and the squared distances of all rows to it.
///
/// Sums run in row order in `f64` and are rounded once; rows of weight 0 are left out, whatever
/// they hold. `extra` is one more row, added last, to which no distance is returned.
///
/// # Panics
/// If there are more weights than rows, or the extra row is of another length.
pub fn weighted_sum_and_distances(
    updates: ArrayView2<'_, f32>,
    weights: &[f64],
    extra: Option<(&[f32], f64)>,
) -> (Array1<f32>, Vec<f64>) {
    let (rows, columns) = updates.dim();
    let updates = updates.as_standard_layout();
    let updates = updates.view();
    let all = slices_of(&updates);
    let counted = weighted_rows(&all, weights, extra);
    let mut sum = vec![0.0; columns];
    let mut partial = vec![0.0; rows * columns.div_ceil(BLOCK)];
    let shared = blocks::shared(rows * columns);
    let (sums, partials) = ((sum.as_mut_slice(), BLOCK), (partial.as_mut_slice(), rows.max(1)));
    blocks::for_each_of_two(sums, partials, shared, |block, point, partial| {
        let start = block * BLOCK;
        let (rows, divisor, sum) = (counted.as_slice(), 1.0, &mut *point);
        Arch::new().dispatch(WeightedSum::<BLOCK> { rows, divisor, start, sum });
        Arch::new().dispatch(Distances { rows: &all, start, point, partial });
    });
    (Array1::from(sum), sum_of_blocks(&partial, rows))
}

/// `Σ w_i x_i` of [`weighted_sum_and_distances`] alone.
pub(super) fn weighted_sum_with(
    updates: ArrayView2<'_, f32>,
    weights: &[f64],
    extra: Option<(&[f32], f64)>,
) -> Array1<f32> {
    let columns = updates.ncols();
    let updates = updates.as_standard_layout();
    weighted_sum_apart(&slices_of(&updates.view()), columns, weights, extra)
}

/// The same of rows of so many columns that stand anywhere.
pub(super) fn weighted_sum_apart(
    rows: &[&[f32]],
    columns: usize,
    weights: &[f64],
    extra: Option<(&[f32], f64)>,
) -> Array1<f32> {
    let counted = weighted_rows(rows, weights, extra);
    let shared = blocks::shared(rows.len() * columns);
    Array1::from(blocks::collected::<WIDE_BLOCK>((1, columns), shared, |_, block, sum| {
        let start = block * WIDE_BLOCK;
        let (rows, divisor) = (counted.as_slice(), 1.0);
        Arch::new().dispatch(WeightedSum::<WIDE_BLOCK> { rows, divisor, start, sum });
    }))
}

/// The rows that weigh anything, with their weights.
fn weighted_rows<'a>(
    rows: &[&'a [f32]],
    weights: &[f64],
    extra: Option<(&'a [f32], f64)>,
) -> Vec<(&'a [f32], f64)> {
    let own = weights.iter().enumerate().map(|(row, &weight)| (rows[row], weight));
    own.chain(extra).filter(|&(_, weight)| weight != 0.0).collect()
}

/// The totals of all rows, block by block.
fn sum_of_blocks(partial: &[f64], rows: usize) -> Vec<f64> {
    let mut totals = vec![0.0; rows];
    for partial in partial.chunks(rows.max(1)) {
        for (total, partial) in totals.iter_mut().zip(partial) {
            *total += partial;
        }
    }
    totals
}

/// One block of a weighted sum, of at most `COLUMNS` columns, over a divisor.
pub(super) struct WeightedSum<'a, const COLUMNS: usize> {
    pub(super) rows: &'a [(&'a [f32], f64)],
    pub(super) divisor: f64,
    pub(super) start: usize,
    pub(super) sum: &'a mut [f32],
}

impl<const COLUMNS: usize> WithSimd for WeightedSum<'_, COLUMNS> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let mut sums = [0.0f64; COLUMNS];
        let columns = self.sum.len();
        let sums = &mut sums[..columns];
        // A product with a number of single precision is exact, so that fusing it with the sum
        // changes no bit, and takes less time where registers are wide.
        let exact = |&(_, weight): &(&[f32], f64)| f64::from(weight as f32) == weight;
        if S::F64_LANES >= FUSING_LANES && self.rows.iter().all(exact) {
            add_all::<true>(self.rows, self.start, sums);
        } else {
            add_all::<false>(self.rows, self.start, sums);
        }
        if self.divisor.log2().fract() == 0.0 {
            // Exact, and a product takes a tenth of the time of a quotient.
            let factor = self.divisor.recip();
            for (result, &sum) in self.sum.iter_mut().zip(&*sums) {
                *result = (factor * sum) as f32;
            }
        } else {
            for (result, &sum) in self.sum.iter_mut().zip(&*sums) {
                *result = (sum / self.divisor) as f32;
            }
        }
    }
}

/// Adds the columns from `start` on of all rows, times their weights.
#[inline(always)]
fn add_all<const FUSED: bool>(rows: &[(&[f32], f64)], start: usize, sums: &mut [f64]) {
    let (groups, rest) = rows.as_chunks::<SUMMED>();
    for group in groups {
        add::<FUSED, SUMMED>(group, start, sums);
    }
    let rest = add_first::<FUSED, 10>(rest, start, sums);
    let rest = add_first::<FUSED, 5>(rest, start, sums);
    let rest = add_first::<FUSED, 2>(rest, start, sums);
    let rest = add_first::<FUSED, 2>(rest, start, sums);
    add_first::<FUSED, 1>(rest, start, sums);
}

/// Adds the first `N` rows, if there are as many, and returns what is left.
#[inline(always)]
fn add_first<'a, 'b, const FUSED: bool, const N: usize>(
    rows: &'a [(&'b [f32], f64)],
    start: usize,
    sums: &mut [f64],
) -> &'a [(&'b [f32], f64)] {
    let Some((first, rest)) = rows.split_first_chunk::<N>() else { return rows };
    add::<FUSED, N>(first, start, sums);
    rest
}

/// Adds `N` rows: each sum takes them in order, as it would one after the other.
#[inline(always)]
fn add<const FUSED: bool, const N: usize>(
    rows: &[(&[f32], f64); N],
    start: usize,
    sums: &mut [f64],
) {
    let columns = sums.len();
    let weights = rows.map(|(_, weight)| weight);
    let rows = rows.map(|(row, _)| row[start..][..columns].as_chunks::<LINE>());
    let (lines, rest) = sums.as_chunks_mut::<LINE>();
    for (line, sums) in lines.iter_mut().enumerate() {
        let mut totals = *sums;
        for ((row, _), weight) in rows.iter().zip(weights) {
            prefetch::ahead(&row[line], AHEAD);
            add_line::<FUSED>(&row[line], weight, &mut totals);
        }
        *sums = totals;
    }
    for ((_, row), weight) in rows.iter().zip(weights) {
        add_line::<FUSED>(row, weight, rest);
    }
}

/// Adds a piece of one row.
#[inline(always)]
fn add_line<const FUSED: bool>(row: &[f32], weight: f64, sums: &mut [f64]) {
    for (sum, &value) in sums.iter_mut().zip(row) {
        let value = f64::from(value);
        *sum = match FUSED {
            true => weight.mul_add(value, *sum),
            false => *sum + weight * value,
        };
    }
}

/// The partial squared distances of all rows in one block.
struct Distances<'a> {
    rows: &'a [&'a [f32]],
    start: usize,
    point: &'a [f32],
    partial: &'a mut [f64],
}

impl WithSimd for Distances<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let block = |row: usize| &self.rows[row][self.start..][..self.point.len()];
        let (fours, rest) = self.partial.as_chunks_mut::<ROWS>();
        for (index, four) in fours.iter_mut().enumerate() {
            *four = distances(std::array::from_fn(|row| block(index * ROWS + row)), self.point);
        }
        for (index, partial) in rest.iter_mut().enumerate() {
            [*partial] = distances([block(fours.len() * ROWS + index)], self.point);
        }
    }
}

/// The squared distances of some rows to a point: several at once keep more of memory busy.
#[inline(always)]
fn distances<const N: usize>(rows: [&[f32]; N], point: &[f32]) -> [f64; N] {
    let (points, rest) = point.as_chunks::<LANES>();
    let blocks = rows.map(|row| &row.as_chunks::<LANES>().0[..points.len()]);
    let mut sums = [[0.0f64; LANES]; N];
    for (index, point) in points.iter().enumerate() {
        let point = point.map(f64::from);
        for (block, sums) in blocks.iter().zip(&mut sums) {
            let values = block[index].map(f64::from);
            for lane in 0..LANES {
                let difference = values[lane] - point[lane];
                sums[lane] += difference * difference;
            }
        }
    }
    for (row, sums) in rows.iter().zip(&mut sums) {
        let row_rest = &row[points.len() * LANES..];
        for (sum, (a, b)) in sums.iter_mut().zip(row_rest.iter().zip(rest)) {
            let difference = f64::from(*a) - f64::from(*b);
            *sum += difference * difference;
        }
    }
    sums.map(|sums| sums.iter().sum())
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};
    use rand::RngExt;

    use super::*;
    use crate::seed::{Purpose, run_stream};
    use crate::vector::{as_slice, squared_distance};

    #[test]
    fn by_hand() {
        let updates = array![[0.0, 4.0], [f32::NAN, 1.0], [6.0, 8.0]];
        let (sum, distances) =
            weighted_sum_and_distances(updates.view(), &[0.5, 0.0, 0.5], Some((&[1.0, 0.0], 3.0)));
        assert_eq!(sum, array![6.0, 6.0]);
        assert_eq!(distances[0], 40.0);
        assert!(distances[1].is_nan());
        assert_eq!(distances[2], 4.0);
    }

    #[test]
    fn weights_of_any_precision_are_summed_in_order() {
        let mut rng = run_stream(5, Purpose::Aggregation);
        for rows in 0..45 {
            let updates = Array2::from_shape_fn((rows, 70), |_| rng.random::<f32>() - 0.5);
            let precise: Vec<f64> = (0..rows).map(|_| rng.random::<f64>()).collect();
            let single: Vec<f64> = precise.iter().map(|&w| f64::from(w as f32)).collect();
            for weights in [precise, single] {
                let slow = Array1::from_shape_fn(70, |column| {
                    let column = updates.column(column);
                    let products = column.iter().zip(&weights).map(|(&x, &w)| f64::from(x) * w);
                    products.fold(0.0, |sum, product| sum + product) as f32
                });
                assert_eq!(weighted_sum_with(updates.view(), &weights, None), slow);
            }
        }
    }

    #[test]
    fn the_bits_are_those_of_the_vector_module_on_any_number_of_threads() {
        let mut rng = run_stream(4, Purpose::Aggregation);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        for (rows, columns) in [(0, 5), (1, 0), (3, 15), (7, 1024), (9, 2049), (6, 50_000)] {
            let updates = Array2::from_shape_fn((rows, columns), |_| rng.random::<f32>() - 0.5);
            let weights: Vec<f64> = (0..rows).map(|_| f64::from(rng.random::<f32>())).collect();
            let step = || weighted_sum_and_distances(updates.view(), &weights, None);
            let (sum, distances) = step();
            assert_eq!(pool.install(step), (sum.clone(), distances.clone()));
            assert_eq!(squared_distances_to(updates.view(), as_slice(&sum)), distances);
            for (row, &distance) in updates.rows().into_iter().zip(&distances) {
                assert_eq!(squared_distance(row.to_slice().unwrap(), as_slice(&sum)), distance);
            }
            let slow = Array1::from_shape_fn(columns, |column| {
                let column = updates.column(column);
                let products = column.iter().zip(&weights).map(|(&x, &w)| f64::from(x) * w);
                products.sum::<f64>() as f32
            });
            assert_eq!(sum, slow);
        }
    }
}
