//! The round that a member is in, and what it is shown at its end.

use std::collections::BTreeMap;

use super::encoding;
use super::sitting::Sitting;
use super::words::Words;
use crate::ledger::block::Block;
use crate::ledger::chain::Chain;
use crate::ledger::keys::RunKeys;
use crate::ledger::vote::Statement;
use crate::node::{NodeId, Round};
use crate::protocol::admission::admit;
use crate::protocol::consensus::Decision;
use crate::protocol::follower::refused;
use crate::protocol::{Outcome, Own, Reason, SenderRecord};
use crate::vector::{Digest, Shared, as_slice};

/// The round that a member is in.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) round: Round,
    pub(super) committee: Vec<NodeId>,
    pub(super) own: Own,
    /// Its seat, where it is on the committee and there.
    pub(super) sitting: Option<Sitting>,
    /// Whether it has said what its sitting came to.
    pub(super) told: bool,
    pub(super) words: Words,
    /// The first certified block that it was shown, or its sitting decided.
    pub(super) found: Option<(Decision, Block)>,
    /// The model of that block, where somebody sent it.
    pub(super) model: Option<Shared>,
    pub(super) refusals: BTreeMap<NodeId, u32>,
    pub(super) timed_out: bool,
}

impl Open {
    /// Takes the model of the block from a member that has shown the block.
    pub(super) fn take_model(&mut self, from: NodeId, model: Shared) -> Result<(), Reason> {
        if !self.words.expects(from) {
            return Err(Reason::WrongKind);
        }
        if !self.words.owes_model(from) {
            // It shows its model to whom it does not count in, or after a block that was refused.
            return if self.words.has_ended(from) { Ok(()) } else { Err(Reason::WrongKind) };
        }
        self.words.last(from);
        let (_, block) = self.found.as_ref().expect("a model is owed for a block");
        admit(as_slice(&model), as_slice(&model).len())?;
        if block.model != Some(Digest::of(as_slice(&model))) {
            return Err(Reason::Malformed("a model that is not that of the block".to_owned()));
        }
        self.model.get_or_insert(model);
        Ok(())
    }

    /// What became of everybody who shared, where this node collected; else those of whom
    /// something was refused.
    pub(super) fn senders(&self) -> Vec<SenderRecord> {
        let Some(sitting) = &self.sitting else {
            let record = |(&node, &count): (&NodeId, &u32)| refused(node, Outcome::Shared, count);
            return self.refusals.iter().map(record).collect();
        };
        let none = BTreeMap::new();
        sitting.collection.records(sitting.step().map_or(&none, |step| &step.weights))
    }
}

/// The decision that these bytes show: a block of `round` that comes next, with the signatures of
/// its committee.
pub(super) fn certified(
    chain: &Chain,
    round: Round,
    bytes: &[u8],
) -> Result<(Decision, Block), String> {
    let none = || "bytes that are no decided block".to_owned();
    let (payload, certificate) = encoding::read_decided(bytes).ok_or_else(none)?;
    let block = Block::decode(payload.as_bytes()).ok_or_else(none)?;
    if block.round != round {
        return Err(format!("a block of round {} in round {round}", block.round));
    }
    chain.check(&block).map_err(|fault| format!("a block that does not fit: {fault}"))?;
    let value = block.hash();
    let statement = Statement::precommit(round, certificate.view, value);
    let keys = RunKeys(&chain.genesis().run);
    certificate
        .check(&statement, chain.id(), &block.committee, &keys)
        .map_err(|fault| fault.to_string())?;
    Ok((Decision { value, certificate, payload }, block))
}
