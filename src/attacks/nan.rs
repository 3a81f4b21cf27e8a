//! NaN: every coordinate is no number.
//!
//! One such row turns the mean into NaN, and every comparison with it is false, so that rules that
//! sort or take a minimum may keep it without noticing. Fails wherever messages are looked at
//! first: admission refuses the row and counts it against its sender, and a rule below admission
//! gives NaN a defined place.
//!
//! Reference: the NaN attack of the code to El Mhamdi, Guerraoui and Rouault, Distributed Momentum
//! for Byzantine-resilient Stochastic Gradient Descent, ICLR 2021.

use std::sync::Arc;

use ndarray::Array1;
use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Attack, AttackError, Claims, Crafted, Knowledge, View};
use crate::catalog::Entry;
use crate::memory::Memory;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Attack, Claims> = Entry {
    name: "nan",
    summary: "no number in any coordinate, which admission refuses",
    reference: "El Mhamdi, Guerraoui and Rouault, ICLR 2021",
    source: include_str!("nan.rs"),
    claims: Claims { moves_mean: true, stays_inside: false },
    parameters: || schema_for!(NotANumber),
    build: |parameters| parameters.build::<dyn Attack, NotANumber>(|attack| Ok(Arc::new(attack))),
};

/// NaN has no parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct NotANumber {}

impl Attack for NotANumber {
    fn needs(&self) -> Knowledge {
        Knowledge::OwnData
    }

    fn uses_own(&self, _knowledge: Knowledge) -> bool {
        false
    }

    fn craft(
        &self,
        view: &View<'_>,
        _memory: &mut Memory,
        _rng: &mut dyn Rng,
    ) -> Result<Crafted, AttackError> {
        let vector = Array1::from_elem(view.global.len(), f32::NAN);
        Ok(Crafted::same(vector, view.identities.len()))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::attacks::tests::craft_omniscient;

    #[test]
    fn no_coordinate_is_a_number() {
        let sent = craft_omniscient(&NotANumber::default(), &array![[1.0, 0.0]], 2).unwrap();
        assert_eq!(sent.dim(), (2, 2));
        assert!(sent.iter().all(|value| value.is_nan()));
    }
}
