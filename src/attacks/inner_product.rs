//! Inner product manipulation: a negative multiple of the mean, so that the aggregate's inner
//! product with the true direction becomes negative.
//!
//! `B = -epsilon · mean(x)` over the updates `x` that the adversary knows.
//!
//! The mean of `n - m` honest and `m` corrupted rows is `(n - m - epsilon · m) / n` times the
//! honest mean: it turns round only above `epsilon = (n - m) / m`, which is 3 when a quarter lies.
//! Below that the mean still shrinks. Small values do not turn the mean round and are the harder
//! ones for rules that select rows, because the vectors lie close to the honest ones when these
//! are small against their spread. Fails, with a large `epsilon`, against rules that bound
//! distances or norms.
//!
//! The default of 2 is that of ByzFL, where the parameter is called tau; the paper varies it.
//!
//! Reference: Xie et al., Fall of Empires: Breaking Byzantine-tolerant SGD by Inner Product
//! Manipulation, UAI 2019.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::opposite::opposite;
use super::{Attack, AttackError, Claims, Crafted, Knowledge, View, finite};
use crate::catalog::Entry;
use crate::memory::Memory;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Attack, Claims> = Entry {
    name: "inner_product",
    summary: "a negative multiple of the mean, against the direction of learning",
    reference: "Xie et al., UAI 2019",
    source: include_str!("inner_product.rs"),
    claims: Claims { moves_mean: true, stays_inside: false },
    parameters: || schema_for!(InnerProduct),
    build: |parameters| {
        parameters.build::<dyn Attack, InnerProduct>(|attack| {
            finite("epsilon", attack.epsilon)?;
            Ok(Arc::new(attack))
        })
    },
};

/// Parameters of inner product manipulation.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct InnerProduct {
    /// How many times the mean is sent, negated.
    epsilon: f64,
}

impl Default for InnerProduct {
    fn default() -> Self {
        InnerProduct { epsilon: 2.0 }
    }
}

impl Attack for InnerProduct {
    fn needs(&self) -> Knowledge {
        Knowledge::OwnData
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
        opposite(ENTRY.name, view, self.epsilon)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::attacks::tests::{craft_alone, craft_omniscient};

    #[test]
    fn twice_the_negated_mean_by_hand() {
        let honest = array![[1.0, 0.0], [2.0, 0.0], [6.0, -3.0]];
        let sent = craft_omniscient(&InnerProduct::default(), &honest, 1).unwrap();
        assert_eq!(sent, array![[-6.0, 2.0]]);
    }

    #[test]
    fn colluders_use_the_mean_of_their_own() {
        let own = array![[1.0], [3.0]];
        let sent = craft_alone(&InnerProduct { epsilon: 0.5 }, &own).unwrap();
        assert_eq!(sent, array![[-1.0], [-1.0]]);
    }

    #[test]
    fn the_mean_stands_still_at_the_bound_and_turns_round_above() {
        let honest = array![[2.0], [4.0], [6.0]];
        let total = |epsilon: f64| {
            let sent = craft_omniscient(&InnerProduct { epsilon }, &honest, 1).unwrap();
            honest.sum() + sent.sum()
        };
        assert_eq!(total(3.0), 0.0);
        assert!(total(2.9) > 0.0);
        assert!(total(3.1) < 0.0);
    }
}
