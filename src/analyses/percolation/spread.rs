//! How captured peers take others with them.

use std::sync::Arc;

use super::Taken;
use crate::experiment::plan::Plan;
use crate::graph::Graph;
use crate::node::{NodeId, Round};
use crate::peer_rules::PeerRule;
use crate::protocol::peer::tolerated;
use crate::systems::peer_rule;

/// The graphs on which something spreads, and how many liars each peer stands.
#[derive(Debug)]
pub struct Spread {
    graphs: Vec<Arc<Graph>>,
    /// Whether the last graph stays, so that the spread comes to rest on it.
    stays: bool,
    /// How many fallen neighbours a peer stands, by how many it has.
    stands: Vec<usize>,
}

impl Spread {
    /// The spread in a plan's system; none where workers are no peers.
    pub fn of(plan: &Plan) -> Option<Spread> {
        let meetings = plan.wiring.meetings()?;
        let first = meetings.graph(Round(1));
        // A graph that is always the same is one and the same graph in every round.
        let stays = plan.rounds < 2 || Arc::ptr_eq(&first, &meetings.graph(Round(2)));
        let graphs = if stays {
            vec![first]
        } else {
            (1..=plan.rounds).map(|round| meetings.graph(Round(round))).collect()
        };
        Some(Spread::on(graphs, stays, &*peer_rule(&plan.rule), plan.byzantine))
    }

    /// The spread on these graphs, one for each round, the last of which may stay.
    pub fn on(
        graphs: Vec<Arc<Graph>>,
        stays: bool,
        rule: &dyn PeerRule,
        byzantine: usize,
    ) -> Spread {
        let degrees = graphs.iter().flat_map(|graph| graph.nodes().map(|node| graph.degree(node)));
        let most = degrees.max().unwrap_or(0);
        let stands = (0..=most).map(|degree| tolerated(rule, degree, byzantine)).collect();
        Spread { graphs, stays, stands }
    }

    /// The least and the greatest number of liars that a peer stands, where it has neighbours.
    pub fn tolerated(&self) -> (usize, usize) {
        let stands = self.graphs.iter().flat_map(|graph| {
            let met = graph.nodes().map(|node| graph.degree(node)).filter(|&degree| degree > 0);
            met.map(|degree| self.stands[degree])
        });
        stands
            .fold(None, |range: Option<(usize, usize)>, stands| {
                let (least, most) = range.unwrap_or((stands, stands));
                Some((least.min(stands), most.max(stands)))
            })
            .unwrap_or((0, 0))
    }

    /// Those who fall with the captured, without the captured themselves.
    pub fn taken_by(&self, captured: &[NodeId]) -> Taken {
        let mut taken: Taken = captured.iter().copied().collect();
        for graph in &self.graphs {
            self.step(graph, &mut taken);
        }
        if let Some(last) = self.graphs.last().filter(|_| self.stays) {
            while self.step(last, &mut taken) {}
        }
        taken.retain(|node| !captured.contains(node));
        taken
    }

    /// One round: who meets more fallen peers than its rule stands falls. Says whether anybody did.
    fn step(&self, graph: &Graph, taken: &mut Taken) -> bool {
        let falls = |node: &NodeId| {
            let neighbours = graph.neighbours(*node);
            let liars = neighbours.iter().filter(|neighbour| taken.contains(neighbour)).count();
            !taken.contains(node) && liars > self.stands[neighbours.len()]
        };
        let new: Vec<NodeId> = graph.nodes().filter(falls).collect();
        taken.extend(&new);
        !new.is_empty()
    }

    /// `node` and others, `together` in all: one after the other that with which most fall, honest
    /// or captured; of equals one that shares most neighbours with those captured before, then
    /// the first of `order`.
    pub fn grown(&self, node: NodeId, together: usize, order: &[NodeId]) -> Taken {
        let mut captured = Taken::from([node]);
        while captured.len() < together {
            let worth = |other: NodeId| {
                let mut set: Vec<NodeId> = captured.iter().copied().collect();
                set.push(other);
                set.sort_unstable();
                (self.taken_by(&set).len(), self.shared(other, &captured))
            };
            let others = order.iter().copied().filter(|other| !captured.contains(other));
            // The last of equals from behind is the first.
            let Some(next) = others.rev().max_by_key(|&other| worth(other)) else { break };
            captured.insert(next);
        }
        captured
    }

    /// How many neighbours a node has in the first round that some captured node has too.
    fn shared(&self, node: NodeId, captured: &Taken) -> usize {
        let graph = &self.graphs[0];
        let near = |other: &&NodeId| captured.iter().any(|&one| graph.contains(one, **other));
        graph.neighbours(node).iter().filter(near).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregators;
    use crate::protocol::mesh_adversary::Defence;

    const NOBODY: [u32; 0] = [];

    fn spread(nodes: usize, edges: &[(u32, u32)], byzantine: usize) -> Spread {
        let graph = Graph::from_edges(nodes, edges.iter().copied()).unwrap();
        let median = aggregators::CATALOG.build_default("median").unwrap();
        let rule = peer_rule(&Defence::Rule(median.value));
        Spread::on(vec![Arc::new(graph)], true, &*rule, byzantine)
    }

    fn taken(spread: &Spread, captured: &[u32]) -> Vec<u32> {
        let captured: Vec<NodeId> = captured.iter().copied().map(NodeId).collect();
        spread.taken_by(&captured).iter().map(|node| node.0).collect()
    }

    fn ring(nodes: u32, reach: u32) -> Vec<(u32, u32)> {
        (0..nodes)
            .flat_map(|node| (1..=reach).map(move |step| (node, (node + step) % nodes)))
            .collect()
    }

    /// On a ring with one liar tolerated, whoever stands between two captured falls, and is no
    /// second liar to anybody else.
    #[test]
    fn a_ring_by_hand() {
        let ring = spread(8, &ring(8, 1), 1);
        assert_eq!(ring.tolerated(), (1, 1));
        assert_eq!(taken(&ring, &[0]), NOBODY);
        assert_eq!(taken(&ring, &[0, 2]), [1]);
        assert_eq!(taken(&ring, &[0, 3]), NOBODY);
        assert_eq!(taken(&ring, &[0, 2, 4, 6]), [1, 3, 5, 7]);
        let trusting = spread(8, &self::ring(8, 1), 0);
        assert_eq!(taken(&trusting, &[5]), [0, 1, 2, 3, 4, 6, 7]);
    }

    /// Neighbours at distance 1 and 2, one liar tolerated of four: two neighbouring captured take
    /// those beside them, those the next, and so all round.
    #[test]
    fn a_denser_ring_falls_whole() {
        let dense = spread(10, &ring(10, 2), 1);
        assert_eq!(taken(&dense, &[0, 1]), [2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(taken(&dense, &[0, 5]), NOBODY);
        let cautious = spread(10, &ring(10, 2), 2);
        assert_eq!(cautious.tolerated(), (2, 2));
        assert_eq!(taken(&cautious, &[0, 1]), NOBODY);
    }

    /// Where everybody meets everybody, it is all or nobody.
    #[test]
    fn a_complete_graph_by_hand() {
        let edges: Vec<(u32, u32)> =
            (0..7).flat_map(|from| (from + 1..7).map(move |to| (from, to))).collect();
        let complete = spread(7, &edges, 2);
        assert_eq!(taken(&complete, &[3, 5]), NOBODY);
        assert_eq!(taken(&complete, &[1, 3, 5]), [0, 2, 4, 6]);
    }

    /// A cycle of graphs: 0 meets 1, then 1 meets 2. Taken one round after the other.
    #[test]
    fn who_meets_nobody_in_time_is_safe() {
        let graph = |from, to| Arc::new(Graph::from_edges(3, [(from, to)]).unwrap());
        let mean = aggregators::CATALOG.build_default("median").unwrap();
        let rule = peer_rule(&Defence::Rule(mean.value));
        let drawn = |graphs| Spread::on(graphs, false, &*rule, 0);
        assert_eq!(taken(&drawn(vec![graph(0, 1), graph(1, 2)]), &[0]), [1, 2]);
        assert_eq!(taken(&drawn(vec![graph(1, 2), graph(0, 1)]), &[0]), [1]);
    }

    #[test]
    fn sets_grow_where_most_fall() {
        let ring = spread(8, &ring(8, 1), 1);
        let order: Vec<NodeId> = (0..8).map(NodeId).collect();
        let grown = ring.grown(NodeId(4), 2, &order);
        assert_eq!(grown.into_iter().map(|node| node.0).collect::<Vec<_>>(), [2, 4]);
    }
}
