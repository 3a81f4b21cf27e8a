//! What happens in a run, one line of `events.jsonl` each.

use serde::{Deserialize, Serialize};

use crate::node::{NodeId, Round};

/// One event. Names and fields are read by tools: they may grow, not change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunEvent {
    /// The run began.
    Started {
        /// Which runtime drives it.
        runtime: String,
        /// The process that does.
        process: u32,
    },
    /// The run went on from a checkpoint.
    Resumed {
        /// The last round that was finished before.
        round: Round,
        /// The process that goes on with it.
        process: u32,
    },
    /// A process speaks for a node from now on.
    Joined {
        /// The round that was last closed.
        round: Round,
        /// The node.
        node: NodeId,
        /// The process.
        process: u32,
    },
    /// The connection of a node broke.
    Left {
        /// The round that was last closed.
        round: Round,
        /// The node.
        node: NodeId,
    },
    /// A node stayed away for longer than the patience; it is absent from now on.
    Lost {
        /// The round that was last closed.
        round: Round,
        /// The node.
        node: NodeId,
    },
    /// A message was refused. Repeated refusals of one sender in one round are only counted.
    Refused {
        /// The round that was open.
        round: Round,
        /// Who sent it.
        from: NodeId,
        /// Why.
        reason: String,
    },
    /// The rule refused a round's rows and the model stayed.
    Skipped {
        /// The round.
        round: Round,
        /// The rule's words.
        reason: String,
    },
    /// The steps of an honest worker ended in no number for the first time; it is absent then.
    Diverged {
        /// The round.
        round: Round,
        /// The worker.
        node: NodeId,
    },
    /// The model was judged on the test set.
    Evaluated {
        /// The round.
        round: Round,
        /// Share of right answers, 0 to 1.
        accuracy: f64,
        /// Mean cross-entropy.
        loss: f64,
    },
    /// The run is complete.
    Finished {
        /// The last round.
        round: Round,
    },
}

/// A line of the file: what happened and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Seconds since the run or its resumption began.
    pub seconds: f64,
    /// What happened.
    pub event: RunEvent,
}
