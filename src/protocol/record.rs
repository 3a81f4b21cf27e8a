//! What a round came to, as one node saw it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::node::{NodeId, Round};
use crate::vector::{Digest, Shared};

/// One closed round of one node: of the server, or of every node that holds a model of its own.
#[derive(Debug, Clone)]
pub struct RoundRecord {
    /// Whose round it was.
    pub node: NodeId,
    /// The round.
    pub round: Round,
    /// The model after it.
    pub model: Shared,
    /// The digest of that model.
    pub digest: Digest,
    /// What the node itself had to share, where it trains.
    pub own: Option<Own>,
    /// One entry per identity that was expected to share with this node, ascending.
    pub senders: Vec<SenderRecord>,
    /// Why the rule refused and the model stayed, if it did.
    pub skipped: Option<String>,
    /// Whether a deadline closed the round; then its bits depend on the clock.
    pub timed_out: bool,
    /// The aggregate of the round, where one server makes it of what the workers share.
    pub aggregate: Option<Shared>,
    /// The line of the ledger that the round came to, where one is kept.
    pub block: Option<Arc<str>>,
}

impl RoundRecord {
    /// How many identities ended the round with this outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.senders.iter().filter(|sender| sender.outcome == outcome).count()
    }

    /// How many messages were refused while the round was open.
    pub fn refusals(&self) -> u32 {
        self.senders.iter().map(|sender| sender.refusals).sum()
    }
}

/// What a node that trains contributed to its round.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Own {
    /// Whether it had anything to share.
    pub outcome: Outcome,
    /// The mean loss of its local steps.
    pub loss: Option<f32>,
}

/// What one identity did in a round.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SenderRecord {
    /// Who.
    pub node: NodeId,
    /// What came of it.
    pub outcome: Outcome,
    /// The loss it declared.
    pub loss: Option<f32>,
    /// The Euclidean norm of its update.
    pub norm: Option<f64>,
    /// Its share in the aggregate, where the rule decides per row.
    pub weight: Option<f32>,
    /// How many of its messages were refused while the round was open.
    pub refusals: u32,
}

/// How an identity ended a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Its update was a row.
    Shared,
    /// It was not drawn for the round.
    NotDrawn,
    /// It said that it has nothing, by plan or by choice.
    Absent,
    /// Its update was not admitted.
    Refused,
    /// It stayed away for longer than the runtime's patience.
    Lost,
}

impl Outcome {
    /// The word for it in tables.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Shared => "shared",
            Outcome::NotDrawn => "not_drawn",
            Outcome::Absent => "absent",
            Outcome::Refused => "refused",
            Outcome::Lost => "lost",
        }
    }
}
