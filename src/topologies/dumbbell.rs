//! A dumbbell: two cliques and the fewest edges between them.
//!
//! Nodes `0` to `n / 2 - 1` and the rest, each a clique; bridge `t` joins node `t` with node
//! `n - 1 - t`. With an odd number of nodes the second clique holds one more.
//!
//! Dense nearly everywhere and yet weak: all that one half learns of the other passes the bridge.
//! With one bridge and ten nodes on either side, the spectral gap is 0.0154, and liars at the two
//! ends of the bridge keep the halves apart for ever: it fails against liars at bottlenecks.
//!
//! Reference: He, Karimireddy and Jaggi, arXiv 2202.01545, 2022; `two_cliques` draws its bridges.

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
    name: "dumbbell",
    summary: "two cliques, joined by one edge at their ends",
    reference: "He et al., arXiv 2202.01545, 2022",
    source: include_str!("dumbbell.rs"),
    claims: Claims { drawn: false, connected: true },
    parameters: || schema_for!(Dumbbell),
    build: |parameters| {
        parameters.build::<dyn Topology, Dumbbell>(|it| {
            positive("bridges", it.bridges)?;
            Ok(Arc::new(it))
        })
    },
};

/// Parameters of the dumbbell.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Dumbbell {
    /// How many edges join the cliques: at least 1, at most half of the nodes. No two share an end.
    #[schemars(range(min = 1))]
    bridges: usize,
}

impl Default for Dumbbell {
    fn default() -> Self {
        Dumbbell { bridges: 1 }
    }
}

impl Topology for Dumbbell {
    fn graph(&self, nodes: usize, _rng: &mut dyn Rng) -> Result<Graph, ConfigError> {
        at_least(self.bridges.saturating_mul(2), nodes, ENTRY.name)?;
        let bridges = (0..self.bridges).map(|bridge| (bridge, nodes - 1 - bridge));
        joined(nodes, two_cliques(nodes).chain(bridges))
    }
}

#[cfg(test)]
mod tests {
    use crate::topologies::tests::{close, edges, refusal, spectrum};

    #[test]
    fn small_dumbbells_by_hand() {
        let triangles = [(0, 1), (0, 2), (0, 5), (1, 2), (3, 4), (3, 5), (4, 5)];
        assert_eq!(edges("dumbbell", "", 6), triangles);
        let odd = [(0, 1), (0, 4), (1, 3), (2, 3), (2, 4), (3, 4)];
        assert_eq!(edges("dumbbell", "bridges = 2", 5), odd);
        assert_eq!(
            refusal("dumbbell", "bridges = 3", 5),
            "topology dumbbell needs at least 6 nodes and has 5"
        );
    }

    #[test]
    fn ten_and_ten_mix_slowly() {
        close(spectrum("dumbbell", "", 20).spectral_gap(), 0.0154, 5e-5);
    }
}
