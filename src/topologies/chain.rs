//! A ring that is cut open: every node talks to the one before and the one behind it.
//!
//! `n - 1` edges, diameter `n - 1`, the most there can be. It fails first of all: every edge is a
//! bridge, and any node but the ends cuts it in two.
//!
//! Reference: the worst case of works on gossip; He, Karimireddy and Jaggi, arXiv 2202.01545, show
//! dissensus on a chain of four.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Claims, Topology, at_least, joined};
use crate::catalog::{ConfigError, Entry};
use crate::graph::Graph;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Topology, Claims> = Entry {
    name: "chain",
    summary: "a ring that is cut open: the greatest diameter there is",
    reference: "the worst case of works on gossip",
    source: include_str!("chain.rs"),
    claims: Claims { drawn: false, connected: true },
    parameters: || schema_for!(Chain),
    build: |parameters| parameters.build::<dyn Topology, Chain>(|it| Ok(Arc::new(it))),
};

/// Takes no parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Chain {}

impl Topology for Chain {
    fn graph(&self, nodes: usize, _rng: &mut dyn Rng) -> Result<Graph, ConfigError> {
        at_least(2, nodes, ENTRY.name)?;
        joined(nodes, (1..nodes).map(|node| (node - 1, node)))
    }
}

#[cfg(test)]
mod tests {
    use crate::topologies::tests::{edges, refusal};

    #[test]
    fn four_nodes_by_hand() {
        assert_eq!(edges("chain", "", 4), [(0, 1), (1, 2), (2, 3)]);
        assert_eq!(refusal("chain", "", 1), "topology chain needs at least 2 nodes and has 1");
    }
}
