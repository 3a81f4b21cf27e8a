//! The nodes with the most neighbours are corrupted; of equal ones, those with lower numbers.
//!
//! Whoever holds a hub is heard by many. Hurts most on scale-free graphs and stars. Fails to
//! differ from `first` where all nodes have equally many neighbours, and where there is no graph
//! it is refused.
//!
//! Reference: Syros et al., arXiv 2301.09732, 2023, place by centrality; Bhattacharya, Helo and
//! Siegel, arXiv 2407.05141, 2024, place on hubs.

use std::cmp::Reverse;
use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Field, Placement};
use crate::catalog::{ConfigError, Entry};
use crate::node::NodeId;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Placement> = Entry {
    name: "by_degree",
    summary: "the nodes with the most neighbours",
    reference: "Syros et al., arXiv 2301.09732, 2023",
    source: include_str!("by_degree.rs"),
    claims: (),
    parameters: || schema_for!(ByDegree),
    build: |parameters| {
        parameters.build::<dyn Placement, ByDegree>(|placement| Ok(Arc::new(placement)))
    },
};

/// Takes no parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct ByDegree {}

impl Placement for ByDegree {
    fn place(
        &self,
        field: &Field<'_>,
        corrupted: usize,
        _rng: &mut dyn Rng,
    ) -> Result<Vec<NodeId>, ConfigError> {
        let graph = field.graph(ENTRY.name)?;
        let mut order: Vec<NodeId> = graph.nodes().collect();
        order.sort_by_key(|node| Reverse(graph.degree(*node)));
        field.first_of(order, corrupted)
    }
}

#[cfg(test)]
mod tests {
    use crate::threats::tests::place_on;

    #[test]
    fn hubs_come_first_and_then_lower_numbers() {
        // Degrees: 1, 3, 2, 3, 1.
        let edges = [(0, 1), (1, 2), (1, 3), (2, 3), (3, 4)];
        let place = |corrupted| place_on("by_degree", "", 5, &edges, corrupted).unwrap();
        assert_eq!(place(1), [1]);
        assert_eq!(place(2), [1, 3]);
        assert_eq!(place(4), [0, 1, 2, 3]);
    }
}
