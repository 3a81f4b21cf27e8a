//! The mean of the values nearest to a centre, in every coordinate: what Phocas and Bulyan share.

use crate::kernels::columns::{LANES, Lanes};

/// In every lane the mean of the `keep` values nearest to `centre`.
///
/// The rows ascend in every lane, so that the nearest values stand side by side: from both ends
/// the value farther out is dropped until `keep` are left. Where both are equally far, the higher
/// and the lower one are dropped in turn. A value whose distance is no number is dropped first.
pub(super) fn mean_of_nearest(rows: &[Lanes], centre: Lanes, keep: usize) -> Lanes {
    let mut means = [0.0; LANES];
    for (lane, mean) in means.iter_mut().enumerate() {
        let distance = |row: usize| {
            let distance = (f64::from(rows[row][lane]) - f64::from(centre[lane])).abs();
            if distance.is_nan() { f64::INFINITY } else { distance }
        };
        let (mut low, mut high) = (0, rows.len());
        let mut ties = 0u32;
        while high - low > keep {
            let (below, above) = (distance(low), distance(high - 1));
            ties += u32::from(below == above);
            if below > above || below == above && ties.is_multiple_of(2) {
                low += 1;
            } else {
                high -= 1;
            }
        }
        let sum: f64 = rows[low..high].iter().map(|row| f64::from(row[lane])).sum();
        *mean = (sum / keep as f64) as f32;
    }
    means
}

/// The mean in every lane of `rows`, summed in order in `f64`.
pub(super) fn mean_of_rows(rows: &[Lanes]) -> Lanes {
    let mut sums = [0.0f64; LANES];
    for row in rows {
        for lane in 0..LANES {
            sums[lane] += f64::from(row[lane]);
        }
    }
    let count = rows.len() as f64;
    sums.map(|sum| (sum / count) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f32], centre: f32, keep: usize) -> f32 {
        let rows: Vec<Lanes> = values.iter().map(|&value| [value; LANES]).collect();
        mean_of_nearest(&rows, [centre; LANES], keep)[LANES - 1]
    }

    #[test]
    fn by_hand() {
        assert_eq!(of(&[0.0, 1.0, 2.0, 10.0], 1.5, 2), 1.5);
        assert_eq!(of(&[0.0, 1.0, 2.0, 10.0], 9.0, 3), 13.0 / 3.0);
        assert_eq!(of(&[0.0, 2.0, 4.0], 2.0, 2), 1.0);
        assert_eq!(of(&[0.0, 0.0, 2.0, 4.0, 4.0], 2.0, 3), 2.0);
    }

    #[test]
    fn what_is_not_finite_goes_first() {
        assert_eq!(of(&[f32::NEG_INFINITY, 1.0, 2.0, f32::NAN], 100.0, 2), 1.5);
        assert_eq!(of(&[-f32::NAN, 1.0, 2.0, f32::INFINITY], -100.0, 2), 1.5);
    }
}
