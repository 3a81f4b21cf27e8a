//! Capture: how likely a random committee, or a random neighbourhood, is in byzantine hands.
//!
//! `size` members are drawn without repetition from `population` candidates of whom `byzantine`
//! are; the number of byzantine members is hypergeometric. For the neighbours of one honest node
//! the population is everybody else. Over rounds that each draw anew, `1 - (1 - p)^rounds`: what
//! is rare in a round happens sooner or later, so a defence must survive to be captured for once.

use serde::Serialize;

/// The probabilities of one committee.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Capture {
    /// How many candidates there are.
    pub population: u64,
    /// How many of them are byzantine.
    pub byzantine: u64,
    /// How many are drawn.
    pub size: u64,
    /// How many times.
    pub rounds: u64,
    /// More than a third is byzantine, `3X > size`: what breaks agreement.
    pub more_than_third: Chance,
    /// A strict majority is, `2X > size`: what breaks a vote or a median.
    pub majority: Chance,
    /// Half or more is, `2X >= size`: what ties a vote.
    pub half_or_more: Chance,
    /// All are: nobody honest is left.
    pub all: Chance,
}

/// The probability of an event.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Chance {
    /// In one draw.
    pub once: f64,
    /// In at least one of all rounds.
    pub ever: f64,
}

/// Why there is no such committee.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaptureError {
    /// More byzantine candidates than candidates.
    #[error("{byzantine} of {population} candidates cannot be byzantine: at most all are")]
    TooManyByzantine {
        /// How many there are to be.
        byzantine: u64,
        /// How many candidates there are.
        population: u64,
    },
    /// The committee is empty or larger than the population.
    #[error("{size} of {population} candidates cannot be drawn: from 1 to {population} can")]
    NoSuchSize {
        /// How many are to be drawn.
        size: u64,
        /// How many candidates there are.
        population: u64,
    },
    /// Nothing is drawn.
    #[error("0 rounds draw nobody: there must be at least 1")]
    NoRounds,
    /// Too many to sum over.
    #[error("a population of {population} is too large: at most {POPULATION_MAX} are counted")]
    TooLarge {
        /// How many candidates there are.
        population: u64,
    },
}

/// Products of two numbers up to this are exact in `f64`, and a list of so many fits into memory.
const POPULATION_MAX: u64 = 10_000_000;

impl Capture {
    /// The probabilities for `size` drawn from `population` with `byzantine`, `rounds` times.
    pub fn of(
        population: u64,
        byzantine: u64,
        size: u64,
        rounds: u64,
    ) -> Result<Self, CaptureError> {
        if population > POPULATION_MAX {
            return Err(CaptureError::TooLarge { population });
        }
        if byzantine > population {
            return Err(CaptureError::TooManyByzantine { byzantine, population });
        }
        if size == 0 || size > population {
            return Err(CaptureError::NoSuchSize { size, population });
        }
        if rounds == 0 {
            return Err(CaptureError::NoRounds);
        }
        let draw = Draw::new(population, byzantine, size);
        let chance = |least| {
            let once = draw.at_least(least);
            Chance { once, ever: -f64::exp_m1(rounds as f64 * f64::ln_1p(-once)) }
        };
        Ok(Capture {
            population,
            byzantine,
            size,
            rounds,
            more_than_third: chance(size / 3 + 1),
            majority: chance(size / 2 + 1),
            half_or_more: chance(size.div_ceil(2)),
            all: chance(size),
        })
    }
}

/// The distribution of the byzantine count.
struct Draw {
    /// The least possible count.
    least: u64,
    /// The probabilities from it on.
    weights: Vec<f64>,
    total: f64,
}

impl Draw {
    /// By the ratio of neighbouring probabilities, outwards from the mode, where nothing cancels
    /// and what underflows is far below the rest.
    fn new(population: u64, byzantine: u64, size: u64) -> Self {
        let honest = population - byzantine;
        let (least, most) = (size.saturating_sub(honest), size.min(byzantine));
        // P(x + 1) / P(x), as a pair of exact products.
        let ratio = |x: u64| {
            let up = ((byzantine - x) * (size - x)) as f64;
            up / ((x + 1) * (honest + x + 1 - size)) as f64
        };
        let mode =
            (u128::from(size + 1) * u128::from(byzantine + 1) / u128::from(population + 2)) as u64;
        let mode = mode.clamp(least, most);
        let mut weights = vec![1.0; (most - least + 1) as usize];
        for x in mode..most {
            weights[(x + 1 - least) as usize] = weights[(x - least) as usize] * ratio(x);
        }
        for x in (least..mode).rev() {
            weights[(x - least) as usize] = weights[(x + 1 - least) as usize] / ratio(x);
        }
        Draw { least, total: sum(&weights), weights }
    }

    /// The probability of `count` or more.
    fn at_least(&self, count: u64) -> f64 {
        let from = count.saturating_sub(self.least).min(self.weights.len() as u64) as usize;
        (sum(&self.weights[from..]) / self.total).min(1.0)
    }
}

/// The smallest first, so that little is lost.
fn sum(weights: &[f64]) -> f64 {
    let mut sorted = weights.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 3 of 10, 2 of them byzantine: of C(10,3) = 120 draws 56 hold none, 56 one and 8 both.
    #[test]
    fn by_hand() {
        let capture = Capture::of(10, 2, 3, 2).unwrap();
        assert!((capture.more_than_third.once - 8.0 / 120.0).abs() < 1e-15);
        assert!((capture.majority.once - 8.0 / 120.0).abs() < 1e-15);
        assert_eq!(capture.all.once, 0.0);
        assert_eq!(capture.all.ever, 0.0);
        let ever = 1.0 - (112.0f64 / 120.0).powi(2);
        assert!((capture.majority.ever - ever).abs() < 1e-15);
        let one = Capture::of(10, 2, 1, 1).unwrap();
        assert!((one.more_than_third.once - 0.2).abs() < 1e-15);
        assert_eq!(one.all, one.half_or_more);
    }

    #[test]
    fn certainty_and_impossibility_are_exact() {
        for (byzantine, chance) in [(0, 0.0), (100, 1.0)] {
            let capture = Capture::of(100, byzantine, 7, 1000).unwrap();
            for got in [capture.more_than_third, capture.majority, capture.all] {
                assert_eq!((got.once, got.ever), (chance, chance));
            }
        }
        // Everybody is drawn: the committee is the population.
        let whole = Capture::of(9, 4, 9, 1).unwrap();
        assert_eq!((whole.more_than_third.once, whole.majority.once), (1.0, 0.0));
    }

    #[test]
    fn large_committees_stay_finite() {
        let capture = Capture::of(1_000_000, 200_000, 100_000, 10).unwrap();
        assert_eq!(capture.more_than_third.once, 0.0);
        let capture = Capture::of(1_000_000, 500_000, 99_999, 10).unwrap();
        assert!((capture.majority.once - 0.5).abs() < 1e-9, "{}", capture.majority.once);
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        let refused = |a, b, c, d| Capture::of(a, b, c, d).unwrap_err().to_string();
        assert_eq!(
            refused(10, 11, 3, 1),
            "11 of 10 candidates cannot be byzantine: at most all are"
        );
        assert_eq!(refused(10, 2, 11, 1), "11 of 10 candidates cannot be drawn: from 1 to 10 can");
        assert_eq!(refused(10, 2, 0, 1), "0 of 10 candidates cannot be drawn: from 1 to 10 can");
        assert_eq!(refused(10, 2, 3, 0), "0 rounds draw nobody: there must be at least 1");
    }
}
