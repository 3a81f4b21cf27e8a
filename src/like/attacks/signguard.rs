//! The code to Xu, Huang, Song and Lan, Byzantine-robust Federated Learning through Collaborative
//! Malicious Gradient Filtering (`SignGuard`), ICDCS 2022. Its statistics are over all updates, the
//! identities' own among them.

use schemars::schema_for;

use super::{Entry, Kind, Nothing, Translation, read};

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "signguard-authors.LIE",
        kind: Kind::Attack,
        member: "little_is_enough",
        parameters: || schema_for!(Nothing),
        byzantine: None,
        translate: |given| {
            read(given, |Nothing {}| Ok(Translation::to("deviations = 1.0\nsample = true")))
        },
    },
    Entry {
        name: "signguard-authors.MinMax",
        kind: Kind::Attack,
        member: "min_max",
        parameters: || schema_for!(Nothing),
        byzantine: None,
        translate: |given| read(given, |Nothing {}| Ok(Translation::to(SEARCH))),
    },
    Entry {
        name: "signguard-authors.MinSum",
        kind: Kind::Attack,
        member: "min_sum",
        parameters: || schema_for!(Nothing),
        byzantine: None,
        translate: |given| {
            read(given, |Nothing {}| {
                Ok(Translation::to(format!("{SEARCH}\nbudget = \"largest\"\nsquared = false")))
            })
        },
    },
    Entry {
        name: "signguard-authors.ByzMean",
        kind: Kind::Attack,
        member: "byzantine_mean",
        parameters: || schema_for!(Nothing),
        byzantine: None,
        translate: |given| {
            read(given, |Nothing {}| Ok(Translation::to("with_own = true\ntarget = \"short\"")))
        },
    },
];

/// From 2 on, in steps that get no smaller than a twentieth.
const SEARCH: &str = "direction = \"deviation\"
search = { halving = { start = 2.0, step = 1.0, tolerance = 0.02, least_step = 0.1 } }";
