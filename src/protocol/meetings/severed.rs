//! Meetings of which faults take some away.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Meetings;
use crate::graph::Graph;
use crate::node::{NodeId, Round};
use crate::protocol::fault::cut::Cut;
use crate::protocol::fault::flood::Flood;

/// Two ends of an edge.
type Edge = (NodeId, NodeId);

/// The meetings that a partition and a flood leave of others.
///
/// A meeting is an exchange: where one of two words would be lost neither is said.
#[derive(Debug, Clone)]
pub struct Severed {
    whole: Arc<dyn Meetings>,
    /// The graphs of the rounds in which something is missing.
    rounds: BTreeMap<Round, Arc<Graph>>,
}

impl Severed {
    /// What is left of `whole` in the rounds `1..=rounds`.
    pub fn new(
        whole: Arc<dyn Meetings>,
        cut: Option<&Cut>,
        flood: Option<&Flood>,
        rounds: u32,
    ) -> Self {
        // Where the same edges are missing from the same graph, rounds share what is left.
        let first = whole.graph(Round(1));
        let mut known: BTreeMap<Vec<Edge>, Arc<Graph>> = BTreeMap::new();
        let mut severed = BTreeMap::new();
        for round in (1..=rounds).map(Round) {
            let graph = whole.graph(round);
            let missing = missing(&graph, round, cut, flood);
            if missing.is_empty() {
                continue;
            }
            let left = if Arc::ptr_eq(&first, &graph) {
                let left = known.entry(missing);
                Arc::clone(left.or_insert_with_key(|missing| Arc::new(without(&graph, missing))))
            } else {
                Arc::new(without(&graph, &missing))
            };
            severed.insert(round, left);
        }
        Severed { whole, rounds: severed }
    }
}

impl Meetings for Severed {
    fn graph(&self, round: Round) -> Arc<Graph> {
        self.rounds.get(&round).map_or_else(|| self.whole.graph(round), Arc::clone)
    }
}

/// The edges that are missing in a round, ascending. What a partition has taken away does not
/// reach the flooded node in any case, and is no part of what it has to take in.
fn missing(graph: &Graph, round: Round, cut: Option<&Cut>, flood: Option<&Flood>) -> Vec<Edge> {
    let severs = |one, other| cut.is_some_and(|cut| cut.severs(round, one, other));
    let mut missing = Vec::new();
    if cut.is_some_and(|cut| cut.is_open(round)) {
        missing.extend(graph.edges().filter(|&(one, other)| severs(one, other)));
    }
    if let Some(flood) = flood {
        let node = flood.node;
        let near: Vec<NodeId> =
            graph.neighbours(node).iter().copied().filter(|&near| !severs(node, near)).collect();
        let lost = near.iter().filter(|sender| flood.drops(round, **sender, near.len()));
        missing.extend(lost.map(|&sender| (node.min(sender), node.max(sender))));
    }
    missing.sort_unstable();
    missing
}

/// The graph without these edges, which ascend.
fn without(graph: &Graph, missing: &[Edge]) -> Graph {
    let left = graph.edges().filter(|edge| missing.binary_search(edge).is_err());
    Graph::from_edges(graph.len(), left.map(|(one, other)| (one.0, other.0)))
        .expect("edges of a graph are edges of a graph")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::meetings::Always;

    /// A ring of four, 0 - 1 - 2 - 3 - 0.
    fn ring() -> Arc<dyn Meetings> {
        let edges = [(0, 1), (1, 2), (2, 3), (3, 0)];
        Arc::new(Always(Arc::new(Graph::from_edges(4, edges).unwrap())))
    }

    fn edges(meetings: &Severed, round: u32) -> Vec<(u32, u32)> {
        meetings.graph(Round(round)).edges().map(|(one, other)| (one.0, other.0)).collect()
    }

    #[test]
    fn a_partition_leaves_the_edges_within_its_sides_and_heals() {
        let cut = Cut::first(2, Round(2), Round(3));
        let left = Severed::new(ring(), Some(&cut), None, 4);
        assert_eq!(edges(&left, 1), [(0, 1), (0, 3), (1, 2), (2, 3)]);
        assert_eq!(edges(&left, 2), [(0, 1), (2, 3)]);
        assert!(Arc::ptr_eq(&left.graph(Round(2)), &left.graph(Round(3))));
        assert_eq!(edges(&left, 4).len(), 4);
    }

    #[test]
    fn a_flood_without_any_room_leaves_its_node_alone() {
        let flood = Flood { seed: 1, node: NodeId(3), requests: 1, capacity: 0, from: Round(2) };
        let left = Severed::new(ring(), None, Some(&flood), 3);
        assert_eq!((edges(&left, 1).len(), edges(&left, 2)), (4, vec![(0, 1), (1, 2)]));
        let room = Flood { capacity: 3, ..flood };
        assert_eq!(edges(&Severed::new(ring(), None, Some(&room), 3), 2).len(), 4);
    }

    #[test]
    fn both_at_once() {
        // The cut leaves the flooded node one neighbour, and there is room for that and the flood.
        let cut = Cut::first(2, Round(1), Round(1));
        let flood = Flood { seed: 1, node: NodeId(3), requests: 1, capacity: 2, from: Round(1) };
        let left = Severed::new(ring(), Some(&cut), Some(&flood), 1);
        assert_eq!(edges(&left, 1), [(0, 1), (2, 3)]);
        let none = Flood { capacity: 0, ..flood };
        assert_eq!(edges(&Severed::new(ring(), Some(&cut), Some(&none), 1), 1), [(0, 1)]);
    }
}
