//! Blades as it was first published (Li et al.), at commit 1068a26: its names and parameters.
//!
//! Its trust is in row 0, and it returns NaN where nobody is trusted; ours leaves the model.

use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::{Entry, Kind, Translation, number, read};

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "blades-legacy.ClippedClustering",
        kind: Kind::Aggregator,
        member: "clipped_clustering",
        parameters: || schema_for!(ClippedClustering),
        byzantine: Some(0),
        translate: |given| {
            read(given, |given: ClippedClustering| {
                let bound = match given.tau {
                    Some(tau) => format!("\nbound = {}", number("tau", tau)?),
                    None => String::new(),
                };
                Ok(Translation::to(format!("linkage = \"complete\"{bound}")))
            })
        },
    },
    Entry {
        name: "blades-legacy.FLTrust",
        kind: Kind::Aggregator,
        member: "fltrust",
        parameters: || schema_for!(FlTrust),
        byzantine: None,
        translate: |given| {
            read(given, |given: FlTrust| {
                Ok(Translation::to(format!("row = {}", given.trusted_row)))
            })
        },
    },
];

/// Its clipped clustering.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct ClippedClustering {
    /// The largest norm whatever the history says; none unless given.
    tau: Option<f64>,
}

/// Its `FLTrust`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct FlTrust {
    /// Which row is the trusted one, counted from 0.
    trusted_row: usize,
}
