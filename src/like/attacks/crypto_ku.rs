//! The library of Koç University's crypto group (CRYPTO-KU/FL-Byzantine-Library).

use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::{Entry, Kind, Nothing, Searched, Translation, number, read};
use crate::catalog::ConfigError;

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
        name: "crypto-ku.ROP",
        kind: Kind::Attack,
        member: "relocated_orthogonal",
        parameters: || schema_for!(Relocated),
        byzantine: None,
        translate: |given| read(given, Relocated::translation),
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

/// Its relocated orthogonal perturbation.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Relocated {
    /// How much of the aggregate before is in the place that is attacked.
    pi: f64,
    /// How much of it is in the direction that the angle is measured from.
    lamb: f64,
    /// The angle of the shift, in degrees.
    angle: f64,
    /// The length of the shift; absent: what the formula of a little is enough gives.
    z: Option<f64>,
    /// The learning rate of the run, which the library has no need of: it reads the aggregate
    /// itself. Absent: the length of the aggregate is estimated.
    learning_rate: Option<f64>,
}

impl Default for Relocated {
    fn default() -> Self {
        Relocated { pi: 1.0, lamb: 0.9, angle: 270.0, z: None, learning_rate: None }
    }
}

impl Relocated {
    fn translation(self) -> Result<Translation, ConfigError> {
        let location = number("pi", self.pi)?;
        let reference = number("lamb", self.lamb)?;
        let angle = number("angle", self.angle)?;
        let size = match self.z {
            Some(z) => format!("deviations = {}", number("z", z)?),
            None => "formula = true".to_owned(),
        };
        let rate = match self.learning_rate {
            Some(rate) => format!("\nlearning_rate = {}", number("learning_rate", rate)?),
            None => String::new(),
        };
        Ok(Translation::to(format!(
            "location = {location}\nreference = {reference}\nangle = {angle}\n{size}\n\
             scale = \"one\"\nfirst = \"zero\"{rate}"
        )))
    }
}
