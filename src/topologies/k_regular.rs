//! A random graph in which every node has `k` neighbours, and which is connected.
//!
//! It starts from the ring of nearest neighbours and changes the ends of random pairs of edges,
//! `a - b` and `c - d` to `a - d` and `c - b`, where that leaves no loop and no double edge: 20
//! attempts for each edge. This walk comes close to all `k`-regular graphs being alike likely.
//! From `k = 3` on it goes on in the rare case that the graph has fallen apart. With `k = 2` it is
//! a ring in random order, exactly.
//!
//! At the same degree it mixes much faster than a torus, and no node stands out, so a placement by
//! degree gains nothing. Fails where `k` times the number of nodes is odd: no such graph exists.
//!
//! Reference: Cooper, Dyer and Greenhill, Combinatorics, Probability and Computing 16, 2007 (the
//! walk).

use std::collections::BTreeSet;
use std::sync::Arc;

use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::cliques::clique;
use super::{Claims, Topology, at_least, joined, positive};
use crate::catalog::{ConfigError, Entry};
use crate::graph::Graph;

/// How many attempts each edge has, on average, to change its ends in one walk.
const ATTEMPTS: usize = 20;

/// How many walks are gone before a graph that falls apart is given up.
const WALKS: usize = 100;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Topology, Claims> = Entry {
    name: "k_regular",
    summary: "random, connected, every node with the same number of neighbours",
    reference: "Cooper et al., Combinatorics, Probability and Computing 2007",
    source: include_str!("k_regular.rs"),
    claims: Claims { drawn: true, connected: true },
    parameters: || schema_for!(KRegular),
    build: |parameters| {
        parameters.build::<dyn Topology, KRegular>(|it| {
            positive("k", it.k)?;
            Ok(Arc::new(it))
        })
    },
};

/// Parameters of the regular graph.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct KRegular {
    /// How many neighbours each node has: at least 1, below the number of nodes.
    #[schemars(range(min = 1))]
    #[serde(alias = "degree")]
    k: usize,
}

impl Default for KRegular {
    fn default() -> Self {
        KRegular { k: 4 }
    }
}

impl Topology for KRegular {
    fn graph(&self, nodes: usize, rng: &mut dyn Rng) -> Result<Graph, ConfigError> {
        let k = self.k;
        at_least(k.saturating_add(1), nodes, ENTRY.name)?;
        if !nodes.is_multiple_of(2) && !k.is_multiple_of(2) {
            return Err(ConfigError::new(format!(
                "{nodes} nodes with {k} neighbours each would have {nodes} x {k} / 2 edges"
            ))
            .help("take an even number of nodes or of neighbours"));
        }
        if k == 1 && nodes > 2 {
            return Err(ConfigError::new(format!(
                "{nodes} nodes with one neighbour each are pairs that cannot reach each other"
            )));
        }
        if k + 1 == nodes {
            return joined(nodes, clique(0..nodes));
        }
        if k == 2 {
            return ring_in_random_order(nodes, rng);
        }
        let mut edges = nearest(nodes, k);
        for _ in 0..WALKS {
            change_ends(&mut edges, rng);
            let graph = joined(nodes, edges.iter().copied())?;
            if graph.components().len() == 1 {
                return Ok(graph);
            }
        }
        Err(ConfigError::new(format!(
            "no connected graph of {nodes} nodes with {k} neighbours each was found"
        )))
    }
}

fn ring_in_random_order(nodes: usize, rng: &mut dyn Rng) -> Result<Graph, ConfigError> {
    let mut order: Vec<usize> = (0..nodes).collect();
    order.shuffle(rng);
    joined(nodes, (0..nodes).map(|place| (order[place], order[(place + 1) % nodes])))
}

/// Each node with the `k / 2` behind it, and where `k` is odd with the one opposite.
fn nearest(nodes: usize, k: usize) -> Vec<(usize, usize)> {
    let steps = 1..=k / 2;
    let ring = steps.flat_map(|step| (0..nodes).map(move |node| (node, (node + step) % nodes)));
    let across = if k.is_multiple_of(2) { 0 } else { nodes / 2 };
    ring.chain((0..across).map(|node| (node, node + nodes / 2))).collect()
}

/// Walks one stretch: pairs of edges exchange ends where the graph stays simple.
fn change_ends(edges: &mut [(usize, usize)], rng: &mut dyn Rng) {
    let ascending = |a: usize, b: usize| (a.min(b), a.max(b));
    let mut present: BTreeSet<(usize, usize)> =
        edges.iter().map(|(from, to)| ascending(*from, *to)).collect();
    for _ in 0..ATTEMPTS * edges.len() {
        let (one, other) = (rng.random_range(0..edges.len()), rng.random_range(0..edges.len()));
        let ((a, b), mut far) = (edges[one], edges[other]);
        if rng.random_bool(0.5) {
            far = (far.1, far.0);
        }
        let (c, d) = far;
        let changed = [ascending(a, d), ascending(c, b)];
        if a == d || c == b || changed.iter().any(|edge| present.contains(edge)) {
            continue;
        }
        present.remove(&ascending(a, b));
        present.remove(&ascending(c, d));
        present.extend(changed);
        (edges[one], edges[other]) = ((a, d), (c, b));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::seed::{Purpose, run_stream};
    use crate::topologies::tests::{edges, graph, refusal};

    #[test]
    fn every_node_has_its_neighbours_and_can_reach_all() {
        for (nodes, k) in [(2, 1), (3, 2), (10, 2), (8, 3), (12, 4), (50, 7), (9, 8), (10, 8)] {
            let graph = graph("k_regular", &format!("k = {k}"), nodes);
            assert!(graph.nodes().all(|node| graph.degree(node) == k), "{nodes} nodes, k = {k}");
            assert_eq!(graph.components().len(), 1, "{nodes} nodes, k = {k}");
        }
    }

    /// Of the connected 3-regular graphs of 6 nodes, 60 are prisms and 10 are complete bipartite.
    #[test]
    fn all_graphs_are_alike_likely() {
        let topology = KRegular { k: 3 };
        let mut counts = BTreeMap::new();
        for seed in 0..7000 {
            let mut rng = run_stream(seed, Purpose::Topology);
            let graph = topology.graph(6, &mut rng).unwrap();
            *counts.entry(graph.edges().collect::<Vec<_>>()).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 70);
        // 100 on average with a deviation of 10: over all 70, chi-squared is 69 +- 11.7.
        let far: f64 = counts.values().map(|count| f64::from(count - 100i32).powi(2) / 100.0).sum();
        assert!(far < 130.0, "{far}");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert_eq!(edges("k_regular", "k = 3", 4), edges("complete", "", 4));
        assert_eq!(
            refusal("k_regular", "k = 3", 7),
            "7 nodes with 3 neighbours each would have 7 x 3 / 2 edges"
        );
        assert_eq!(
            refusal("k_regular", "", 4),
            "topology k_regular needs at least 5 nodes and has 4"
        );
        assert_eq!(
            refusal("k_regular", "k = 1", 4),
            "4 nodes with one neighbour each are pairs that cannot reach each other"
        );
    }
}
