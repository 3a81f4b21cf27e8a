//! Eigenvalues of symmetric matrices: Householder's reduction to a tridiagonal matrix, bisection by
//! Sturm counts, inverse iteration for a vector.
//!
//! Bisection always ends, whatever the multiplicities, and finds single eigenvalues without the
//! others. The reduction takes 4/3 n^3 operations and is all the cost; values are good to some
//! units in the last place of the largest.
//!
//! Reference: Barth, Martin and Wilkinson, Numerische Mathematik 9, 1967 (bisection); Golub and Van
//! Loan, Matrix Computations, 4th edition, sections 8.3 and 8.4.

/// A pivot that would vanish is taken for this share of the matrix's size.
const SMALLEST_PIVOT: f64 = f64::EPSILON;

/// Solutions of inverse iteration are kept below this, so that they never overflow.
const LARGEST: f64 = 1e100;

/// A symmetric matrix `A` in the form `Q T Q'`, `T` tridiagonal.
#[derive(Debug, Clone)]
pub(crate) struct Tridiagonal {
    diagonal: Vec<f64>,
    /// `beside[k]` joins `k` and `k + 1`.
    beside: Vec<f64>,
    /// The unit vector `u` of the reflection `I - 2 u u'` of each step, over the coordinates behind
    /// `k`; empty where there was nothing to reflect.
    reflections: Vec<Vec<f64>>,
    /// A bound on the absolute values of all eigenvalues.
    size: f64,
}

impl Tridiagonal {
    /// Reduces the symmetric matrix with these rows, `n` of length `n`.
    pub(crate) fn reduce(mut rows: Vec<Vec<f64>>) -> Self {
        let n = rows.len();
        let (mut diagonal, mut beside) = (Vec::with_capacity(n), Vec::with_capacity(n));
        let mut reflections = Vec::with_capacity(n);
        for k in 0..n {
            diagonal.push(rows[k][k]);
            if k + 1 == n {
                break;
            }
            let (first, reflection) = reflection(&rows[k][k + 1..]);
            beside.push(first);
            if !reflection.is_empty() {
                reflect(&mut rows[k + 1..], k + 1, &reflection);
            }
            reflections.push(reflection);
        }
        let size = size(&diagonal, &beside);
        cut_where_negligible(&diagonal, &mut beside);
        Tridiagonal { diagonal, beside, reflections, size }
    }

    /// How many eigenvalues are below `x`: the negative pivots of `T - x I`.
    pub(super) fn count_below(&self, x: f64) -> usize {
        let tiny = f64::MIN_POSITIVE * self.size.powi(2).max(1.0);
        let (mut count, mut pivot) = (0, 1.0);
        for (k, diagonal) in self.diagonal.iter().enumerate() {
            let coupling = if k == 0 { 0.0 } else { self.beside[k - 1] };
            pivot = diagonal - x - coupling * coupling / pivot;
            if pivot.abs() < tiny {
                pivot = -tiny;
            }
            count += usize::from(pivot < 0.0);
        }
        count
    }

    /// The eigenvalue at `index` in ascending order, from 0.
    pub(crate) fn value(&self, index: usize) -> f64 {
        let margin = f64::EPSILON * self.size;
        let (mut low, mut high) = (-self.size - margin, self.size + margin);
        while high - low > margin {
            let middle = f64::midpoint(low, high);
            if middle <= low || middle >= high {
                break;
            }
            if self.count_below(middle) > index {
                high = middle;
            } else {
                low = middle;
            }
        }
        f64::midpoint(low, high)
    }

    /// A unit eigenvector of `A` for an eigenvalue found by [`Tridiagonal::value`]. Of a multiple
    /// eigenvalue it is one of many, always the same.
    pub(crate) fn vector(&self, value: f64) -> Vec<f64> {
        let factors = self.factorise(value);
        // Any start will do that is not orthogonal to what is sought: uneven, so that it shares
        // no symmetry with the graph.
        let n = self.diagonal.len();
        let mut vector: Vec<f64> = (0..n).map(|k| 1.0 + 1.0 / (k as f64 + 1.5)).collect();
        for _ in 0..4 {
            solve(&factors, &mut vector);
            normalise(&mut vector);
        }
        for (k, reflection) in self.reflections.iter().enumerate().rev() {
            if !reflection.is_empty() {
                let behind = &mut vector[k + 1..];
                let twice = 2.0 * dot(reflection, behind);
                add(behind, -twice, reflection);
            }
        }
        normalise(&mut vector);
        vector
    }

    /// Gaussian elimination on `T - value I` with exchange of neighbouring rows.
    fn factorise(&self, value: f64) -> Vec<Step> {
        let n = self.diagonal.len();
        let at = |k: usize| self.beside.get(k).copied().unwrap_or(0.0);
        let least = SMALLEST_PIVOT * self.size.max(f64::MIN_POSITIVE);
        let mut steps = Vec::with_capacity(n);
        let (mut pivot, mut right) = (self.diagonal.first().map_or(0.0, |d| d - value), at(0));
        for k in 0..n {
            let below = at(k);
            let next = self.diagonal.get(k + 1).map_or(0.0, |d| d - value);
            let swapped = below.abs() > pivot.abs();
            let mut step = if swapped {
                Step { swapped, factor: pivot / below, row: [below, next, at(k + 1)] }
            } else {
                let safe = if pivot.abs() < least { least.copysign(pivot) } else { pivot };
                Step { swapped, factor: below / safe, row: [safe, right, 0.0] }
            };
            if step.row[0].abs() < least {
                step.row[0] = least.copysign(step.row[0]);
            }
            (pivot, right) = if swapped {
                (right - step.factor * next, -step.factor * at(k + 1))
            } else {
                (next - step.factor * right, at(k + 1))
            };
            steps.push(step);
        }
        steps
    }
}

/// One step of the elimination: whether rows `k` and `k + 1` changed places, how many times the
/// upper is taken from the lower, and the upper from its pivot on.
struct Step {
    swapped: bool,
    factor: f64,
    row: [f64; 3],
}

/// Solves for the right-hand side in `vector`, up to a factor.
fn solve(steps: &[Step], vector: &mut [f64]) {
    let n = vector.len();
    for (k, step) in steps.iter().enumerate().take(n.saturating_sub(1)) {
        if step.swapped {
            vector.swap(k, k + 1);
        }
        vector[k + 1] -= step.factor * vector[k];
    }
    for (k, step) in steps.iter().enumerate().rev() {
        let behind = |offset: usize| vector.get(k + offset).copied().unwrap_or(0.0);
        let rest = vector[k] - step.row[1] * behind(1) - step.row[2] * behind(2);
        vector[k] = rest / step.row[0];
        if vector[k].abs() > LARGEST {
            scale(vector, LARGEST);
        }
    }
}

/// The unit vector whose reflection turns `row` into a multiple of its first axis, and that
/// multiple.
fn reflection(row: &[f64]) -> (f64, Vec<f64>) {
    if row[1..].iter().all(|value| *value == 0.0) {
        return (row[0], Vec::new());
    }
    let length = dot(row, row).sqrt();
    let first = -length.copysign(row[0]);
    let mut vector = row.to_vec();
    vector[0] -= first;
    normalise(&mut vector);
    (first, vector)
}

/// Reflects the block of `rows` from column `from` on, on both sides: `B - u q' - q u'`.
///
/// Rows are added up whole, never summed along: that is as fast as memory, in a fixed order.
fn reflect(rows: &mut [Vec<f64>], from: usize, u: &[f64]) {
    let mut q = vec![0.0; u.len()];
    for (row, weight) in rows.iter().zip(u) {
        add(&mut q, 2.0 * weight, &row[from..]);
    }
    let along = dot(u, &q);
    add(&mut q, -along, u);
    for (row, (u_k, q_k)) in rows.iter_mut().zip(u.iter().zip(&q)) {
        for (value, (u, q)) in row[from..].iter_mut().zip(u.iter().zip(&q)) {
            *value -= u_k * q + q_k * u;
        }
    }
}

/// Gershgorin's bound on the absolute values of the eigenvalues.
fn size(diagonal: &[f64], beside: &[f64]) -> f64 {
    let at = |k: usize| beside.get(k).map_or(0.0, |value| value.abs());
    let bounds = diagonal.iter().enumerate().map(|(k, value)| {
        let before = if k == 0 { 0.0 } else { at(k - 1) };
        value.abs() + before + at(k)
    });
    bounds.fold(0.0, f64::max)
}

/// Sets couplings to zero that are lost in the rounding of what they join.
fn cut_where_negligible(diagonal: &[f64], beside: &mut [f64]) {
    for (k, coupling) in beside.iter_mut().enumerate() {
        if coupling.abs() <= f64::EPSILON * (diagonal[k].abs() + diagonal[k + 1].abs()) {
            *coupling = 0.0;
        }
    }
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

/// `target + factor · vector`, in place.
fn add(target: &mut [f64], factor: f64, vector: &[f64]) {
    for (target, value) in target.iter_mut().zip(vector) {
        *target += factor * value;
    }
}

fn normalise(vector: &mut [f64]) {
    let largest = vector.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    if largest > 0.0 {
        scale(vector, largest);
        let length = dot(vector, vector).sqrt();
        scale(vector, length);
    }
}

/// Divides a vector by a number.
fn scale(vector: &mut [f64], by: f64) {
    for value in vector {
        *value /= by;
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::seed::{Purpose, run_stream};

    fn values(rows: &[Vec<f64>]) -> Vec<f64> {
        let reduced = Tridiagonal::reduce(rows.to_vec());
        (0..rows.len()).map(|index| reduced.value(index)).collect()
    }

    fn close(found: &[f64], expected: &[f64]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-13, "{found} is not {expected}");
        }
    }

    #[test]
    fn small_matrices_by_hand() {
        close(&values(&[vec![3.0]]), &[3.0]);
        close(&values(&[vec![2.0, 1.0], vec![1.0, 2.0]]), &[1.0, 3.0]);
        let ones = vec![vec![1.0; 4]; 4];
        close(&values(&ones), &[0.0, 0.0, 0.0, 4.0]);
        let zeros = vec![vec![0.0; 3]; 3];
        close(&values(&zeros), &[0.0; 3]);
    }

    #[test]
    fn values_and_vectors_of_a_dense_matrix_fit_each_other() {
        let mut rng = run_stream(1, Purpose::Attack);
        let n = 40;
        let drawn: Vec<Vec<f64>> =
            (0..n).map(|_| (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()).collect();
        let at = |row: usize, column: usize| drawn[row.max(column)][row.min(column)];
        let rows: Vec<Vec<f64>> =
            (0..n).map(|row| (0..n).map(|column| at(row, column)).collect()).collect();
        let reduced = Tridiagonal::reduce(rows.clone());
        let (mut trace, mut squares) = (0.0, 0.0);
        for index in 0..n {
            let value = reduced.value(index);
            let vector = reduced.vector(value);
            for (row, at) in rows.iter().zip(&vector) {
                assert!((dot(row, &vector) - value * at).abs() < 1e-12, "eigenvalue {index}");
            }
            trace += value;
            squares += value * value;
        }
        let diagonal: f64 = (0..n).map(|k| rows[k][k]).sum();
        let norm: f64 = rows.iter().map(|row| dot(row, row)).sum();
        assert!((trace - diagonal).abs() < 1e-12 && (squares - norm).abs() < 1e-11);
    }

    #[test]
    fn vectors_of_a_multiple_eigenvalue_stay_finite() {
        let n = 300;
        let identity: Vec<Vec<f64>> =
            (0..n).map(|row| (0..n).map(|k| f64::from(u8::from(k == row))).collect()).collect();
        let vector = Tridiagonal::reduce(identity).vector(1.0);
        assert!((dot(&vector, &vector) - 1.0).abs() < 1e-12);
    }
}
