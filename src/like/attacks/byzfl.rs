//! ByzFL 0.0.11, Guerraoui et al.: the attacks beside those of [`crate::like`]'s first table.

use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::{Entry, Kind, Nothing, Translation, number, read};
use crate::catalog::ConfigError;

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "byzfl.Inf",
        kind: Kind::Attack,
        member: "infinity",
        parameters: || schema_for!(Nothing),
        byzantine: None,
        translate: |given| read(given, |Nothing {}| Ok(Translation::to("negative = false"))),
    },
    Entry {
        name: "byzfl.Mimic",
        kind: Kind::Attack,
        member: "mimic",
        parameters: || schema_for!(Mimic),
        byzantine: None,
        translate: |given| {
            read(given, |given: Mimic| Ok(Translation::to(format!("worker = {}", given.epsilon))))
        },
    },
    Entry {
        name: "byzfl.Optimal_ALittleIsEnough",
        kind: Kind::Attack,
        member: "optimised_little_is_enough",
        parameters: || schema_for!(Optimal),
        byzantine: None,
        translate: |given| read(given, |given: Optimal| given.translation("sample = true\n")),
    },
    Entry {
        name: "byzfl.Optimal_InnerProductManipulation",
        kind: Kind::Attack,
        member: "optimised_inner_product",
        parameters: || schema_for!(Optimal),
        byzantine: None,
        translate: |given| read(given, |given: Optimal| given.translation("")),
    },
];

/// Its mimicry of one worker.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Mimic {
    /// Which honest worker is copied, from 0.
    epsilon: usize,
}

/// Its line search with the rule.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Optimal {
    /// How many copies a try holds; absent: one for each corrupted identity.
    f: Option<usize>,
    /// How often the rule is tried.
    evals: u32,
    /// The first factor.
    start: f64,
    /// The first step.
    delta: f64,
    /// What a step is multiplied by once one has failed.
    ratio: f64,
}

impl Default for Optimal {
    fn default() -> Self {
        Optimal { f: None, evals: 20, start: 0.0, delta: 10.0, ratio: 0.8 }
    }
}

impl Optimal {
    fn translation(self, more: &str) -> Result<Translation, ConfigError> {
        let (start, step) = (number("start", self.start)?, number("delta", self.delta)?);
        let ratio = number("ratio", self.ratio)?;
        let copies = self.f.map_or_else(String::new, |f| format!("copies = {f}\n"));
        let doubling = format!(
            "evaluations = {}, start = {start}, step = {step}, ratio = {ratio}",
            self.evals
        );
        Ok(Translation::to(format!("{more}{copies}search = {{ doubling = {{ {doubling} }} }}")))
    }
}
