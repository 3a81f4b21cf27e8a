//! The library of Koç University's crypto group (CRYPTO-KU/FL-Byzantine-Library).

use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::{Entry, Kind, Nothing, Searched, Translation, read};

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "crypto-ku.ALIE",
        kind: Kind::Attack,
        member: "little_is_enough",
        parameters: || schema_for!(Nothing),
        byzantine: None,
        translate: |given| {
            read(given, |Nothing {}| Ok(Translation::to("formula = true\nsample = true")))
        },
    },
    Entry {
        name: "crypto-ku.MinMax",
        kind: Kind::Attack,
        member: "min_max",
        parameters: || schema_for!(Searched),
        byzantine: None,
        translate: |given| read(given, Searched::translation),
    },
    Entry {
        name: "crypto-ku.MinSum",
        kind: Kind::Attack,
        member: "min_sum",
        parameters: || schema_for!(Searched),
        byzantine: None,
        translate: |given| read(given, Searched::translation),
    },
    Entry {
        name: "crypto-ku.FangKrum",
        kind: Kind::Attack,
        member: "fang_krum",
        parameters: || schema_for!(Nothing),
        byzantine: None,
        translate: |given| {
            read(given, |Nothing {}| {
                Ok(Translation::to("search = \"bisection\"\ndistance = \"plain\""))
            })
        },
    },
    Entry {
        name: "crypto-ku.FangKrumPartial",
        kind: Kind::Attack,
        member: "fang_krum",
        parameters: || schema_for!(Nothing),
        byzantine: None,
        translate: |given| {
            read(given, |Nothing {}| {
                Ok(Translation::to(
                    "search = \"bisection\"\ndistance = \"plain\"\nsupporters = \"one\"\nneighbours = \"everybody\"",
                ))
            })
        },
    },
    Entry {
        name: "crypto-ku.FangTrimmedMean",
        kind: Kind::Attack,
        member: "fang_trimmed_mean",
        parameters: || schema_for!(Nothing),
        byzantine: None,
        translate: |given| read(given, |Nothing {}| Ok(Translation::to("place = \"edge\""))),
    },
    Entry {
        name: "crypto-ku.FangTrimmedMeanPartial",
        kind: Kind::Attack,
        member: "fang_trimmed_mean",
        parameters: || schema_for!(Nothing),
        byzantine: None,
        translate: |given| {
            read(given, |Nothing {}| {
                Ok(Translation::to("range = \"deviations\"\nplace = \"middle\"\nsample = true"))
            })
        },
    },
    Entry {
        name: "crypto-ku.MimicVariant",
        kind: Kind::Attack,
        member: "mimic",
        parameters: || schema_for!(Warm),
        byzantine: None,
        translate: |given| {
            read(given, |given: Warm| {
                let warm_up = given.warmup;
                Ok(Translation::to(format!("warm_up = {warm_up}\nafter = \"direction\"")))
            })
        },
    },
    Entry {
        name: "crypto-ku.OnlineMimic",
        kind: Kind::Attack,
        member: "mimic",
        parameters: || schema_for!(Nothing),
        byzantine: None,
        translate: |given| {
            read(given, |Nothing {}| Ok(Translation::to("after = \"learn\"\nstep = \"share\"")))
        },
    },
];

/// Its mimicry.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Warm {
    /// In how many rounds it learns the direction.
    warmup: u32,
}

impl Default for Warm {
    fn default() -> Self {
        Warm { warmup: 1 }
    }
}
