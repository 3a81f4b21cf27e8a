//! Squared distances of many rows from inner products, where these keep the digits.
//!
//! With `y = x - c`, `‖x_i - x_j‖² = ‖y_i‖² + ‖y_j‖² - 2 y_i·y_j` takes half the operations of a
//! sum of squared differences, and is as good where it is not much smaller than the squares that it
//! comes from. What is, is left open. The centre `c` is the median, coordinate by coordinate,
//! of five rows of middling size, so that no huge row takes part in the others' distances.

use std::cmp::Ordering;

use crate::kernels::blocks;
use crate::kernels::panels::{Row, exponent, power, products};

/// Rows that the centre is the median of.
const MIDDLING: usize = 5;

/// The least share of the squares that a distance comes from at which it is trusted.
const TRUSTED: f64 = 0.25;

/// The least squared distance that is trusted, where middling rows have values about 1.
const LEAST: f64 = 1e-12;

/// The distances above the diagonal of an n x n matrix between the rows of `kept`, which are
/// finite and more than one: NaN where a pair must be done by differences, 0 elsewhere.
///
/// `largest` has the largest absolute value of each row. The bits do not depend on the order of
/// the rows.
pub(super) fn distances(
    rows: &[&[f32]],
    kept: &[usize],
    largest: &[f32],
    shared: bool,
) -> Vec<f64> {
    let n = rows.len();
    let order = by_size(rows, kept, largest);
    let exponent = exponent(largest[order[order.len() / 2]]);
    let middling: [&[f32]; MIDDLING] =
        std::array::from_fn(|place| rows[order[order.len() * (2 * place + 1) / (2 * MIDDLING)]]);
    let scale = power(-exponent);
    let kept_rows: Vec<Row<'_>> =
        kept.iter().map(|&row| Row { values: rows[row], scale }).collect();
    let mut totals = vec![0.0; n * n];
    products(&kept_rows, Some(&median(middling)), &mut totals, n, shared);
    let squares: Vec<f64> = (0..kept.len()).map(|i| totals[i * n + i]).collect();
    let unscale = f64::from(power(exponent)).powi(2);
    blocks::for_each(&mut totals[..kept.len() * n], n, shared, |i, totals| {
        totals[i] = 0.0;
        for (total, square) in totals.iter_mut().zip(&squares).skip(i + 1) {
            let both = squares[i] + square;
            let distance = both - 2.0 * *total;
            let trusted = distance >= (TRUSTED * both).max(LEAST);
            *total = if trusted { distance * unscale } else { f64::NAN };
        }
    });
    spread(&mut totals, n, kept);
    totals
}

/// Moves element (i, j) of the leading square to (`kept[i]`, `kept[j]`), and leaves zeros behind.
fn spread(totals: &mut [f64], n: usize, kept: &[usize]) {
    if kept.len() == n {
        return;
    }
    // No element moves forwards past one that has not moved yet.
    for (i, &row) in kept.iter().enumerate().rev() {
        for (j, &column) in kept.iter().enumerate().skip(i + 1).rev() {
            let total = std::mem::take(&mut totals[i * n + j]);
            totals[row * n + column] = total;
        }
    }
}

/// The rows of `kept` in the order of their largest values, rows alike in that by their bits.
fn by_size(rows: &[&[f32]], kept: &[usize], largest: &[f32]) -> Vec<usize> {
    let by_bits = |a: usize, b: usize| -> Ordering {
        let differ = rows[a].iter().zip(rows[b]).map(|(a, b)| a.total_cmp(b));
        differ.into_iter().find(|&order| order != Ordering::Equal).unwrap_or(Ordering::Equal)
    };
    let mut order = kept.to_vec();
    order.sort_by(|&a, &b| largest[a].total_cmp(&largest[b]).then_with(|| by_bits(a, b)));
    order
}

/// The median of each column.
fn median(rows: [&[f32]; MIDDLING]) -> Vec<f32> {
    let middle = |column: usize| {
        let mut values = rows.map(|row| row[column]);
        values.sort_unstable_by(f32::total_cmp);
        values[MIDDLING / 2]
    };
    (0..rows[0].len()).map(middle).collect()
}
