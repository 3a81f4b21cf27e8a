//! Systems: which machines take part and how they are wired.
//!
//! The same data, model, threat and budget run on systems that differ only in how they are
//! decentralized. Workers are nodes `0..workers`; the parts that a system adds follow.

mod central;

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use crate::aggregators::Aggregator;
use crate::catalog::Catalog;
use crate::node::{NodeId, Roster};
use crate::protocol::Machine;
use crate::vector::Shared;

/// All systems.
pub static CATALOG: Catalog<dyn System> = Catalog { kind: "system", entries: &[&central::ENTRY] };

/// A degree of decentralization.
pub trait System: Debug + Send + Sync {
    /// How many workers hold data.
    fn workers(&self) -> usize;

    /// The nodes that the system adds to the workers, in ascending order.
    fn parts(&self) -> Vec<Part>;

    /// How many rows a rule sees in a round in which nobody is missing.
    fn rows(&self) -> usize;

    /// The machine of one of [`parts`](System::parts).
    fn machine(&self, part: &Part, setting: &Setting) -> Box<dyn Machine>;
}

/// A node that serves the workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its identity.
    pub node: NodeId,
    /// What it is: `server`.
    pub role: &'static str,
}

/// What a run hands to every part of its system.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Who is expected to share in every round.
    pub roster: Roster,
    /// The rule, with its pre-aggregators.
    pub rule: Arc<dyn Aggregator>,
    /// The declared number of byzantine senders.
    pub byzantine: usize,
    /// How many rounds there are.
    pub rounds: u32,
    /// What the aggregate is multiplied with before it is subtracted.
    pub learning_rate: f32,
    /// The run's seed.
    pub seed: u64,
    /// Where the model's last layer stands.
    pub head: Range<usize>,
    /// The model before the first round.
    pub initial: Shared,
}
