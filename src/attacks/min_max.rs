//! Min-Max: the mean pushed as far as the two honest updates that are furthest apart.
//!
//! `B = mean(x) - gamma · p` over the known updates `x`, with the largest `gamma` for which
//! `max_i |x_i - B| <= max_ij |x_i - x_j|`. So no distance to an honest update is larger than one
//! that occurs among them. `p` is the unit mean, its sign, or the standard deviations.
//!
//! The largest factor has a closed form and is taken from that. The authors search for it, from 10
//! on, and cannot get beyond 20: where `p` is short against the spread, theirs is the weaker
//! attack. `search` holds theirs (`halving`) and others.
//!
//! Fails against rules that compare directions, since all colluders send one vector, and where
//! one honest outlier makes the budget large: then `B` passes this test and stands out in others.
//!
//! Reference: Shejwalkar and Houmansadr, Manipulating the Byzantine: Optimizing Model Poisoning
//! Attacks and Defenses for Federated Learning, NDSS 2021.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::perturbation::{Direction, Perturbation, Search, search};
use super::{Attack, AttackError, Claims, Crafted, Knowledge, View};
use crate::catalog::Entry;
use crate::memory::Memory;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Attack, Claims> = Entry {
    name: "min_max",
    summary: "the mean pushed as far as the two honest updates that are furthest apart",
    reference: "Shejwalkar and Houmansadr, NDSS 2021",
    source: include_str!("min_max.rs"),
    claims: Claims { moves_mean: true, stays_inside: false },
    parameters: || schema_for!(MinMax),
    build: |parameters| {
        parameters.build::<dyn Attack, MinMax>(|attack| {
            attack.search.check()?;
            Ok(Arc::new(attack))
        })
    },
};

/// Parameters of Min-Max.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct MinMax {
    /// What the mean is pushed along: `unit` (default), `sign` or `deviation`.
    direction: Direction,
    /// How the factor is found: `exact` (default), `halving` (the authors') or `bisection`.
    search: Search,
    /// Whether a distance that equals the budget is beyond it; default no. `exact` has no use for
    /// it.
    strict: bool,
    /// Whether the deviation is that of a sample (default) or of the population.
    sample: bool,
}

impl Default for MinMax {
    fn default() -> Self {
        MinMax { direction: Direction::Unit, search: Search::Exact, strict: false, sample: true }
    }
}

impl Attack for MinMax {
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
        let budget = pushed.pairs().iter().copied().fold(0.0, f64::max);
        let passes = |gamma: f64| {
            let furthest = pushed.furthest(gamma);
            if self.strict { furthest < budget } else { furthest <= budget }
        };
        let gamma = search(self.search, || pushed.furthest_within(budget), passes);
        Ok(pushed.at(gamma, view))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::attacks::tests::craft_omniscient;

    #[test]
    fn as_far_below_the_top_as_the_bottom_is_by_hand() {
        // The mean is 4, the rows are 6 apart: 7 - 6 is as low as it gets.
        let honest = array![[1.0], [4.0], [7.0]];
        let sent = craft_omniscient(&MinMax::default(), &honest, 2).unwrap();
        assert_eq!(sent, array![[1.0], [1.0]]);
    }

    #[test]
    fn a_search_agrees_where_it_can_reach() {
        let honest = array![[1.0, 2.0], [4.0, -1.0], [7.0, 0.5], [2.0, 2.0]];
        for direction in [Direction::Unit, Direction::Sign, Direction::Deviation] {
            let exact = MinMax { direction, ..MinMax::default() };
            let halving =
                Search::Halving { start: 10.0, step: 10.0, tolerance: 1e-5, least_step: 0.0 };
            let searched = MinMax { search: halving, ..exact.clone() };
            let exact = craft_omniscient(&exact, &honest, 1).unwrap();
            let searched = craft_omniscient(&searched, &honest, 1).unwrap();
            for (exact, searched) in exact.iter().zip(&searched) {
                assert!((exact - searched).abs() < 1e-4, "{direction:?}: {exact} {searched}");
            }
        }
    }

    #[test]
    fn without_spread_the_mean_is_sent() {
        let sent = craft_omniscient(&MinMax::default(), &array![[2.0], [2.0]], 1).unwrap();
        assert_eq!(sent, array![[2.0]]);
    }
}
