//! How a gradient changes along the last step, foretold from the steps and gradients before.
//!
//! Limited-memory BFGS in its compact form: with steps `s_k` and changes of the gradient `y_k`,
//! `B v = σ v - [σS Y] M⁻¹ [σSᵀv; Yᵀv]`, `M = [σSᵀS L; Lᵀ -D]`, where L is what lies below the
//! diagonal of `SᵀY`, D that diagonal, and `σ = yᵀs / sᵀs` of the last pair.
//!
//! Reference: Byrd, Nocedal, Schnabel, Representations of Quasi-Newton Matrices and their Use in
//! Limited Memory Methods, Mathematical Programming, 1994.

use ndarray::{Array1, Array2, ArrayView2};

use super::means::weighted_sum;
use crate::vector::{dot, view_slice};

/// The change of the gradient along the step that follows the last of `gradients`, one per row,
/// the oldest first.
///
/// Each step goes along the gradient of its round, all by one length, which drops out. From less
/// than two gradients nothing can be foretold: zero. So where the pairs do not determine it.
pub fn foretold_change(gradients: ArrayView2<'_, f32>) -> Array1<f32> {
    let (rows, columns) = gradients.dim();
    if rows < 2 {
        return Array1::zeros(columns);
    }
    let gram = Array2::from_shape_fn((rows, rows), |(i, j)| {
        dot(view_slice(&gradients.row(i)), view_slice(&gradients.row(j)))
    });
    match coefficients(&gram) {
        Some(coefficients) => {
            let coefficients: Vec<f32> = coefficients.iter().map(|&value| value as f32).collect();
            weighted_sum(gradients, &coefficients)
        }
        None => Array1::zeros(columns),
    }
}

/// What each gradient is multiplied with, from their inner products.
///
/// Pair k is `s = -F_k`, `y = F_(k+1) - F_k`, and the step to come is `v = -F_m`.
fn coefficients(gram: &Array2<f64>) -> Option<Vec<f64>> {
    let pairs = gram.nrows() - 1;
    let step_change = |i: usize, j: usize| gram[[i, j]] - gram[[i, j + 1]];
    let last = pairs - 1;
    let sigma = step_change(last, last) / gram[[last, last]];
    let mut matrix = Array2::zeros((2 * pairs, 2 * pairs));
    let mut right = vec![0.0; 2 * pairs];
    for i in 0..pairs {
        for j in 0..pairs {
            matrix[[i, j]] = sigma * gram[[i, j]];
            if i > j {
                matrix[[i, pairs + j]] = step_change(i, j);
                matrix[[pairs + j, i]] = step_change(i, j);
            }
        }
        matrix[[pairs + i, pairs + i]] = -step_change(i, i);
        right[i] = sigma * gram[[i, pairs]];
        right[pairs + i] = gram[[i, pairs]] - gram[[i + 1, pairs]];
    }
    let solved = solve(matrix, right)?;
    let mut coefficients = vec![0.0; pairs + 1];
    coefficients[pairs] = -sigma;
    for k in 0..pairs {
        coefficients[k] += sigma * solved[k] + solved[pairs + k];
        coefficients[k + 1] -= solved[pairs + k];
    }
    coefficients.iter().all(|value| value.is_finite()).then_some(coefficients)
}

/// Solves a system of equations by elimination with pivots; `None` if it is singular.
fn solve(mut matrix: Array2<f64>, mut right: Vec<f64>) -> Option<Vec<f64>> {
    let size = right.len();
    for column in 0..size {
        let reach = |row: &usize| matrix[[*row, column]].abs();
        let pivot = (column..size).max_by(|a, b| reach(a).total_cmp(&reach(b)))?;
        if !(reach(&pivot) > 0.0 && reach(&pivot).is_finite()) {
            return None;
        }
        for other in 0..size {
            matrix.swap([column, other], [pivot, other]);
        }
        right.swap(column, pivot);
        for row in column + 1..size {
            let factor = matrix[[row, column]] / matrix[[column, column]];
            for other in column..size {
                matrix[[row, other]] -= factor * matrix[[column, other]];
            }
            right[row] -= factor * right[column];
        }
    }
    for row in (0..size).rev() {
        let known: f64 = (row + 1..size).map(|other| matrix[[row, other]] * right[other]).sum();
        right[row] = (right[row] - known) / matrix[[row, row]];
    }
    Some(right)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2, array};

    use super::*;

    #[test]
    fn a_step_like_the_last_changes_the_gradient_like_the_last() {
        // The secant equation: the step to come is twice the last, so the change is too.
        let gradients = array![[1.0, 5.0, 2.0], [3.0, 1.0, -2.0], [6.0, 2.0, -4.0]];
        let change = foretold_change(gradients.view());
        assert!((&change - &array![6.0, 2.0, -4.0]).iter().all(|off| off.abs() < 1e-4), "{change}");
    }

    #[test]
    fn a_bowl_is_nearly_foretold() {
        // Gradient descent with step 0.1 into a bowl: the gradient loses a tenth of A times it.
        let curvature = array![1.0f32, 0.5, 2.0];
        let mut gradient = array![4.0f32, -3.0, 2.0];
        let mut gradients = Array2::zeros((0, 3));
        for _ in 0..4 {
            gradients.push_row(gradient.view()).unwrap();
            gradient = &gradient - 0.1 * &curvature * &gradient;
        }
        let last: Array1<f32> = gradients.row(3).to_owned();
        let expected = -0.1 * &curvature * &last;
        let change = foretold_change(gradients.view());
        // Only the last secant holds exactly; what is foretold is off by 3 in a hundred here.
        let length = |vector: Array1<f32>| vector.dot(&vector).sqrt();
        assert!(length(&change - &expected) < 0.05 * length(expected.clone()), "{change}");
    }

    #[test]
    fn from_little_or_nothing_comes_nothing() {
        assert_eq!(foretold_change(array![[1.0, 2.0]].view()), array![0.0, 0.0]);
        assert_eq!(foretold_change(Array2::zeros((3, 2)).view()), array![0.0, 0.0]);
        assert_eq!(foretold_change(array![[f32::NAN], [1.0]].view()), array![0.0]);
    }
}
