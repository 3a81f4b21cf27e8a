//! What a graph promises before anybody trains on it: how fast it mixes, how many liars it bears,
//! and where it is weakest.

use serde::Serialize;

use crate::graph::Graph;
use crate::graph::betweenness::Betweenness;
use crate::graph::cuts::Cuts;
use crate::graph::spectrum::Spectrum;
use crate::node::NodeId;

/// How many of the busiest edges are named.
const BUSIEST: usize = 5;

/// The analysis of one graph.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Topology {
    /// How many nodes there are.
    pub nodes: usize,
    /// How many edges there are.
    pub edges: usize,
    /// How many neighbours nodes have.
    pub degrees: Degrees,
    /// The nodes that can reach each other, part by part, in ascending order.
    pub components: Vec<Vec<NodeId>>,
    /// The longest of all shortest paths, in edges; none if the graph falls apart.
    pub diameter: Option<u32>,
    /// The eigenvalues; none for fewer than two nodes.
    pub spectrum: Option<Eigenvalues>,
    /// How many liars for each node gossip bears; none for fewer than two nodes.
    pub breakdown: Option<Breakdown>,
    /// Edges without which the graph falls apart, ascending.
    pub bridges: Vec<(NodeId, NodeId)>,
    /// Nodes without which the graph falls apart, ascending.
    pub articulation_points: Vec<NodeId>,
    /// The five edges that most shortest paths take, the busiest first.
    pub busiest_edges: Vec<Busy>,
}

/// How many neighbours nodes have.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Degrees {
    /// The fewest.
    pub least: usize,
    /// On average.
    pub mean: f64,
    /// The most.
    pub most: usize,
}

/// What the spectrum says of a graph as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Eigenvalues {
    /// What a round of plain gossip with Metropolis-Hastings weights takes off the disagreement at
    /// least, 0 to 1.
    pub spectral_gap: f64,
    /// The second largest modulus of the mixing matrix's eigenvalues, 0 to 1.
    pub second_eigenvalue_modulus: f64,
    /// The second smallest eigenvalue of the Laplacian with unit weights.
    pub algebraic_connectivity: f64,
    /// How many of the Laplacian's eigenvalues are equal to that.
    pub multiplicity: usize,
    /// The largest eigenvalue of the Laplacian.
    pub laplacian_largest: f64,
}

/// How many liars `b` may talk to each honest node, if the graph is that of the honest nodes and
/// each liar talks to one of them. All three are sufficient or necessary, none is both: rules often
/// bear more than they guarantee.
///
/// A rule that errs by at most `rho b` times the squared differences it was handed shrinks the
/// disagreement while `2 rho b` is below the algebraic connectivity.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Breakdown {
    /// `lambda_2 / 8` (`rho = 4`): below, rules that drop the farthest models are guaranteed: NNA,
    /// GTS.
    pub dropping: f64,
    /// `lambda_2 / 4` (`rho = 2`): below, rules that clip by rank are guaranteed: CS+.
    pub clipping: f64,
    /// `lambda_2 / 2`: from here on no rule can be guaranteed by the connectivity alone; on
    /// `two_worlds` every rule fails.
    pub any: f64,
}

/// An edge and its traffic.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Busy {
    /// The edge, the smaller node first.
    pub edge: (NodeId, NodeId),
    /// The pairs of nodes whose shortest path takes the edge; a pair with several shortest paths
    /// counts for each by its share.
    pub pairs: f64,
}

impl Breakdown {
    /// The three bounds for an algebraic connectivity.
    ///
    /// Reference: Gaucher, Dieuleveut and Hendrikx, ICML 2025.
    pub fn of(connectivity: f64) -> Self {
        Breakdown {
            dropping: connectivity / 8.0,
            clipping: connectivity / 4.0,
            any: connectivity / 2.0,
        }
    }
}

impl Topology {
    /// Analyses a graph, connected or not.
    pub fn of(graph: &Graph) -> Self {
        let spectrum = Spectrum::of(graph);
        let cuts = Cuts::of(graph);
        let busiest = Betweenness::of(graph).busiest_edges();
        let busy = |(edge, pairs)| Busy { edge, pairs };
        Topology {
            nodes: graph.len(),
            edges: graph.edges().count(),
            degrees: Degrees::of(graph),
            components: graph.components(),
            diameter: graph.diameter(),
            breakdown: spectrum.as_ref().map(|it| Breakdown::of(it.algebraic_connectivity)),
            spectrum: spectrum.as_ref().map(Eigenvalues::of),
            bridges: cuts.bridges,
            articulation_points: cuts.articulation_points,
            busiest_edges: busiest.into_iter().take(BUSIEST).map(busy).collect(),
        }
    }
}

impl Degrees {
    fn of(graph: &Graph) -> Self {
        let degrees = || graph.nodes().map(|node| graph.degree(node));
        let nodes = graph.len().max(1) as f64;
        Degrees {
            least: degrees().min().unwrap_or(0),
            mean: degrees().sum::<usize>() as f64 / nodes,
            most: degrees().max().unwrap_or(0),
        }
    }
}

impl Eigenvalues {
    fn of(spectrum: &Spectrum) -> Self {
        Eigenvalues {
            spectral_gap: spectrum.spectral_gap(),
            second_eigenvalue_modulus: spectrum.second_eigenvalue_modulus,
            algebraic_connectivity: spectrum.algebraic_connectivity,
            multiplicity: spectrum.multiplicity,
            laplacian_largest: spectrum.laplacian_largest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_between_two_triangles() {
        let edges = [(0, 1), (0, 2), (1, 2), (2, 3), (3, 4), (3, 5), (4, 5)];
        let found = Topology::of(&Graph::from_edges(6, edges).unwrap());
        assert_eq!((found.nodes, found.edges, found.diameter), (6, 7, Some(3)));
        assert_eq!((found.degrees.least, found.degrees.most), (2, 3));
        assert!((found.degrees.mean - 14.0 / 6.0).abs() < 1e-15);
        let bridge = (NodeId(2), NodeId(3));
        assert_eq!(found.bridges, [bridge]);
        assert_eq!(found.busiest_edges[0], Busy { edge: bridge, pairs: 9.0 });
        assert_eq!(found.articulation_points, [NodeId(2), NodeId(3)]);
        // The Laplacian's second eigenvalue is (5 - sqrt 17) / 2.
        let connectivity = (5.0 - 17.0f64.sqrt()) / 2.0;
        let breakdown = found.breakdown.unwrap();
        assert!((breakdown.any - connectivity / 2.0).abs() < 1e-12);
        assert_eq!(
            (4.0 * breakdown.dropping, 2.0 * breakdown.clipping),
            (breakdown.any, breakdown.any)
        );
    }

    #[test]
    fn a_graph_that_falls_apart_or_has_one_node_is_no_error() {
        let apart = Topology::of(&Graph::from_edges(3, [(0, 1)]).unwrap());
        assert_eq!((apart.diameter, apart.components.len()), (None, 2));
        assert_eq!(apart.breakdown.unwrap().any, 0.0);
        let alone = Topology::of(&Graph::from_edges(1, []).unwrap());
        assert_eq!((alone.diameter, alone.breakdown), (Some(0), None));
    }
}
