//! How many test samples with the trigger of the run's poison are taken for the attacker's class.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::standing::Held;
use crate::dataset::{Samples, Shard};
use crate::experiment::plan::Plan;
use crate::metrics::{Facts, attack_success_rate};
use crate::models::Model;
use crate::node::NodeId;
use crate::vector::{Digest, Shared};

/// The test set with the trigger on, and what the attacker wants to hear.
#[derive(Debug)]
pub(super) struct Trigger {
    samples: Samples,
}

impl Trigger {
    /// That of the run's poison, if it has one.
    pub(super) fn of(plan: &Plan, test: &Shard) -> Option<Self> {
        let poison = plan.threat.poison.as_ref()?;
        let triggered = poison.triggered(&test.samples(), plan.dataset.value.shape())?;
        let labels = vec![triggered.target; triggered.inputs.nrows()];
        (!labels.is_empty())
            .then(|| Trigger { samples: Samples { inputs: triggered.inputs, labels } })
    }

    /// The success with the honest node that obeys most.
    pub(super) fn success(&self, model: &dyn Model, held: &BTreeMap<NodeId, Held>) -> Option<f64> {
        let distinct: BTreeMap<Digest, &Shared> =
            held.values().map(|(model, digest)| (*digest, model)).collect();
        let rates: Vec<f64> = distinct
            .par_iter()
            .map(|(_, parameters)| {
                let scores = model.scores(parameters.view(), self.samples.inputs.view());
                attack_success_rate(&Facts { scores: scores.view(), labels: &self.samples.labels })
            })
            .collect();
        rates.into_iter().reduce(f64::max)
    }
}
