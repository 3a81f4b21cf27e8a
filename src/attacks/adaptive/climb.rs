//! A search over a few coefficients with a budget of tries.

/// The distances at which each direction is tried by itself.
const REACHES: [f64; 5] = [0.5, 1.0, 2.0, 4.0, 16.0];

/// Coefficients are not tried beyond this.
const REACH_MAX: f64 = 1e9;

/// Steps smaller than this share of the spread are not worth a try.
const STEP_MIN: f64 = 1e-4;

/// A search under way.
pub(super) struct Climb<G> {
    left: u32,
    directions: usize,
    gain: G,
    best: (Vec<f64>, f64),
}

impl<G: FnMut(&[f64]) -> Option<f64>> Climb<G> {
    /// A search with so many tries.
    pub(super) fn new(tries: u32, directions: usize, gain: G) -> Self {
        Climb { left: tries, directions, gain, best: (vec![0.0; directions], f64::NEG_INFINITY) }
    }

    /// Tries one point; whether it is the best so far.
    pub(super) fn attempt(&mut self, point: &[f64]) -> bool {
        let beyond = point.iter().any(|value| value.is_nan() || value.abs() > REACH_MAX);
        if self.left == 0 || beyond {
            return false;
        }
        self.left -= 1;
        match (self.gain)(point) {
            Some(gain) if gain > self.best.1 => {
                self.best = (point.to_vec(), gain);
                true
            }
            _ => false,
        }
    }

    /// Tries each direction by itself and climbs from the best point; returns where it ends.
    pub(super) fn run(mut self) -> Vec<f64> {
        // A part of the budget is kept for the climb, whatever the number of directions.
        let kept = self.left / 3;
        'ladder: for reach in REACHES {
            for direction in 0..self.directions {
                for side in [-1.0, 1.0] {
                    if self.left <= kept {
                        break 'ladder;
                    }
                    let mut point = vec![0.0; self.directions];
                    point[direction] = side * reach;
                    self.attempt(&point);
                }
            }
        }
        self.climb();
        self.best.0
    }

    fn climb(&mut self) {
        let mut step = self.best.0.iter().fold(1.0, |size: f64, value| size.max(value.abs())) / 2.0;
        while self.left > 0 && self.directions > 0 && step > STEP_MIN {
            let mut better =
                self.scale(1.0 + step.min(1.0)) || self.scale(1.0 - step.min(1.0) / 2.0);
            for direction in 0..self.directions {
                for side in [-1.0, 1.0] {
                    let mut point = self.best.0.clone();
                    point[direction] += side * step;
                    if self.attempt(&point) {
                        better = true;
                        break;
                    }
                }
            }
            if better { step *= 1.5 } else { step /= 2.0 }
        }
    }

    /// Tries the best point further out or in.
    fn scale(&mut self, factor: f64) -> bool {
        let point: Vec<f64> = self.best.0.iter().map(|value| value * factor).collect();
        self.attempt(&point)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_climbs_a_hill_beside_the_axes() {
        let hill = |point: &[f64]| Some(-(point[0] - 1.5).powi(2) - (point[1] + 0.75).powi(2));
        let top = Climb::new(200, 2, hill).run();
        assert!((top[0] - 1.5).abs() < 0.02 && (top[1] + 0.75).abs() < 0.02, "{top:?}");
    }

    #[test]
    fn it_ends_whatever_the_gain_is() {
        for gain in [None, Some(f64::NAN), Some(f64::INFINITY), Some(0.0)] {
            assert_eq!(Climb::new(50, 3, |_: &[f64]| gain).run().len(), 3);
        }
        let mut tries = 0;
        Climb::new(50, 1, |point: &[f64]| {
            tries += 1;
            Some(point[0])
        })
        .run();
        assert_eq!(tries, 50);
        assert_eq!(Climb::new(50, 0, |_: &[f64]| Some(1.0)).run(), [0.0; 0]);
    }
}
