//! The scores by which Krum and Multi-Krum choose rows, and the conventions they differ by.
//!
//! Public libraries count neighbours, measure distance and state the bound in different ways, and
//! under one and the same attack pick a liar never or always. So each is a parameter.

use ndarray::ArrayView2;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AggregateError;
use crate::kernels::distances::squared_distances;
use crate::kernels::least::{for_each_row, sum_of_least};

/// How rows are scored and how many are needed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scoring {
    pub(super) neighbours: Neighbours,
    pub(super) distance: Distance,
    pub(super) tolerance: Tolerance,
}

/// How many other rows a score counts, nearest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Neighbours {
    /// `n - f - 2` others (Blanchard et al.; Flower).
    #[default]
    Paper,
    /// `n - f - 1` others: the row itself is counted among its `n - f` nearest (`ByzFL`).
    Inclusive,
    /// `n - f - 3` others, which may be none: the row itself is counted among its `n - f - 2`
    /// nearest (Shejwalkar and Houmansadr's code).
    Short,
}

/// What a score sums.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Distance {
    /// Squared Euclidean distances (Blanchard et al.; `ByzFL`; Flower).
    #[default]
    Squared,
    /// Euclidean distances.
    Plain,
    /// Fourth powers of Euclidean distances.
    Fourth,
}

/// For which n and f the rule runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Tolerance {
    /// `n >= 2f + 3` (Blanchard et al.).
    #[default]
    Paper,
    /// `n > 2f` (`ByzFL`), and at least one neighbour.
    Majority,
    /// Any; a score counts at least one neighbour (Flower).
    None,
}

impl Scoring {
    /// Whether `rule` runs with `byzantine` liars among `rows`.
    pub(super) fn admits(
        self,
        rule: &'static str,
        rows: usize,
        byzantine: usize,
    ) -> Result<(), AggregateError> {
        if rows == 0 {
            return Err(AggregateError::Empty { rule });
        }
        let too_few = |bound| Err(AggregateError::TooFew { rule, bound, rows, byzantine });
        let twice = byzantine.saturating_mul(2);
        let least = self.neighbours.itself_and_lost(byzantine).saturating_add(1);
        match self.tolerance {
            Tolerance::Paper if rows < twice.saturating_add(3) => {
                too_few(format!("n >= 2f + 3 = {}", twice.saturating_add(3)))
            }
            Tolerance::Majority if rows <= twice => too_few(format!("n > 2f = {twice}")),
            Tolerance::Majority if rows < least => {
                too_few(format!("n >= f + {} = {least}", least - byzantine))
            }
            _ => Ok(()),
        }
    }

    /// The bound on the error of the row of the least score, where distances are squared and one
    /// is known.
    pub(super) fn error_bound(self, rows: usize, byzantine: usize) -> Option<f64> {
        let (n, f) = (rows as f64, byzantine as f64);
        let (spare, lost) = match self.neighbours {
            Neighbours::Paper => (n - 2.0 * f - 1.0, f + 1.0),
            Neighbours::Inclusive => (n - 2.0 * f, f),
            Neighbours::Short => return None,
        };
        if self.distance != Distance::Squared || spare <= 0.0 {
            return None;
        }
        Some(((2.0 * (n - f) / spare).sqrt() + (lost / spare).sqrt()).powi(2))
    }

    /// One score per row, lower is better, never NaN, whatever the order of the rows.
    pub(super) fn scores(self, updates: ArrayView2<'_, f32>, byzantine: usize) -> Vec<f64> {
        let rows = updates.nrows();
        let counted = self.neighbours.counted(rows, byzantine);
        let distances = squared_distances(updates);
        let mut scores = vec![0.0; rows];
        for_each_row(&mut scores, rows, |row, score| {
            let mut others: Vec<f64> = distances.row(row).to_vec();
            others.swap_remove(row);
            *score =
                sum_of_least(&mut others, counted, |squared| self.distance.of_squared(squared));
        });
        scores
    }
}

impl Neighbours {
    /// How many of the n rows a score does not count.
    fn itself_and_lost(self, byzantine: usize) -> usize {
        match self {
            Neighbours::Paper => byzantine.saturating_add(2),
            Neighbours::Inclusive => byzantine.saturating_add(1),
            Neighbours::Short => byzantine.saturating_add(3),
        }
    }

    /// How many others a score counts among `rows`.
    pub(super) fn counted(self, rows: usize, byzantine: usize) -> usize {
        let least = usize::from(self != Neighbours::Short);
        rows.saturating_sub(self.itself_and_lost(byzantine)).max(least)
    }
}

impl Distance {
    pub(super) fn of_squared(self, squared: f64) -> f64 {
        match self {
            Distance::Squared => squared,
            Distance::Plain => squared.sqrt(),
            Distance::Fourth => squared * squared,
        }
    }
}

/// The rows with the `keep` lowest scores, ascending by row; of equal scores the lowest rows.
pub(super) fn best(scores: &[f64], keep: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    order.truncate(keep);
    order.sort_unstable();
    order
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn scoring(neighbours: Neighbours, distance: Distance, tolerance: Tolerance) -> Scoring {
        Scoring { neighbours, distance, tolerance }
    }

    #[test]
    fn conventions_by_hand() {
        // Positions on a line; row 0 is at distances 1, 3, 6, 10 from the others.
        let rows = array![[0.0], [1.0], [3.0], [6.0], [10.0]];
        let score = |neighbours, distance| {
            scoring(neighbours, distance, Tolerance::None).scores(rows.view(), 1)[0]
        };
        assert_eq!(score(Neighbours::Paper, Distance::Squared), 10.0);
        assert_eq!(score(Neighbours::Inclusive, Distance::Squared), 46.0);
        assert_eq!(score(Neighbours::Short, Distance::Squared), 1.0);
        assert_eq!(score(Neighbours::Paper, Distance::Plain), 4.0);
        assert_eq!(score(Neighbours::Paper, Distance::Fourth), 82.0);
    }

    #[test]
    fn at_least_one_neighbour_counts() {
        let rows = array![[0.0], [2.0], [5.0]];
        let scoring = scoring(Neighbours::Paper, Distance::Squared, Tolerance::None);
        assert_eq!(scoring.scores(rows.view(), 7), vec![4.0, 4.0, 9.0]);
    }

    #[test]
    fn bounds_state_their_numbers() {
        let refusal = |tolerance, rows, byzantine| {
            let scoring = scoring(Neighbours::Paper, Distance::Squared, tolerance);
            scoring.admits("krum", rows, byzantine).map_err(|error| error.to_string())
        };
        let got = |n, f| format!("and got n = {n} updates with f = {f} byzantine");
        let paper = format!("krum needs n >= 2f + 3 = 9 {}", got(7, 3));
        assert_eq!(refusal(Tolerance::Paper, 7, 3), Err(paper));
        let majority = format!("krum needs n > 2f = 6 {}", got(6, 3));
        assert_eq!(refusal(Tolerance::Majority, 6, 3), Err(majority));
        let neighbour = format!("krum needs n >= f + 3 = 4 {}", got(3, 1));
        assert_eq!(refusal(Tolerance::Majority, 3, 1), Err(neighbour));
        assert_eq!(refusal(Tolerance::Paper, 9, 3), Ok(()));
        assert_eq!(refusal(Tolerance::Majority, 7, 3), Ok(()));
        assert_eq!(refusal(Tolerance::None, 1, 9), Ok(()));
    }

    #[test]
    fn equal_scores_go_to_the_lowest_row() {
        let scores = [2.0, 1.0, 2.0, 1.0, f64::INFINITY];
        assert_eq!(best(&scores, 1), vec![1]);
        assert_eq!(best(&scores, 3), vec![0, 1, 3]);
    }
}
