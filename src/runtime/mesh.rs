//! Runs without a coordinator on real processes: every process listens, and talks to its
//! neighbours directly.
//!
//! The coordinator of such a run is an observer: it tells everybody where the others are and
//! which secret each line has, and is told what every node comes to. No protocol message passes
//! through it, and who falls silent is noticed by those who talk to it.

pub mod account;
pub mod exchange;
pub mod line;
pub mod session;
pub mod supervisor;

use serde::{Deserialize, Serialize};

use crate::node::{NodeId, Round};
use crate::protocol::{Own, RoundRecord, SenderRecord};
use crate::vector::{Digest, Shared};

/// A record on its way to the observer, without its model.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    node: NodeId,
    round: Round,
    digest: Digest,
    own: Option<Own>,
    senders: Vec<SenderRecord>,
    skipped: Option<String>,
    timed_out: bool,
    block: Option<String>,
}

impl Kept {
    /// The record of a round, encoded.
    pub(super) fn encode(record: &RoundRecord) -> Vec<u8> {
        let kept = Kept {
            node: record.node,
            round: record.round,
            digest: record.digest,
            own: record.own,
            senders: record.senders.clone(),
            skipped: record.skipped.clone(),
            timed_out: record.timed_out,
            block: record.block.as_deref().map(str::to_owned),
        };
        postcard::to_allocvec(&kept).expect("plain data encodes")
    }

    /// The record again, with its model.
    pub(super) fn with_model(self, model: Shared) -> RoundRecord {
        let Kept { node, round, digest, own, senders, skipped, timed_out, block } = self;
        let block = block.map(Into::into);
        RoundRecord {
            node,
            round,
            model,
            digest,
            own,
            senders,
            skipped,
            timed_out,
            aggregate: None,
            block,
        }
    }
}
