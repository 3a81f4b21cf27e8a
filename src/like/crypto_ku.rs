//! The FL-Byzantine-Library of CRYPTO-KU, at commit 32922ca: its names and parameters.
//!
//! None of these asks how many rows lie, and each takes the lower median.

use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::{Entry, Kind, Translation, number, read};

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "crypto-ku.SignSGD",
        kind: Kind::Aggregator,
        member: "sign_majority",
        parameters: || schema_for!(Nothing),
        byzantine: Some(0),
        translate: |given| read(given, |Nothing {}| Ok(Translation::to(""))),
    },
    Entry {
        name: "crypto-ku.FLAME",
        kind: Kind::Aggregator,
        member: "flame",
        parameters: || schema_for!(Flame),
        byzantine: Some(0),
        translate: |given| {
            read(given, |given: Flame| {
                let noise = if given.add_noise { "0.001" } else { "0.0" };
                Ok(Translation::to(format!("noise = {noise}\nmiddle = \"lower\"")))
            })
        },
    },
    Entry {
        name: "crypto-ku.FoolsGold",
        kind: Kind::Aggregator,
        member: "foolsgold",
        parameters: || schema_for!(FoolsGold),
        byzantine: None,
        translate: |given| {
            read(given, |given: FoolsGold| {
                let (epsilon, window) = (number("epsilon", given.epsilon)?, given.memory_size);
                Ok(Translation::to(format!(
                    "features = \"all\"\nsmoothing = {epsilon}\nsmoothed = \"denominator\"\n\
                     window = {window}"
                )))
            })
        },
    },
];

/// No parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Its FLAME.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Flame {
    /// Whether noise is added.
    add_noise: bool,
}

/// Its `FoolsGold`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct FoolsGold {
    /// What keeps quotients finite.
    epsilon: f64,
    /// How many rounds are summed, once there are so many.
    memory_size: u32,
}

impl Default for FoolsGold {
    fn default() -> Self {
        FoolsGold { epsilon: 1e-5, memory_size: 1 }
    }
}
