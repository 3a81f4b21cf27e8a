//! Neurotoxin in two conventions: that of its authors, Zhang et al., ICML 2022, who keep the
//! coordinates in which a clean gradient is smallest, and that of `fl-analysis`, Burkhalter et al.,
//! `RoFL`, IEEE S&P 2023, which masks those that the model moved most.

use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::{Entry, Kind, Translation, number, read};

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "neurotoxin-authors.Neurotoxin",
        kind: Kind::Attack,
        member: "neurotoxin",
        parameters: || schema_for!(Ratio),
        byzantine: None,
        translate: |given| {
            read(given, |given: Ratio| {
                let keep = number("gradmask_ratio", given.gradmask_ratio)?;
                Ok(Translation::to(format!("keep = {keep}\nreference = \"known\"")))
            })
        },
    },
    Entry {
        name: "fl-analysis.Neurotoxin",
        kind: Kind::Attack,
        member: "neurotoxin",
        parameters: || schema_for!(Percent),
        byzantine: None,
        translate: |given| {
            read(given, |given: Percent| {
                let top = number("topk_percent", given.topk_percent / 100.0)?;
                Ok(Translation::to(format!("top = {top}")))
            })
        },
    },
];

/// What its authors call the part that may be changed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Ratio {
    /// The share of coordinates that may be changed.
    gradmask_ratio: f64,
}

impl Default for Ratio {
    fn default() -> Self {
        Ratio { gradmask_ratio: 0.96 }
    }
}

/// What `fl-analysis` calls the part that is left alone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Percent {
    /// The percentage of coordinates that are left alone.
    topk_percent: f64,
}

impl Default for Percent {
    fn default() -> Self {
        Percent { topk_percent: 5.0 }
    }
}
