//! Inner product manipulation whose factor is found by trying the rule.
//!
//! `B = -epsilon · mean(x)` with the `epsilon` that carries the rule's outcome furthest from the
//! mean of the honest updates `x`, found by a line search with the rule itself. The default search
//! looks on both sides of 0 and so finds the amplified mean as well, where that does more;
//! `doubling` is that of ByzFL (20 tries from 0 on in steps of 10), which looks at one side and
//! may end far from the best.
//!
//! Fails where the rule bounds what any vector on this line can do, as all robust ones promise:
//! then it tells how much that bound leaves. It needs to know the rule, and costs as many runs of
//! it as the search has tries.
//!
//! Where what the rule does levels off, as it does for the geometric median, `doubling` goes on as
//! long as it sees any gain, and ends at the `epsilon` where the digits of the aggregate end: rules
//! here round to single precision, so that a library that computes in double precision ends at a
//! larger one, with an effect that is the same to six digits.
//!
//! Reference: Xie et al., Fall of Empires: Breaking Byzantine-tolerant SGD by Inner Product
//! Manipulation, UAI 2019; optimised as in Shejwalkar and Houmansadr, NDSS 2021, and ByzFL.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::line_search::LineSearch;
use super::outcome::{Line, Trial};
use super::{Attack, AttackError, Claims, Crafted, Knowledge, View};
use crate::catalog::Entry;
use crate::memory::Memory;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Attack, Claims> = Entry {
    name: "optimised_inner_product",
    summary: "a multiple of the mean, the one that does most to the rule at hand",
    reference: "Xie et al., UAI 2019; Shejwalkar and Houmansadr, NDSS 2021",
    source: include_str!("optimised_inner_product.rs"),
    claims: Claims { moves_mean: true, stays_inside: false },
    parameters: || schema_for!(OptimisedInnerProduct),
    build: |parameters| {
        parameters.build::<dyn Attack, OptimisedInnerProduct>(|attack| {
            attack.search.check()?;
            Ok(Arc::new(attack))
        })
    },
};

/// Parameters of the optimised inner product manipulation.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct OptimisedInnerProduct {
    /// How the factor is found: `two_sided` (default, 48 evaluations) or `doubling`.
    search: LineSearch,
    /// How many copies a try holds. Default: one for each corrupted identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    copies: Option<usize>,
    /// Whether the line starts at the mean, and `B = mean - epsilon · mean`; default no, and it
    /// starts at 0.
    from_mean: bool,
    /// Whether factors are negated before they are tried, for searches with one side; default no.
    negative: bool,
}

impl Attack for OptimisedInnerProduct {
    fn needs(&self) -> Knowledge {
        Knowledge::OmniscientAndRule
    }

    fn uses_own(&self, knowledge: Knowledge) -> bool {
        knowledge < Knowledge::Omniscient
    }

    fn craft(
        &self,
        view: &View<'_>,
        _memory: &mut Memory,
        _rng: &mut dyn Rng,
    ) -> Result<Crafted, AttackError> {
        let mut trial = Trial::new(ENTRY.name, view, self.copies)?;
        let mean = trial.mean.clone();
        let line = Line { start: None, direction: &mean };
        let scale = |factor: f64| {
            let signed = if self.negative { -factor } else { factor };
            if self.from_mean { 1.0 - signed } else { -signed }
        };
        let factor = self.search.best(|factor| trial.distance(line, scale(factor)));
        let vector = line.vector(scale(factor));
        Ok(Crafted::same(vector, view.identities.len()))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::attacks::tests::{craft_against, craft_omniscient, middle};

    #[test]
    fn it_goes_as_far_as_the_rule_follows() {
        // The median of 1, 2, 9 and two copies: at most 2 below and 9 above; the mean is 4.
        let honest = array![[1.0], [2.0], [9.0]];
        let attack = OptimisedInnerProduct::default();
        let sent = craft_against(&attack, &honest, 2, &middle).unwrap();
        assert!(sent[[0, 0]] >= 8.99, "{sent}");
        // One side alone finds 1, three below the mean.
        let search = LineSearch::Doubling {
            evaluations: 20,
            start: 0.0,
            step: 10.0,
            ratio: 0.8,
            back: false,
        };
        let one_sided = OptimisedInnerProduct { search, ..attack };
        let sent = craft_against(&one_sided, &honest, 2, &middle).unwrap();
        assert!(sent[[0, 0]] <= 1.0, "{sent}");
    }

    #[test]
    fn a_rule_that_refuses_everything_ends_the_search_too() {
        let refuses = |_: ndarray::ArrayView2<'_, f32>| Err("no".to_owned());
        let attack = OptimisedInnerProduct::default();
        let sent = craft_against(&attack, &array![[1.0], [2.0]], 1, &refuses).unwrap();
        assert_eq!(sent, array![[-0.0]]);
    }

    #[test]
    fn without_the_rule_there_is_nothing_to_try() {
        let mut without = crate::attacks::tests::Stage::default();
        let error = without.craft(&OptimisedInnerProduct::default(), &array![[1.0]], 1);
        assert_eq!(error, Err(AttackError::NoDefence { attack: ENTRY.name }));
        assert!(craft_omniscient(&OptimisedInnerProduct::default(), &array![[1.0]], 1).is_ok());
    }
}
