//! fedlib 8428019 (Li et al.), the library behind Blades.
//!
//! Its Multi-Krum sums squares of squared distances and keeps one row unless told otherwise. Its
//! divide and conquer runs five iterations where the paper runs one.

pub(super) mod clusters;

use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::{Entry, Kind, Translation, number, read};
use crate::catalog::ConfigError;

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "fedlib.MultiKrum",
        kind: Kind::Aggregator,
        member: "multi_krum",
        parameters: || schema_for!(MultiKrum),
        byzantine: None,
        translate: |given| {
            read(given, |given: MultiKrum| {
                let parameters = format!("keep = {}\n{KRUM}", given.k);
                Ok(Translation { byzantine: given.f, ..Translation::to(parameters) })
            })
        },
    },
    Entry {
        name: "fedlib.DnC",
        kind: Kind::Aggregator,
        member: "divide_and_conquer",
        parameters: || schema_for!(DnC),
        byzantine: None,
        translate: |given| {
            read(given, |given: DnC| {
                let drawn =
                    given.coordinates.map_or(String::new(), |all| format!("\ndrawn = {all:?}"));
                let parameters = format!(
                    "iterations = {}\ncoordinates = {}\nfactor = {}\nempty = \"zero\"{drawn}",
                    given.num_iters,
                    given.sub_dim,
                    number("filter_frac", given.filter_frac)?,
                );
                Ok(Translation { byzantine: given.f, ..Translation::to(parameters) })
            })
        },
    },
    Entry {
        name: "fedlib.TrimmedMean",
        kind: Kind::Aggregator,
        member: "trimmed_mean",
        parameters: || schema_for!(TrimmedMean),
        byzantine: None,
        translate: |given| read(given, TrimmedMean::translate),
    },
];

/// Its conventions for Krum; it checks nothing.
const KRUM: &str = "neighbours = \"paper\"\ndistance = \"fourth\"\ntolerance = \"none\"";

/// Its Multi-Krum.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct MultiKrum {
    /// How many byzantine rows to tolerate; absent: the declared number.
    f: Option<usize>,
    /// How many rows are averaged.
    k: usize,
}

impl Default for MultiKrum {
    fn default() -> Self {
        MultiKrum { f: None, k: 1 }
    }
}

/// Its divide and conquer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct DnC {
    /// How many byzantine rows to tolerate; absent: the declared number.
    f: Option<usize>,
    /// How many coordinates an iteration looks at.
    sub_dim: usize,
    /// How many iterations there are.
    num_iters: usize,
    /// How many rows an iteration removes, in multiples of f.
    filter_frac: f64,
    /// The coordinates that it drew for each iteration; absent: drawn.
    coordinates: Option<Vec<Vec<usize>>>,
}

impl Default for DnC {
    fn default() -> Self {
        DnC { f: None, sub_dim: 10_000, num_iters: 5, filter_frac: 1.0, coordinates: None }
    }
}

/// Its trimmed mean.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct TrimmedMean {
    /// How many byzantine rows to tolerate; absent: the declared number.
    f: Option<usize>,
    /// How many rows are dropped at each end, in multiples of f, rounded down. If it is not 1, f
    /// must be given with it.
    filter_frac: f64,
}

impl Default for TrimmedMean {
    fn default() -> Self {
        TrimmedMean { f: None, filter_frac: 1.0 }
    }
}

impl TrimmedMean {
    fn translate(self) -> Result<Translation, ConfigError> {
        let byzantine = match self.f {
            Some(f) if (0.0..=1.0).contains(&self.filter_frac) => {
                Some((self.filter_frac * f as f64) as usize)
            }
            None if self.filter_frac == 1.0 => None,
            _ => {
                let message =
                    format!("`filter_frac` is {}: it takes 0 to 1, and `f`", self.filter_frac);
                return Err(ConfigError::new(message).help("give `f` with it"));
            }
        };
        Ok(Translation { byzantine, ..Translation::to("") })
    }
}
