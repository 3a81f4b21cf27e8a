//! Node 0 talks to everybody, and nobody else to each other.
//!
//! `n - 1` edges, diameter 2. A server without its authority: whoever holds the hub holds all
//! that the others hear, so a placement by degree fails it with a single liar. With
//! Metropolis-Hastings weights it also mixes slowly, since every edge weighs `1 / n`.
//!
//! Reference: a standard case of decentralized learning; node 0 is the hub by convention.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Claims, Topology, at_least, joined};
use crate::catalog::{ConfigError, Entry};
use crate::graph::Graph;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Topology, Claims> = Entry {
    name: "star",
    summary: "node 0 talks to everybody, nobody else to each other",
    reference: "a standard case of decentralized learning",
    source: include_str!("star.rs"),
    claims: Claims { drawn: false, connected: true },
    parameters: || schema_for!(Star),
    build: |parameters| parameters.build::<dyn Topology, Star>(|it| Ok(Arc::new(it))),
};

/// Takes no parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Star {}

impl Topology for Star {
    fn graph(&self, nodes: usize, _rng: &mut dyn Rng) -> Result<Graph, ConfigError> {
        at_least(2, nodes, ENTRY.name)?;
        joined(nodes, (1..nodes).map(|node| (0, node)))
    }
}

#[cfg(test)]
mod tests {
    use crate::topologies::tests::{edges, refusal};

    #[test]
    fn four_nodes_by_hand() {
        assert_eq!(edges("star", "", 4), [(0, 1), (0, 2), (0, 3)]);
        assert_eq!(refusal("star", "", 1), "topology star needs at least 2 nodes and has 1");
    }
}
