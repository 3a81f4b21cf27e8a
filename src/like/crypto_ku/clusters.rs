//! The FL-Byzantine-Library of CRYPTO-KU, at commit 32922ca: its names and parameters.
//!
//! None of these asks how many rows lie, and each takes the lower median.

use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::super::{Entry, Kind, Translation, number, read};
use crate::catalog::ConfigError;

pub(in crate::like) static ENTRIES: &[Entry] = &[
    Entry {
        name: "crypto-ku.SignSGD",
        kind: Kind::Aggregator,
        member: "sign_majority",
        parameters: || schema_for!(Nothing),
        byzantine: Some(0),
        translate: |given| read(given, |Nothing {}| Ok(Translation::to(""))),
    },
    Entry {
        name: "crypto-ku.SignGuard",
        kind: Kind::Aggregator,
        member: "sign_guard",
        parameters: || schema_for!(SignGuard),
        byzantine: Some(0),
        translate: |given| {
            read(given, |given: SignGuard| {
                let fraction = number("sparsity_ratio", given.sparsity_ratio)?;
                let [lower, upper] = given.norm_bounds;
                let lower = number("norm_bounds", lower)?;
                let upper = number("norm_bounds", upper)?;
                let starts = given.block_start;
                Ok(Translation::to(format!(
                    "fraction = {fraction}\nlower = {lower}\nupper = {upper}\n\
                     starts = {starts:?}\nempty = \"all\""
                )))
            })
        },
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
    Entry {
        name: "crypto-ku.FLDefender",
        kind: Kind::Aggregator,
        member: "fl_defender",
        parameters: || schema_for!(FlDefender),
        byzantine: Some(0),
        translate: |given| {
            read(given, |given: FlDefender| match given.rounds {
                1 => Ok(Translation::to("features = \"all\"")),
                rounds => {
                    let message = format!("`rounds` = {rounds}, and one is aggregated at a time");
                    Err(ConfigError::new(message))
                }
            })
        },
    },
];

/// No parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Its `SignGuard` with mean shift.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct SignGuard {
    /// The share of coordinates whose signs are counted.
    sparsity_ratio: f64,
    /// The least and the largest norm that pass, in median norms.
    norm_bounds: [f64; 2],
    /// Where the block of coordinates begins in each round; what is not given is drawn.
    block_start: Vec<usize>,
}

impl Default for SignGuard {
    fn default() -> Self {
        SignGuard { sparsity_ratio: 0.1, norm_bounds: [0.1, 3.0], block_start: Vec::new() }
    }
}

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

/// Its FL-Defender.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct FlDefender {
    /// How many rounds are aggregated: 1, and what senders gathered in those before is remembered.
    rounds: u32,
}

impl Default for FlDefender {
    fn default() -> Self {
        FlDefender { rounds: 1 }
    }
}
