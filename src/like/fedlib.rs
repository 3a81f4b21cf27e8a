//! fedlib, which is Blades as it is maintained now (Li, Ngai, Voigt), at commit 8428019: its
//! names, parameters and defaults.

use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::{Entry, Kind, Translation, number, read};
use crate::kernels::linkage::Linkage;

pub(super) static ENTRIES: &[Entry] = &[Entry {
    name: "fedlib.ClippedClustering",
    kind: Kind::Aggregator,
    member: "clipped_clustering",
    parameters: || schema_for!(ClippedClustering),
    byzantine: Some(0),
    translate: |given| {
        read(given, |given: ClippedClustering| {
            let linkage = match given.linkage {
                Linkage::Average => "average",
                Linkage::Single => "single",
                Linkage::Complete => "complete",
            };
            let bound = number("max_tau", given.max_tau)?;
            Ok(Translation::to(format!("linkage = \"{linkage}\"\nbound = {bound}")))
        })
    },
}];

/// Its clipped clustering, which averages what it keeps.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct ClippedClustering {
    /// How far clusters are from each other.
    linkage: Linkage,
    /// The largest norm whatever the history says.
    max_tau: f64,
}

impl Default for ClippedClustering {
    fn default() -> Self {
        ClippedClustering { linkage: Linkage::Average, max_tau: 1e5 }
    }
}
