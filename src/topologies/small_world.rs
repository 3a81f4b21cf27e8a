//! A small world: a ring of near neighbours, some of whose edges lead far away.
//!
//! Each node starts joined to the `k` nearest, half on either side. Then, first for the nearest
//! neighbours, next for the second nearest, and so on, each node's edge to the one behind it keeps
//! that node and, with probability `beta`, takes another at random in place of the other, never
//! itself and never a neighbour. The number of edges stays `n k / 2`.
//!
//! A few long edges shrink the diameter to the order of `ln(n)`. Fails to protect when liars
//! choose their places: the long edges are few and carry most paths. With a large `beta` it may
//! fall apart.
//!
//! Reference: Watts and Strogatz, Nature 393, 1998.

use std::collections::BTreeSet;
use std::sync::Arc;

use rand::{Rng, RngExt};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Claims, Topology, at_least, joined, probability};
use crate::catalog::{ConfigError, Entry};
use crate::graph::Graph;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Topology, Claims> = Entry {
    name: "small_world",
    summary: "a ring of near neighbours, some of whose edges lead far away",
    reference: "Watts and Strogatz, Nature 1998",
    source: include_str!("small_world.rs"),
    claims: Claims { drawn: true, connected: false },
    parameters: || schema_for!(SmallWorld),
    build: |parameters| {
        parameters.build::<dyn Topology, SmallWorld>(|it| Ok(Arc::new(it.check()?)))
    },
};

/// Parameters of the small world.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct SmallWorld {
    /// How many nearest nodes each is joined to at first: even, at least 2, below the number of
    /// nodes.
    #[schemars(range(min = 2))]
    k: usize,
    /// The probability that an edge is led elsewhere, 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    beta: f64,
}

impl Default for SmallWorld {
    fn default() -> Self {
        SmallWorld { k: 4, beta: 0.1 }
    }
}

impl Topology for SmallWorld {
    fn graph(&self, nodes: usize, rng: &mut dyn Rng) -> Result<Graph, ConfigError> {
        at_least(self.k.saturating_add(1), nodes, ENTRY.name)?;
        let mut edges = self.ring(nodes);
        let mut neighbours = vec![BTreeSet::new(); nodes];
        for &(from, to) in &edges {
            neighbours[from].insert(to);
            neighbours[to].insert(from);
        }
        for (from, to) in &mut edges {
            if rng.random_bool(self.beta)
                && let Some(elsewhere) = stranger(*from, &neighbours[*from], nodes, rng)
            {
                neighbours[*from].remove(to);
                neighbours[*to].remove(from);
                neighbours[*from].insert(elsewhere);
                neighbours[elsewhere].insert(*from);
                *to = elsewhere;
            }
        }
        joined(nodes, edges)
    }
}

impl SmallWorld {
    fn check(self) -> Result<Self, ConfigError> {
        if self.k < 2 || !self.k.is_multiple_of(2) {
            return Err(ConfigError::new(format!(
                "`k` = {}: half of the nearest lie on either side, so give an even number from 2",
                self.k
            )));
        }
        probability("beta", self.beta)?;
        Ok(self)
    }

    /// Each node with those behind it, all nearest ones first.
    fn ring(&self, nodes: usize) -> Vec<(usize, usize)> {
        let steps = 1..=self.k / 2;
        let edges =
            steps.flat_map(|step| (0..nodes).map(move |node| (node, (node + step) % nodes)));
        edges.collect()
    }
}

/// One of the nodes that are neither `node` nor its neighbours, all alike likely; none where it
/// knows everybody.
fn stranger(
    node: usize,
    neighbours: &BTreeSet<usize>,
    nodes: usize,
    rng: &mut dyn Rng,
) -> Option<usize> {
    let strangers = nodes - 1 - neighbours.len();
    if strangers == 0 {
        return None;
    }
    let drawn = rng.random_range(0..strangers);
    (0..nodes).filter(|other| *other != node && !neighbours.contains(other)).nth(drawn)
}

#[cfg(test)]
mod tests {
    use crate::topologies::tests::{edges, refusal};

    #[test]
    fn without_long_edges_it_is_a_ring() {
        assert_eq!(edges("small_world", "k = 2\nbeta = 0.0", 7), edges("ring", "", 7));
        assert_eq!(edges("small_world", "beta = 1.0", 5), edges("complete", "", 5));
    }

    #[test]
    fn as_many_edges_are_led_elsewhere_as_asked() {
        let (ring, drawn) = ("beta = 0.0", "beta = 0.25");
        let before = edges("small_world", ring, 500);
        let after = edges("small_world", drawn, 500);
        assert_eq!((before.len(), after.len()), (1000, 1000));
        // 250 of 1000 on average, with a deviation of 13.7.
        let moved = after.iter().filter(|edge| !before.contains(edge)).count();
        assert!((195..305).contains(&moved), "{moved}");
    }

    #[test]
    fn odd_numbers_and_too_few_nodes_are_refused() {
        assert_eq!(
            refusal("small_world", "k = 3", 9),
            "`k` = 3: half of the nearest lie on either side, so give an even number from 2"
        );
        assert_eq!(
            refusal("small_world", "k = 4", 4),
            "topology small_world needs at least 5 nodes and has 4"
        );
        assert!(refusal("small_world", "beta = -0.1", 9).contains("no probability"));
    }
}
