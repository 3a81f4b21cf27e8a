//! Attack success rate: the share of samples with a trigger that are taken for the class which the
//! attacker wants.
//!
//! The samples are those of the test set that are of another class, with the trigger of the run's
//! poison on them; the labels handed in are the attacker's class. So 0 is a model that the trigger
//! means nothing to, and 1 one that obeys it; an honest model has about its rate of confusion.
//! Recorded where a poison has a trigger, for the honest node that obeys most.
//!
//! Fails to tell a backdoor from a model that has burst: one that answers the attacker's class
//! always obeys as well. Read it beside the accuracy.
//!
//! Reference: Gu, Dolan-Gavitt and Garg, `BadNets`, 2017; Xie et al., DBA, ICLR 2020.

use std::sync::Arc;

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::accuracy::Accuracy;
use super::{Facts, Metric};
use crate::catalog::Entry;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Metric> = Entry {
    name: "attack_success_rate",
    summary: "the share of samples with the trigger that are taken for the attacker's class",
    reference: "Gu, Dolan-Gavitt and Garg, 2017",
    source: include_str!("attack_success_rate.rs"),
    claims: (),
    parameters: || schema_for!(AttackSuccessRate),
    build: |parameters| {
        parameters.build::<dyn Metric, AttackSuccessRate>(|metric| Ok(Arc::new(metric)))
    },
};

/// The attack success rate has no parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct AttackSuccessRate {}

impl Metric for AttackSuccessRate {
    fn measure(&self, facts: &Facts<'_>) -> f64 {
        Accuracy {}.measure(facts)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn the_share_that_is_taken_for_the_attackers_class() {
        let scores = array![[0.1, 0.9], [2.0, -1.0], [0.0, 1.0], [-3.0, -4.0]];
        let facts = Facts { scores: scores.view(), labels: &[1, 1, 1, 1] };
        assert_eq!(AttackSuccessRate {}.measure(&facts), 0.5);
    }
}
