//! The few directions that an adaptive attack combines.

use ndarray::{ArrayView1, ArrayView2};

use crate::attacks::outcome::length;
use crate::attacks::perturbation::sign;

/// Rounds of the power method: a direction is wanted, not its last digits.
const ROUNDS: usize = 8;

/// How large a published attack's factors are.
const DEVIATIONS: f64 = 1.5;

/// A mean and directions from it, each as long as the honest are far from it.
#[derive(Debug)]
pub(super) struct Basis {
    mean: Vec<f64>,
    directions: Vec<Vec<f64>>,
    /// The published attacks as coefficients.
    published: Vec<Vec<f64>>,
}

impl Basis {
    /// The directions in these rows; `past` is what is remembered.
    pub(super) fn new(rows: ArrayView2<'_, f32>, mean: &[f64], past: &[f64]) -> Self {
        let away: Vec<Vec<f64>> = rows.rows().into_iter().map(|row| apart(row, mean)).collect();
        let lengths: Vec<f64> = away.iter().map(|away| length(away)).collect();
        let squares: f64 = lengths.iter().map(|length| length * length).sum();
        let spread = (squares / lengths.len().max(1) as f64).sqrt();
        // Where the honest agree, the mean is the only measure that there is.
        let scale =
            [spread, length(mean), 1.0].into_iter().find(|&size| size > 0.0 && size.is_finite());
        let scale = scale.unwrap_or(1.0);

        let furthest = (0..away.len()).fold(0, |best, row| match lengths[row] > lengths[best] {
            true => row,
            false => best,
        });
        let out = away.get(furthest).cloned().unwrap_or_else(|| vec![0.0; mean.len()]);
        let raw = [
            mean.to_vec(),
            deviations(&away, mean.len()),
            mean.iter().copied().map(sign).collect(),
            out.clone(),
            principal(&away, out),
            past.to_vec(),
        ];
        let mut basis =
            Basis { mean: mean.to_vec(), directions: Vec::new(), published: Vec::new() };
        let mut factors = Vec::new();
        for direction in raw {
            let size = length(&direction);
            if size > 0.0 && size.is_finite() {
                factors.push(Some(size / scale));
                let scaled = direction.into_iter().map(|value| value * scale / size);
                basis.directions.push(scaled.collect());
            } else {
                factors.push(None);
            }
        }
        basis.published = published(&factors);
        basis
    }

    /// How many directions there are.
    pub(super) fn directions(&self) -> usize {
        self.directions.len()
    }

    /// The vectors of published attacks as coefficients, the mean itself first.
    pub(super) fn published(&self) -> Vec<Vec<f64>> {
        self.published.clone()
    }

    /// The mean with so much of each direction.
    pub(super) fn at(&self, coefficients: &[f64]) -> Vec<f64> {
        let mut vector = self.mean.clone();
        for (coefficient, direction) in coefficients.iter().zip(&self.directions) {
            if *coefficient != 0.0 {
                for (value, along) in vector.iter_mut().zip(direction) {
                    *value += coefficient * along;
                }
            }
        }
        vector
    }
}

/// Starting points: multiples of mean, deviations and the way out, as lengths of the directions
/// that are there.
fn published(factors: &[Option<f64>]) -> Vec<Vec<f64>> {
    let count = factors.iter().flatten().count();
    let place = |direction: usize| factors[..direction].iter().flatten().count();
    let mut starts = vec![vec![0.0; count]];
    let wanted = [(1, -DEVIATIONS), (1, DEVIATIONS), (0, -2.0), (0, -3.0), (3, 1.0)];
    for (direction, times) in wanted {
        if let Some(factor) = factors[direction] {
            let mut start = vec![0.0; count];
            start[place(direction)] = times * factor;
            starts.push(start);
        }
    }
    starts
}

fn apart(row: ArrayView1<'_, f32>, mean: &[f64]) -> Vec<f64> {
    row.iter().zip(mean).map(|(&value, mean)| f64::from(value) - mean).collect()
}

/// The population's deviation of each coordinate.
fn deviations(away: &[Vec<f64>], columns: usize) -> Vec<f64> {
    let mut squares = vec![0.0; columns];
    for row in away {
        for (square, value) in squares.iter_mut().zip(row) {
            *square += value * value;
        }
    }
    squares.into_iter().map(|square| (square / away.len().max(1) as f64).sqrt()).collect()
}

/// The direction in which the rows differ most, by the power method from `start`.
fn principal(away: &[Vec<f64>], start: Vec<f64>) -> Vec<f64> {
    let mut direction = start;
    for _ in 0..ROUNDS {
        let size = length(&direction);
        if size.is_nan() || size <= 0.0 || size.is_infinite() {
            break;
        }
        let mut next = vec![0.0; direction.len()];
        for row in away {
            let product: f64 = row.iter().zip(&direction).map(|(a, b)| a * b).sum::<f64>() / size;
            for (next, value) in next.iter_mut().zip(row) {
                *next += product * value;
            }
        }
        direction = next;
    }
    direction
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn directions_are_as_long_as_the_spread() {
        let rows = array![[0.0, 3.0], [4.0, 3.0]];
        // Both lie 2 from the mean (2, 3).
        let basis = Basis::new(rows.view(), &[2.0, 3.0], &[0.0, 0.0]);
        assert_eq!(basis.directions(), 5, "nothing is past");
        for direction in &basis.directions {
            assert!((length(direction) - 2.0).abs() < 1e-9, "{direction:?}");
        }
        // One and a half deviations below: (2 - 3, 3).
        let below = basis.at(&basis.published()[1]);
        assert!((below[0] + 1.0).abs() < 1e-9 && (below[1] - 3.0).abs() < 1e-9, "{below:?}");
        // And minus the mean, which is twice the mean below it.
        let flipped = basis.at(&basis.published()[3]);
        assert!((flipped[0] + 2.0).abs() < 1e-9 && (flipped[1] + 3.0).abs() < 1e-9, "{flipped:?}");
    }

    #[test]
    fn rows_that_agree_leave_the_mean_and_its_signs() {
        let basis = Basis::new(array![[3.0, 4.0], [3.0, 4.0]].view(), &[3.0, 4.0], &[0.0, 0.0]);
        assert_eq!(basis.directions(), 2);
        assert!((length(&basis.directions[1]) - 5.0).abs() < 1e-9);
    }
}
