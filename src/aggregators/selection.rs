//! What rules share that choose rows and average them.

use ndarray::{Array1, ArrayView2};

use super::Aggregate;
use crate::kernels::means::mean_of_rows;

/// The mean of the rows in `chosen`, which are averaged in the order given.
pub(super) fn mean_of(updates: ArrayView2<'_, f32>, chosen: &[usize]) -> Aggregate {
    let mut weights = Array1::zeros(updates.nrows());
    for &row in chosen {
        weights[row] = 1.0 / chosen.len() as f32;
    }
    Aggregate { vector: mean_of_rows(updates, chosen), weights: Some(weights) }
}

/// The `count` rows of the least `keys`, ascending by row; of equal keys the lowest rows. NaN
/// counts as infinite.
pub(super) fn least(keys: &[f64], count: usize) -> Vec<usize> {
    let key = |row: usize| if keys[row].is_nan() { f64::INFINITY } else { keys[row] };
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_by(|&a, &b| key(a).total_cmp(&key(b)));
    order.truncate(count);
    order.sort_unstable();
    order
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn the_least_come_first_and_nan_last() {
        assert_eq!(least(&[2.0, f64::NAN, 1.0, 2.0], 2), vec![0, 2]);
        assert_eq!(least(&[2.0, -f64::NAN, 1.0, 2.0], 3), vec![0, 2, 3]);
    }

    #[test]
    fn chosen_rows_share_the_weight() {
        let result = mean_of(array![[1.0], [9.0], [3.0]].view(), &[0, 2]);
        assert_eq!(result.vector, array![2.0]);
        assert_eq!(result.weights, Some(array![0.5, 0.0, 0.5]));
    }
}
