//! One step of the power method from a given vector, as `ByzFL` estimates an eigenvalue.

use ndarray::ArrayView2;

/// The weighted mean of rows, and the step from there.
pub(super) struct PowerStep {
    /// How long the step is: an estimate, from below, of the largest eigenvalue of
    /// `Σ c_i (x_i - μ)(x_i - μ)'`.
    pub(super) length: f64,
    /// `⟨x_i - μ, v⟩` for every row, with `v` the direction of the step.
    pub(super) along: Vec<f64>,
}

/// The step `Σ c_i (x_i - μ) ⟨x_i - μ, start⟩ / ‖start‖` with the weighted mean μ.
///
/// `start` has one value per column; what is missing counts as zero.
pub(super) fn power_step(
    updates: ArrayView2<'_, f32>,
    weights: &[f64],
    start: &[f64],
) -> PowerStep {
    let columns = updates.ncols();
    let total: f64 = weights.iter().sum();
    let counted = || updates.rows().into_iter().zip(weights).filter(|(_, weight)| **weight > 0.0);
    let mut mean = vec![0.0; columns];
    for (row, weight) in counted() {
        mean.iter_mut().zip(row).for_each(|(mean, &value)| *mean += weight * f64::from(value));
    }
    for mean in &mut mean {
        *mean /= total;
    }
    let along = |row: ndarray::ArrayView1<'_, f32>, direction: &[f64]| -> f64 {
        let products = row.iter().zip(&mean).zip(direction);
        products.map(|((&value, mean), along)| (f64::from(value) - mean) * along).sum()
    };
    let length = start.iter().map(|value| value * value).sum::<f64>().sqrt();
    let mut step = vec![0.0; columns];
    for (row, weight) in counted() {
        let by = weight * along(row, start) / length;
        let differences = row.into_iter().zip(&mean);
        step.iter_mut().zip(differences).for_each(|(step, (&value, mean))| {
            *step += by * (f64::from(value) - mean);
        });
    }
    let length = step.iter().map(|value| value * value).sum::<f64>().sqrt();
    for value in &mut step {
        *value /= length;
    }
    PowerStep { length, along: updates.rows().into_iter().map(|row| along(row, &step)).collect() }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn by_hand() {
        // Around (0, 0) the scatter is diag(2, 8); from (3, 4) the step is (6, 32) / 5.
        let rows = array![[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -2.0], [9.0, 9.0]];
        let step = power_step(rows.view(), &[1.0, 1.0, 1.0, 1.0, 0.0], &[3.0, 4.0]);
        let length = (6.0f64 * 6.0 + 32.0 * 32.0).sqrt();
        assert!((step.length - length / 5.0).abs() < 1e-12);
        assert!((step.along[2] - 64.0 / length).abs() < 1e-12);
    }
}
