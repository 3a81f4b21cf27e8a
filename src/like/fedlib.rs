//! fedlib, which is Blades as it is maintained now (Li, Ngai, Voigt), at commit 8428019: its
//! names, parameters and defaults.

use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::{Entry, Kind, Translation, number, read};
use crate::kernels::linkage::Linkage;

pub(super) static ENTRIES: &[Entry] = &[CLIPPED_CLUSTERING, SIGN_GUARD];

const SIGN_GUARD: Entry = Entry {
    name: "fedlib.SignGuard",
    kind: Kind::Aggregator,
    member: "sign_guard",
    parameters: || schema_for!(SignGuard),
    byzantine: Some(0),
    translate: |given| {
        read(given, |given: SignGuard| {
            let combine = match given.agg {
                Combine::Mean => "mean",
                Combine::Median => "median",
            };
            let groups = given.kmeans_labels;
            Ok(Translation::to(format!(
                "groups = {groups:?}\nfraction = 1.0\nclusters = \"two_means\"\nscale = \"before\"\n\
                 combine = \"{combine}\"\nempty = \"zero\""
            )))
        })
    },
};

const CLIPPED_CLUSTERING: Entry = Entry {
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
};

/// Its `SignGuard`; where both of its clusters are equally large, ours takes the first row's.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct SignGuard {
    /// What is made of those who pass.
    agg: Combine,
    /// In which of its two clusters it found each row, one list for each round, since the starts
    /// of these are drawn; the best clusters unless given.
    kmeans_labels: Vec<Vec<u8>>,
}

/// What is made of those who pass.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Combine {
    /// Their mean.
    #[default]
    Mean,
    /// Their median in every coordinate.
    Median,
}

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
