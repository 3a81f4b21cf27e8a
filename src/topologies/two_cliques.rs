//! Two cliques, joined by edges that are drawn at random.
//!
//! Nodes `0` to `n / 2 - 1` and the rest, each a clique; with an odd number of nodes the second
//! holds one more. Of all pairs with a node on either side, `bridges` different ones are joined,
//! all sets alike likely; two bridges may share an end.
//!
//! The more bridges, the faster the halves agree, and the more liars it takes to part them. Fails
//! like the dumbbell, whose bridges stand fixed, against liars at bottlenecks.
//!
//! Reference: He, Karimireddy and Jaggi, arXiv 2202.01545, 2022, whose program adds random edges
//! to a dumbbell.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Claims, Topology, at_least, cliques, joined, positive};
use crate::catalog::{ConfigError, Entry};
use crate::graph::Graph;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Topology, Claims> = Entry {
    name: "two_cliques",
    summary: "two cliques, joined by a few random edges",
    reference: "He et al., arXiv 2202.01545, 2022",
    source: include_str!("two_cliques.rs"),
    claims: Claims { drawn: true, connected: true },
    parameters: || schema_for!(TwoCliques),
    build: |parameters| {
        parameters.build::<dyn Topology, TwoCliques>(|it| {
            positive("bridges", it.bridges)?;
            Ok(Arc::new(it))
        })
    },
};

/// Parameters of the two cliques.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct TwoCliques {
    /// How many edges join the cliques: at least 1, at most one for each pair across.
    #[schemars(range(min = 1))]
    bridges: usize,
}

impl Default for TwoCliques {
    fn default() -> Self {
        TwoCliques { bridges: 1 }
    }
}

impl Topology for TwoCliques {
    fn graph(&self, nodes: usize, rng: &mut dyn Rng) -> Result<Graph, ConfigError> {
        at_least(2, nodes, ENTRY.name)?;
        let (half, rest) = (nodes / 2, nodes - nodes / 2);
        if self.bridges > half * rest {
            return Err(ConfigError::new(format!(
                "{} bridges between cliques of {half} and {rest} nodes: there are only {} pairs",
                self.bridges,
                half * rest
            )));
        }
        let drawn = rand::seq::index::sample(rng, half * rest, self.bridges);
        let bridges = drawn.into_iter().map(|pair| (pair / rest, half + pair % rest));
        joined(nodes, cliques::two_cliques(nodes).chain(bridges))
    }
}

#[cfg(test)]
mod tests {
    use crate::topologies::tests::{edges, refusal};

    #[test]
    fn all_bridges_make_it_complete() {
        assert_eq!(edges("two_cliques", "bridges = 6", 5), edges("complete", "", 5));
        assert_eq!(
            refusal("two_cliques", "bridges = 7", 5),
            "7 bridges between cliques of 2 and 3 nodes: there are only 6 pairs"
        );
    }

    #[test]
    fn bridges_lead_from_one_clique_to_the_other() {
        let edges = edges("two_cliques", "bridges = 3", 12);
        assert_eq!(edges.len(), 15 + 15 + 3);
        assert_eq!(edges.iter().filter(|(from, to)| *from < 6 && *to >= 6).count(), 3);
    }
}
