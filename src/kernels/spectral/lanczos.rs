//! Lanczos's method for the leading eigenvector of a symmetric matrix.
//!
//! The matrix is read in its upper half alone, once for each step, and every sum runs in lanes of
//! its own, the same on every processor.
//!
//! Reference: Lanczos, An Iteration Method for the Solution of the Eigenvalue Problem of Linear
//! Differential and Integral Operators, Journal of Research of the National Bureau of Standards 45,
//! 1950; Golub and Van Loan, Matrix Computations, 4th edition, section 10.1.

use pulp::{Arch, NullaryFnOnce};

use super::whole;

/// Steps before the method starts anew from what it found: the vectors of all are kept.
const STEPS: usize = 192;

/// Steps between looks at how good the best vector is.
const UNTIL_LOOKED: usize = 16;

/// How often it starts anew at most.
const RESTARTS: usize = 4;

/// The residual, as a share of the eigenvalue, that is good enough.
const RESIDUAL: f64 = 1e-11;

/// Rows that are multiplied together: memory gives several faster than one.
const ROWS: usize = 2;

/// Independent sums of a product, so that their order does not depend on the processor.
const LANES: usize = 16;

/// The largest eigenvalue of a symmetric matrix without negative ones, and a unit eigenvector: with
/// full orthogonalisation, started anew from the best vector so far.
pub(super) fn lanczos(matrix: &[Vec<f64>]) -> (f64, Vec<f64>) {
    // Uneven, so that it shares no symmetry with the rows.
    let mut start: Vec<f64> = (0..matrix.len()).map(|k| 1.0 + 1.0 / (k as f64 + 1.5)).collect();
    let mut value = 0.0;
    for _ in 0..RESTARTS {
        let (found, vector, residual) = Arch::new().dispatch(Krylov { matrix, start });
        (value, start) = (found, vector);
        if residual <= RESIDUAL * value.abs() {
            break;
        }
    }
    (value, start)
}

/// Looks for the best vector among the powers of the matrix times `start`: finds its value, itself
/// and the residual. Compiled for each kind of processor.
struct Krylov<'a> {
    matrix: &'a [Vec<f64>],
    start: Vec<f64>,
}

impl NullaryFnOnce for Krylov<'_> {
    type Output = (f64, Vec<f64>, f64);

    #[inline(always)]
    fn call(self) -> Self::Output {
        let mut basis: Vec<Vec<f64>> = vec![normalised(self.start)];
        let (mut diagonal, mut beside): (Vec<f64>, Vec<f64>) = (Vec::new(), Vec::new());
        let (value, weights, residual) = loop {
            let last = &basis[basis.len() - 1];
            let mut next = times(self.matrix, last);
            diagonal.push(dot(&next, last));
            // Twice is enough for orthogonality to the last digit.
            for vector in basis.iter().chain(&basis) {
                let along = dot(&next, vector);
                next.iter_mut().zip(vector).for_each(|(next, value)| *next -= along * value);
            }
            let length = dot(&next, &next).sqrt();
            let over = basis.len() == STEPS || length <= 1e-14 * diagonal[0].abs();
            if over || basis.len().is_multiple_of(UNTIL_LOOKED) {
                let (value, weights) = leading_of(&diagonal, &beside);
                let residual = (length * weights[weights.len() - 1]).abs();
                if over || residual <= RESIDUAL * value.abs() {
                    break (value, weights, residual);
                }
            }
            beside.push(length);
            basis.push(normalised(next));
        };
        let mut vector = vec![0.0; self.matrix.len()];
        for (weight, basis) in weights.iter().zip(&basis) {
            vector.iter_mut().zip(basis).for_each(|(sum, value)| *sum += weight * value);
        }
        (value, normalised(vector), residual)
    }
}

/// The leading pair of the tridiagonal matrix.
fn leading_of(diagonal: &[f64], beside: &[f64]) -> (f64, Vec<f64>) {
    let m = diagonal.len();
    let at = |i: usize, j: usize| match i.abs_diff(j) {
        0 => diagonal[i],
        1 => beside[i.min(j)],
        _ => 0.0,
    };
    whole((0..m).map(|i| (0..m).map(|j| at(i, j)).collect()).collect())
}

/// The product of a symmetric matrix and a vector.
#[inline(always)]
fn times(matrix: &[Vec<f64>], vector: &[f64]) -> Vec<f64> {
    let n = vector.len();
    let mut product = vec![0.0; n];
    let (groups, rest) = matrix.as_chunks::<ROWS>();
    for (group, rows) in groups.iter().enumerate() {
        add_rows(rows.each_ref().map(|row| &row[..n]), group * ROWS, vector, &mut product);
    }
    for (place, row) in rest.iter().enumerate() {
        add_rows([&row[..n]], groups.len() * ROWS + place, vector, &mut product);
    }
    product
}

/// Adds what the rows from `first` on contribute from their diagonal on: what is right of it stands
/// below it too.
#[inline(always)]
fn add_rows<const N: usize>(rows: [&[f64]; N], first: usize, vector: &[f64], product: &mut [f64]) {
    let behind = first + N;
    for (place, row) in rows.iter().enumerate() {
        let i = first + place;
        product[i] += row[i] * vector[i];
        for j in i + 1..behind {
            product[i] += row[j] * vector[j];
            product[j] += row[j] * vector[i];
        }
    }
    let weights: [f64; N] = std::array::from_fn(|place| vector[first + place]);
    let (values, value_rest) = vector[behind..].as_chunks::<LANES>();
    let (sums, sum_rest) = product[behind..].as_chunks_mut::<LANES>();
    let parts = rows.map(|row| &row[behind..].as_chunks::<LANES>().0[..values.len()]);
    let rests = rows.map(|row| row[behind..].as_chunks::<LANES>().1);
    let mut lanes = [[0.0f64; LANES]; N];
    for (step, (values, sums)) in values.iter().zip(sums).enumerate() {
        // Copies, which nothing else can point to, so that they are computed in registers.
        let (values, mut totals) = (*values, *sums);
        for place in 0..N {
            let part = parts[place][step];
            for lane in 0..LANES {
                lanes[place][lane] += part[lane] * values[lane];
            }
            for lane in 0..LANES {
                totals[lane] += part[lane] * weights[place];
            }
        }
        *sums = totals;
    }
    for place in 0..N {
        let columns = rests[place].iter().zip(value_rest).zip(&mut *sum_rest);
        for (lane, ((element, value), sum)) in lanes[place].iter_mut().zip(columns) {
            *lane += element * value;
            *sum += element * weights[place];
        }
    }
    for place in 0..N {
        product[first + place] += lanes[place].iter().sum::<f64>();
    }
}

#[inline(always)]
fn dot(left: &[f64], right: &[f64]) -> f64 {
    let mut lanes = [0.0f64; LANES];
    let ((lefts, left_rest), (rights, right_rest)) =
        (left.as_chunks::<LANES>(), right.as_chunks::<LANES>());
    for (left, right) in lefts.iter().zip(rights) {
        for lane in 0..LANES {
            lanes[lane] += left[lane] * right[lane];
        }
    }
    for (lane, (left, right)) in lanes.iter_mut().zip(left_rest.iter().zip(right_rest)) {
        *lane += left * right;
    }
    lanes.iter().sum()
}

#[inline(always)]
fn normalised(mut vector: Vec<f64>) -> Vec<f64> {
    let length = dot(&vector, &vector).sqrt();
    if length > 0.0 {
        for value in &mut vector {
            *value /= length;
        }
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_by_hand() {
        let matrix: Vec<Vec<f64>> =
            (0..43).map(|i| (0..43).map(|j| f64::from(i * j + i + j)).collect()).collect();
        let vector: Vec<f64> = (0..43).map(|k| f64::from(k % 5) - 1.0).collect();
        let slow = |row: &Vec<f64>| row.iter().zip(&vector).map(|(a, b)| a * b).sum::<f64>();
        assert_eq!(times(&matrix, &vector), matrix.iter().map(slow).collect::<Vec<f64>>());
    }

    #[test]
    fn two_directions_next_to_each_other_are_told_apart() {
        // Eigenvalues 1, 1 - 1e-6 and small ones: the residual decides, not the value.
        let n = 120;
        let value = |k: usize| match k {
            7 => 1.0,
            11 => 1.0 - 1e-6,
            _ => 0.5 * (k as f64) / n as f64,
        };
        let matrix: Vec<Vec<f64>> =
            (0..n).map(|i| (0..n).map(|j| if i == j { value(i) } else { 0.0 }).collect()).collect();
        let (found, vector) = lanczos(&matrix);
        assert!((found - 1.0).abs() < 1e-14);
        assert!((vector[7].abs() - 1.0).abs() < 1e-12);
    }
}
