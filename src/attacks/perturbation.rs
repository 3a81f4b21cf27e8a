//! How far the mean can be pushed before somebody measures it: what Min-Max and Min-Sum share.
//!
//! Both send `B = mean(x) - gamma · p` for a direction `p`, and the largest `gamma` under which a
//! distance test cannot tell `B` from an honest update. They differ in the test.

use ndarray::{Array2, ArrayView2};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::moments::{deviations, means};
use super::{AttackError, Crafted, View, finite};
use crate::catalog::ConfigError;
use crate::kernels::distances::squared_distances;

/// What the mean is pushed along.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Direction {
    /// The mean itself, of length 1.
    Unit,
    /// The sign of each coordinate of the mean.
    Sign,
    /// The standard deviation of each coordinate.
    Deviation,
}

impl Direction {
    /// The direction at these rows with these means, length `d`.
    pub(super) fn vector(
        self,
        attack: &'static str,
        rows: ArrayView2<'_, f32>,
        means: &[f64],
        sample: bool,
    ) -> Result<Vec<f64>, AttackError> {
        Ok(match self {
            Direction::Unit => {
                let norm = means.iter().map(|mean| mean * mean).sum::<f64>().sqrt();
                means.iter().map(|mean| if norm > 0.0 { mean / norm } else { 0.0 }).collect()
            }
            Direction::Sign => means.iter().copied().map(sign).collect(),
            Direction::Deviation => deviations(attack, rows, means, usize::from(sample))?,
        })
    }
}

/// How the largest factor is found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Search {
    /// By its closed form, exactly.
    Exact,
    /// As the authors do: steps of half the start, a quarter, … up while the test is passed, down
    /// while it is not. It never gets beyond twice the start.
    Halving {
        /// The first factor that is tried.
        start: f64,
        /// Twice the first move; it is halved after each.
        step: f64,
        /// It ends when the last try is this close to the last that passed.
        tolerance: f64,
        /// Moves get no smaller than half of this.
        least_step: f64,
    },
    /// Bisection between 0 and a largest factor. It sends the last try, also where that failed.
    Bisection {
        /// The largest factor.
        high: f64,
        /// It ends when the interval is this short.
        tolerance: f64,
    },
}

impl Search {
    /// Refuses searches that would not end.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let positive = |field: &str, value: f64| {
            finite(field, value)?;
            if value > 0.0 {
                return Ok(());
            }
            Err(ConfigError::new(format!("`search`: {field} must be above 0, got {value}")))
        };
        match *self {
            Search::Exact => Ok(()),
            Search::Halving { start, step, tolerance, least_step } => {
                positive("start", start)?;
                positive("step", step)?;
                positive("tolerance", tolerance)?;
                finite("least_step", least_step)
            }
            Search::Bisection { high, tolerance } => {
                positive("high", high)?;
                positive("tolerance", tolerance)
            }
        }
    }
}

/// The most factors that a search tries; the published ones need a few dozen.
const TRIES_MAX: u32 = 200;

/// The mean, the direction, and what distances are measured against.
pub(super) struct Perturbation {
    /// The rows that are known, shape `[n, d]`.
    pub(super) rows: Array2<f32>,
    means: Vec<f64>,
    direction: Vec<f64>,
    /// Of each row: the product of direction and `mean - row`, and the squared distance to the
    /// mean.
    offsets: Vec<(f64, f64)>,
    /// The squared length of the direction.
    square: f64,
}

impl Perturbation {
    /// Measures what is known.
    pub(super) fn new(
        attack: &'static str,
        rows: ArrayView2<'_, f32>,
        direction: Direction,
        sample: bool,
    ) -> Result<Self, AttackError> {
        let means = means(attack, rows)?;
        let direction = direction.vector(attack, rows, &means, sample)?;
        let offset = |row: ndarray::ArrayView1<'_, f32>| {
            let mut product = 0.0;
            let mut square = 0.0;
            for ((&value, mean), along) in row.iter().zip(&means).zip(&direction) {
                let away = mean - f64::from(value);
                product += along * away;
                square += away * away;
            }
            (product, square)
        };
        let offsets = rows.rows().into_iter().map(offset).collect();
        let square = direction.iter().map(|along| along * along).sum();
        Ok(Perturbation { rows: rows.to_owned(), means, direction, offsets, square })
    }

    /// The squared distance of every row to `mean - gamma · p`.
    fn squares(&self, gamma: f64) -> impl Iterator<Item = f64> + '_ {
        let moved = gamma * gamma * self.square;
        self.offsets
            .iter()
            .map(move |(product, square)| (square - 2.0 * gamma * product + moved).max(0.0))
    }

    /// The largest squared distance of a row to `mean - gamma · p`.
    pub(super) fn furthest(&self, gamma: f64) -> f64 {
        self.squares(gamma).fold(0.0, f64::max)
    }

    /// The sum of the distances of all rows to it, each through `measure`.
    pub(super) fn total(&self, gamma: f64, measure: fn(f64) -> f64) -> f64 {
        self.squares(gamma).map(measure).sum()
    }

    /// The largest `gamma` whose largest squared distance is within `budget`, exactly.
    pub(super) fn furthest_within(&self, budget: f64) -> f64 {
        let reach = |&(product, square): &(f64, f64)| {
            let root = (product * product + self.square * (budget - square)).max(0.0).sqrt();
            (product + root) / self.square
        };
        settled(self.offsets.iter().map(reach).fold(f64::INFINITY, f64::min))
    }

    /// The largest `gamma` whose sum of squared distances is within `budget`, exactly.
    pub(super) fn total_within(&self, budget: f64) -> f64 {
        // The products sum to nothing, since the rows' distances to their mean do.
        let spread: f64 = self.offsets.iter().map(|(_, square)| square).sum();
        let count = self.offsets.len() as f64;
        settled(((budget - spread).max(0.0) / (count * self.square)).sqrt())
    }

    /// The squared distances between all pairs of rows.
    pub(super) fn pairs(&self) -> Array2<f64> {
        squared_distances(self.rows.view())
    }

    /// `mean - gamma · p` from every identity.
    pub(super) fn at(&self, gamma: f64, view: &View<'_>) -> Crafted {
        let pushed = self.means.iter().zip(&self.direction);
        let vector = pushed.map(|(mean, along)| (mean - gamma * along) as f32).collect();
        Crafted::same(vector, view.identities.len())
    }
}

/// 0 where there is no direction or no number.
fn settled(gamma: f64) -> f64 {
    if gamma.is_finite() { gamma.max(0.0) } else { 0.0 }
}

/// -1, 0 or 1; 0 of NaN.
pub(super) fn sign(value: f64) -> f64 {
    f64::from(i8::from(value > 0.0) - i8::from(value < 0.0))
}

/// The factor that a search ends with; `passes` says whether one passes the test.
pub(super) fn search(
    search: Search,
    exact: impl FnOnce() -> f64,
    mut passes: impl FnMut(f64) -> bool,
) -> f64 {
    match search {
        Search::Exact => exact(),
        Search::Halving { start, step, tolerance, least_step } => {
            let (mut gamma, mut step, mut passed) = (start, step, 0.0f64);
            for _ in 0..TRIES_MAX {
                if (passed - gamma).abs() <= tolerance {
                    break;
                }
                if passes(gamma) {
                    passed = gamma;
                    gamma += step / 2.0;
                } else {
                    gamma -= step / 2.0;
                }
                step = (step / 2.0).max(least_step);
            }
            passed
        }
        Search::Bisection { high, tolerance } => {
            let (mut low, mut high, mut middle) = (0.0f64, high, 0.0);
            for _ in 0..TRIES_MAX {
                if (high - low).abs() <= tolerance {
                    break;
                }
                middle = f64::midpoint(low, high);
                if passes(middle) { low = middle } else { high = middle }
            }
            middle
        }
    }
}
