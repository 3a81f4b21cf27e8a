//! Geometric medians and centered clippings of several libraries.
//!
//! All make smoothed Weiszfeld steps, or clipped steps from the aggregate of the round before;
//! they differ in the start, the number of steps and the distance below which rows weigh no more.
//! fedlib alone starts from the mean and stops where the mean distance hardly changes.

use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::{Entry, Kind, Translation, number, read};
use crate::catalog::{ConfigError, Parameters};

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "byzfl.GeometricMedian",
        kind: Kind::Aggregator,
        member: "geometric_median",
        parameters: || schema_for!(Weiszfeld),
        byzantine: None,
        translate: |given| read(given, |given: Weiszfeld| given.translate(3, 0.1)),
    },
    Entry {
        name: "epfl-rcl.RFA",
        kind: Kind::Aggregator,
        member: "geometric_median",
        parameters: || schema_for!(Weiszfeld),
        byzantine: None,
        translate: |given| read(given, |given: Weiszfeld| given.translate(3, 0.1)),
    },
    Entry {
        name: "epfml.RFA",
        kind: Kind::Aggregator,
        member: "geometric_median",
        parameters: || schema_for!(Weiszfeld),
        byzantine: None,
        translate: |given| read(given, |given: Weiszfeld| given.translate(8, 0.1)),
    },
    Entry {
        name: "crypto-ku.RFA",
        kind: Kind::Aggregator,
        member: "geometric_median",
        parameters: || schema_for!(Weiszfeld),
        byzantine: None,
        translate: |given| read(given, |given: Weiszfeld| given.translate(8, 1e-6)),
    },
    Entry {
        name: "fedlib.GeoMed",
        kind: Kind::Aggregator,
        member: "geometric_median",
        parameters: || schema_for!(GeoMed),
        byzantine: None,
        translate: |given| read(given, GeoMed::translate),
    },
    clipping(
        "epfml.CenteredClipping",
        || schema_for!(Clipping),
        |given| read(given, |given: Clipping| given.translate(10.0, 3)),
    ),
    clipping(
        "fedlib.CenteredClipping",
        || schema_for!(Clipping),
        |given| read(given, |given: Clipping| given.translate(5.0, 5)),
    ),
    clipping(
        "blades-legacy.CenteredClipping",
        || schema_for!(Clipping),
        |given| read(given, |given: Clipping| given.translate(10.0, 5)),
    ),
    clipping(
        "crypto-ku.CenteredClipping",
        || schema_for!(Clipping),
        |given| read(given, |given: Clipping| given.translate(10.0, 1)),
    ),
    clipping(
        "epfl-rcl.CenteredClip",
        || schema_for!(CenteredClip),
        |given| {
            read(given, |given: CenteredClip| {
                let (tau, steps) = (number("clip_thresh", given.clip_thresh)?, given.steps);
                Ok(Translation::to(format!("tau = {tau}\niterations = {steps}\nstart = \"first\"")))
            })
        },
    ),
];

/// A centered clipping.
const fn clipping(
    name: &'static str,
    parameters: fn() -> schemars::Schema,
    translate: fn(Parameters) -> Result<Translation, ConfigError>,
) -> Entry {
    Entry {
        name,
        kind: Kind::Aggregator,
        member: "centered_clipping",
        parameters,
        byzantine: None,
        translate,
    }
}

/// Smoothed Weiszfeld steps from zero.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Weiszfeld {
    /// How many steps are made: by default 3, or 8 for `epfml` and `crypto-ku`.
    #[serde(rename = "T")]
    steps: Option<u32>,
    /// The distance below which rows weigh no more: by default 0.1, or 1e-6 for `crypto-ku`.
    nu: Option<f64>,
}

impl Weiszfeld {
    fn translate(self, steps: u32, nu: f64) -> Result<Translation, ConfigError> {
        let (nu, steps) = (number("nu", self.nu.unwrap_or(nu))?, self.steps.unwrap_or(steps));
        Ok(Translation::to(format!("nu = {nu}\niterations = {steps}\nstart = \"zero\"")))
    }
}

/// Smoothed Weiszfeld steps from the mean.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct GeoMed {
    /// How many steps are made at most.
    maxiter: u32,
    /// The distance below which rows weigh no more.
    eps: f64,
    /// The change of the mean distance, as a share of it, at which the steps end.
    ftol: f64,
}

impl Default for GeoMed {
    fn default() -> Self {
        GeoMed { maxiter: 100, eps: 1e-6, ftol: 1e-10 }
    }
}

impl GeoMed {
    fn translate(self) -> Result<Translation, ConfigError> {
        let (nu, stop) = (number("eps", self.eps)?, number("ftol", self.ftol)?);
        let steps = self.maxiter;
        Ok(Translation::to(format!(
            "nu = {nu}\niterations = {steps}\nstart = \"mean\"\nstop = {stop}"
        )))
    }
}

/// Clipped steps from the aggregate before.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Clipping {
    /// How far a row may pull: by default 10, or 5 for `fedlib`.
    tau: Option<f64>,
    /// How many steps are made in a round: by default 3 for `epfml`, 5 for `fedlib` and
    /// `blades-legacy`, 1 for `crypto-ku`.
    n_iter: Option<u32>,
}

impl Clipping {
    fn translate(self, tau: f64, steps: u32) -> Result<Translation, ConfigError> {
        let (tau, steps) = (number("tau", self.tau.unwrap_or(tau))?, self.n_iter.unwrap_or(steps));
        Ok(Translation::to(format!("tau = {tau}\niterations = {steps}\nstart = \"previous\"")))
    }
}

/// Clipped steps from row 0.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct CenteredClip {
    /// How far a row may pull.
    clip_thresh: f64,
    /// How many steps are made.
    #[serde(rename = "L_iter")]
    steps: u32,
}

impl Default for CenteredClip {
    fn default() -> Self {
        CenteredClip { clip_thresh: 1.0, steps: 1 }
    }
}
