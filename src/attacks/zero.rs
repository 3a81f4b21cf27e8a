//! Zero: an update without any content.
//!
//! `B = 0`. Learning slows down by the share of those who send it, and no more, under the mean.
//!
//! It costs nothing to make and needs nothing to be known. Fails to do harm by itself; it is a
//! yardstick, and hard on rules that prefer small rows: where the honest have small updates far
//! apart, as late in training, the rule that picks the row nearest to the others picks this one,
//! and learning stops.
//!
//! Reference: the zero attack of the library of He et al., `FedML`: A Research Library and
//! Benchmark for Federated Machine Learning, 2020.

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
    name: "zero",
    summary: "an update of zeros",
    reference: "He et al., FedML, 2020",
    source: include_str!("zero.rs"),
    claims: Claims { moves_mean: true, stays_inside: false },
    parameters: || schema_for!(Zero),
    build: |parameters| parameters.build::<dyn Attack, Zero>(|attack| Ok(Arc::new(attack))),
};

/// Zero has no parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Zero {}

impl Attack for Zero {
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
        let vector = Array1::zeros(view.global.len());
        Ok(Crafted::same(vector, view.identities.len()))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::attacks::tests::craft_omniscient;

    #[test]
    fn learning_slows_down_by_the_share_of_those_who_send_it() {
        let honest = array![[3.0, -6.0], [3.0, -6.0]];
        let sent = craft_omniscient(&Zero::default(), &honest, 1).unwrap();
        assert_eq!(sent, array![[0.0, 0.0]]);
        // Two thirds of the step are left.
        assert_eq!((honest.column(0).sum() + sent[[0, 0]]) / 3.0, 2.0);
    }
}
