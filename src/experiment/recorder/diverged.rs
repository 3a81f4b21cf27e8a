//! Who came to no number.

use std::collections::BTreeMap;

use super::{Recorder, Records};
use crate::experiment::event::RunEvent;
use crate::node::{NodeId, Round};
use crate::protocol::{Outcome, SenderRecord};
use crate::runtime::RunError;

impl Recorder {
    /// Notes the honest who were absent without a plan: their steps ended in no number.
    pub(super) fn note_diverged(
        &mut self,
        round: Round,
        records: &Records,
        senders: &BTreeMap<NodeId, SenderRecord>,
    ) -> Result<(), RunError> {
        // A server that is flooded cannot tell who said nothing from whom it did not hear.
        let deaf = self.plan.losses.as_ref().is_some_and(|flood| round >= flood.from);
        let outcome = |node: &NodeId| match records.get(node).and_then(|record| record.own) {
            Some(own) => Some(own.outcome),
            None if deaf => None,
            None => senders.get(node).map(|sender| sender.outcome),
        };
        let fresh: Vec<NodeId> = self
            .honest
            .iter()
            .filter(|node| outcome(node) == Some(Outcome::Absent))
            .filter(|node| !self.plan.faults.absent(round, **node))
            .filter(|node| !self.totals.diverged.contains_key(&node.0))
            .copied()
            .collect();
        for node in fresh {
            self.totals.diverged.insert(node.0, round.0);
            self.folder.event(RunEvent::Diverged { round, node })?;
        }
        Ok(())
    }
}
