//! What participants say to each other.

use crate::node::Round;
use crate::vector::Shared;

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
    /// To a server: I have nothing for this round. Silence is a message, so nobody waits for ever.
    Absent {
        /// The round without a share.
        round: Round,
    },
}

impl Message {
    /// The round that the message belongs to.
    pub fn round(&self) -> Round {
        match self {
            Message::Train { round, .. }
            | Message::Share { round, .. }
            | Message::Absent { round } => *round,
        }
    }
}
