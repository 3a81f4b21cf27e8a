//! Infinity: every coordinate is infinite.
//!
//! `B = +inf`, or with `negative = true`, `-inf`.
//!
//! One such row makes the mean infinite, and the model with it. Fails wherever messages are looked
//! at before they are added up: here admission refuses the row, counts it against its sender, and
//! the round goes on without it, so all that the attack achieves is an absence. It tests that a
//! system does look.
//!
//! Reference: the crudest case of Blanchard et al., Machine Learning with Adversaries: Byzantine
//! Tolerant Gradient Descent, Neural Information Processing Systems 2017; ByzFL has it as Inf.

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
    name: "infinity",
    summary: "infinity in every coordinate, which admission refuses",
    reference: "Blanchard et al., NeurIPS 2017",
    source: include_str!("infinity.rs"),
    claims: Claims { moves_mean: true, stays_inside: false },
    parameters: || schema_for!(Infinity),
    build: |parameters| parameters.build::<dyn Attack, Infinity>(|attack| Ok(Arc::new(attack))),
};

/// Parameters of infinity.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Infinity {
    /// Whether it is minus infinity that is sent; default no.
    negative: bool,
}

impl Attack for Infinity {
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
        let value = if self.negative { f32::NEG_INFINITY } else { f32::INFINITY };
        let vector = Array1::from_elem(view.global.len(), value);
        Ok(Crafted::same(vector, view.identities.len()))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::attacks::tests::craft_omniscient;

    #[test]
    fn every_coordinate_is_infinite() {
        let honest = array![[1.0, 0.0], [2.0, 5.0]];
        let sent = craft_omniscient(&Infinity::default(), &honest, 2).unwrap();
        assert_eq!(sent, array![[f32::INFINITY; 2], [f32::INFINITY; 2]]);
        let sent = craft_omniscient(&Infinity { negative: true }, &honest, 1).unwrap();
        assert_eq!(sent, array![[f32::NEG_INFINITY; 2]]);
    }
}
