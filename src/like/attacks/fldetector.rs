//! The code to Zhang, Cao, Jia and Gong, `FLDetector`: Defending Federated Learning Against Model
//! Poisoning Attacks via Detecting Malicious Clients, KDD 2022.

use schemars::schema_for;

use super::{Entry, Kind, Nothing, Translation, read};

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "fldetector.KrumFull",
        kind: Kind::Attack,
        member: "fang_krum",
        parameters: || schema_for!(Nothing),
        byzantine: None,
        translate: |given| {
            read(given, |Nothing {}| {
                Ok(Translation::to(
                    "direction = \"krum\"\nstart = 1.0\nlast = \"below\"\nradius = 0.01\nwith_own = true",
                ))
            })
        },
    },
    Entry {
        name: "fldetector.KrumPartial",
        kind: Kind::Attack,
        member: "fang_krum",
        parameters: || schema_for!(Nothing),
        byzantine: None,
        translate: |given| {
            read(given, |Nothing {}| {
                Ok(Translation::to(
                    "start = 1.0\nlast = \"below\"\nthreshold = 2e-5\nsupporters = \"growing\"\nbehind = true",
                ))
            })
        },
    },
    Entry {
        name: "fldetector.TrimFull",
        kind: Kind::Attack,
        member: "fang_trimmed_mean",
        parameters: || schema_for!(Nothing),
        byzantine: None,
        translate: |given| {
            read(given, |Nothing {}| Ok(Translation::to("place = \"edge\"\nwith_own = true")))
        },
    },
    Entry {
        name: "fldetector.TrimPartial",
        kind: Kind::Attack,
        member: "fang_trimmed_mean",
        parameters: || schema_for!(Nothing),
        byzantine: None,
        translate: |given| {
            read(given, |Nothing {}| {
                Ok(Translation::to("range = \"deviations\"\nplace = \"middle\""))
            })
        },
    },
    Entry {
        name: "fldetector.Scaling",
        kind: Kind::Attack,
        member: "scaling",
        parameters: || schema_for!(Nothing),
        byzantine: None,
        translate: |given| read(given, |Nothing {}| Ok(Translation::to("alone = true"))),
    },
    Entry {
        name: "fldetector.FullMean",
        kind: Kind::Attack,
        member: "byzantine_mean",
        parameters: || schema_for!(Nothing),
        byzantine: None,
        translate: |given| {
            read(given, |Nothing {}| {
                Ok(Translation::to(
                    "attack = { inner_product = { epsilon = 1.0 } }\nfirst = 0\nwith_own = true",
                ))
            })
        },
    },
    Entry {
        name: "fldetector.SignFlip",
        kind: Kind::Attack,
        member: "sign_flip",
        parameters: || schema_for!(Nothing),
        byzantine: None,
        translate: |given| read(given, |Nothing {}| Ok(Translation::to("own = true"))),
    },
];
