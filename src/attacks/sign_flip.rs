//! Sign flipping: the opposite of what an honest node would have sent.
//!
//! `B = -factor · mean(x)` over the updates `x` that the adversary knows.
//!
//! An omniscient adversary negates the mean of the honest updates, as ByzFL does. An identity
//! that acts alone knows its own update only, and negates that: the form that Blades runs.
//!
//! Fails against rules that look at directions or distances, since its vectors lie together on
//! the far side of the origin. It turns the mean round only where `m · factor > n - m` for `m`
//! corrupted among `n`: with `factor = 1` a corrupted minority slows learning down and no more.
//!
//! Reference: Li et al., RSA: Byzantine-Robust Stochastic Aggregation Methods for Distributed
//! Learning from Heterogeneous Datasets, AAAI 2019.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::opposite::opposite;
use super::plain::plain;
use super::{Attack, AttackError, Claims, Crafted, Knowledge, View, finite};
use crate::catalog::Entry;
use crate::memory::Memory;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Attack, Claims> = Entry {
    name: "sign_flip",
    summary: "the negated mean of the known updates",
    reference: "Li et al., AAAI 2019",
    source: include_str!("sign_flip.rs"),
    claims: Claims { moves_mean: true, stays_inside: false },
    parameters: || schema_for!(SignFlip),
    build: |parameters| {
        parameters.build::<dyn Attack, SignFlip>(|attack| {
            finite("factor", attack.factor)?;
            Ok(Arc::new(attack))
        })
    },
};

/// Parameters of sign flipping.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct SignFlip {
    /// What the negated mean is multiplied by.
    factor: f64,
    /// Whether each identity negates its own update, whatever else it reads; default no.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    own: bool,
}

impl Default for SignFlip {
    fn default() -> Self {
        SignFlip { factor: 1.0, own: false }
    }
}

impl Attack for SignFlip {
    fn needs(&self) -> Knowledge {
        Knowledge::OwnData
    }

    fn uses_own(&self, knowledge: Knowledge) -> bool {
        knowledge < Knowledge::Omniscient || self.own
    }

    fn craft(
        &self,
        view: &View<'_>,
        _memory: &mut Memory,
        _rng: &mut dyn Rng,
    ) -> Result<Crafted, AttackError> {
        if self.own {
            let rows = plain(ENTRY.name, view)?;
            let negated = rows.mapv(|value| (-self.factor * f64::from(value)) as f32);
            return Ok(Crafted::PerNode(negated));
        }
        opposite(ENTRY.name, view, self.factor)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::attacks::tests::{craft_alone, craft_omniscient};

    #[test]
    fn the_omniscient_negates_the_mean_of_the_honest() {
        let honest = array![[1.0, -2.0], [3.0, 6.0]];
        let sent = craft_omniscient(&SignFlip::default(), &honest, 2).unwrap();
        assert_eq!(sent, array![[-2.0, -2.0], [-2.0, -2.0]]);
    }

    #[test]
    fn one_who_acts_alone_negates_its_own_update() {
        let sent =
            craft_alone(&SignFlip { factor: 3.0, own: false }, &array![[1.0, -2.0]]).unwrap();
        assert_eq!(sent, array![[-3.0, 6.0]]);
    }

    #[test]
    fn colluders_may_each_negate_their_own() {
        let own = array![[1.0, -2.0], [3.0, 0.5]];
        let attack = SignFlip { own: true, ..SignFlip::default() };
        assert_eq!(craft_alone(&attack, &own).unwrap(), array![[-1.0, 2.0], [-3.0, -0.5]]);
    }

    #[test]
    fn nothing_known_is_an_error() {
        let error = craft_alone(&SignFlip::default(), &Array2::zeros((0, 2))).unwrap_err();
        assert_eq!(error, AttackError::TooFewKnown { attack: "sign_flip", needed: 1, got: 0 });
    }
}
