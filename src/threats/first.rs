//! The identities with the lowest numbers are corrupted: `0, 1, …, corrupted - 1`.
//!
//! The simplest choice, and a fair one where data are split at random. Fails to be fair where
//! position matters: with label-sorted data the first identities all hold the same classes, and
//! losing them costs those classes; use `random` there.
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
    name: "first",
    summary: "the identities with the lowest numbers",
    reference: "a convention of experiments",
    source: include_str!("first.rs"),
    claims: (),
    parameters: || schema_for!(First),
    build: |parameters| {
        parameters.build::<dyn Placement, First>(|placement| Ok(Arc::new(placement)))
    },
};

/// Takes no parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct First {}

impl Placement for First {
    fn place(
        &self,
        _field: &Field<'_>,
        corrupted: usize,
        _rng: &mut dyn Rng,
    ) -> Result<Vec<NodeId>, ConfigError> {
        Ok((0..corrupted as u32).map(NodeId).collect())
    }
}
