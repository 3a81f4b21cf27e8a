//! A little is enough, whose factor is found by trying the rule.
//!
//! `B = mean(x) + z · deviation(x)` with the `z` that carries the rule's outcome furthest from the
//! mean of the honest updates `x`, found by a line search with the rule itself. The default search
//! looks on both sides of the mean; `doubling` is that of ByzFL (20 tries from 0 on in steps of
//! 10), which looks above alone and may end far from the best.
//!
//! Fails where the honest hardly differ, and where the rule bounds what any vector on this line
//! can do: then it tells how much that bound leaves. It needs to know the rule, and costs as many
//! runs of it as the search has tries.
//!
//! Where what the rule does levels off, as it does for the geometric median, `doubling` goes on as
//! long as it sees any gain, and ends at the `z` where the digits of the aggregate end: rules here
//! round to single precision, so that a library that computes in double precision ends at a larger
//! one, with an effect that is the same to six digits.
//!
//! Reference: Baruch et al., A Little Is Enough: Circumventing Defenses For Distributed Learning,
//! Neural Information Processing Systems 2019; optimised as in Shejwalkar and Houmansadr, NDSS
//! 2021, and ByzFL.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::line_search::LineSearch;
use super::moments::deviations;
use super::outcome::{Line, Trial};
use super::{Attack, AttackError, Claims, Crafted, Knowledge, View};
use crate::catalog::Entry;
use crate::memory::Memory;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Attack, Claims> = Entry {
    name: "optimised_little_is_enough",
    summary: "the mean shifted by the number of deviations that does most to the rule at hand",
    reference: "Baruch et al., NeurIPS 2019; Shejwalkar and Houmansadr, NDSS 2021",
    source: include_str!("optimised_little_is_enough.rs"),
    claims: Claims { moves_mean: true, stays_inside: false },
    parameters: || schema_for!(OptimisedLittleIsEnough),
    build: |parameters| {
        parameters.build::<dyn Attack, OptimisedLittleIsEnough>(|attack| {
            attack.search.check()?;
            Ok(Arc::new(attack))
        })
    },
};

/// Parameters of the optimised a little is enough.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct OptimisedLittleIsEnough {
    /// How the factor is found: `two_sided` (default, 48 evaluations) or `doubling`.
    search: LineSearch,
    /// How many copies a try holds. Default: one for each corrupted identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    copies: Option<usize>,
    /// Whether the deviation is that of a sample or of the population (default).
    sample: bool,
    /// Whether factors are negated before they are tried, for searches with one side; default no.
    negative: bool,
}

impl Attack for OptimisedLittleIsEnough {
    fn needs(&self) -> Knowledge {
        Knowledge::OmniscientAndRule
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
        let mut trial = Trial::new(ENTRY.name, view, self.copies)?;
        let mean = trial.mean.clone();
        let deviations = deviations(ENTRY.name, view.known(), &mean, usize::from(self.sample))?;
        let line = Line { start: Some(&mean), direction: &deviations };
        let signed = |factor: f64| if self.negative { -factor } else { factor };
        let factor = self.search.best(|factor| trial.distance(line, signed(factor)));
        let vector = line.vector(signed(factor));
        Ok(Crafted::same(vector, view.identities.len()))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::attacks::tests::{craft_against, middle};

    #[test]
    fn it_finds_the_side_on_which_the_rule_gives_way() {
        // The median of 1, 2, 9 and two copies reaches 9 above the mean 4, and only 1 below.
        let honest = array![[1.0], [2.0], [9.0]];
        let attack = OptimisedLittleIsEnough::default();
        let sent = craft_against(&attack, &honest, 2, &middle).unwrap();
        assert!(sent[[0, 0]] >= 8.99, "{sent}");
        let mirrored = honest.mapv(|value: f32| -value);
        let sent = craft_against(&attack, &mirrored, 2, &middle).unwrap();
        assert!(sent[[0, 0]] <= -8.99, "{sent}");
    }

    #[test]
    fn as_many_copies_are_tried_as_asked() {
        let honest = array![[1.0], [2.0], [9.0], [9.0], [9.0]];
        let attack = OptimisedLittleIsEnough { copies: Some(1), ..Default::default() };
        let rule = |rows: ndarray::ArrayView2<'_, f32>| {
            assert_eq!(rows.nrows(), 6);
            middle(rows)
        };
        assert_eq!(craft_against(&attack, &honest, 4, &rule).unwrap().nrows(), 4);
    }
}
