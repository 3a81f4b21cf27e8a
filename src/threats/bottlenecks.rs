//! The nodes that lie on the most shortest paths are corrupted; of equal ones, those with lower
//! numbers.
//!
//! Betweenness: of each pair of nodes one unit travels, shared equally among the shortest paths,
//! and a node counts what passes it on the way between others. Such a node decides what the parts
//! of a graph hear of each other, whatever its degree. Fails to differ from `first` where all
//! nodes are alike, as on a ring, and where there is no graph it is refused.
//!
//! Reference: Syros et al., arXiv 2301.09732, 2023, place by centrality; Freeman, Sociometry 40,
//! 1977 (betweenness).

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Field, Placement};
use crate::catalog::{ConfigError, Entry};
use crate::graph::betweenness::Betweenness;
use crate::node::NodeId;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Placement> = Entry {
    name: "bottlenecks",
    summary: "the nodes on the most shortest paths",
    reference: "Syros et al., arXiv 2301.09732, 2023",
    source: include_str!("bottlenecks.rs"),
    claims: (),
    parameters: || schema_for!(Bottlenecks),
    build: |parameters| {
        parameters.build::<dyn Placement, Bottlenecks>(|placement| Ok(Arc::new(placement)))
    },
};

/// Takes no parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Bottlenecks {}

impl Placement for Bottlenecks {
    fn place(
        &self,
        field: &Field<'_>,
        corrupted: usize,
        _rng: &mut dyn Rng,
    ) -> Result<Vec<NodeId>, ConfigError> {
        let graph = field.graph(ENTRY.name)?;
        field.first_of(Betweenness::of(graph).busiest_nodes(), corrupted)
    }
}

#[cfg(test)]
mod tests {
    use crate::threats::tests::place_on;

    #[test]
    fn the_way_between_two_groups_comes_before_their_hubs() {
        // Two stars of three leaves, around 0 and 4, and 8 on the only way between them.
        let edges = [(0, 1), (0, 2), (0, 3), (4, 5), (4, 6), (4, 7), (0, 8), (8, 4)];
        let place = |corrupted| place_on("bottlenecks", "", 9, &edges, corrupted).unwrap();
        // 0 and 4: 3 pairs of leaves and 3 x 5 pairs with the rest; 8: 4 x 4.
        assert_eq!(place(2), [0, 4]);
        assert_eq!(place(3), [0, 4, 8]);
        assert_eq!(place_on("by_degree", "", 9, &edges, 3).unwrap(), [0, 4, 8]);
        // A chain of triangles: node 6 has fewer neighbours than 2 and lies on more paths.
        let edges = [(0, 1), (0, 2), (1, 2), (2, 6), (6, 3), (3, 4), (3, 5), (4, 5)];
        assert_eq!(place_on("bottlenecks", "", 7, &edges, 1).unwrap(), [6]);
        assert_eq!(place_on("by_degree", "", 7, &edges, 1).unwrap(), [2]);
    }

    #[test]
    fn where_all_are_alike_the_first_are_taken() {
        let ring: Vec<(u32, u32)> = (0..7).map(|node| (node, (node + 1) % 7)).collect();
        assert_eq!(place_on("bottlenecks", "", 7, &ring, 3).unwrap(), [0, 1, 2]);
    }
}
