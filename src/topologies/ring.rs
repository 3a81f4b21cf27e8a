//! Every node talks to the one before and the one behind it, the last to the first.
//!
//! `n` edges, diameter `n / 2`. The spectral gap falls with the square of the number of nodes,
//! `2/3 (1 - cos(2 pi / n))`. It fails early: two liars cut it in two, and one lie for each node
//! is more than any rule is sure to bear from `n = 4` on (algebraic connectivity at most 2).
//!
//! Reference: a standard case of decentralized learning; Lian et al., NIPS 2017, train on it.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Claims, Topology, at_least, joined};
use crate::catalog::{ConfigError, Entry};
use crate::graph::Graph;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Topology, Claims> = Entry {
    name: "ring",
    summary: "every node talks to the one before and the one behind it",
    reference: "a standard case of decentralized learning",
    source: include_str!("ring.rs"),
    claims: Claims { drawn: false, connected: true },
    parameters: || schema_for!(Ring),
    build: |parameters| parameters.build::<dyn Topology, Ring>(|it| Ok(Arc::new(it))),
};

/// Takes no parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Ring {}

impl Topology for Ring {
    fn graph(&self, nodes: usize, _rng: &mut dyn Rng) -> Result<Graph, ConfigError> {
        at_least(3, nodes, ENTRY.name)?;
        joined(nodes, (0..nodes).map(|node| (node, (node + 1) % nodes)))
    }
}

#[cfg(test)]
mod tests {
    use crate::topologies::tests::{close, edges, refusal, spectrum};

    #[test]
    fn four_nodes_by_hand() {
        assert_eq!(edges("ring", "", 4), [(0, 1), (0, 3), (1, 2), (2, 3)]);
        assert_eq!(refusal("ring", "", 2), "topology ring needs at least 3 nodes and has 2");
    }

    #[test]
    fn twenty_nodes_mix_slowly() {
        close(spectrum("ring", "", 20).spectral_gap(), 0.0326, 5e-5);
    }
}
