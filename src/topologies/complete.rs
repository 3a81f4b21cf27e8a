//! Everybody talks to everybody.
//!
//! `n (n - 1) / 2` edges. Plain gossip agrees in one round, and the algebraic connectivity is `n`,
//! the most there can be. It fails to scale: every node sends and receives `n - 1` models a round.
//!
//! Reference: the reference case of every work on gossip.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::cliques::clique;
use super::{Claims, Topology, at_least, joined};
use crate::catalog::{ConfigError, Entry};
use crate::graph::Graph;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Topology, Claims> = Entry {
    name: "complete",
    summary: "everybody talks to everybody",
    reference: "the reference case of every work on gossip",
    source: include_str!("complete.rs"),
    claims: Claims { drawn: false, connected: true },
    parameters: || schema_for!(Complete),
    build: |parameters| parameters.build::<dyn Topology, Complete>(|it| Ok(Arc::new(it))),
};

/// Takes no parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Complete {}

impl Topology for Complete {
    fn graph(&self, nodes: usize, _rng: &mut dyn Rng) -> Result<Graph, ConfigError> {
        at_least(1, nodes, ENTRY.name)?;
        joined(nodes, clique(0..nodes))
    }
}

#[cfg(test)]
mod tests {
    use crate::topologies::tests::{edges, refusal};

    #[test]
    fn four_nodes_by_hand() {
        assert_eq!(edges("complete", "", 4), [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]);
        assert_eq!(edges("complete", "", 1), []);
        assert_eq!(
            refusal("complete", "", 0),
            "topology complete needs at least 1 nodes and has 0"
        );
    }
}
