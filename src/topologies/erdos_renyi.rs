//! Every pair of nodes is joined with the same probability, whatever the others.
//!
//! A node has `p (n - 1)` neighbours on average. Fails to hold together where `p` is below about
//! `ln(n) / n`: then some node has no neighbour at all. Such a graph is returned as it was drawn,
//! and a run refuses it: a draw that is repeated until it fits would be another distribution.
//!
//! Reference: Gilbert, Annals of Mathematical Statistics 30, 1959; Erdős and Rényi, Publicationes
//! Mathematicae 6, 1959.

use std::sync::Arc;

use rand::{Rng, RngExt};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::cliques::clique;
use super::{Claims, Topology, at_least, joined, probability};
use crate::catalog::{ConfigError, Entry};
use crate::graph::Graph;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Topology, Claims> = Entry {
    name: "erdos_renyi",
    summary: "every pair is joined with the same probability",
    reference: "Gilbert, 1959; Erdős and Rényi, 1959",
    source: include_str!("erdos_renyi.rs"),
    claims: Claims { drawn: true, connected: false },
    parameters: || schema_for!(ErdosRenyi),
    build: |parameters| {
        parameters.build::<dyn Topology, ErdosRenyi>(|it| {
            probability("p", it.p)?;
            Ok(Arc::new(it))
        })
    },
};

/// Parameters of the random graph.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct ErdosRenyi {
    /// The probability of an edge, 0 to 1.
    #[schemars(range(min = 0.0, max = 1.0))]
    p: f64,
}

impl Default for ErdosRenyi {
    fn default() -> Self {
        ErdosRenyi { p: 0.4 }
    }
}

impl Topology for ErdosRenyi {
    fn graph(&self, nodes: usize, rng: &mut dyn Rng) -> Result<Graph, ConfigError> {
        at_least(1, nodes, ENTRY.name)?;
        joined(nodes, clique(0..nodes).filter(|_| rng.random_bool(self.p)))
    }
}

#[cfg(test)]
mod tests {
    use crate::topologies::tests::{edges, refusal};

    #[test]
    fn certain_edges_by_hand() {
        assert_eq!(edges("erdos_renyi", "p = 1.0", 5), edges("complete", "", 5));
        assert_eq!(edges("erdos_renyi", "p = 0.0", 5), []);
    }

    #[test]
    fn the_share_of_edges_is_the_probability() {
        // 19900 pairs: the deviation of the share is 0.0032.
        let share = edges("erdos_renyi", "p = 0.3", 200).len() as f64 / 19_900.0;
        assert!((share - 0.3).abs() < 0.013, "{share}");
    }

    #[test]
    fn what_is_no_probability_is_refused() {
        assert_eq!(
            refusal("erdos_renyi", "p = 1.5", 5),
            "`p` = 1.5 is no probability: give 0 to 1"
        );
        assert!(refusal("erdos_renyi", "p = nan", 5).contains("NaN"));
    }
}
