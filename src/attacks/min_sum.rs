//! Min-Sum: the mean pushed until it is as far from all others as the most central honest update.
//!
//! `B = mean(x) - gamma · p` over the known updates `x`, with the largest `gamma` for which
//! `sum_i |x_i - B|²` is at most `min_i sum_j |x_i - x_j|²`. `p` is the unit mean, its sign, or
//! the standard deviations. With `budget = "largest"` it is the least central update that counts,
//! as in the code of `SignGuard`; `squared = false` sums distances in place of their squares.
//!
//! For sums of squares the largest factor has a closed form, which is taken: the distance of the
//! row nearest to the mean (furthest, with `largest`), divided by `|p|`. The authors' search ends
//! at twice its start at most.
//!
//! Fails against rules that compare directions, and does less than Min-Max: its budget is that of
//! the most central update, so an honest row beside the mean leaves it nothing.
//!
//! Reference: Shejwalkar and Houmansadr, Manipulating the Byzantine: Optimizing Model Poisoning
//! Attacks and Defenses for Federated Learning, NDSS 2021.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::perturbation::{Direction, Perturbation, Search, search};
use super::{Attack, AttackError, Claims, Crafted, Knowledge, View};
use crate::catalog::{ConfigError, Entry};
use crate::memory::Memory;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Attack, Claims> = Entry {
    name: "min_sum",
    summary: "the mean pushed until it is as far from all others as an honest update",
    reference: "Shejwalkar and Houmansadr, NDSS 2021",
    source: include_str!("min_sum.rs"),
    claims: Claims { moves_mean: true, stays_inside: true },
    parameters: || schema_for!(MinSum),
    build: |parameters| {
        parameters.build::<dyn Attack, MinSum>(|attack| {
            attack.check()?;
            Ok(Arc::new(attack))
        })
    },
};

/// Parameters of Min-Sum.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct MinSum {
    /// What the mean is pushed along: `unit` (default), `sign` or `deviation`.
    direction: Direction,
    /// How the factor is found: `exact` (default), `halving` (the authors') or `bisection`.
    search: Search,
    /// Whose sum is the budget: that of the most central update (`smallest`, default) or of the
    /// least (`largest`).
    budget: Budget,
    /// Whether distances are squared before they are summed; default yes. `exact` asks for it.
    squared: bool,
    /// Whether the deviation is that of a sample (default) or of the population.
    sample: bool,
}

/// Whose distances to the others are the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Budget {
    /// Those of the most central update.
    Smallest,
    /// Those of the least central one.
    Largest,
}

impl Default for MinSum {
    fn default() -> Self {
        MinSum {
            direction: Direction::Unit,
            search: Search::Exact,
            budget: Budget::Smallest,
            squared: true,
            sample: true,
        }
    }
}

impl MinSum {
    fn check(&self) -> Result<(), ConfigError> {
        self.search.check()?;
        if self.search == Search::Exact && !self.squared {
            let message = "`squared` = false has no closed form";
            return Err(ConfigError::new(message).help("choose a search, such as halving"));
        }
        Ok(())
    }
}

impl Attack for MinSum {
    fn needs(&self) -> Knowledge {
        Knowledge::Colluders
    }

    fn uses_own(&self, knowledge: Knowledge) -> bool {
        knowledge < Knowledge::Omniscient
    }

    fn admits(
        &self,
        knowledge: Knowledge,
        participants: usize,
        corrupted: usize,
    ) -> Result<(), AttackError> {
        knowledge.require(ENTRY.name, 2, participants, corrupted)
    }

    fn craft(
        &self,
        view: &View<'_>,
        _memory: &mut Memory,
        _rng: &mut dyn Rng,
    ) -> Result<Crafted, AttackError> {
        let pushed = Perturbation::new(ENTRY.name, view.known(), self.direction, self.sample)?;
        let measure: fn(f64) -> f64 = if self.squared { |square| square } else { f64::sqrt };
        let pairs = pushed.pairs();
        let sums = pairs.rows().into_iter().map(|row| row.iter().copied().map(measure).sum());
        let budget: f64 = match self.budget {
            Budget::Smallest => sums.fold(f64::INFINITY, f64::min),
            Budget::Largest => sums.fold(0.0, f64::max),
        };
        let passes = |gamma: f64| pushed.total(gamma, measure) <= budget;
        let gamma = search(self.search, || pushed.total_within(budget), passes);
        Ok(pushed.at(gamma, view))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::attacks::tests::craft_omniscient;

    #[test]
    fn as_far_from_the_mean_as_the_row_beside_it_by_hand() {
        // The mean is 4, the row nearest to it is 3, so 4 - 1 is sent; the furthest is 8.
        let honest = array![[1.0], [3.0], [8.0]];
        let sent = craft_omniscient(&MinSum::default(), &honest, 1).unwrap();
        assert_eq!(sent, array![[3.0]]);
        let largest = MinSum { budget: Budget::Largest, ..MinSum::default() };
        assert_eq!(craft_omniscient(&largest, &honest, 1).unwrap(), array![[0.0]]);
    }

    #[test]
    fn a_search_agrees_where_it_can_reach() {
        let honest = array![[1.0, 2.0], [4.0, -1.0], [7.0, 0.5], [2.0, 2.0]];
        let exact = craft_omniscient(&MinSum::default(), &honest, 1).unwrap();
        let search = Search::Halving { start: 10.0, step: 10.0, tolerance: 1e-5, least_step: 0.0 };
        let searched = MinSum { search, ..MinSum::default() };
        let searched = craft_omniscient(&searched, &honest, 1).unwrap();
        for (exact, searched) in exact.iter().zip(&searched) {
            assert!((exact - searched).abs() < 3e-5, "{exact} {searched}");
        }
    }

    #[test]
    fn a_sum_of_plain_distances_is_searched_for() {
        let plain = MinSum { squared: false, ..MinSum::default() };
        assert!(plain.check().is_err());
        let search = Search::Halving { start: 2.0, step: 2.0, tolerance: 1e-5, least_step: 0.0 };
        // 6 + 6 = 12 from the middle; from 4 - g it is 3g + 0: no, 12 + g for g up to 6.
        let honest = array![[-2.0], [4.0], [10.0]];
        let attack = MinSum { search, budget: Budget::Largest, ..plain };
        // The budget is 18, so g = 4 at the end of what the search reaches.
        let sent = craft_omniscient(&attack, &honest, 1).unwrap();
        assert!((sent[[0, 0]] - 0.0).abs() < 1e-4, "{sent}");
    }
}
