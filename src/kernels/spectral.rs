//! The direction in which rows differ most, from the distances between them.
//!
//! All directions that matter lie in the span of the rows, so that n times n matrices are enough,
//! however long the rows are: with `X` the centred rows, the leading eigenvector `u` of `X X'`
//! gives the leading direction `X' u`. Inner products come from distances between the rows in
//! question alone, so that a huge row costs no digits where it does not take part.

mod lanczos;

use self::lanczos::lanczos;
use crate::graph::eigen::Tridiagonal;

/// Up to this size a matrix is reduced as a whole.
const WHOLE: usize = 96;

/// The inner products of rows after their weighted mean is taken away, from squared distances.
///
/// `weights` has one finite weight per row, their sum above 0. `squared` gives the squared distance
/// of two rows, by their places among the weights.
pub fn centred_products(weights: &[f64], squared: impl Fn(usize, usize) -> f64) -> Vec<Vec<f64>> {
    let n = weights.len();
    let total: f64 = weights.iter().sum();
    let mut rows: Vec<Vec<f64>> = (0..n).map(|i| (0..n).map(|j| squared(i, j)).collect()).collect();
    // Whole rows are added up, which takes a fraction of the time of sums along them, and comes to
    // the same as the distances are symmetric.
    let mut means = vec![0.0; n];
    for (row, weight) in rows.iter().zip(weights) {
        means.iter_mut().zip(row).for_each(|(sum, distance)| *sum += distance * weight);
    }
    for mean in &mut means {
        *mean /= total;
    }
    let overall = dot(&means, weights) / total;
    // In place: new memory would take longer to come by than the products to compute.
    for (row, own) in rows.iter_mut().zip(&means) {
        for (value, mean) in row.iter_mut().zip(&means) {
            *value = 0.5 * (own + mean - *value - overall);
        }
    }
    rows
}

/// The largest eigenvalue of a symmetric matrix without negative ones, and a unit eigenvector.
///
/// Zero, and a vector of zeros, where the matrix is zero, empty or not finite.
pub fn leading(matrix: Vec<Vec<f64>>) -> (f64, Vec<f64>) {
    let n = matrix.len();
    let largest = matrix.iter().flatten().fold(0.0, |most: f64, value| most.max(value.abs()));
    let finite = matrix.iter().flatten().all(|value| value.is_finite());
    if largest == 0.0 || !finite {
        return (0.0, vec![0.0; n]);
    }
    // Powers of two keep every digit, and no square of a huge value overflows.
    let scale = 2f64.powf(largest.log2().floor());
    let matrix: Vec<Vec<f64>> = matrix
        .into_iter()
        .map(|row| row.into_iter().map(|value| value / scale).collect())
        .collect();
    let (value, vector) = if n <= WHOLE { whole(matrix) } else { lanczos(&matrix) };
    (value.max(0.0) * scale, vector)
}

/// By reducing the matrix.
fn whole(matrix: Vec<Vec<f64>>) -> (f64, Vec<f64>) {
    let n = matrix.len();
    let reduced = Tridiagonal::reduce(matrix);
    let value = reduced.value(n - 1);
    (value, reduced.vector(value))
}

/// Whether all eigenvalues of a symmetric matrix are below `bound`: Cholesky's factorisation of
/// `bound · I - A` succeeds.
pub fn below(matrix: &[Vec<f64>], bound: f64) -> bool {
    let n = matrix.len();
    let mut factor: Vec<Vec<f64>> = Vec::with_capacity(n);
    for (i, row) in matrix.iter().enumerate() {
        let mut line = Vec::with_capacity(i + 1);
        for j in 0..i {
            let rest = -row[j] - dot(&line, &factor[j][..j]);
            line.push(rest / factor[j][j]);
        }
        let pivot = bound - row[i] - dot(&line, &line);
        // Not a comparison with >, so that NaN fails.
        if pivot.partial_cmp(&0.0) != Some(std::cmp::Ordering::Greater) {
            return false;
        }
        line.push(pivot.sqrt());
        factor.push(line);
    }
    true
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::seed::{Purpose, run_stream};

    #[test]
    fn products_by_hand() {
        // 0, 2 and 7 with weights 1, 1 and 2 have the mean 4: they are -4, -2 and 3 from it.
        let points: [f64; 3] = [0.0, 2.0, 7.0];
        let products = centred_products(&[1.0, 1.0, 2.0], |i, j| (points[i] - points[j]).powi(2));
        assert_eq!(products, [[16.0, 8.0, -12.0], [8.0, 4.0, -6.0], [-12.0, -6.0, 9.0]]);
    }

    #[test]
    fn the_leading_eigenvalue_by_hand() {
        // [[2, 1], [1, 2]] has the eigenvalues 1 and 3.
        let (value, vector) = leading(vec![vec![2.0, 1.0], vec![1.0, 2.0]]);
        assert!((value - 3.0).abs() < 1e-14);
        assert!(
            (vector[0] - vector[1]).abs() < 1e-14 && (dot(&vector, &vector) - 1.0).abs() < 1e-14
        );
        assert_eq!(leading(vec![vec![0.0]]), (0.0, vec![0.0]));
        assert_eq!(leading(vec![vec![f64::INFINITY]]), (0.0, vec![0.0]));
        assert_eq!(leading(Vec::new()), (0.0, Vec::new()));
    }

    /// Products of random rows.
    fn random(n: usize, columns: usize) -> Vec<Vec<f64>> {
        let mut rng = run_stream(4, Purpose::Aggregation);
        let rows: Vec<Vec<f64>> =
            (0..n).map(|_| (0..columns).map(|_| rng.random::<f64>() - 0.5).collect()).collect();
        rows.iter().map(|a| rows.iter().map(|b| dot(a, b)).collect()).collect()
    }

    #[test]
    fn large_matrices_agree_with_reducing_them() {
        for (n, columns) in [(97, 5), (150, 400), (300, 30)] {
            let matrix = random(n, columns);
            let (exact, expected) = whole(matrix.clone());
            let (value, vector) = leading(matrix);
            assert!((value / exact - 1.0).abs() < 1e-10, "{n}: {value} is not {exact}");
            assert!((dot(&vector, &expected).abs() - 1.0).abs() < 1e-9, "{n}");
        }
    }

    #[test]
    fn bounds_on_all_eigenvalues() {
        for n in [1, 2, 7, 20] {
            let matrix = random(n, 9);
            let (value, _) = leading(matrix.clone());
            assert!(below(&matrix, value * (1.0 + 1e-9)) && !below(&matrix, value * (1.0 - 1e-9)));
        }
        assert!(!below(&[vec![f64::NAN]], 1.0));
    }
}
