//! The code to Karimireddy, He and Jaggi, Byzantine-Robust Learning on Heterogeneous Datasets via
//! Bucketing, ICLR 2022 (epfml/byzantine-robust-noniid-optimizer).

use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::{Entry, Kind, Translation, number, read};

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "epfml.ALIE",
        kind: Kind::Attack,
        member: "little_is_enough",
        parameters: || schema_for!(LittleIsEnough),
        byzantine: None,
        translate: |given| read(given, LittleIsEnough::translation),
    },
    Entry {
        name: "epfml.IPM",
        kind: Kind::Attack,
        member: "inner_product",
        parameters: || schema_for!(InnerProduct),
        byzantine: None,
        translate: |given| {
            read(given, |given: InnerProduct| {
                Ok(Translation::to(format!("epsilon = {}", number("epsilon", given.epsilon)?)))
            })
        },
    },
    Entry {
        name: "epfml.Mimic",
        kind: Kind::Attack,
        member: "mimic",
        parameters: || schema_for!(Mimic),
        byzantine: None,
        translate: |given| {
            read(given, |given: Mimic| {
                let pick = if given.argmax { "largest" } else { "smallest" };
                let warm_up = given.warmup;
                Ok(Translation::to(format!("warm_up = {warm_up}\npick = \"{pick}\"")))
            })
        },
    },
];

/// Its a little is enough.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct LittleIsEnough {
    /// How many standard deviations are subtracted; absent: what the formula gives, also where that
    /// is 0 or less.
    z: Option<f64>,
}

impl LittleIsEnough {
    fn translation(self) -> Result<Translation, crate::catalog::ConfigError> {
        let size = match self.z {
            Some(z) => format!("deviations = {}", number("z", z)?),
            None => "formula = true".to_owned(),
        };
        Ok(Translation::to(format!("{size}\nsign = \"minus\"\nsample = true")))
    }
}

/// Its inner product manipulation.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct InnerProduct {
    /// How many times the mean is sent, negated.
    epsilon: f64,
}

impl Default for InnerProduct {
    fn default() -> Self {
        InnerProduct { epsilon: 0.1 }
    }
}

/// Its mimicry.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Mimic {
    /// In how many rounds it learns the direction.
    warmup: u32,
    /// Whether it copies the largest product with the direction, or the smallest.
    argmax: bool,
}

impl Default for Mimic {
    fn default() -> Self {
        Mimic { warmup: 1, argmax: true }
    }
}
