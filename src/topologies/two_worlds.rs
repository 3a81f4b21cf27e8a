//! Two worlds: two cliques of `m` nodes, each node with the same number of links across.
//!
//! Nodes `0` to `m - 1` and `m` to `2 m - 1`; node `i` is joined with `m + (i + t) mod m` for `t`
//! from 0 to `links - 1`. Every node has degree `m - 1 + links`, and the algebraic connectivity is
//! `2 links`.
//!
//! The graph on which theory is tight: a node hears `links` models of the other world, so as many
//! liars can speak for a world that is not there, and from `links` liars for each node on every
//! rule fails.
//!
//! An odd number of nodes would leave one without a link, and is refused.
//!
//! Reference: Gaucher, Dieuleveut and Hendrikx, ICML 2025, whose averaging uses 26 nodes with 8
//! links.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::cliques::two_cliques;
use super::{Claims, Topology, at_least, joined, positive};
use crate::catalog::{ConfigError, Entry};
use crate::graph::Graph;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Topology, Claims> = Entry {
    name: "two_worlds",
    summary: "two cliques, each node with the same number of links across",
    reference: "Gaucher et al., ICML 2025",
    source: include_str!("two_worlds.rs"),
    claims: Claims { drawn: false, connected: true },
    parameters: || schema_for!(TwoWorlds),
    build: |parameters| {
        parameters.build::<dyn Topology, TwoWorlds>(|it| {
            positive("links", it.links)?;
            Ok(Arc::new(it))
        })
    },
};

/// Parameters of the two worlds.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct TwoWorlds {
    /// How many links each node has to the other world: at least 1, at most half of the nodes.
    #[schemars(range(min = 1))]
    links: usize,
}

impl Default for TwoWorlds {
    fn default() -> Self {
        TwoWorlds { links: 1 }
    }
}

impl Topology for TwoWorlds {
    fn graph(&self, nodes: usize, _rng: &mut dyn Rng) -> Result<Graph, ConfigError> {
        at_least(self.links.saturating_mul(2), nodes, ENTRY.name)?;
        if !nodes.is_multiple_of(2) {
            return Err(ConfigError::new(format!(
                "topology two_worlds has two worlds of one size: {nodes} nodes are odd in number"
            ))
            .help(format!("take {} or {} nodes", nodes - 1, nodes + 1)));
        }
        let (m, links) = (nodes / 2, self.links);
        let across = (0..m).flat_map(|i| (0..links).map(move |t| (i, m + (i + t) % m)));
        joined(nodes, two_cliques(nodes).chain(across))
    }
}

#[cfg(test)]
mod tests {
    use crate::topologies::tests::{close, edges, refusal, spectrum};

    #[test]
    fn six_nodes_by_hand() {
        let expected = [
            (0, 1),
            (0, 2),
            (0, 3),
            (0, 4),
            (1, 2),
            (1, 4),
            (1, 5),
            (2, 3),
            (2, 5),
            (3, 4),
            (3, 5),
            (4, 5),
        ];
        assert_eq!(edges("two_worlds", "links = 2", 6), expected);
        assert_eq!(edges("two_worlds", "links = 3", 6), edges("complete", "", 6));
    }

    #[test]
    fn the_connectivity_is_twice_the_links() {
        for (nodes, links) in [(10, 2), (16, 6), (20, 6), (26, 1), (26, 8)] {
            let found = spectrum("two_worlds", &format!("links = {links}"), nodes);
            close(found.algebraic_connectivity, 2.0 * f64::from(links), 1e-12);
        }
        let sixteen = spectrum("two_worlds", "links = 6", 16);
        close(sixteen.laplacian_largest, 15.8478, 5e-5);
    }

    #[test]
    fn odd_sizes_and_too_many_links_are_refused() {
        assert_eq!(
            refusal("two_worlds", "", 7),
            "topology two_worlds has two worlds of one size: 7 nodes are odd in number"
        );
        assert_eq!(
            refusal("two_worlds", "links = 4", 6),
            "topology two_worlds needs at least 8 nodes and has 6"
        );
    }
}
