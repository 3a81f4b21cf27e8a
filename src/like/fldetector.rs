//! The code of Zhang et al. (`FLDetector`, 7e6a414): its aggregation rules.

use schemars::schema_for;

use super::{Entry, Kind, Tolerance, read};

pub(super) static ENTRIES: &[Entry] = &[Entry {
    name: "fldetector.Krum",
    kind: Kind::Aggregator,
    member: "krum",
    parameters: || schema_for!(Tolerance),
    byzantine: None,
    translate: |given| read(given, |given: Tolerance| Ok(given.with(KRUM))),
}];

/// Its conventions for Krum. Where `n - f - 2` leaves no neighbour it sets f anew, ours counts one.
const KRUM: &str = "neighbours = \"paper\"\ndistance = \"squared\"\ntolerance = \"none\"";
