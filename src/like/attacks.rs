//! Attacks of other libraries: which of ours, with which parameters, is what they send.
//!
//! Each was compared with what the library itself sends.

mod blades;
mod byzfl;
mod crypto_ku;
mod crypto_ku_boundaries;
mod epfl;
mod epfml;
mod fldetector;
mod masks;
mod ndss21;
mod signguard;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Entry, Kind, Translation, number, read};

/// The tables of all libraries.
pub(super) static LIBRARIES: [&[Entry]; 10] = [
    byzfl::ENTRIES,
    epfml::ENTRIES,
    epfl::ENTRIES,
    ndss21::ENTRIES,
    blades::ENTRIES,
    fldetector::ENTRIES,
    signguard::ENTRIES,
    crypto_ku::ENTRIES,
    crypto_ku_boundaries::ENTRIES,
    masks::ENTRIES,
];

/// No parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// What Min-Max and Min-Sum push the mean along.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Deviation {
    /// The unit mean.
    #[default]
    UnitVec,
    /// Its signs.
    Sign,
    /// The standard deviations.
    Std,
}

impl Deviation {
    /// Our name for it, as TOML.
    fn direction(self) -> &'static str {
        match self {
            Deviation::UnitVec => "direction = \"unit\"",
            Deviation::Sign => "direction = \"sign\"",
            Deviation::Std => "direction = \"deviation\"",
        }
    }
}

/// Min-Max and Min-Sum as their authors and those who copied them search for the factor.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Searched {
    /// What the mean is pushed along: `unit_vec`, `sign` or `std`.
    dev: Deviation,
    /// The first factor that is tried.
    gamma_init: f64,
    /// How close the last try is to the last that passed.
    tol: f64,
}

impl Default for Searched {
    fn default() -> Self {
        Searched { dev: Deviation::UnitVec, gamma_init: 10.0, tol: 1e-5 }
    }
}

impl Searched {
    fn translation(self) -> Result<Translation, super::ConfigError> {
        let start = number("gamma_init", self.gamma_init)?;
        let tolerance = number("tol", self.tol)?;
        let halving =
            format!("start = {start}, step = {start}, tolerance = {tolerance}, least_step = 0.0");
        let search = format!("search = {{ halving = {{ {halving} }} }}");
        Ok(Translation::to(format!("{}\n{search}", self.dev.direction())))
    }
}
