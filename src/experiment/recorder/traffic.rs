//! Who sent how many bytes in a round.

use std::collections::BTreeMap;

use crate::node::{NodeId, Round};
use crate::vector::Digest;

/// Bytes that a node sent and was sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bytes {
    pub(super) sent: u64,
    pub(super) received: u64,
}

/// The traffic of the rounds that are open.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    rounds: BTreeMap<Round, BTreeMap<(NodeId, NodeId), u64>>,
    coordinated: bool,
}

impl Traffic {
    /// Traffic with a coordinator repeats messages on broken connections, and each counts once;
    /// elsewhere two nodes may have several words for each other in a round.
    pub(super) fn new(coordinated: bool) -> Self {
        Traffic { rounds: BTreeMap::new(), coordinated }
    }

    /// Counts a message.
    pub(super) fn count(&mut self, round: Round, from: NodeId, to: NodeId, bytes: u64) {
        let count = self.rounds.entry(round).or_default().entry((from, to)).or_default();
        *count = if self.coordinated { bytes } else { *count + bytes };
    }

    /// What each node sent and received in `round`, which is over, and a digest of what went along
    /// every edge: of sender, receiver and bytes, as little-endian numbers of 4, 4 and 8 bytes in
    /// the order of the nodes.
    pub(super) fn take(&mut self, round: Round) -> (BTreeMap<NodeId, Bytes>, Digest) {
        let later = self.rounds.split_off(&round.next());
        let counted = std::mem::replace(&mut self.rounds, later).remove(&round);
        let mut nodes: BTreeMap<NodeId, Bytes> = BTreeMap::new();
        let mut edges = Vec::new();
        for ((from, to), bytes) in counted.into_iter().flatten() {
            nodes.entry(from).or_default().sent += bytes;
            nodes.entry(to).or_default().received += bytes;
            edges.extend(from.0.to_le_bytes());
            edges.extend(to.0.to_le_bytes());
            edges.extend(bytes.to_le_bytes());
        }
        (nodes, Digest::of_bytes(&edges))
    }
}
