//! The factor on a line that an attack does most with, found by trying.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::finite;
use crate::catalog::ConfigError;

/// How the factor is searched for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum LineSearch {
    /// On both sides of 0: a ladder of powers of two, then ever closer around the best.
    TwoSided {
        /// How often the defence is tried.
        evaluations: u32,
    },
    /// From a start upwards, in steps that double while that helps; then on from the best, in
    /// steps that shrink, or back and forth about it. The factor never gets below 0.
    Doubling {
        /// How often the defence is tried.
        evaluations: u32,
        /// The first factor.
        start: f64,
        /// The first step.
        step: f64,
        /// What a step is multiplied by once one has failed, in 0 to 1.
        ratio: f64,
        /// Whether it goes back once a step has failed; by default only ever on.
        #[serde(default)]
        back: bool,
    },
}

impl Default for LineSearch {
    fn default() -> Self {
        LineSearch::TwoSided { evaluations: 48 }
    }
}

impl LineSearch {
    /// Refuses searches that have nothing to go by.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match *self {
            LineSearch::TwoSided { .. } => Ok(()),
            LineSearch::Doubling { start, step, ratio, .. } => {
                finite("start", start)?;
                finite("step", step)?;
                if (0.0..=1.0).contains(&ratio) {
                    return Ok(());
                }
                let message = format!("`search`: ratio must be 0 to 1, got {ratio}");
                Err(ConfigError::new(message))
            }
        }
    }

    /// The factor for which `gain` was largest, the first of equals; 0 where none was better than
    /// nothing at all.
    pub(super) fn best(self, gain: impl FnMut(f64) -> f64) -> f64 {
        match self {
            LineSearch::TwoSided { evaluations } => {
                let mut tries = Tries { left: evaluations, best: (0.0, f64::NEG_INFINITY), gain };
                tries.two_sided();
                tries.best.0
            }
            LineSearch::Doubling { evaluations, start, step, ratio, back } => {
                let mut tries = Tries { left: evaluations, best: (start, f64::NEG_INFINITY), gain };
                tries.doubling(start, step, ratio, back);
                tries.best.0
            }
        }
    }
}

/// The exponents of the ladder's first rungs.
const RUNGS: std::ops::RangeInclusive<i32> = -3..=4;

/// No factor is tried beyond this: single precision ends soon after.
const FACTOR_MAX: f64 = 1e12;

/// The relative difference of two gains that single precision may make of equal ones.
const NOISE: f64 = 5e-7;

/// A search under way.
struct Tries<G> {
    left: u32,
    /// The best factor and what it gains.
    best: (f64, f64),
    gain: G,
}

impl<G: FnMut(f64) -> f64> Tries<G> {
    /// Tries one factor; whether it is the best so far. Without tries left it is not.
    fn attempt(&mut self, factor: f64) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let gain = (self.gain)(factor);
        // Rules answer in single precision: what differs by less is the same.
        let (_, before) = self.best;
        let better =
            if before.is_finite() { gain > before + NOISE * before.abs() } else { gain > before };
        if better {
            self.best = (factor, gain);
        }
        better
    }

    fn two_sided(&mut self) {
        for rung in RUNGS {
            for side in [1.0, -1.0] {
                self.attempt(side * 2f64.powi(rung));
            }
        }
        let top = 2f64.powi(*RUNGS.end());
        while self.best.0.abs() >= top && self.best.0.abs() < FACTOR_MAX {
            if !self.attempt(self.best.0 * 2.0) {
                break;
            }
        }
        let mut step = self.best.0.abs() / 2.0;
        while self.left > 0 && step > 0.0 {
            let centre = self.best.0;
            let better = self.attempt(centre + step);
            if !better {
                self.attempt(centre - step);
            }
            step /= 2.0;
            // Single precision cannot tell closer factors apart.
            if step < 1e-7 * self.best.0.abs() {
                break;
            }
        }
    }

    fn doubling(&mut self, start: f64, step: f64, ratio: f64, back: bool) {
        self.attempt(start);
        let mut step = step;
        let mut proposed = start;
        while self.left > 0 {
            proposed = self.best.0 + step;
            if !self.attempt(proposed) {
                step *= ratio;
                break;
            }
            step *= 2.0;
        }
        while self.left > 0 {
            proposed = if !back {
                self.best.0 + step
            } else if proposed < self.best.0 {
                proposed + step
            } else {
                let mut nearer = proposed - step;
                while nearer < 0.0 {
                    nearer = f64::midpoint(nearer, proposed);
                }
                nearer
            };
            self.attempt(proposed);
            step *= ratio;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_are_searched() {
        let hill = |top: f64| move |factor: f64| -(factor - top).abs();
        for top in [-3.0, 0.7, 11.0, -200.0] {
            let found = LineSearch::default().best(hill(top));
            assert!((found - top).abs() < 0.01 * top.abs(), "{found} for {top}");
        }
    }

    #[test]
    fn doubling_by_hand() {
        // 0, 1, 3 fail at 7; then 6.2, 5.56, … back towards the top at 3.5.
        let mut tried = Vec::new();
        let search =
            LineSearch::Doubling { evaluations: 6, start: 0.0, step: 1.0, ratio: 0.8, back: true };
        let found = search.best(|factor| {
            tried.push(factor);
            -(factor - 3.5f64).abs()
        });
        let expected = [0.0, 1.0, 3.0, 7.0, 7.0 - 3.2, 7.0 - 3.2 - 2.56];
        for (tried, expected) in tried.iter().zip(expected) {
            assert!((tried - expected).abs() < 1e-9, "{tried} for {expected}");
        }
        assert!((found - 3.8).abs() < 1e-9, "{found}");
        // Who only goes on from the best at 3 tries 6.2, 5.56, … and ends there.
        let search =
            LineSearch::Doubling { evaluations: 6, start: 0.0, step: 1.0, ratio: 0.8, back: false };
        assert!((search.best(|factor| -(factor - 3.5f64).abs()) - 3.0).abs() < 1e-9);
    }

    #[test]
    fn it_ends_whatever_the_gain_is() {
        for gain in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0] {
            assert!(LineSearch::default().best(|_| gain).is_finite());
        }
        // Sixteen rungs, and all that is left goes into doubling.
        assert_eq!(LineSearch::default().best(f64::abs), 2f64.powi(4 + 32));
    }
}
