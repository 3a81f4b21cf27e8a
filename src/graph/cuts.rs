//! Cuts of one: edges and nodes that alone hold a graph together.
//!
//! Reference: Hopcroft and Tarjan, Communications of the ACM 16, 1973.

use super::{Graph, NodeId};

/// Single points of failure of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cuts {
    /// Edges without which their two ends cannot reach each other, each with the smaller node
    /// first, ascending.
    pub bridges: Vec<(NodeId, NodeId)>,
    /// Nodes without which some others cannot reach each other, ascending.
    pub articulation_points: Vec<NodeId>,
}

impl Cuts {
    /// All of a graph's, by one depth-first walk.
    pub fn of(graph: &Graph) -> Self {
        let mut walk = Walk::over(graph);
        for root in graph.nodes() {
            if walk.entered[root.index()].is_none() {
                walk.from(root);
            }
        }
        walk.bridges.sort_unstable();
        let points = graph.nodes().filter(|node| walk.splits[node.index()]);
        Cuts { articulation_points: points.collect(), bridges: walk.bridges }
    }
}

/// A depth-first walk that keeps its place itself, so that a long chain needs no deep stack.
struct Walk<'a> {
    graph: &'a Graph,
    clock: usize,
    /// When each node was entered.
    entered: Vec<Option<usize>>,
    /// The earliest entry that a node's descendants reach by one edge off the tree.
    lowest: Vec<usize>,
    splits: Vec<bool>,
    bridges: Vec<(NodeId, NodeId)>,
}

/// A node on the way from the root to where the walk is, and the neighbour to look at next.
struct Stop {
    node: NodeId,
    next: usize,
}

impl<'a> Walk<'a> {
    fn over(graph: &'a Graph) -> Self {
        let n = graph.len();
        Walk {
            graph,
            clock: 0,
            entered: vec![None; n],
            lowest: vec![0; n],
            splits: vec![false; n],
            bridges: Vec::new(),
        }
    }

    fn enter(&mut self, node: NodeId) -> Stop {
        self.entered[node.index()] = Some(self.clock);
        self.lowest[node.index()] = self.clock;
        self.clock += 1;
        Stop { node, next: 0 }
    }

    fn from(&mut self, root: NodeId) {
        let mut way = vec![self.enter(root)];
        let mut children_of_root = 0;
        while let Some(stop) = way.last_mut() {
            let node = stop.node;
            if let Some(&neighbour) = self.graph.neighbours(node).get(stop.next) {
                stop.next += 1;
                let parent = way.len().checked_sub(2).map(|above| way[above].node);
                match self.entered[neighbour.index()] {
                    _ if parent == Some(neighbour) => {}
                    Some(entry) => self.reach(node, entry),
                    None => way.push(self.enter(neighbour)),
                }
                continue;
            }
            way.pop();
            if let Some(parent) = way.last() {
                self.leave(node, parent.node, parent.node == root);
                children_of_root += usize::from(parent.node == root);
            }
        }
        self.splits[root.index()] = children_of_root > 1;
    }

    fn reach(&mut self, node: NodeId, entry: usize) {
        let lowest = &mut self.lowest[node.index()];
        *lowest = entry.min(*lowest);
    }

    /// All below `node` is known: what does the tree's edge to its parent hold together?
    fn leave(&mut self, node: NodeId, parent: NodeId, parent_is_root: bool) {
        let lowest = self.lowest[node.index()];
        let entry = self.entered[parent.index()].expect("the walk came through the parent");
        self.reach(parent, lowest);
        if lowest > entry {
            self.bridges.push((node.min(parent), node.max(parent)));
        }
        if lowest >= entry && !parent_is_root {
            self.splits[parent.index()] = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn two_triangles_and_the_path_between_them() {
        let edges = [(0, 1), (1, 2), (0, 2), (2, 3), (3, 4), (4, 5), (5, 6), (4, 6)];
        let cuts = Cuts::of(&Graph::from_edges(7, edges).unwrap());
        assert_eq!(cuts.bridges, [(NodeId(2), NodeId(3)), (NodeId(3), NodeId(4))]);
        assert_eq!(cuts.articulation_points, [2, 3, 4].map(NodeId));
    }

    #[test]
    fn a_chain_of_a_hundred_thousand_needs_no_deep_stack() {
        let last = 99_999;
        let chain = Graph::from_edges(100_000, (0..last).map(|node| (node, node + 1))).unwrap();
        let cuts = Cuts::of(&chain);
        assert_eq!((cuts.bridges.len(), cuts.articulation_points.len()), (99_999, 99_998));
    }

    proptest! {
        #[test]
        fn without_them_the_graph_falls_into_more_parts(
            edges in prop::collection::vec((0u32..10, 0u32..10), 0..22),
        ) {
            let edges = edges.into_iter().filter(|(from, to)| from != to);
            let graph = Graph::from_edges(10, edges).unwrap();
            let parts = graph.components().len();
            let edges: Vec<_> = graph.edges().collect();
            let without_edge = |gone: &(NodeId, NodeId)| {
                let kept = edges.iter().filter(|edge| *edge != gone);
                Graph::from_edges(10, kept.map(|(from, to)| (from.0, to.0))).unwrap()
            };
            let bridges: Vec<_> = edges
                .iter()
                .filter(|edge| without_edge(edge).components().len() > parts)
                .copied()
                .collect();
            let points: Vec<_> = graph
                .nodes()
                .filter(|gone| {
                    let rest: Vec<_> = graph.nodes().filter(|node| node != gone).collect();
                    graph.induced(&rest).components().len() > parts
                })
                .collect();
            prop_assert_eq!(Cuts::of(&graph), Cuts { bridges, articulation_points: points });
        }
    }
}
