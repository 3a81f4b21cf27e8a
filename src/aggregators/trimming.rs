//! Means without the values at both ends of every column, other than the plain one.

use crate::kernels::columns::{LANES, Lanes};

/// In every lane the mean of rows that ascend, of which the first and the last count `dropped`
/// times more.
pub(super) fn winsorized_mean(rows: &[Lanes], dropped: usize) -> Lanes {
    let mut means = [0.0; LANES];
    let (Some(low), Some(high)) = (rows.first(), rows.last()) else { return means };
    for (lane, mean) in means.iter_mut().enumerate() {
        let kept: f64 = rows.iter().map(|row| f64::from(row[lane])).sum();
        let ends = f64::from(low[lane]) + f64::from(high[lane]);
        *mean = ((kept + dropped as f64 * ends) / (rows.len() + 2 * dropped) as f64) as f32;
    }
    means
}

/// In every lane the mean without the `dropped` values nearest to zero and the `dropped` farthest
/// from it; of equally far ones the positive is nearer.
pub(super) fn mean_by_magnitude(rows: &[Lanes], dropped: usize) -> Lanes {
    let mut means = [0.0; LANES];
    let mut values = Vec::with_capacity(rows.len());
    for (lane, mean) in means.iter_mut().enumerate() {
        values.clear();
        values.extend(rows.iter().map(|row| row[lane]));
        values.sort_by(|a, b| a.abs().total_cmp(&b.abs()).then(b.total_cmp(a)));
        let kept = &values[dropped..values.len() - dropped];
        *mean =
            (kept.iter().map(|&value| f64::from(value)).sum::<f64>() / kept.len() as f64) as f32;
    }
    means
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(values: &[f32]) -> Vec<Lanes> {
        values.iter().map(|&value| [value; LANES]).collect()
    }

    #[test]
    fn ends_count_more() {
        // 1, 1, 1, 2, 6, 6, 6.
        assert_eq!(winsorized_mean(&rows(&[1.0, 2.0, 6.0]), 2)[0], 23.0 / 7.0);
        assert_eq!(winsorized_mean(&rows(&[1.0, 2.0, 6.0]), 0)[0], 3.0);
    }

    #[test]
    fn of_two_equally_far_from_zero_the_negative_is_dropped_first() {
        assert_eq!(mean_by_magnitude(&rows(&[-5.0, 0.0, 1.0, 2.0, 5.0]), 1)[0], 8.0 / 3.0);
        assert_eq!(mean_by_magnitude(&rows(&[-5.0, 0.0, 1.0, 2.0, 5.0]), 2)[0], 2.0);
    }
}
