//! Mixing matrices: how much of each neighbour's model a node takes.

use super::{Graph, NodeId};

/// The rows of a mixing matrix, which sum to 1, without their zeros.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixing {
    own: Vec<f64>,
    weights: Vec<Vec<f64>>,
}

impl Mixing {
    /// Metropolis-Hastings weights: `1 / (1 + max(degree, degree))` for an edge, the rest for the
    /// node itself. The matrix is symmetric, so plain gossip keeps the mean of all models.
    ///
    /// Reference: Xiao, Boyd and Lall, IPSN 2005.
    pub fn metropolis(graph: &Graph) -> Self {
        let row = |node: NodeId| -> Vec<f64> {
            let neighbours = graph.neighbours(node).iter();
            neighbours.map(|&neighbour| graph.metropolis_weight(node, neighbour)).collect()
        };
        let weights: Vec<Vec<f64>> = graph.nodes().map(row).collect();
        let own = weights.iter().map(|row| 1.0 - row.iter().sum::<f64>()).collect();
        Mixing { own, weights }
    }

    /// What a node keeps of its own, and what it takes of its neighbours in ascending order.
    pub fn row(&self, node: NodeId) -> (f64, &[f64]) {
        (self.own[node.index()], &self.weights[node.index()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_by_hand() {
        let star = Graph::from_edges(4, [(0, 1), (0, 2), (0, 3), (2, 3)]).unwrap();
        let mixing = Mixing::metropolis(&star);
        assert_eq!(mixing.row(NodeId(0)), (0.25, [0.25; 3].as_slice()));
        assert_eq!(mixing.row(NodeId(1)), (0.75, [0.25].as_slice()));
        // 0 has three neighbours, 3 has two as 2 itself has.
        let (own, weights) = mixing.row(NodeId(2));
        assert_eq!(weights, [0.25, 1.0 / 3.0]);
        assert!((own - 5.0 / 12.0).abs() < 1e-15);
    }
}
