//! What participants say to each other.

use std::sync::Arc;

use crate::node::{NodeId, Round};
use crate::vector::{Digest, Shared};

/// The digest of the share that somebody holds of each sender, `None` where the sender had
/// nothing.
pub type Claims = Vec<(NodeId, Option<Digest>)>;

/// One message of the protocol.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// From a server: train on this model and share what comes of it.
    Train {
        /// The round that begins.
        round: Round,
        /// The model to start from.
        model: Shared,
    },
    /// To a server: my update of this round.
    Share {
        /// The round it belongs to.
        round: Round,
        /// The direction that the server is to subtract, times the learning rate.
        update: Shared,
        /// The mean training loss that the sender declares.
        loss: f32,
        /// How many samples the sender declares to hold.
        samples: u64,
    },
    /// I have nothing for this round. Silence is a message, so nobody waits for ever.
    Absent {
        /// The round without a share.
        round: Round,
    },
    /// To a neighbour, or from whoever aggregates: my model of this round.
    Model {
        /// The round it belongs to.
        round: Round,
        /// The model; of a peer, after its own training and before it mixes.
        model: Shared,
        /// How many neighbours a peer says it has.
        degree: u32,
    },
    /// Among those who aggregate the same round: what I hold of each sender.
    Claims {
        /// The round.
        round: Round,
        /// One entry per sender, ascending.
        claims: Arc<Claims>,
    },
    /// Among those who aggregate the same round: send me what you hold of this sender.
    Fetch {
        /// The round.
        round: Round,
        /// Whose share is wanted.
        sender: NodeId,
    },
    /// The answer to a fetch: a share as its sender gave it to me.
    Copy {
        /// The round.
        round: Round,
        /// Whose share it is.
        sender: NodeId,
        /// The share's update.
        update: Shared,
        /// The loss that came with it.
        loss: f32,
        /// The sample count that came with it.
        samples: u64,
    },
    /// Among those who aggregate the same round: I have all that I need.
    Settled {
        /// The round.
        round: Round,
    },
    /// Among the members of a committee: an encoded ballot.
    Ballot {
        /// The round.
        round: Round,
        /// The ballot.
        ballot: Arc<[u8]>,
    },
    /// From a committee: the block that was decided, encoded with its certificate.
    Block {
        /// The round.
        round: Round,
        /// The block and its certificate.
        block: Arc<[u8]>,
    },
}

impl Message {
    /// The round that the message belongs to.
    pub fn round(&self) -> Round {
        match self {
            Message::Train { round, .. }
            | Message::Share { round, .. }
            | Message::Absent { round }
            | Message::Model { round, .. }
            | Message::Claims { round, .. }
            | Message::Fetch { round, .. }
            | Message::Copy { round, .. }
            | Message::Settled { round }
            | Message::Ballot { round, .. }
            | Message::Block { round, .. } => *round,
        }
    }

    /// The vector that it carries, if it carries one.
    pub fn vector(&self) -> Option<&Shared> {
        match self {
            Message::Train { model, .. } | Message::Model { model, .. } => Some(model),
            Message::Share { update, .. } | Message::Copy { update, .. } => Some(update),
            _ => None,
        }
    }

    /// The same message with another vector in place of its own; one without stays as it is.
    #[must_use]
    pub fn with_vector(&self, vector: Shared) -> Message {
        let mut changed = self.clone();
        match &mut changed {
            Message::Train { model, .. } | Message::Model { model, .. } => *model = vector,
            Message::Share { update, .. } | Message::Copy { update, .. } => *update = vector,
            _ => {}
        }
        changed
    }
}
