//! Spectra: how fast a graph mixes, and how well it holds together.
//!
//! Of the mixing matrix with Metropolis-Hastings weights: plain gossip shrinks the distance to
//! agreement by the second largest modulus of its eigenvalues each round, so `1 -` that, the
//! spectral gap, is what is gained. Of the Laplacian with unit weights, degrees less adjacency: its
//! second smallest eigenvalue, the algebraic connectivity, bounds how many liars for each node
//! gossip can bear, and its eigenvector tells the two sides of the weakest cut apart.
//!
//! Reference: Xiao and Boyd, Systems & Control Letters 53, 2004 (mixing); Fiedler, Czechoslovak
//! Mathematical Journal 23, 1973 (connectivity); Gaucher, Dieuleveut and Hendrikx, ICML 2025
//! (breakdown).

use super::eigen::Tridiagonal;
use super::mixing::Mixing;
use super::{Graph, NodeId};

/// Eigenvalues within this share of the largest count as one.
const EQUAL: f64 = 1e-9;

/// Entries of a unit eigenvector below this have no sign.
const NO_SIGN: f64 = 1e-9;

/// What the eigenvalues of a graph say.
#[derive(Debug, Clone, PartialEq)]
pub struct Spectrum {
    /// The second largest of the mixing matrix's eigenvalues by absolute value, 0 to 1.
    pub second_eigenvalue_modulus: f64,
    /// The second largest of the mixing matrix's eigenvalues.
    pub second_eigenvalue: f64,
    /// The smallest of the mixing matrix's eigenvalues, above -1.
    pub smallest_eigenvalue: f64,
    /// The second smallest of the Laplacian's eigenvalues; 0 if the graph falls apart.
    pub algebraic_connectivity: f64,
    /// How many of the Laplacian's eigenvalues are equal to the algebraic connectivity, not
    /// counting the one of the vector of ones.
    pub multiplicity: usize,
    /// The largest of the Laplacian's eigenvalues.
    pub laplacian_largest: f64,
    /// The Laplacian's unit eigenvector for the algebraic connectivity, one entry for each node,
    /// orthogonal to the vector of ones. The first entry that is not 0 is positive. Where the
    /// multiplicity is above 1 it is one of many, always the same.
    pub fiedler: Vec<f64>,
}

impl Spectrum {
    /// The spectrum of a graph; none where fewer than two nodes leave nothing to mix.
    ///
    /// Takes memory for one dense matrix and on the order of `len^3` operations.
    pub fn of(graph: &Graph) -> Option<Self> {
        let n = graph.len();
        if n < 2 {
            return None;
        }
        let whole = graph.components().len() == 1;
        let mixing = Tridiagonal::reduce(mixing_matrix(graph));
        let second = if whole { mixing.value(n - 2) } else { 1.0 };
        let smallest = mixing.value(0);

        let (rows, shift) = laplacian_beside_ones(graph);
        let laplacian = Tridiagonal::reduce(rows);
        let connectivity = if whole { laplacian.value(0).max(0.0) } else { 0.0 };
        let slack = EQUAL * shift;
        Some(Spectrum {
            second_eigenvalue_modulus: second.abs().max(smallest.abs()),
            second_eigenvalue: second,
            smallest_eigenvalue: smallest,
            algebraic_connectivity: connectivity,
            multiplicity: laplacian.count_below(connectivity + slack),
            laplacian_largest: laplacian.value(n - 2).max(0.0),
            fiedler: with_fixed_sign(laplacian.vector(connectivity)),
        })
    }

    /// How much of the disagreement a round of plain gossip takes away at least, 0 to 1.
    pub fn spectral_gap(&self) -> f64 {
        1.0 - self.second_eigenvalue_modulus
    }
}

fn mixing_matrix(graph: &Graph) -> Vec<Vec<f64>> {
    let mixing = Mixing::metropolis(graph);
    let row = |node: NodeId| {
        let (own, weights) = mixing.row(node);
        let mut row = vec![0.0; graph.len()];
        row[node.index()] = own;
        for (neighbour, weight) in graph.neighbours(node).iter().zip(weights) {
            row[neighbour.index()] = *weight;
        }
        row
    };
    graph.nodes().map(row).collect()
}

/// The Laplacian with the eigenvalue of the vector of ones moved from 0 to the returned shift,
/// which is above all others. So the second smallest comes first, and its vector is orthogonal to
/// ones even where the graph falls apart.
fn laplacian_beside_ones(graph: &Graph) -> (Vec<Vec<f64>>, f64) {
    let most = graph.nodes().map(|node| graph.degree(node)).max().unwrap_or(0);
    // No eigenvalue of a Laplacian is above twice the greatest degree.
    let shift = 2.0 * most as f64 + 1.0;
    let each = shift / graph.len() as f64;
    let row = |node: NodeId| {
        let mut row = vec![each; graph.len()];
        row[node.index()] += graph.degree(node) as f64;
        for neighbour in graph.neighbours(node) {
            row[neighbour.index()] -= 1.0;
        }
        row
    };
    (graph.nodes().map(row).collect(), shift)
}

fn with_fixed_sign(mut vector: Vec<f64>) -> Vec<f64> {
    let first = vector.iter().find(|value| value.abs() > NO_SIGN);
    if first.is_some_and(|value| *value < 0.0) {
        for value in &mut vector {
            *value = -*value;
        }
    }
    vector
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use proptest::prelude::*;

    use super::*;

    fn spectrum(nodes: usize, edges: &[(u32, u32)]) -> Spectrum {
        Spectrum::of(&Graph::from_edges(nodes, edges.iter().copied()).unwrap()).unwrap()
    }

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    }

    #[test]
    fn a_chain_of_three_by_hand() {
        // Mixing matrix [[2, 1, 0], [1, 1, 1], [0, 1, 2]] / 3: eigenvalues 1, 2/3 and 0.
        // Laplacian: 0, 1 and 3; (1, 0, -1) belongs to 1.
        let chain = spectrum(3, &[(0, 1), (1, 2)]);
        close(chain.second_eigenvalue_modulus, 2.0 / 3.0);
        close(chain.smallest_eigenvalue, 0.0);
        close(chain.spectral_gap(), 1.0 / 3.0);
        close(chain.algebraic_connectivity, 1.0);
        close(chain.laplacian_largest, 3.0);
        assert_eq!(chain.multiplicity, 1);
        for (entry, expected) in chain.fiedler.iter().zip([0.5f64.sqrt(), 0.0, -0.5f64.sqrt()]) {
            close(*entry, expected);
        }
    }

    #[test]
    fn two_nodes_agree_at_once() {
        let pair = spectrum(2, &[(0, 1)]);
        close(pair.spectral_gap(), 1.0);
        close(pair.algebraic_connectivity, 2.0);
        close(pair.laplacian_largest, 2.0);
    }

    #[test]
    fn long_rings_by_their_closed_form() {
        for nodes in [5u32, 64, 301] {
            let edges: Vec<_> = (0..nodes).map(|node| (node, (node + 1) % nodes)).collect();
            let ring = spectrum(nodes as usize, &edges);
            let turn = (2.0 * PI / f64::from(nodes)).cos();
            close(ring.second_eigenvalue, (1.0 + 2.0 * turn) / 3.0);
            close(ring.algebraic_connectivity, 2.0 - 2.0 * turn);
            assert_eq!(ring.multiplicity, 2);
        }
    }

    #[test]
    fn what_falls_apart_has_no_gap_and_its_parts_have_signs() {
        let apart = spectrum(5, &[(0, 1), (1, 2), (3, 4)]);
        assert_eq!((apart.algebraic_connectivity, apart.spectral_gap()), (0.0, 0.0));
        assert_eq!(apart.multiplicity, 1);
        close(apart.fiedler[0], apart.fiedler[2]);
        close(apart.fiedler[3], apart.fiedler[4]);
        assert!(apart.fiedler[0] > 0.1 && apart.fiedler[3] < -0.1);
        let nobody = spectrum(4, &[]);
        assert_eq!((nobody.laplacian_largest, nobody.multiplicity), (0.0, 3));
        assert!(Spectrum::of(&Graph::from_edges(1, []).unwrap()).is_none());
    }

    proptest! {
        #[test]
        fn the_fiedler_vector_is_one(edges in prop::collection::vec((0u32..9, 0u32..9), 0..30)) {
            let edges = edges.into_iter().filter(|(from, to)| from != to);
            let graph = Graph::from_edges(9, edges).unwrap();
            let spectrum = Spectrum::of(&graph).unwrap();
            let vector = &spectrum.fiedler;
            let norm: f64 = vector.iter().map(|value| value * value).sum();
            prop_assert!((norm - 1.0).abs() < 1e-12);
            prop_assert!(vector.iter().sum::<f64>().abs() < 1e-9);
            for node in graph.nodes() {
                let around = graph.neighbours(node).iter().map(|other| vector[other.index()]);
                let own = vector[node.index()];
                let image = graph.degree(node) as f64 * own - around.sum::<f64>();
                prop_assert!((image - spectrum.algebraic_connectivity * own).abs() < 1e-9);
            }
            prop_assert!(spectrum.algebraic_connectivity <= spectrum.laplacian_largest + 1e-12);
            prop_assert_eq!(spectrum.algebraic_connectivity > 0.0, graph.components().len() == 1);
        }
    }
}
