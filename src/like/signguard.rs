//! `SignGuard` as its authors published it (commit e1fcafc), in three variants.
//!
//! They return NaN where nobody passes both filters; ours refuses, and the model stays.

use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::{Entry, Kind, Translation, number, read};

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "signguard-authors.SignGuard",
        kind: Kind::Aggregator,
        member: "sign_guard",
        parameters: || schema_for!(SignGuard),
        byzantine: Some(0),
        translate: |given| read(given, |given: SignGuard| given.with("none")),
    },
    Entry {
        name: "signguard-authors.SignGuardSim",
        kind: Kind::Aggregator,
        member: "sign_guard",
        parameters: || schema_for!(SignGuard),
        byzantine: Some(0),
        translate: |given| read(given, |given: SignGuard| given.with("cosine")),
    },
    Entry {
        name: "signguard-authors.SignGuardDist",
        kind: Kind::Aggregator,
        member: "sign_guard",
        parameters: || schema_for!(SignGuard),
        byzantine: Some(0),
        translate: |given| read(given, |given: SignGuard| given.with("distance")),
    },
];

/// What all variants take.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct SignGuard {
    /// The share of coordinates whose signs are counted.
    block_fraction: f64,
    /// Where the block of coordinates begins in each round; what is not given is drawn.
    block_start: Vec<usize>,
}

impl Default for SignGuard {
    fn default() -> Self {
        SignGuard { block_fraction: 0.1, block_start: Vec::new() }
    }
}

impl SignGuard {
    fn with(self, similarity: &str) -> Result<Translation, crate::catalog::ConfigError> {
        let fraction = number("block_fraction", self.block_fraction)?;
        let starts = self.block_start;
        Ok(Translation::to(format!(
            "fraction = {fraction}\nstarts = {starts:?}\nsimilarity = \"{similarity}\""
        )))
    }
}
