//! Betweenness: how much of the traffic along shortest paths passes a node or an edge.
//!
//! Of each pair of nodes one unit travels, shared equally among the shortest paths between them.
//!
//! Reference: Freeman, Sociometry 40, 1977; Brandes, Journal of Mathematical Sociology 25, 2001.

use std::cmp::Ordering;

use super::{Graph, NodeId};

/// Differences below one part in this many are rounding: such values are equal.
const RESOLUTION: f64 = 1e6;

/// An edge, the smaller node first.
pub type Edge = (NodeId, NodeId);

/// How many units pass each node and each edge.
#[derive(Debug, Clone, PartialEq)]
pub struct Betweenness {
    /// For each node, the units between pairs of others that pass it.
    pub nodes: Vec<f64>,
    /// For each edge, in ascending order, the units that pass it.
    pub edges: Vec<(Edge, f64)>,
}

impl Betweenness {
    /// The betweenness of all nodes and edges, in `nodes · edges` steps.
    ///
    /// Numbers of paths are 64-bit floats: exact up to 2^53, rounded above.
    pub fn of(graph: &Graph) -> Self {
        let edges: Vec<Edge> = graph.edges().collect();
        // Edges ascend, so a node's come in the order of its neighbours.
        let mut numbers = vec![Vec::new(); graph.len()];
        for (number, (from, to)) in edges.iter().enumerate() {
            numbers[from.index()].push(number);
            numbers[to.index()].push(number);
        }
        let (mut nodes, mut along) = (vec![0.0; graph.len()], vec![0.0; edges.len()]);
        for source in graph.nodes() {
            Paths::from(graph, source).add_to(graph, &numbers, &mut nodes, &mut along);
        }
        // Every pair was counted from both of its ends.
        nodes.iter_mut().chain(&mut along).for_each(|units| *units /= 2.0);
        Betweenness { nodes, edges: edges.into_iter().zip(along).collect() }
    }

    /// All nodes, the busiest first; the smaller first where they are equal.
    pub fn busiest_nodes(&self) -> Vec<NodeId> {
        let mut order: Vec<usize> = (0..self.nodes.len()).collect();
        order.sort_by(|a, b| busier_first(self.nodes[*a], self.nodes[*b]));
        order.into_iter().map(|index| NodeId(index as u32)).collect()
    }

    /// All edges with their units, the busiest first; the smaller first where they are equal.
    pub fn busiest_edges(&self) -> Vec<(Edge, f64)> {
        let mut order = self.edges.clone();
        order.sort_by(|(_, a), (_, b)| busier_first(*a, *b));
        order
    }
}

fn busier_first(a: f64, b: f64) -> Ordering {
    let rounded = |units: f64| (units * RESOLUTION).round();
    rounded(b).total_cmp(&rounded(a))
}

/// The shortest paths from one node.
struct Paths {
    source: NodeId,
    /// The nodes that can be reached, the nearest first.
    reached: Vec<NodeId>,
    distances: Vec<Option<u32>>,
    /// How many shortest paths lead to each node.
    counts: Vec<f64>,
}

impl Paths {
    fn from(graph: &Graph, source: NodeId) -> Self {
        let mut distances = vec![None; graph.len()];
        let mut counts = vec![0.0; graph.len()];
        distances[source.index()] = Some(0);
        counts[source.index()] = 1.0;
        let mut reached = vec![source];
        let mut next = 0;
        while let Some(&node) = reached.get(next) {
            next += 1;
            let one_more = distances[node.index()].map(|distance: u32| distance + 1);
            for &neighbour in graph.neighbours(node) {
                if distances[neighbour.index()].is_none() {
                    distances[neighbour.index()] = one_more;
                    reached.push(neighbour);
                }
                if distances[neighbour.index()] == one_more {
                    counts[neighbour.index()] += counts[node.index()];
                }
            }
        }
        Paths { source, reached, distances, counts }
    }

    /// Sends one unit from every node to the source, the farthest first, and adds up what passes.
    fn add_to(&self, graph: &Graph, numbers: &[Vec<usize>], nodes: &mut [f64], edges: &mut [f64]) {
        let mut passing = vec![0.0; nodes.len()];
        for &node in self.reached.iter().rev().filter(|node| **node != self.source) {
            let share = (1.0 + passing[node.index()]) / self.counts[node.index()];
            let one_less = self.distances[node.index()].map(|distance| distance - 1);
            for (neighbour, number) in graph.neighbours(node).iter().zip(&numbers[node.index()]) {
                if self.distances[neighbour.index()] == one_less {
                    let units = self.counts[neighbour.index()] * share;
                    passing[neighbour.index()] += units;
                    edges[*number] += units;
                }
            }
            nodes[node.index()] += passing[node.index()];
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn graph(nodes: usize, edges: &[(u32, u32)]) -> Graph {
        Graph::from_edges(nodes, edges.iter().copied()).unwrap()
    }

    #[test]
    fn a_chain_by_hand() {
        // 0 - 1 - 2 - 3: 1 lies between 0 and 2, and 0 and 3.
        let chain = Betweenness::of(&graph(4, &[(0, 1), (1, 2), (2, 3)]));
        assert_eq!(chain.nodes, [0.0, 2.0, 2.0, 0.0]);
        let units: Vec<f64> = chain.edges.iter().map(|(_, units)| *units).collect();
        assert_eq!(units, [3.0, 4.0, 3.0]);
        assert_eq!(chain.busiest_edges()[0].0, (NodeId(1), NodeId(2)));
        assert_eq!(chain.busiest_nodes(), [1, 2, 0, 3].map(NodeId));
    }

    #[test]
    fn equal_paths_share_a_unit() {
        // A square: the two ways between opposite corners carry half each.
        let square = Betweenness::of(&graph(4, &[(0, 1), (1, 2), (2, 3), (3, 0)]));
        assert_eq!(square.nodes, [0.5; 4]);
        assert!(square.edges.iter().all(|(_, units)| *units == 2.0));
    }

    #[test]
    fn what_is_equal_but_for_rounding_is_ranked_by_number() {
        // Every node and edge of this torus is like every other.
        let sides = [(0, 1), (1, 2), (0, 2)];
        let edges: Vec<(u32, u32)> = (0..3)
            .flat_map(|k| sides.map(|(a, b)| [(3 * k + a, 3 * k + b), (k + 3 * a, k + 3 * b)]))
            .flatten()
            .collect();
        let torus = Betweenness::of(&graph(9, &edges));
        assert!(torus.busiest_nodes().is_sorted());
        assert!(torus.busiest_edges().is_sorted_by_key(|(edge, _)| *edge));
    }

    proptest! {
        /// A node lies on `paths(s, v) · paths(v, t)` of the shortest paths from `s` to `t` when
        /// the distances add up; an edge likewise.
        #[test]
        fn pairs_counted_one_by_one_give_the_same(
            edges in prop::collection::vec((0u32..9, 0u32..9), 0..25),
        ) {
            let edges: Vec<_> = edges.into_iter().filter(|(from, to)| from != to).collect();
            let graph = graph(9, &edges);
            let found = Betweenness::of(&graph);
            let paths: Vec<Paths> = graph.nodes().map(|node| Paths::from(&graph, node)).collect();
            let apart = |a: NodeId, b: NodeId| paths[a.index()].distances[b.index()];
            let count = |a: NodeId, b: NodeId| paths[a.index()].counts[b.index()];
            let pairs: Vec<(NodeId, NodeId)> = graph
                .nodes()
                .flat_map(|s| graph.nodes().filter(move |t| *t > s).map(move |t| (s, t)))
                .filter(|(s, t)| apart(*s, *t).is_some())
                .collect();
            let adds_up = |s, a, between: u32, b, t| {
                apart(s, a).zip(apart(b, t)).map(|(x, y)| x + y + between) == apart(s, t)
            };
            for node in graph.nodes() {
                let passes = |s, t| {
                    let inside = node != s && node != t && adds_up(s, node, 0, node, t);
                    if inside { count(s, node) * count(node, t) / count(s, t) } else { 0.0 }
                };
                let expected: f64 = pairs.iter().map(|(s, t)| passes(*s, *t)).sum();
                prop_assert!((found.nodes[node.index()] - expected).abs() < 1e-9);
            }
            for ((a, b), units) in &found.edges {
                let way = |s, a, b, t| {
                    let on = adds_up(s, a, 1, b, t);
                    if on { count(s, a) * count(b, t) / count(s, t) } else { 0.0 }
                };
                let passes = |s, t| way(s, *a, *b, t) + way(s, *b, *a, t);
                let expected: f64 = pairs.iter().map(|(s, t)| passes(*s, *t)).sum();
                prop_assert!((units - expected).abs() < 1e-9);
            }
        }
    }
}
