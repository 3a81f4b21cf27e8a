//! A node's row of a round.

use serde::{Deserialize, Serialize};

/// One row of `nodes.csv`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeRow {
    /// The run.
    pub run_id: String,
    /// The round, from 1.
    pub round: u32,
    /// The node.
    pub node: u32,
    /// `worker`, `corrupted`, or the part of the system that it is.
    pub role: String,
    /// `shared`, `absent`, `refused` or `lost`; empty for those who do not share.
    pub outcome: Option<String>,
    /// The loss that it declared.
    pub loss: Option<f32>,
    /// The Euclidean norm of its update.
    pub norm: Option<f64>,
    /// Its share in the aggregate, where the rule decides per row.
    pub weight: Option<f32>,
    /// How many of its messages were refused.
    pub refused: u32,
    /// Encoded bytes that it sent.
    pub bytes_sent: u64,
    /// Encoded bytes that it was sent.
    pub bytes_received: u64,
    /// The digest of the model that it holds, for nodes that hold one.
    pub model_digest: Option<String>,
    /// The process that spoke for it.
    pub pid: u32,
    /// Share of right answers of its own model on the test set, for honest nodes that hold one.
    pub test_accuracy: Option<f64>,
}
