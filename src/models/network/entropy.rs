//! The loss: cross-entropy of the softmax of scores.

use ndarray::Array2;

use super::Float;

/// Turns scores into the gradient of the mean cross-entropy by them, and returns that mean.
///
/// Subtracting the largest score first keeps every exponential in reach.
pub(super) fn cross_entropy<F: Float>(scores: &mut Array2<F>, labels: &[u8]) -> f64 {
    assert_eq!(scores.nrows(), labels.len(), "one label for each sample");
    let share = 1.0 / labels.len().max(1) as f64;
    let mut loss = 0.0;
    for (mut row, &label) in scores.rows_mut().into_iter().zip(labels) {
        let label = usize::from(label);
        let right: f64 = row[label].into();
        let largest = row.iter().fold(F::neg_infinity(), |largest, &score| largest.max(score));
        let mut total = F::zero();
        for score in &mut row {
            *score = (*score - largest).exp();
            total += *score;
        }
        loss += total.into().ln() + largest.into() - right;
        let scale = F::nearest(share) / total;
        row.mapv_inplace(|exponential| exponential * scale);
        row[label] -= F::nearest(share);
    }
    loss * share
}
