//! What a round's row says beyond what was counted.

use std::collections::BTreeMap;

use super::classes::Classes;
use super::detection::Detection;
use super::robustness::measure;
use super::standing::{Held, Standing};
use super::{Recorder, Records};
use crate::experiment::store::RoundRow;
use crate::node::{NodeId, Round};
use crate::protocol::SenderRecord;
use crate::protocol::mesh_adversary::Defence;
use crate::systems::Takes;

impl Recorder {
    /// Adds whom the rule weighted, and how far it was from what the honest sent.
    pub(super) fn measured(
        &mut self,
        row: RoundRow,
        round: Round,
        records: &Records,
        senders: &BTreeMap<NodeId, SenderRecord>,
    ) -> RoundRow {
        let corrupted = |node: NodeId| self.plan.threat.corrupts(node);
        let detection = Detection::of(senders, corrupted);
        let updates = self.updates.take(round);
        let aggregate = records.values().find_map(|record| record.aggregate.as_ref());
        let measured = aggregate.and_then(|aggregate| measure(&updates, &self.honest, aggregate));
        // A bound speaks of the rule that was used, and of as many liars as were declared.
        let used = self.plan.system.value.takes() != Takes::Nothing && measured.is_some();
        let liars = updates.keys().filter(|node| corrupted(**node)).count();
        let bound = match &self.plan.rule {
            Defence::Rule(rule) if used && liars == self.plan.byzantine => {
                rule.error_bound(updates.len(), liars)
            }
            _ => None,
        };
        RoundRow {
            corrupted_weight: detection.corrupted_weight,
            detection_precision: detection.precision,
            detection_recall: detection.recall,
            distance_to_honest_mean: measured.map(|measured| measured.distance),
            measured_robustness: measured.and_then(|measured| measured.error),
            robustness_bound: bound,
            ..row
        }
    }

    /// Adds the accuracy on each class of the node that does worst.
    pub(super) fn by_class(
        &self,
        row: RoundRow,
        standing: Option<&Standing>,
        held: &BTreeMap<NodeId, Held>,
    ) -> RoundRow {
        let judged = standing.filter(|_| self.plan.evaluation.classes);
        let Some((model, _)) = judged.and_then(|standing| held.get(&standing.worst_node())) else {
            return row;
        };
        let classes = Classes::judge(&*self.plan.model, model, &self.held_out.test);
        RoundRow {
            worst_class_accuracy: classes.worst(),
            class_accuracies: Some(classes.to_string()),
            ..row
        }
    }

    /// Adds how the node that does worst on the training samples that were held out does on them.
    pub(super) fn validated(
        &mut self,
        row: RoundRow,
        round: Round,
        held: &BTreeMap<NodeId, Held>,
    ) -> RoundRow {
        let Some(validation) = &self.held_out.validation else { return row };
        let standing = match self.due(round) {
            true => Standing::judge(&*self.plan.model, held, validation),
            false => None,
        };
        let worst = standing.map(|standing| standing.worst());
        self.validated = worst.or(self.validated);
        RoundRow {
            validation_accuracy: Some(worst.map(|worst| worst.accuracy)),
            validation_loss: Some(worst.map(|worst| worst.loss)),
            ..row
        }
    }

    /// The share of honest workers for which the round came to something.
    pub(super) fn completed(&self, records: &Records) -> f64 {
        if self.plan.wiring.coordinated() {
            return f64::from(u8::from(records.values().all(|record| record.skipped.is_none())));
        }
        let moved =
            |node: &&NodeId| records.get(node).is_some_and(|record| record.skipped.is_none());
        self.honest.iter().filter(moved).count() as f64 / self.honest.len().max(1) as f64
    }

    /// The mean loss that the honest declared, in node order.
    pub(super) fn honest_loss(
        &self,
        records: &Records,
        senders: &BTreeMap<NodeId, SenderRecord>,
    ) -> Option<f64> {
        let own = |node: &NodeId| match records.get(node).and_then(|record| record.own) {
            Some(own) => own.loss,
            None => senders.get(node).and_then(|sender| sender.loss),
        };
        let losses: Vec<f64> = self.honest.iter().filter_map(own).map(f64::from).collect();
        (!losses.is_empty()).then(|| losses.iter().sum::<f64>() / losses.len() as f64)
    }
}
