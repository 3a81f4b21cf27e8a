//! FL-Byzantine-Library of the CRYPTO group at Koç University (32922ca).
//!
//! Its bucketing makes `⌊n / s⌋` buckets of nearly equal size. Its divide and conquer falls back to
//! all who stayed once where nobody stays in every iteration.

pub(super) mod clusters;
pub(super) mod layers;

use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::{Entry, Kind, Nothing, Tolerance, Translation, number, read};

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "crypto-ku.Krum",
        kind: Kind::Aggregator,
        member: "multi_krum",
        parameters: || schema_for!(Krum),
        byzantine: None,
        translate: |given| {
            read(given, |given: Krum| {
                let parameters = format!("keep = {}\n{KRUM}", given.m);
                Ok(Translation { byzantine: given.f, ..Translation::to(parameters) })
            })
        },
    },
    Entry {
        name: "crypto-ku.DnC",
        kind: Kind::Aggregator,
        member: "divide_and_conquer",
        parameters: || schema_for!(DnC),
        byzantine: None,
        translate: |given| {
            read(given, |given: DnC| {
                let drawn =
                    given.coordinates.map_or(String::new(), |all| format!("\ndrawn = {all:?}"));
                let parameters = format!(
                    "iterations = {}\ncoordinates = {}\nfactor = {}\nempty = \"union\"{drawn}",
                    given.num_iters,
                    given.sub_dim,
                    number("filter_frac", given.filter_frac)?,
                );
                Ok(Translation { byzantine: given.f, ..Translation::to(parameters) })
            })
        },
    },
    Entry {
        name: "crypto-ku.TrimmedMean",
        kind: Kind::Aggregator,
        member: "trimmed_mean",
        parameters: || schema_for!(Tolerance),
        byzantine: None,
        translate: |given| read(given, |given: Tolerance| Ok(given.with(""))),
    },
    Entry {
        name: "crypto-ku.TrimmedMeanAbs",
        kind: Kind::Aggregator,
        member: "trimmed_mean",
        parameters: || schema_for!(Tolerance),
        byzantine: None,
        translate: |given| read(given, |given: Tolerance| Ok(given.with("order = \"magnitude\""))),
    },
    Entry {
        name: "crypto-ku.TrimmedMeanCapped",
        kind: Kind::Aggregator,
        member: "trimmed_mean",
        parameters: || schema_for!(Tolerance),
        byzantine: None,
        translate: |given| read(given, |given: Tolerance| Ok(given.with("outside = \"cap\""))),
    },
    Entry {
        name: "crypto-ku.TrimmedMeanHistory",
        kind: Kind::Aggregator,
        member: "trimmed_mean",
        parameters: || schema_for!(Tolerance),
        byzantine: None,
        translate: |given| read(given, |given: Tolerance| Ok(given.with("outside = \"previous\""))),
    },
    Entry {
        name: "crypto-ku.TrimmedMeanPerfect",
        kind: Kind::Aggregator,
        member: "trimmed_mean",
        parameters: || schema_for!(Tolerance),
        byzantine: None,
        translate: |given| read(given, |given: Tolerance| Ok(given.with("told = \"last\""))),
    },
    Entry {
        name: "crypto-ku.ChebyshevClamp",
        kind: Kind::Aggregator,
        member: "chebyshev_clamp",
        parameters: || schema_for!(ChebyshevClamp),
        byzantine: Some(0),
        translate: |given| {
            read(given, |given: ChebyshevClamp| {
                let deviations = number("k_sigma", given.k_sigma)?;
                Ok(Translation::to(format!("deviations = {deviations}\nleast = 1e-8")))
            })
        },
    },
    Entry {
        name: "crypto-ku.MedianKrum",
        kind: Kind::Aggregator,
        member: "multi_krum",
        parameters: || schema_for!(Krum),
        byzantine: None,
        translate: |given| {
            read(given, |given: Krum| {
                let median = "combine = \"median\"\nmiddle = \"lower\"";
                let parameters = format!("keep = {}\n{KRUM}\n{median}", given.m);
                Ok(Translation { byzantine: given.f, ..Translation::to(parameters) })
            })
        },
    },
    Entry {
        name: "crypto-ku.Bulyan",
        kind: Kind::Aggregator,
        member: "bulyan",
        parameters: || schema_for!(Tolerance),
        byzantine: None,
        translate: |given| {
            read(given, |given: Tolerance| {
                Ok(given
                    .with("selection = \"once\"\nsecond = \"trimmed\"\ntolerance = \"majority\""))
            })
        },
    },
    Entry {
        name: "crypto-ku.CenteredClipThenTrimmedMean",
        kind: Kind::Aggregator,
        member: "centered_clipping",
        parameters: || schema_for!(ClipThenTrim),
        byzantine: None,
        translate: |given| {
            read(given, |given: ClipThenTrim| {
                let parameters = format!(
                    "tau = {}\niterations = {}\nstart = \"previous\"\nfinish = \"trimmed\"",
                    number("tau", given.tau)?,
                    given.n_iter,
                );
                Ok(Translation { byzantine: given.f, ..Translation::to(parameters) })
            })
        },
    },
    Entry {
        name: "crypto-ku.SequentialClipping",
        kind: Kind::Aggregator,
        member: "sequential_clipping",
        parameters: || schema_for!(Sequential),
        byzantine: Some(0),
        translate: |given| {
            read(given, |given: Sequential| {
                let rows = given.permutation;
                let order = rows.map_or(String::new(), |rows| format!("\norder = {rows:?}"));
                let tau = number("tau", given.tau)?;
                Ok(Translation::to(format!("tau = {tau}\nsize = {}{order}", given.bucket_len)))
            })
        },
    },
    Entry {
        name: "crypto-ku.CoordinateMedian",
        kind: Kind::Aggregator,
        member: "median",
        parameters: || schema_for!(Nothing),
        byzantine: None,
        translate: |given| read(given, |Nothing {}| Ok(Translation::to("middle = \"midpoint\""))),
    },
    Entry {
        name: "crypto-ku.BucketingRandom",
        kind: Kind::PreAggregator,
        member: "bucketing",
        parameters: || schema_for!(Bucketing),
        byzantine: None,
        translate: |given| {
            read(given, |given: Bucketing| {
                let rows = given.permutation;
                let order = rows.map_or(String::new(), |rows| format!("\norder = {rows:?}"));
                Ok(Translation::to(format!("size = {}\nremainder = \"spread\"{order}", given.s)))
            })
        },
    },
];

/// Its clamp.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct ChebyshevClamp {
    /// How many standard deviations from the mean a value may be.
    k_sigma: f64,
}

impl Default for ChebyshevClamp {
    fn default() -> Self {
        ChebyshevClamp { k_sigma: 1.0 }
    }
}

/// Its conventions for Krum; it asks for n >= 2f + 2.
const KRUM: &str = "neighbours = \"paper\"\ndistance = \"squared\"\ntolerance = \"majority\"";

/// Its Krum and Multi-Krum, of averaged or median rows.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Krum {
    /// How many byzantine rows to tolerate; absent: the declared number.
    f: Option<usize>,
    /// How many rows are averaged.
    m: usize,
}

impl Default for Krum {
    fn default() -> Self {
        Krum { f: None, m: 1 }
    }
}

/// Its centered clipping before a trimmed mean.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct ClipThenTrim {
    /// How many byzantine rows to tolerate; absent: the declared number.
    f: Option<usize>,
    /// How far a row may pull.
    tau: f64,
    /// How many steps are made in a round.
    n_iter: u32,
}

impl Default for ClipThenTrim {
    fn default() -> Self {
        ClipThenTrim { f: None, tau: 1.0, n_iter: 1 }
    }
}

/// Its sequential clipping. Its first round was compared, where its buckets have 3 rows whatever
/// their length is set to; what it does in later ones is drawn.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Sequential {
    /// How far a row may pull.
    tau: f64,
    /// How many rows a bucket has.
    bucket_len: usize,
    /// The order of the rows that it drew in the first round; absent: drawn.
    permutation: Option<Vec<usize>>,
}

impl Default for Sequential {
    fn default() -> Self {
        Sequential { tau: 1.0, bucket_len: 3, permutation: None }
    }
}

/// Its divide and conquer; the file of its outputs has 3 iterations.
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
        Bucketing { s: 3, permutation: None }
    }
}
