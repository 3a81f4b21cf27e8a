//! Code that authors published beside one paper, and what others made of it: `FoolsGold` (commit
//! 0aa5511), its copy in DBA (3cabf7e), robust learning rates (20b8f84), `FLAME`, `FLTrust` and
//! robust learning rates in the repository zhmzm/FLAME (fd4cef2).
//!
//! None of them asks how many rows lie. `zhmzm.FLAME` does not do what its paper says: it takes
//! rows of the distance matrix for points, and scales admitted rows by the norms of others.

use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::{Entry, Kind, Translation, number, read};

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "foolsgold-authors.FoolsGold",
        kind: Kind::Aggregator,
        member: "foolsgold",
        parameters: || schema_for!(FoolsGold),
        byzantine: None,
        translate: |given| {
            read(given, |given: FoolsGold| {
                let features = match given.features {
                    Some(listed) => format!("{{ listed = {listed:?} }}"),
                    None => "\"all\"".to_owned(),
                };
                let (cap, epsilon) = (number("cap", given.cap)?, number("epsilon", given.epsilon)?);
                Ok(Translation::to(format!(
                    "features = {features}\ncap = {cap}\nsmoothing = {epsilon}\n\
                     divide_by = \"nothing\""
                )))
            })
        },
    },
    Entry {
        name: "dba.FoolsGold",
        kind: Kind::Aggregator,
        member: "foolsgold",
        parameters: || schema_for!(DbaFoolsGold),
        byzantine: None,
        translate: |given| {
            read(given, |given: DbaFoolsGold| {
                let window = if given.use_memory { "" } else { "\nwindow = 1" };
                Ok(Translation::to(format!(
                    "features = \"all\"\nsmoothing = 0.0\ndivide_by = \"rows\"{window}"
                )))
            })
        },
    },
    Entry {
        name: "rlr-authors.RLR",
        kind: Kind::Aggregator,
        member: "robust_learning_rate",
        parameters: || schema_for!(RobustLearningRate),
        byzantine: None,
        translate: |given| {
            read(given, |given: RobustLearningRate| {
                let base = match given.base {
                    Base::Avg => "mean",
                    Base::Comed => "median",
                    Base::Sign => "sign",
                };
                let threshold = given.threshold;
                Ok(Translation::to(format!("threshold = {threshold}\nbase = \"{base}\"")))
            })
        },
    },
    Entry {
        name: "zhmzm.RLR",
        kind: Kind::Aggregator,
        member: "robust_learning_rate",
        parameters: || schema_for!(Rates),
        byzantine: None,
        translate: |given| {
            read(given, |given: Rates| {
                let threshold = given.threshold;
                Ok(Translation::to(format!("threshold = {threshold}\nbase = \"rate\"")))
            })
        },
    },
    Entry {
        name: "zhmzm.FLTrust",
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
    Entry {
        name: "zhmzm.FLAME",
        kind: Kind::Aggregator,
        member: "flame",
        parameters: || schema_for!(Flame),
        byzantine: Some(0),
        translate: |given| {
            read(given, |given: Flame| {
                Ok(Translation::to(format!(
                    "noise = {}\ndistance = \"rows\"\nscale_by = \"place\"",
                    number("noise", given.noise)?
                )))
            })
        },
    },
];

/// `FoolsGold` as its authors wrote it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct FoolsGold {
    /// Which coordinates are compared, counted from 0; all unless given.
    features: Option<Vec<usize>>,
    /// What takes the place of a weight of 1.
    cap: f64,
    /// What keeps quotients and logarithms finite.
    epsilon: f64,
}

impl Default for FoolsGold {
    fn default() -> Self {
        FoolsGold { features: None, cap: 0.99, epsilon: 1e-5 }
    }
}

/// `FoolsGold` as DBA has it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct DbaFoolsGold {
    /// Whether earlier rounds count.
    use_memory: bool,
}

impl Default for DbaFoolsGold {
    fn default() -> Self {
        DbaFoolsGold { use_memory: true }
    }
}

/// The authors' robust learning rate, at a server learning rate of 1.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RobustLearningRate {
    /// By how many rows signs must lead.
    threshold: u32,
    /// What is turned around.
    base: Base,
}

/// What is turned around.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Base {
    /// The mean.
    Avg,
    /// The lower median.
    Comed,
    /// The sign of the sum of signs.
    Sign,
}

impl Default for RobustLearningRate {
    fn default() -> Self {
        RobustLearningRate { threshold: 0, base: Base::Avg }
    }
}

/// The rates alone, which that repository multiplies with an aggregate elsewhere.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Rates {
    /// By how many rows signs must lead.
    threshold: u32,
}

/// Its `FLTrust`, at a server learning rate of 1.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct FlTrust {
    /// Which row is the trusted one, counted from 0.
    trusted_row: usize,
}

/// Its `FLAME`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Flame {
    /// The deviation of the noise, in median norms.
    noise: f64,
}

impl Default for Flame {
    fn default() -> Self {
        Flame { noise: 0.001 }
    }
}
