//! The corrupted identities are those that are named.
//!
//! Fails where the list and `threat.corrupted` disagree in number, names an identity twice or
//! one that does not exist: all of these are refused before the run.
//!
//! Reference: a convention of experiments, not of a paper.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Field, Placement};
use crate::catalog::{ConfigError, Entry};
use crate::node::NodeId;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Placement> = Entry {
    name: "list",
    summary: "the identities that are named",
    reference: "a convention of experiments",
    source: include_str!("list.rs"),
    claims: (),
    parameters: || schema_for!(List),
    build: |parameters| {
        parameters.build::<dyn Placement, List>(|placement| Ok(Arc::new(placement)))
    },
};

/// Parameters of the list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct List {
    /// The numbers of the corrupted identities, workers counted from 0.
    nodes: Vec<u32>,
}

impl Placement for List {
    fn place(
        &self,
        field: &Field<'_>,
        corrupted: usize,
        _rng: &mut dyn Rng,
    ) -> Result<Vec<NodeId>, ConfigError> {
        let workers = field.workers;
        let mut nodes: Vec<NodeId> = self.nodes.iter().copied().map(NodeId).collect();
        nodes.sort_unstable();
        nodes.dedup();
        if let Some(outside) = nodes.iter().find(|node| node.index() >= workers) {
            return Err(ConfigError::new(format!(
                "the list names worker {outside} and there are only {workers}, numbered from 0"
            )));
        }
        if nodes.len() != corrupted || nodes.len() != self.nodes.len() {
            return Err(ConfigError::new(format!(
                "the list names {} different workers and threat.corrupted is {corrupted}",
                nodes.len()
            )));
        }
        Ok(nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, run_stream};

    #[test]
    fn a_list_must_fit() {
        let place = |nodes: &[u32], corrupted| {
            List { nodes: nodes.to_vec() }.place(
                &Field { workers: 5, graph: None },
                corrupted,
                &mut run_stream(1, Purpose::Placement),
            )
        };
        assert_eq!(place(&[4, 1], 2).unwrap(), [NodeId(1), NodeId(4)]);
        assert!(place(&[4, 4], 2).is_err());
        assert!(place(&[5], 1).unwrap_err().message.contains("worker 5"));
        assert!(place(&[1], 2).is_err());
    }
}
