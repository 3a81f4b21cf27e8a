//! The nodes around one victim are corrupted: first its neighbours, then theirs, and so on.
//!
//! Within one distance, those with lower numbers come first; nodes that cannot reach the victim
//! come last. When all of its neighbours are corrupted the victim is eclipsed: it hears nothing
//! that the adversary did not write, and no rule of its own can help. Fails to spread: for the
//! rest of the graph this may be the mildest placement of all. Refused where there is no graph, no
//! such victim, or nobody left but the victim.
//!
//! Reference: Heilman et al., USENIX Security 2015 (eclipse); Raynal, Pasquini and Troncoso, arXiv
//! 2303.03829, 2023 (isolating a user).

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Field, Placement};
use crate::catalog::{ConfigError, Entry};
use crate::node::NodeId;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Placement> = Entry {
    name: "around",
    summary: "the nodes nearest to one victim",
    reference: "Heilman et al., USENIX Security 2015",
    source: include_str!("around.rs"),
    claims: (),
    parameters: || schema_for!(Around),
    build: |parameters| {
        parameters.build::<dyn Placement, Around>(|placement| Ok(Arc::new(placement)))
    },
};

/// Parameters of the ring around a victim.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Around {
    /// The number of the victim, workers counted from 0.
    victim: u32,
}

impl Placement for Around {
    fn place(
        &self,
        field: &Field<'_>,
        corrupted: usize,
        _rng: &mut dyn Rng,
    ) -> Result<Vec<NodeId>, ConfigError> {
        let graph = field.graph(ENTRY.name)?;
        let victim = NodeId(self.victim);
        if victim.index() >= graph.len() {
            return Err(ConfigError::new(format!(
                "the victim is worker {victim} and there are only {}, numbered from 0",
                graph.len()
            )));
        }
        let distances = graph.distances(victim);
        let mut order: Vec<NodeId> = graph.nodes().filter(|node| *node != victim).collect();
        order.sort_by_key(|node| distances[node.index()].unwrap_or(u32::MAX));
        if order.len() < corrupted {
            return Err(ConfigError::new(format!(
                "around worker {victim} there are only {} others, and {corrupted} are to be \
                 corrupted",
                order.len()
            )));
        }
        field.first_of(order, corrupted)
    }
}

#[cfg(test)]
mod tests {
    use crate::threats::tests::place_on;

    #[test]
    fn shells_are_taken_from_the_inside() {
        // 5 - 3 - 0 - 1 - 2, 3 - 4, and 6 apart.
        let edges = [(5, 3), (3, 0), (0, 1), (1, 2), (3, 4)];
        let place = |victim: u32, corrupted| {
            place_on("around", &format!("victim = {victim}"), 7, &edges, corrupted)
        };
        assert_eq!(place(3, 3).unwrap(), [0, 4, 5]);
        assert_eq!(place(3, 4).unwrap(), [0, 1, 4, 5]);
        assert_eq!(place(5, 2).unwrap(), [0, 3]);
        assert_eq!(place(5, 6).unwrap(), [0, 1, 2, 3, 4, 6]);
        assert_eq!(
            place(5, 7).unwrap_err(),
            "around worker 5 there are only 6 others, and 7 are to be corrupted"
        );
        assert_eq!(
            place(7, 1).unwrap_err(),
            "the victim is worker 7 and there are only 7, numbered from 0"
        );
    }
}
