//! Blades, Li et al., Blades: A Unified Benchmark Suite for Byzantine Attacks and Defenses in
//! Federated Learning, `IoTDI` 2024.

use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::{Entry, Kind, Nothing, Translation, number, read};

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "blades.ALIE",
        kind: Kind::Attack,
        member: "little_is_enough",
        parameters: || schema_for!(Nothing),
        byzantine: None,
        translate: |given| {
            read(given, |Nothing {}| {
                Ok(Translation::to("formula = true\nsign = \"plus\"\nsample = true"))
            })
        },
    },
    Entry {
        name: "blades.MinMax",
        kind: Kind::Attack,
        member: "min_max",
        parameters: || schema_for!(Nothing),
        byzantine: None,
        translate: |given| {
            read(given, |Nothing {}| {
                Ok(Translation::to(
                    "direction = \"deviation\"\nstrict = true\nsearch = { bisection = { high = 5.0, tolerance = 0.01 } }",
                ))
            })
        },
    },
    Entry {
        name: "blades.AdaptiveTrimmedMean",
        kind: Kind::Attack,
        member: "fang_trimmed_mean",
        parameters: || schema_for!(Beyond),
        byzantine: None,
        translate: |given| {
            read(given, |given: Beyond| {
                Ok(Translation::to(format!("b = {}", number("b", given.b)?)))
            })
        },
    },
];

/// Its attack on the trimmed mean.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Beyond {
    /// How far beyond an extreme values may lie, as a ratio.
    b: f64,
}

impl Default for Beyond {
    fn default() -> Self {
        Beyond { b: 2.0 }
    }
}
