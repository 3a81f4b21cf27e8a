//! The code of Karimireddy, He and Jaggi (epfml/byzantine-robust-noniid-optimizer, 0e27349).
//!
//! Its Krum sums squares of squared distances and, where it keeps more than one row, adds them up
//! without dividing by their number. Its trimmed mean silently trims less where `b` is too large.

use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::{Entry, Kind, Nothing, Translation, read};

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "epfml.Krum",
        kind: Kind::Aggregator,
        member: "multi_krum",
        parameters: || schema_for!(Krum),
        byzantine: None,
        translate: |given| {
            read(given, |given: Krum| {
                let parameters = format!("keep = {}\nsum = true\n{KRUM}", given.m);
                Ok(Translation { byzantine: given.f, ..Translation::to(parameters) })
            })
        },
    },
    Entry {
        name: "epfml.TrimmedMean",
        kind: Kind::Aggregator,
        member: "trimmed_mean",
        parameters: || schema_for!(TrimmedMean),
        byzantine: None,
        translate: |given| {
            read(given, |given: TrimmedMean| {
                Ok(Translation { byzantine: given.b, ..Translation::to("excess = \"lower\"") })
            })
        },
    },
    Entry {
        name: "epfml.CoordinateMedian",
        kind: Kind::Aggregator,
        member: "median",
        parameters: || schema_for!(Nothing),
        byzantine: None,
        translate: |given| read(given, |Nothing {}| Ok(Translation::to("middle = \"midpoint\""))),
    },
    Entry {
        name: "epfml.Bucketing",
        kind: Kind::PreAggregator,
        member: "bucketing",
        parameters: || schema_for!(Bucketing),
        byzantine: None,
        translate: |given| {
            read(given, |given: Bucketing| {
                let rows = given.permutation;
                let order = rows.map_or(String::new(), |rows| format!("\norder = {rows:?}"));
                Ok(Translation::to(format!("size = {}\nremainder = \"bucket\"{order}", given.s)))
            })
        },
    },
];

/// Its conventions for Krum; it runs with n = 2f + 2, which its message excludes.
const KRUM: &str = "neighbours = \"paper\"\ndistance = \"fourth\"\ntolerance = \"majority\"";

/// Its Krum.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Krum {
    /// How many byzantine rows to tolerate; absent: the declared number.
    f: Option<usize>,
    /// How many rows are added up; 1 is Krum.
    m: usize,
}

impl Default for Krum {
    fn default() -> Self {
        Krum { f: None, m: 1 }
    }
}

/// Its trimmed mean.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct TrimmedMean {
    /// How many values are dropped at each end; absent: the declared number of byzantine rows.
    b: Option<usize>,
}

/// Its bucketing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Bucketing {
    /// How many rows make a bucket.
    s: usize,
    /// The order of the rows that it drew; absent: drawn.
    permutation: Option<Vec<usize>>,
}

impl Default for Bucketing {
    fn default() -> Self {
        Bucketing { s: 2, permutation: None }
    }
}
