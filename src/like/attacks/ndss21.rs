//! The code to Shejwalkar and Houmansadr, Manipulating the Byzantine, NDSS 2021.

use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::{Entry, Kind, Searched, Translation, number, read};

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "ndss21.LIE",
        kind: Kind::Attack,
        member: "little_is_enough",
        parameters: || schema_for!(LittleIsEnough),
        byzantine: None,
        translate: |given| {
            read(given, |given: LittleIsEnough| {
                let z = number("z", given.z)?;
                Ok(Translation::to(format!("deviations = {z}\nsign = \"plus\"\nsample = true")))
            })
        },
    },
    Entry {
        name: "ndss21.MinMax",
        kind: Kind::Attack,
        member: "min_max",
        parameters: || schema_for!(Searched),
        byzantine: None,
        translate: |given| read(given, Searched::translation),
    },
    Entry {
        name: "ndss21.MinSum",
        kind: Kind::Attack,
        member: "min_sum",
        parameters: || schema_for!(Searched),
        byzantine: None,
        translate: |given| read(given, Searched::translation),
    },
    Entry {
        name: "ndss21.FangKrum",
        kind: Kind::Attack,
        member: "fang_krum",
        parameters: || schema_for!(FangKrum),
        byzantine: None,
        translate: |given| {
            read(given, |given: FangKrum| {
                let threshold = number("threshold", given.threshold)?;
                Ok(Translation::to(format!("threshold = {threshold}\nneighbours = \"itself\"")))
            })
        },
    },
];

/// Its a little is enough.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct LittleIsEnough {
    /// How many standard deviations are added to the mean.
    z: f64,
}

impl Default for LittleIsEnough {
    fn default() -> Self {
        LittleIsEnough { z: 1.5 }
    }
}

/// Its attack on Krum.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct FangKrum {
    /// The smallest lambda that is halved further.
    threshold: f64,
}

impl Default for FangKrum {
    fn default() -> Self {
        FangKrum { threshold: 1e-5 }
    }
}
