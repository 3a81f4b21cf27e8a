//! The rules of thumb that Koç University's library calls local model poisoning: each sends one
//! vector from one statistic of the honest updates. Where its own code falls back to another
//! vector, because too few are honest for what is trimmed, ours trims less.

use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::{Entry, Kind, Translation, number, read};
use crate::catalog::ConfigError;

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "crypto-ku.LmpKrum",
        kind: Kind::Attack,
        member: "boundary",
        parameters: || schema_for!(Beside),
        byzantine: None,
        translate: |given| read(given, |given: Beside| at("krum", ("eps", given.eps), "")),
    },
    Entry {
        name: "crypto-ku.LmpEdgeCase",
        kind: Kind::Attack,
        member: "boundary",
        parameters: || schema_for!(Beside),
        byzantine: None,
        translate: |given| read(given, |given: Beside| at("furthest", ("eps", given.eps), "")),
    },
    Entry {
        name: "crypto-ku.LmpMinMax",
        kind: Kind::Attack,
        member: "boundary",
        parameters: || schema_for!(Diameters),
        byzantine: None,
        translate: |given| read(given, |given: Diameters| at("diameter", ("z", given.z), "")),
    },
    Entry {
        name: "crypto-ku.LmpTrimmedMean",
        kind: Kind::Attack,
        member: "boundary",
        parameters: || schema_for!(Trimmed),
        byzantine: None,
        translate: |given| {
            read(given, |given: Trimmed| {
                let share = number("eps", given.eps)?;
                at("kept", ("z", given.z), &format!("\ntrim_share = {share}"))
            })
        },
    },
    Entry {
        name: "crypto-ku.LmpLocalTrimmedMean",
        kind: Kind::Attack,
        member: "boundary",
        parameters: || schema_for!(Ranges),
        byzantine: None,
        translate: |given| read(given, |given: Ranges| at("range", ("z", given.z), "")),
    },
];

/// Our member at a boundary, as far from it as the named parameter says.
fn at(of: &str, (name, value): (&str, f64), more: &str) -> Result<Translation, ConfigError> {
    let strength = number(name, value)?;
    Ok(Translation::to(format!("of = \"{of}\"\nstrength = {strength}{more}")))
}

/// Beside one update, or beyond it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Beside {
    /// How far from it: a length for `LmpKrum`, a share of its distance for `LmpEdgeCase`.
    eps: f64,
}

impl Default for Beside {
    fn default() -> Self {
        Beside { eps: 0.1 }
    }
}

/// As far as two updates are apart.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Diameters {
    /// How many of the largest distances.
    z: f64,
}

impl Default for Diameters {
    fn default() -> Self {
        Diameters { z: 1.0 }
    }
}

/// By the largest value that is kept.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Trimmed {
    /// How many ranges from it.
    z: f64,
    /// The share of all that is dropped at each end.
    eps: f64,
}

impl Default for Trimmed {
    fn default() -> Self {
        Trimmed { z: 1.0, eps: 0.1 }
    }
}

/// By the range of the values that are kept.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Ranges {
    /// How many ranges from the mean.
    z: f64,
}

impl Default for Ranges {
    fn default() -> Self {
        Ranges { z: 0.5 }
    }
}
