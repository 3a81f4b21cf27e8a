//! Graphs: who talks to whom.
//!
//! Undirected and simple: an edge joins two different nodes once. Nodes are numbered `0..len`.

pub mod betweenness;
pub mod cuts;
pub(crate) mod eigen;
pub mod mixing;
mod paths;
pub mod spectrum;

use std::collections::BTreeSet;

use crate::node::NodeId;

/// Who talks to whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    neighbours: Vec<Vec<NodeId>>,
}

/// Why edges make no graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// An edge to nobody.
    #[error("edge {from} - {to}: there are only the nodes 0 to {last}")]
    NoSuchNode {
        /// One end.
        from: u32,
        /// The other end.
        to: u32,
        /// The last node.
        last: usize,
    },
    /// An edge from a node to itself.
    #[error("edge {0} - {0} joins a node to itself")]
    Loop(u32),
}

impl Graph {
    /// The graph of `nodes` nodes with these edges, in any order and direction; repeated ones
    /// count once.
    pub fn from_edges(
        nodes: usize,
        edges: impl IntoIterator<Item = (u32, u32)>,
    ) -> Result<Self, GraphError> {
        let mut neighbours = vec![BTreeSet::new(); nodes];
        for (from, to) in edges {
            Graph::check_edge(nodes, (from, to))?;
            neighbours[from as usize].insert(NodeId(to));
            neighbours[to as usize].insert(NodeId(from));
        }
        Ok(Graph {
            neighbours: neighbours.into_iter().map(|set| set.into_iter().collect()).collect(),
        })
    }

    /// Refuses an edge that no graph of `nodes` nodes can have.
    pub fn check_edge(nodes: usize, (from, to): (u32, u32)) -> Result<(), GraphError> {
        if from as usize >= nodes || to as usize >= nodes {
            return Err(GraphError::NoSuchNode { from, to, last: nodes.saturating_sub(1) });
        }
        if from == to {
            return Err(GraphError::Loop(from));
        }
        Ok(())
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.neighbours.len()
    }

    /// Whether there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.neighbours.is_empty()
    }

    /// The neighbours of a node, ascending.
    pub fn neighbours(&self, node: NodeId) -> &[NodeId] {
        &self.neighbours[node.index()]
    }

    /// How many neighbours a node has.
    pub fn degree(&self, node: NodeId) -> usize {
        self.neighbours(node).len()
    }

    /// All nodes, ascending.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.len() as u32).map(NodeId)
    }

    /// All edges, each with the smaller node first, ascending.
    pub fn edges(&self) -> impl Iterator<Item = (NodeId, NodeId)> + '_ {
        self.nodes().flat_map(move |from| {
            let later = self.neighbours(from).iter().filter(move |&&to| to > from);
            later.map(move |&to| (from, to))
        })
    }

    /// Whether two nodes are joined.
    pub fn contains(&self, from: NodeId, to: NodeId) -> bool {
        self.neighbours.get(from.index()).is_some_and(|set| set.binary_search(&to).is_ok())
    }

    /// The graph among some of the nodes, given in ascending order: node `k` of it is the `k`th
    /// of them.
    #[must_use]
    pub fn induced(&self, nodes: &[NodeId]) -> Graph {
        let position = |node: &NodeId| nodes.binary_search(node).ok().map(|at| NodeId(at as u32));
        let row = |node: &NodeId| self.neighbours(*node).iter().filter_map(position).collect();
        Graph { neighbours: nodes.iter().map(row).collect() }
    }

    /// The nodes that can reach each other, group by group; each group ascends, and groups are in
    /// the order of their first nodes.
    pub fn components(&self) -> Vec<Vec<NodeId>> {
        let mut seen = vec![false; self.len()];
        let mut components = Vec::new();
        for start in self.nodes() {
            if seen[start.index()] {
                continue;
            }
            seen[start.index()] = true;
            let mut component = vec![start];
            let mut next = 0;
            while let Some(&node) = component.get(next) {
                next += 1;
                for &neighbour in self.neighbours(node) {
                    if !std::mem::replace(&mut seen[neighbour.index()], true) {
                        component.push(neighbour);
                    }
                }
            }
            component.sort_unstable();
            components.push(component);
        }
        components
    }

    /// The Metropolis-Hastings weight of an edge, `1 / (1 + max(degree, degree))`.
    ///
    /// With the rest on the diagonal, the mixing matrix is symmetric and its rows sum to 1.
    pub fn metropolis_weight(&self, from: NodeId, to: NodeId) -> f64 {
        metropolis_weight(self.degree(from), self.degree(to))
    }
}

/// The Metropolis-Hastings weight of an edge between nodes of these degrees.
pub fn metropolis_weight(degree: usize, other: usize) -> f64 {
    1.0 / (1.0 + degree.max(other) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(nodes: usize, edges: &[(u32, u32)]) -> Graph {
        Graph::from_edges(nodes, edges.iter().copied()).unwrap()
    }

    #[test]
    fn edges_are_undirected_and_count_once() {
        let graph = graph(4, &[(2, 0), (0, 2), (1, 2)]);
        assert_eq!(graph.neighbours(NodeId(2)), [NodeId(0), NodeId(1)]);
        let edges: Vec<_> = graph.edges().collect();
        assert_eq!(edges, [(NodeId(0), NodeId(2)), (NodeId(1), NodeId(2))]);
        assert!(graph.contains(NodeId(2), NodeId(1)) && !graph.contains(NodeId(0), NodeId(1)));
        assert_eq!(graph.metropolis_weight(NodeId(0), NodeId(2)), 1.0 / 3.0);
    }

    #[test]
    fn components_and_induced_graphs_by_hand() {
        let graph = graph(6, &[(0, 3), (3, 5), (1, 2)]);
        let components = graph.components();
        assert_eq!(
            components,
            [vec![NodeId(0), NodeId(3), NodeId(5)], vec![NodeId(1), NodeId(2)], vec![NodeId(4)]]
        );
        let rest = graph.induced(&[NodeId(0), NodeId(3), NodeId(4)]);
        assert_eq!(rest.edges().collect::<Vec<_>>(), [(NodeId(0), NodeId(1))]);
    }

    #[test]
    fn impossible_edges_are_refused_with_their_ends() {
        let nobody = Graph::from_edges(3, [(0, 3)]).unwrap_err();
        assert_eq!(nobody.to_string(), "edge 0 - 3: there are only the nodes 0 to 2");
        assert_eq!(Graph::from_edges(3, [(1, 1)]), Err(GraphError::Loop(1)));
    }
}
