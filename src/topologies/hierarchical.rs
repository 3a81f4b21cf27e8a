//! Groups in which everybody talks to everybody, and whose heads do.
//!
//! Nodes are cut into groups of `group`, in order; the last holds what is left. Each group is a
//! clique, its first node is its head, and the heads form a clique.
//!
//! Regional servers without a centre. Fails where a head is corrupted: it holds all that its group
//! and the others hear of each other.
//!
//! Reference: the shape of hierarchical federated learning (Liu et al., IEEE ICC 2020), with the
//! cloud replaced by a clique of the edge servers.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::cliques::clique;
use super::{Claims, Topology, at_least, joined, positive};
use crate::catalog::{ConfigError, Entry};
use crate::graph::Graph;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Topology, Claims> = Entry {
    name: "hierarchical",
    summary: "cliques whose heads form a clique",
    reference: "the shape of Liu et al., IEEE ICC 2020, without a centre",
    source: include_str!("hierarchical.rs"),
    claims: Claims { drawn: false, connected: true },
    parameters: || schema_for!(Hierarchical),
    build: |parameters| {
        parameters.build::<dyn Topology, Hierarchical>(|it| {
            positive("group", it.group)?;
            Ok(Arc::new(it))
        })
    },
};

/// Parameters of the groups.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Hierarchical {
    /// How many nodes a group has, its head among them: at least 1.
    #[schemars(range(min = 1))]
    group: usize,
}

impl Default for Hierarchical {
    fn default() -> Self {
        Hierarchical { group: 5 }
    }
}

impl Topology for Hierarchical {
    fn graph(&self, nodes: usize, _rng: &mut dyn Rng) -> Result<Graph, ConfigError> {
        at_least(1, nodes, ENTRY.name)?;
        let group = self.group;
        let heads = || (0..nodes).step_by(group);
        let groups = heads().flat_map(|head| clique(head..head.saturating_add(group).min(nodes)));
        let between = clique(0..heads().count()).map(|(from, to)| (from * group, to * group));
        joined(nodes, groups.chain(between))
    }
}

#[cfg(test)]
mod tests {
    use crate::topologies::tests::{edges, refusal};

    #[test]
    fn three_groups_by_hand() {
        let expected = [(0, 1), (0, 2), (0, 4), (2, 3), (2, 4)];
        assert_eq!(edges("hierarchical", "group = 2", 5), expected);
    }

    #[test]
    fn one_group_and_groups_of_one_are_complete() {
        assert_eq!(edges("hierarchical", "group = 9", 6), edges("complete", "", 6));
        assert_eq!(edges("hierarchical", "group = 1", 6), edges("complete", "", 6));
        assert_eq!(refusal("hierarchical", "group = 0", 6), "`group` = 0: give at least 1");
    }
}
