//! A tree: the parent of node `i` is `(i - 1) / branching`, rounded down, and node 0 is the root.
//!
//! `n - 1` edges, a diameter that grows with the logarithm of `n`. It fails as a chain does:
//! every edge is a bridge, and who holds an inner node speaks for all below it.
//!
//! Reference: a standard case of decentralized learning; a branching of 2 is the binary tree.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Claims, Topology, at_least, joined, positive};
use crate::catalog::{ConfigError, Entry};
use crate::graph::Graph;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Topology, Claims> = Entry {
    name: "tree",
    summary: "every node has a parent and a few children",
    reference: "a standard case of decentralized learning",
    source: include_str!("tree.rs"),
    claims: Claims { drawn: false, connected: true },
    parameters: || schema_for!(Tree),
    build: |parameters| {
        parameters.build::<dyn Topology, Tree>(|tree| {
            positive("branching", tree.branching)?;
            Ok(Arc::new(tree))
        })
    },
};

/// Parameters of the tree.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Tree {
    /// How many children a node has at most: at least 1.
    #[schemars(range(min = 1))]
    branching: usize,
}

impl Default for Tree {
    fn default() -> Self {
        Tree { branching: 2 }
    }
}

impl Topology for Tree {
    fn graph(&self, nodes: usize, _rng: &mut dyn Rng) -> Result<Graph, ConfigError> {
        at_least(2, nodes, ENTRY.name)?;
        joined(nodes, (1..nodes).map(|node| ((node - 1) / self.branching, node)))
    }
}

#[cfg(test)]
mod tests {
    use crate::topologies::tests::{edges, refusal};

    #[test]
    fn small_trees_by_hand() {
        assert_eq!(edges("tree", "", 6), [(0, 1), (0, 2), (1, 3), (1, 4), (2, 5)]);
        assert_eq!(edges("tree", "branching = 1", 4), edges("chain", "", 4));
        assert_eq!(edges("tree", "branching = 9", 4), edges("star", "", 4));
        assert_eq!(refusal("tree", "branching = 0", 4), "`branching` = 0: give at least 1");
    }
}
