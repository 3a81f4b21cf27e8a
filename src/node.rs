//! Who takes part and when: identities, rounds and the roster.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One participant of a run. Workers are numbered from 0; the parts that serve them follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u32);

impl NodeId {
    /// The position of this node in a vector with one element per node.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A round of training. Rounds count from 1; 0 is the state before the first.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Round(pub u32);

impl Round {
    /// The round after this one.
    #[must_use]
    pub fn next(self) -> Round {
        Round(self.0 + 1)
    }

    /// The round before this one; before round 0 there is none, so 0 stays 0.
    #[must_use]
    pub fn previous(self) -> Round {
        Round(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Round {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The identities that are expected to share in every round, in ascending order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Roster(Vec<NodeId>);

impl Roster {
    /// The workers `0..count`.
    pub fn of_workers(count: usize) -> Self {
        Roster((0..count as u32).map(NodeId).collect())
    }

    /// These identities.
    pub fn of(mut nodes: Vec<NodeId>) -> Self {
        nodes.sort_unstable();
        nodes.dedup();
        Roster(nodes)
    }

    /// The identities in ascending order.
    pub fn ids(&self) -> &[NodeId] {
        &self.0
    }

    /// How many identities there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nobody is on the roster.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `node` is on the roster.
    pub fn contains(&self, node: NodeId) -> bool {
        self.0.binary_search(&node).is_ok()
    }
}
