//! The code to Shejwalkar and Houmansadr, Manipulating the Byzantine, NDSS 2021.
//!
//! There, the attacks that are tailored to a rule hold a copy of it. Here they are tried on the
//! rule that is named beside them: `ndss21.MultiKrum`, `ndss21.TrimmedMean` or the lower median.

use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::{Deviation, Entry, Kind, Searched, Translation, number, read};
use crate::catalog::ConfigError;

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
        name: "ndss21.AgrMultiKrum",
        kind: Kind::Attack,
        member: "rule_tailored",
        parameters: || schema_for!(Selected),
        byzantine: None,
        translate: |given| read(given, Selected::translation),
    },
    Entry {
        name: "ndss21.AgrTrimmedMean",
        kind: Kind::Attack,
        member: "rule_tailored",
        parameters: || schema_for!(Searched),
        byzantine: None,
        translate: |given| read(given, displaced),
    },
    Entry {
        name: "ndss21.AgrMedian",
        kind: Kind::Attack,
        member: "rule_tailored",
        parameters: || schema_for!(Searched),
        byzantine: None,
        translate: |given| read(given, displaced),
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

/// Its attack on a rule that selects.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Selected {
    /// What the mean is pushed along: `unit_vec`, `sign` or `std`.
    dev: Deviation,
    /// The first factor that is tried.
    gamma_init: f64,
    /// How close the last try is to the last that passed.
    tol: f64,
}

impl Default for Selected {
    fn default() -> Self {
        Selected { dev: Deviation::UnitVec, gamma_init: 3.0, tol: 1e-5 }
    }
}

impl Selected {
    fn translation(self) -> Result<Translation, ConfigError> {
        tailored(self.dev, self.gamma_init, self.tol, "selected")
    }
}

fn displaced(given: Searched) -> Result<Translation, ConfigError> {
    tailored(given.dev, given.gamma_init, given.tol, "displacement")
}

fn tailored(
    dev: Deviation,
    gamma_init: f64,
    tol: f64,
    goal: &str,
) -> Result<Translation, ConfigError> {
    let (start, tolerance) = (number("gamma_init", gamma_init)?, number("tol", tol)?);
    let direction = dev.direction();
    let search = format!("search = {{ halving = {{ start = {start}, tolerance = {tolerance} }} }}");
    Ok(Translation::to(format!("{direction}\ngoal = \"{goal}\"\n{search}")))
}
