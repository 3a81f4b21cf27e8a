//! Lengths of rows, and medians of such numbers.

use ndarray::ArrayView2;

use crate::vector::{norm, view_slice};

/// The Euclidean norm of every row; `+inf` for a row with a NaN or an infinity.
pub fn row_norms(updates: ArrayView2<'_, f32>) -> Vec<f64> {
    let updates = updates.as_standard_layout();
    let length = |row: ndarray::ArrayView1<'_, f32>| {
        let length = norm(view_slice(&row));
        if length.is_nan() { f64::INFINITY } else { length }
    };
    updates.rows().into_iter().map(length).collect()
}

/// The median of `values`, halfway between the two middle ones of an even number; NaN of none.
pub fn median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    match (sorted.get(sorted.len().wrapping_sub(1) / 2), sorted.get(sorted.len() / 2)) {
        (Some(lower), Some(upper)) if lower == upper => *lower,
        (Some(lower), Some(upper)) => 0.5 * (lower + upper),
        _ => f64::NAN,
    }
}

/// The median of `values`, the smaller of the two middle ones of an even number; NaN of none.
pub fn lower_median(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    sorted.get(sorted.len().wrapping_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn lengths_by_hand() {
        let rows = array![[3.0, 4.0], [0.0, 0.0], [f32::NAN, 1.0], [f32::NEG_INFINITY, 1.0]];
        assert_eq!(row_norms(rows.view()), [5.0, 0.0, f64::INFINITY, f64::INFINITY]);
    }

    #[test]
    fn medians_by_hand() {
        assert_eq!(median(&[9.0, 1.0, 4.0, 2.0]), 3.0);
        assert_eq!(lower_median(&[9.0, 1.0, 4.0, 2.0]), 2.0);
        assert_eq!(median(&[9.0, 1.0, 4.0]), 4.0);
        assert_eq!(lower_median(&[9.0, 1.0, 4.0]), 4.0);
        assert_eq!(median(&[f64::INFINITY, f64::INFINITY]), f64::INFINITY);
        assert!(median(&[]).is_nan() && lower_median(&[]).is_nan());
    }
}
