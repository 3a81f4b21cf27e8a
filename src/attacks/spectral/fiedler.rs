//! The Fiedler vector of a graph: the eigenvector to the second smallest eigenvalue of its
//! Laplacian `D - A`.
//!
//! Inverse iteration in the space orthogonal to the ones: solving `L y = x` again and again
//! makes the smallest eigenvalue of that space win. Each system is solved by conjugate gradients,
//! since the Laplacian is sparse. The start is a fixed irregular vector, so the outcome depends
//! on the graph alone.

use crate::graph::Graph;
use crate::node::NodeId;

/// The most steps of inverse iteration; two eigenvalues that lie close together take many.
const STEPS: usize = 5000;

/// The residual `|L x - theta x| / theta` at which a vector is taken for an eigenvector.
const PRECISE: f64 = 1e-10;

/// The residual, relative to the right side, at which a system is taken as solved.
const SOLVED: f64 = 1e-13;

/// The Fiedler vector, of norm 1 and orthogonal to the ones; zeros for fewer than two nodes.
///
/// Where the eigenvalue belongs to several vectors, one of them. Of a graph in several parts, it
/// tells the first part from the rest.
pub(super) fn fiedler(graph: &Graph) -> Vec<f64> {
    if graph.len() < 2 {
        return vec![0.0; graph.len()];
    }
    let components = graph.components();
    if components.len() > 1 {
        let mut apart = vec![0.0; graph.len()];
        for node in &components[0] {
            apart[node.index()] = 1.0;
        }
        return normalised(apart);
    }
    let mut vector = normalised(irregular(graph.len()));
    for _ in 0..STEPS {
        vector = normalised(solve(graph, &vector));
        if residual(graph, &vector) <= PRECISE {
            break;
        }
    }
    vector
}

/// Numbers between -1/2 and 1/2 without a pattern that a graph could share.
fn irregular(length: usize) -> Vec<f64> {
    let scattered = |index: u32| index.wrapping_add(1).wrapping_mul(2_654_435_761);
    (0..length as u32).map(|index| f64::from(scattered(index)) / 2f64.powi(32) - 0.5).collect()
}

/// Orthogonal to the ones, of norm 1.
fn normalised(mut vector: Vec<f64>) -> Vec<f64> {
    centre(&mut vector);
    let norm = dot(&vector, &vector).sqrt();
    if norm > 0.0 {
        for value in &mut vector {
            *value /= norm;
        }
    }
    vector
}

fn centre(vector: &mut [f64]) {
    let mean = vector.iter().sum::<f64>() / vector.len() as f64;
    for value in vector {
        *value -= mean;
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The Laplacian times a vector.
fn laplacian(graph: &Graph, vector: &[f64]) -> Vec<f64> {
    let row = |node: NodeId| {
        let own = vector[node.index()];
        graph.neighbours(node).iter().map(|other| own - vector[other.index()]).sum()
    };
    graph.nodes().map(row).collect()
}

/// How far a vector of norm 1 is from an eigenvector, as a share of its eigenvalue.
fn residual(graph: &Graph, vector: &[f64]) -> f64 {
    let image = laplacian(graph, vector);
    let eigenvalue = dot(&image, vector);
    let off: f64 =
        image.iter().zip(vector).map(|(image, value)| (image - eigenvalue * value).powi(2)).sum();
    off.sqrt() / eigenvalue
}

/// The solution of `L y = right` that is orthogonal to the ones, of a connected graph, by
/// conjugate gradients.
fn solve(graph: &Graph, right: &[f64]) -> Vec<f64> {
    let mut solution = vec![0.0; right.len()];
    let mut rest = right.to_vec();
    let mut direction = rest.clone();
    let mut size = dot(&rest, &rest);
    let enough = size * SOLVED * SOLVED;
    // In exact arithmetic as many steps as nodes are enough; rounding asks for some more.
    for _ in 0..2 * right.len() + 10 {
        if size <= enough {
            break;
        }
        let image = laplacian(graph, &direction);
        let step = size / dot(&direction, &image);
        for (place, value) in solution.iter_mut().enumerate() {
            *value += step * direction[place];
            rest[place] -= step * image[place];
        }
        // Rounding brings a multiple of the ones back in, on which the Laplacian has no hold.
        centre(&mut rest);
        let before = std::mem::replace(&mut size, dot(&rest, &rest));
        for (direction, rest) in direction.iter_mut().zip(&rest) {
            *direction = rest + size / before * *direction;
        }
    }
    solution
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(nodes: u32) -> Graph {
        Graph::from_edges(nodes as usize, (1..nodes).map(|to| (to - 1, to))).unwrap()
    }

    #[test]
    fn chains_have_a_half_cosine() {
        for nodes in [2, 3, 10, 100] {
            let found = fiedler(&chain(nodes));
            let expected: Vec<f64> = (0..nodes)
                .map(|node| {
                    ((f64::from(node) + 0.5) * std::f64::consts::PI / f64::from(nodes)).cos()
                })
                .collect();
            let expected = normalised(expected);
            let sign = dot(&found, &expected).signum();
            for (found, expected) in found.iter().zip(&expected) {
                assert!((sign * found - expected).abs() < 1e-8, "{nodes} nodes");
            }
        }
    }

    #[test]
    fn parts_are_told_apart_and_small_graphs_have_nothing_to_divide() {
        let parts = Graph::from_edges(4, [(0, 2)]).unwrap();
        assert_eq!(fiedler(&parts), [0.5, -0.5, 0.5, -0.5]);
        assert_eq!(fiedler(&chain(1)), [0.0]);
        assert!(fiedler(&chain(0)).is_empty());
    }

    #[test]
    fn shared_and_tiny_eigenvalues_still_give_an_eigenvector() {
        let ring = |nodes: u32| {
            let edges = (0..nodes).map(|node| (node, (node + 1) % nodes));
            Graph::from_edges(nodes as usize, edges).unwrap()
        };
        let complete =
            Graph::from_edges(9, (0..9u32).flat_map(|a| (0..a).map(move |b| (a, b)))).unwrap();
        // A ring of n has 2 - 2 cos(2 pi / n), twice; a complete graph n, n - 1 times.
        let circle = |nodes: f64| 2.0 - 2.0 * (2.0 * std::f64::consts::PI / nodes).cos();
        for (graph, expected) in
            [(ring(6), circle(6.0)), (ring(400), circle(400.0)), (complete, 9.0)]
        {
            let vector = fiedler(&graph);
            let eigenvalue = dot(&laplacian(&graph, &vector), &vector);
            assert!((eigenvalue / expected - 1.0).abs() < 1e-8, "{eigenvalue} for {expected}");
            assert!(residual(&graph, &vector) < 1e-8);
        }
    }
}
