//! Squared Euclidean distances between all pairs of rows: what Krum, its relatives and
//! nearest-neighbour mixing decide by.
//!
//! Distances are sums of squared differences and never come from a Gram matrix: one huge row
//! would cancel every digit of the others' distances. Differences are taken in single precision
//! over tiles of rows whose sums stay in registers, and join an `f64` total every 1024 columns.
//! Where single precision cannot hold the squares, a pair is done again: scaled down in the blocks
//! of columns where a row is huge, in `f64` where rows are nearly equal.
//!
//! Of more than 256 rows, pairs that are far from each other for their distance from the others
//! have theirs from inner products of centred rows, which takes half the time (`products`).

mod one;
mod products;
mod stripe;
mod tiles;

pub use one::squared_distances_to;

use ndarray::{Array2, ArrayView2};
use pulp::Arch;

use self::stripe::{BLOCK, Scale, accumulate};
use super::blocks;
use super::row_norms::{ENLARGE, Largest, largest_of};
use crate::vector::{first_not_finite, squared_distance};

/// Rows that one thread takes at a time where there are many; the sides divide it.
const STRIPE: usize = 60;

/// The number of rows above which threads share rows, and up to which they share columns.
const MANY: usize = 256;

/// Columns that one thread takes at least.
const PART: usize = 32 * BLOCK;

/// The most parts that columns are divided into.
const PARTS_MAX: usize = 32;

/// The share of all pairs, as its inverse, that products may leave open: half of these are pairs.
const OPEN_SHARE: usize = 8;

/// From here on the squares of a row's values may overflow.
const HUGE: f32 = 1e15;

/// Below this the squares of a row's values may underflow.
const TINY: f32 = 1e-15;

/// How many values tell that a row is not tiny, mostly.
const PROBED: usize = 64;

/// Below this a sum of squares may have lost digits to underflow.
const SMALLEST: f64 = 1e-30;

/// The same where the rows were enlarged.
const SMALLEST_OF_TINY: f64 = SMALLEST / (ENLARGE as f64 * ENLARGE as f64);

/// The matrix of `‖x_i - x_j‖²`, shape `[n, n]`: symmetric, zero on the diagonal, never NaN.
///
/// The distance to a row with a NaN or an infinity is `+inf`. The bits of a distance depend on
/// its two rows alone, not on their places, so that equal rows are at equal distances from any
/// third, and reordering rows reorders the matrix.
pub fn squared_distances(updates: ArrayView2<'_, f32>) -> Array2<f64> {
    let updates = updates.as_standard_layout();
    let flat = updates.as_slice().expect("standard layout is contiguous");
    let columns = updates.ncols();
    let rows: Vec<&[f32]> =
        (0..updates.nrows()).map(|row| &flat[row * columns..(row + 1) * columns]).collect();
    squared_distances_apart(&rows)
}

/// The same of rows that stand anywhere. One that stands for several, as of colluders who send one
/// vector, is compared with the others once.
pub fn squared_distances_apart(rows: &[&[f32]]) -> Array2<f64> {
    let (apart, places) = standing_apart(rows);
    if apart.len() == rows.len() || rows.len() > MANY {
        return squared_distances_between(rows);
    }
    let between = squared_distances_between(&apart);
    let mut count = vec![0; apart.len()];
    for &place in &places {
        count[place] += 1;
    }
    let finite = |place: usize| count[place] < 2 || first_not_finite(apart[place]).is_none();
    let to_copies: Vec<f64> =
        (0..apart.len()).map(|place| if finite(place) { 0.0 } else { f64::INFINITY }).collect();
    Array2::from_shape_fn((rows.len(), rows.len()), |(i, j)| match places[i] == places[j] {
        true if i != j => to_copies[places[i]],
        _ => between[[places[i], places[j]]],
    })
}

/// The rows that stand in different places, and which of them each row is.
fn standing_apart<'a>(rows: &[&'a [f32]]) -> (Vec<&'a [f32]>, Vec<usize>) {
    let mut apart: Vec<&[f32]> = Vec::with_capacity(rows.len());
    let places = rows.iter().map(|row| {
        let known = apart.iter().position(|known| std::ptr::eq(*known, *row));
        known.unwrap_or_else(|| {
            apart.push(row);
            apart.len() - 1
        })
    });
    let places = places.collect();
    (apart, places)
}

fn squared_distances_between(rows: &[&[f32]]) -> Array2<f64> {
    let n = rows.len();
    let shared = blocks::shared(rows.iter().map(|row| row.len()).sum());
    let tiny = tiny(rows);
    let mut totals =
        if n <= MANY { differences(rows, &tiny, shared) } else { many(rows, &tiny, shared) };
    let twins = twins(rows, &totals);
    blocks::for_each(&mut totals, n.max(1), shared, |i, totals| {
        for j in i + 1..n {
            let least = if tiny[i] && tiny[j] { SMALLEST_OF_TINY } else { SMALLEST };
            if totals[j] < least {
                totals[j] =
                    if twins[i] == twins[j] { 0.0 } else { squared_distance(rows[i], rows[j]) };
            }
        }
    });
    mirror(&mut totals, n);
    Array2::from_shape_vec((n, n), totals).expect("n times n elements")
}

/// Copies what is above the diagonal below it, square by square as a cache holds them.
fn mirror(totals: &mut [f64], n: usize) {
    const SQUARE: usize = 32;
    for top in (0..n).step_by(SQUARE) {
        for left in (top..n).step_by(SQUARE) {
            for j in left..n.min(left + SQUARE) {
                for i in top..j.min(top + SQUARE) {
                    totals[j * n + i] = totals[i * n + j];
                }
            }
        }
    }
}

/// For each row the first that has the same bytes: colluders often send one vector, and comparing
/// each of them once is cheaper than summing zeros.
fn twins(rows: &[&[f32]], totals: &[f64]) -> Vec<usize> {
    let n = rows.len();
    let bytes = |row: usize| bytemuck::cast_slice::<f32, u8>(rows[row]);
    let mut twins: Vec<usize> = Vec::with_capacity(n);
    for j in 0..n {
        let same = |&i: &usize| totals[i * n + j] == 0.0 && twins[i] == i && bytes(i) == bytes(j);
        let first = (0..j).find(same);
        twins.push(first.unwrap_or(j));
    }
    twins
}

/// Which rows have tiny values alone; none unless there are two, whose squares would underflow.
fn tiny(rows: &[&[f32]]) -> Vec<bool> {
    let tiny: Vec<bool> = rows.iter().map(|row| tiny_row(row)).collect();
    if tiny.iter().filter(|&&tiny| tiny).count() > 1 { tiny } else { vec![false; rows.len()] }
}

/// Whether all values of a row are tiny.
fn tiny_row(row: &[f32]) -> bool {
    let begins = row.iter().take(PROBED).all(|value| value.abs() < TINY);
    begins && Arch::new().dispatch(Largest(row)) < TINY
}

/// Sums of squared differences of all pairs.
fn differences(rows: &[&[f32]], tiny: &[bool], shared: bool) -> Vec<f64> {
    let n = rows.len();
    let sums = |rows: &[&[f32]], until: usize| {
        if n <= MANY {
            by_columns(rows, until, Scale::One, shared)
        } else {
            by_rows(rows, until, shared)
        }
    };
    if !tiny.contains(&true) {
        return sums(rows, n);
    }
    // What is tiny is compared with the others as it is, and among itself enlarged.
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by_key(|&row| tiny[row]);
    let until = order.iter().filter(|&&row| !tiny[row]).count();
    let mut totals = vec![0.0; n * n];
    if until > 0 {
        let ordered: Vec<&[f32]> = order.iter().map(|&row| rows[row]).collect();
        place(&mut totals, n, &order, &sums(&ordered, until), Scale::One);
    }
    among_tiny(rows, tiny, &mut totals, shared);
    totals
}

/// Puts the sums among the rows that are tiny in their places.
fn among_tiny(rows: &[&[f32]], tiny: &[bool], totals: &mut [f64], shared: bool) {
    let order: Vec<usize> = (0..rows.len()).filter(|&row| tiny[row]).collect();
    let enlarged: Vec<&[f32]> = order.iter().map(|&row| rows[row]).collect();
    let sums = by_columns(&enlarged, order.len(), Scale::Up, shared);
    place(totals, rows.len(), &order, &sums, Scale::Up);
}

/// Puts sums over rows that were scaled, and are in some `order`, where they belong above the
/// diagonal.
fn place(totals: &mut [f64], n: usize, order: &[usize], sums: &[f64], scale: Scale) {
    for (place, sums) in sums.chunks(order.len().max(1)).enumerate() {
        for (&j, sum) in order.iter().zip(sums).skip(place + 1) {
            let i = order[place];
            totals[i.min(j) * n + i.max(j)] = sum / scale.squared();
        }
    }
}

/// Sums for many rows: from products where these are good enough for most, else from differences.
fn many(rows: &[&[f32]], tiny: &[bool], shared: bool) -> Vec<f64> {
    let n = rows.len();
    let largest = largest_of(rows, shared);
    let kept: Vec<usize> = (0..n).filter(|&row| largest[row] < HUGE).collect();
    if kept.len() <= MANY {
        return differences(rows, tiny, shared);
    }
    let mut totals = products::distances(rows, &kept, &largest, shared);
    among_tiny(rows, tiny, &mut totals, shared);
    let open = totals.iter().filter(|total| total.is_nan()).count();
    if open > n * n / OPEN_SHARE {
        return differences(rows, tiny, shared);
    }
    if open > 0 {
        fill(rows, &mut totals, shared);
    }
    if kept.len() < n {
        among_huge(rows, &largest, &mut totals, shared);
    }
    totals
}

/// Puts the sums between rows that are huge and all others in their places: scaled down, and
/// `+inf` where a row is not finite.
fn among_huge(rows: &[&[f32]], largest: &[f32], totals: &mut [f64], shared: bool) {
    let n = rows.len();
    let of = |wanted: fn(f32) -> bool| (0..n).filter(move |&row| wanted(largest[row]));
    for i in of(|largest| largest == f32::INFINITY) {
        totals[i * n + i + 1..(i + 1) * n].fill(f64::INFINITY);
        (0..i).for_each(|j| totals[j * n + i] = f64::INFINITY);
    }
    let huge: Vec<usize> = of(|largest| (HUGE..f32::INFINITY).contains(&largest)).collect();
    let order: Vec<usize> = huge.iter().copied().chain(of(|largest| largest < HUGE)).collect();
    let ordered: Vec<&[f32]> = order.iter().map(|&row| rows[row]).collect();
    let scaled = by_columns(&ordered, huge.len(), Scale::Down, shared);
    place(totals, n, &order, &scaled, Scale::Down);
}

/// Puts sums of squared differences in the place of NaN.
fn fill(rows: &[&[f32]], totals: &mut [f64], shared: bool) {
    let n = rows.len();
    blocks::for_each(totals, STRIPE * n, shared, |index, totals| {
        let (first, stripe) = (index * STRIPE, totals.len() / n);
        let open = |&j: &usize| (0..stripe).any(|i| totals[i * n + j].is_nan());
        let behind: Vec<usize> = (first + stripe..n).filter(open).collect();
        let inside = (first..first + stripe).any(|j| open(&j));
        if behind.is_empty() && !inside {
            return;
        }
        let order: Vec<usize> = (first..first + stripe).chain(behind).collect();
        let ordered: Vec<&[f32]> = order.iter().map(|&row| rows[row]).collect();
        let sums = by_columns(&ordered, stripe, Scale::One, false);
        for (totals, sums) in totals.chunks_mut(n).zip(sums.chunks(order.len())) {
            for (&j, &sum) in order.iter().zip(sums) {
                if totals[j].is_nan() {
                    totals[j] = sum;
                }
            }
        }
    });
}

/// Sums for the first `stripe` rows over parts of the columns, added in their order.
fn by_columns(rows: &[&[f32]], stripe: usize, scale: Scale, shared: bool) -> Vec<f64> {
    let (n, columns) = (rows.len(), rows.first().map_or(0, |row| row.len()));
    let part = columns.div_ceil(PARTS_MAX).next_multiple_of(BLOCK).max(PART);
    let mut parts = vec![0.0; stripe * n * columns.div_ceil(part).max(1)];
    blocks::for_each(&mut parts, (stripe * n).max(1), shared, |index, totals| {
        let columns = columns.min(index * part)..columns.min((index + 1) * part);
        let rows: Vec<&[f32]> = rows.iter().map(|row| &row[columns.clone()]).collect();
        accumulate(&rows, 0, scale, totals);
    });
    let rest = parts.split_off(stripe * n);
    for part in rest.chunks_exact((stripe * n).max(1)) {
        parts.iter_mut().zip(part).for_each(|(total, part)| *total += part);
    }
    parts
}

/// Whole sums for stripes of the rows before `until`.
fn by_rows(rows: &[&[f32]], until: usize, shared: bool) -> Vec<f64> {
    let n = rows.len();
    let stripe = if shared { STRIPE } else { until.max(1) };
    let mut totals = vec![0.0; until * n];
    blocks::for_each(&mut totals, stripe * n, shared, |index, totals| {
        accumulate(rows, index * stripe, Scale::One, totals);
    });
    totals
}

#[cfg(test)]
mod tests {
    use ndarray::{Axis, array};
    use rand::RngExt;

    use super::*;
    use crate::seed::{Purpose, run_stream};

    fn random(rows: usize, columns: usize) -> Array2<f32> {
        let mut rng = run_stream(3, Purpose::Aggregation);
        Array2::from_shape_fn((rows, columns), |_| rng.random::<f32>() - 0.5)
    }

    #[test]
    fn by_hand() {
        let distances = squared_distances(array![[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]].view());
        assert_eq!(distances, array![[0.0, 25.0, 1.0], [25.0, 0.0, 18.0], [1.0, 18.0, 0.0]]);
    }

    #[test]
    fn a_row_that_stands_for_several_has_the_distances_of_its_copies() {
        for spoilt in [0.5, 1e20, f32::NAN] {
            let mut updates = random(6, 3000);
            updates[[4, 7]] = spoilt;
            let view = updates.view();
            let rows = crate::vector::slices_of(&view);
            let order = [4, 1, 4, 0, 2, 4, 3, 5, 1];
            let apart: Vec<&[f32]> = order.iter().map(|&row| rows[row]).collect();
            let copies = updates.select(Axis(0), &order);
            assert_eq!(squared_distances_apart(&apart), squared_distances(copies.view()));
        }
    }

    #[test]
    fn huge_rows_that_differ_by_little_keep_their_digits() {
        // The first are equal where they are huge: their distance is that of the others' values.
        let mut updates = random(7, 300);
        for row in 0..3 {
            updates[[row, 5]] = 3e25;
            updates[[row, 200]] = 1e9 * row as f32;
        }
        for between in [1e17, 1.0, f32::NAN] {
            updates[[3, 5]] = between;
            let distances = squared_distances(updates.view());
            for i in 0..7 {
                for j in (0..7).filter(|&j| j != i) {
                    let (a, b) = (updates.row(i), updates.row(j));
                    let slow = squared_distance(a.as_slice().unwrap(), b.as_slice().unwrap());
                    let same = (distances[[i, j]] - slow).abs() <= 1e-5 * slow;
                    assert!(same || slow.is_nan() && distances[[i, j]] == f64::INFINITY);
                }
            }
        }
    }

    #[test]
    fn what_is_huge_in_one_block_changes_no_digit_of_another() {
        let mut updates = random(9, 2500);
        for (row, column, value) in [(2, 1500, 1e30), (5, 1500, -2e30), (6, 3, f32::MAX)] {
            updates[[row, column]] = value;
        }
        updates[[7, 2400]] = f32::NEG_INFINITY;
        let distances = squared_distances(updates.view());
        for i in 0..9 {
            for j in (0..9).filter(|&j| j != i) {
                let (a, b) = (updates.row(i), updates.row(j));
                let slow = squared_distance(a.as_slice().unwrap(), b.as_slice().unwrap());
                let same = (distances[[i, j]] - slow).abs() <= 2e-6 * slow;
                assert!(same || slow == distances[[i, j]], "{i} {j}: {slow}");
            }
        }
    }

    #[test]
    fn a_few_huge_rows_among_others() {
        for huge in 1..8 {
            let mut updates = random(11, 70);
            for row in 0..huge {
                updates.row_mut(10 - row).mapv_inplace(|value| value * 1e30);
            }
            let distances = squared_distances(updates.view());
            for i in 0..11 {
                for j in (0..11).filter(|&j| j != i) {
                    let slow = squared_distance(
                        updates.row(i).as_slice().unwrap(),
                        updates.row(j).as_slice().unwrap(),
                    );
                    assert!((distances[[i, j]] - slow).abs() <= 1e-5 * slow, "{huge}: {i} {j}");
                }
            }
        }
    }

    #[test]
    fn every_shape_agrees_with_the_slow_sum() {
        for rows in 0..=11 {
            for columns in [0, 1, 7, 8, 100, 1024, 2500] {
                let updates = random(rows, columns);
                let distances = squared_distances(updates.view());
                for ((i, j), &distance) in distances.indexed_iter() {
                    let (a, b) = (updates.row(i), updates.row(j));
                    let exact = squared_distance(a.as_slice().unwrap(), b.as_slice().unwrap());
                    assert!((distance - exact).abs() <= 2e-6 * exact, "{distance} {exact}");
                }
            }
        }
    }

    #[test]
    fn reordering_rows_reorders_the_bits() {
        let updates = random(11, 1500);
        let order = [7, 2, 9, 0, 10, 4, 3, 8, 1, 6, 5];
        let distances = squared_distances(updates.view());
        let reordered = squared_distances(updates.select(Axis(0), &order).view());
        for (i, &a) in order.iter().enumerate() {
            for (j, &b) in order.iter().enumerate() {
                assert_eq!(reordered[[i, j]], distances[[a, b]]);
            }
        }
    }

    #[test]
    fn the_bits_do_not_depend_on_threads() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        for (rows, columns) in [(7, 3 * PART + 5), (MANY + 5, 1100)] {
            let updates = random(rows, columns);
            let alone = squared_distances(updates.view());
            assert_eq!(pool.install(|| squared_distances(updates.view())), alone);
            let (a, b) = (updates.row(1), updates.row(rows - 1));
            let exact = squared_distance(a.as_slice().unwrap(), b.as_slice().unwrap());
            assert!((alone[[1, rows - 1]] - exact).abs() <= 2e-6 * exact);
        }
    }

    #[test]
    fn huge_and_tiny_rows_keep_their_digits() {
        let updates = array![[1e30f32, 0.0], [-1e30, 0.0], [1e-30, 0.0], [3e-30, 0.0]];
        let distances = squared_distances(updates.view());
        assert_eq!(Scale::Down.squared(), 0.5f64.powi(192), "scaling changes no digit");
        assert!((distances[[0, 1]] / 4e60 - 1.0).abs() < 1e-6);
        assert!((distances[[2, 3]] / 4e-60 - 1.0).abs() < 1e-6);
        assert!((distances[[1, 2]] / 1e60 - 1.0).abs() < 1e-6);
        assert_eq!(distances[[0, 2]], distances[[2, 0]]);
        // Colluders with one huge vector, next to each other and to one that is not finite.
        let updates = array![[f32::MAX], [1.0], [f32::MAX], [f32::NAN], [f32::MIN]];
        let distances = squared_distances(updates.view());
        let square = f64::from(f32::MAX).powi(2);
        let expected = [0.0, square, 0.0, f64::INFINITY, 4.0 * square];
        for (other, expected) in expected.into_iter().enumerate() {
            let distance = distances[[0, other]];
            assert!(distance == expected || (distance / expected - 1.0).abs() < 1e-6, "{other}");
        }
    }

    #[test]
    fn rows_that_are_not_finite_are_infinitely_far() {
        let updates =
            array![[1.0, f32::NAN], [f32::INFINITY, 0.0], [f32::INFINITY, 0.0], [2.0, 5.0]];
        let distances = squared_distances(updates.view());
        for ((i, j), &distance) in distances.indexed_iter() {
            assert_eq!(distance, if i == j { 0.0 } else { f64::INFINITY });
        }
    }
}
