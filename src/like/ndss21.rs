//! The notebooks of Shejwalkar and Houmansadr (NDSS21-Model-Poisoning-Attack, f2879cd).
//!
//! Their Krum counts the row itself among its `n - f - 2` nearest, one neighbour less than the
//! paper; their Multi-Krum takes the best row out and scores the others anew, until 2f + 2 are
//! left.

use schemars::schema_for;

use super::{Entry, Kind, Tolerance, read};

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "ndss21.Krum",
        kind: Kind::Aggregator,
        member: "krum",
        parameters: || schema_for!(Tolerance),
        byzantine: None,
        translate: |given| read(given, |given: Tolerance| Ok(given.with(KRUM))),
    },
    Entry {
        name: "ndss21.MultiKrum",
        kind: Kind::Aggregator,
        member: "multi_krum",
        parameters: || schema_for!(Tolerance),
        byzantine: None,
        translate: |given| {
            read(given, |given: Tolerance| Ok(given.with(&format!("iterated = true\n{KRUM}"))))
        },
    },
    Entry {
        name: "ndss21.Bulyan",
        kind: Kind::Aggregator,
        member: "bulyan",
        parameters: || schema_for!(Tolerance),
        byzantine: None,
        translate: |given| read(given, |given: Tolerance| Ok(given.with(BULYAN))),
    },
    Entry {
        name: "ndss21.TrimmedMean",
        kind: Kind::Aggregator,
        member: "trimmed_mean",
        parameters: || schema_for!(Tolerance),
        byzantine: None,
        translate: |given| read(given, |given: Tolerance| Ok(given.with(""))),
    },
];

/// Their conventions for Krum; they check nothing.
const KRUM: &str = "neighbours = \"short\"\ndistance = \"squared\"\ntolerance = \"none\"";

/// Their conventions for Bulyan, as in the notebooks for CIFAR-10: with f = 1 picking ends early.
const BULYAN: &str = "neighbours = \"short\"\nselection = \"iterated\"\nmiddle = \"lower\"\n\
     ties = \"sender\"";
