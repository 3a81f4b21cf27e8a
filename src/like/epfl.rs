//! Two code bases of the LPD group at EPFL: `ByzantineMomentum` (1ef2c84) as `epfl-byzmom`, and
//! `robust-collaborative-learning` (3425aa1) as `epfl-rcl`.
//!
//! Their Krum sums distances that are not squared, over `n - f - 1` neighbours. The second checks
//! no number of byzantine rows where ours ask for n > 2f. Its median of means is
//! `epfl-rcl.Bucketing` before `epfl-rcl.RFA`.

use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::{Entry, Kind, Tolerance, Translation, number, read};

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "epfl-byzmom.Krum",
        kind: Kind::Aggregator,
        member: "multi_krum",
        parameters: || schema_for!(Krum),
        byzantine: None,
        translate: |given| read(given, |given: Krum| Ok(given.translate())),
    },
    plain("epfl-byzmom.Phocas", "phocas"),
    plain("epfl-byzmom.CGE", "comparative_gradient_elimination"),
    plain("epfl-byzmom.Brute", "minimum_diameter"),
    plain("epfl-byzmom.TrimmedMean", "trimmed_mean"),
    Entry {
        name: "epfl-rcl.Krum",
        kind: Kind::Aggregator,
        member: "krum",
        parameters: || schema_for!(Tolerance),
        byzantine: None,
        translate: |given| read(given, |given: Tolerance| Ok(given.with(KRUM))),
    },
    Entry {
        name: "epfl-rcl.MultiKrum",
        kind: Kind::Aggregator,
        member: "multi_krum",
        parameters: || schema_for!(MultiKrum),
        byzantine: None,
        translate: |given| read(given, |given: MultiKrum| Ok(given.translate())),
    },
    Entry {
        name: "epfl-rcl.PseudoKrum",
        kind: Kind::Aggregator,
        member: "pseudo_krum",
        parameters: || schema_for!(PseudoKrum),
        byzantine: None,
        translate: |given| {
            read(given, |given: PseudoKrum| {
                let candidates = given.candidates.map(|rows| format!("candidates = {rows:?}"));
                let neighbours = given.neighbours.map(|lists| format!("neighbours = {lists:?}"));
                let drawn: Vec<String> = candidates.into_iter().chain(neighbours).collect();
                Ok(Translation { byzantine: given.f, ..Translation::to(drawn.join("\n")) })
            })
        },
    },
    plain("epfl-rcl.Phocas", "phocas"),
    plain("epfl-rcl.CGE", "comparative_gradient_elimination"),
    plain("epfl-rcl.TrimmedMean", "trimmed_mean"),
    plain("epfl-rcl.MEA", "smallest_maximum_eigenvalue"),
    Entry {
        name: "epfl-rcl.MVA",
        kind: Kind::Aggregator,
        member: "smallest_maximum_eigenvalue",
        parameters: || schema_for!(Tolerance),
        byzantine: None,
        translate: |given| {
            read(given, |given: Tolerance| Ok(given.with("objective = \"variance\"")))
        },
    },
    Entry {
        name: "epfl-rcl.FilterL2",
        kind: Kind::Aggregator,
        member: "filter_l2",
        parameters: || schema_for!(FilterL2),
        byzantine: None,
        translate: |given| {
            read(given, |given: FilterL2| {
                // It takes a deviation of zero for a small one.
                let sigma = if given.sigma == 0.0 { 1e-5 } else { given.sigma };
                let parameters = format!(
                    "sigma = {}\nexpansion = {}\nmeasure = \"squared\"",
                    number("sigma", sigma)?,
                    number("expansion", given.expansion)?,
                );
                Ok(Translation { byzantine: given.f, ..Translation::to(parameters) })
            })
        },
    },
    aksel("epfl-byzmom.Aksel"),
    aksel("epfl-rcl.Aksel"),
    Entry {
        name: "epfl-rcl.CVA",
        kind: Kind::Aggregator,
        member: "nearest_to_own",
        parameters: || schema_for!(Cva),
        byzantine: None,
        translate: |given| read(given, |given: Cva| Ok(around(given.f, given.honest_index, 1))),
    },
    Entry {
        name: "epfl-rcl.IterCVA",
        kind: Kind::Aggregator,
        member: "nearest_to_own",
        parameters: || schema_for!(IterCva),
        byzantine: None,
        translate: |given| {
            read(given, |given: IterCva| Ok(around(given.f, given.honest_index, given.numb_iter)))
        },
    },
    Entry {
        name: "epfl-byzmom.MeaMed",
        kind: Kind::Aggregator,
        member: "mean_around_median",
        parameters: || schema_for!(Tolerance),
        byzantine: None,
        translate: |given| read(given, |given: Tolerance| Ok(given.with(MEAMED))),
    },
    Entry {
        name: "epfl-rcl.MeaMed",
        kind: Kind::Aggregator,
        member: "mean_around_median",
        parameters: || schema_for!(Tolerance),
        byzantine: None,
        translate: |given| read(given, |given: Tolerance| Ok(given.with(MEAMED))),
    },
    Entry {
        name: "epfl-rcl.Bucketing",
        kind: Kind::PreAggregator,
        member: "bucketing",
        parameters: || schema_for!(Bucketing),
        byzantine: None,
        translate: |given| {
            read(given, |given: Bucketing| {
                let rows = given.permutation;
                let order = rows.map_or(String::new(), |rows| format!("\norder = {rows:?}"));
                let size = given.bucket_size;
                Ok(Translation::to(format!("size = {size}\nremainder = \"bucket\"{order}")))
            })
        },
    },
    Entry {
        // What its CeNNA begins with, before a trimmed mean or a geometric median.
        name: "epfl-rcl.NNM",
        kind: Kind::PreAggregator,
        member: "nearest_neighbour_mixing",
        parameters: || schema_for!(Tolerance),
        byzantine: None,
        translate: |given| read(given, |given: Tolerance| Ok(given.with(""))),
    },
];

/// Their conventions for Krum.
const KRUM: &str = "neighbours = \"inclusive\"\ndistance = \"plain\"\ntolerance = \"majority\"";

/// Their convention for the mean around the median.
const MEAMED: &str = "centre = \"lower\"";

/// Their AKSEL.
const fn aksel(name: &'static str) -> Entry {
    Entry {
        name,
        kind: Kind::Aggregator,
        member: "nearest_to_own",
        parameters: || schema_for!(Aksel),
        byzantine: None,
        translate: |given| {
            read(given, |given: Aksel| {
                let keep = match given.mode {
                    Mode::Mid => "half",
                    Mode::Honest => "honest",
                };
                let parameters =
                    format!("centre = \"median\"\nmiddle = \"lower\"\nkeep = \"{keep}\"");
                Ok(Translation { byzantine: given.f, ..Translation::to(parameters) })
            })
        },
    }
}

/// A rule that takes f and has no conventions to set.
const fn plain(name: &'static str, member: &'static str) -> Entry {
    Entry {
        name,
        kind: Kind::Aggregator,
        member,
        parameters: || schema_for!(Tolerance),
        byzantine: None,
        translate: |given| read(given, |given: Tolerance| Ok(given.with(""))),
    }
}

/// Krum of the first.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Krum {
    /// How many byzantine rows to tolerate; absent: the declared number.
    f: Option<usize>,
    /// How many rows are averaged. The code's default is n - f - 2; here it is to be given.
    m: usize,
}

impl Default for Krum {
    fn default() -> Self {
        Krum { f: None, m: 1 }
    }
}

impl Krum {
    fn translate(self) -> Translation {
        let parameters = format!("keep = {}\n{KRUM}", self.m);
        Translation { byzantine: self.f, ..Translation::to(parameters) }
    }
}

/// Multi-Krum of the second.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct MultiKrum {
    /// How many byzantine rows to tolerate; absent: the declared number.
    f: Option<usize>,
    /// How many rows are averaged; absent: n - f.
    k: Option<usize>,
}

impl MultiKrum {
    fn translate(self) -> Translation {
        let keep = self.k.map_or(String::new(), |keep| format!("keep = {keep}\n"));
        Translation { byzantine: self.f, ..Translation::to(keep + KRUM) }
    }
}

/// Its approximation of Krum.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct PseudoKrum {
    /// How many byzantine rows to tolerate; absent: the declared number.
    f: Option<usize>,
    /// The candidates that it drew; absent: drawn.
    candidates: Option<Vec<usize>>,
    /// For each candidate the rows that it drew; absent: drawn.
    neighbours: Option<Vec<Vec<usize>>>,
}

/// Its filter.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct FilterL2 {
    /// How many byzantine rows to tolerate; absent: the declared number.
    f: Option<usize>,
    /// The deviation of honest rows in any direction.
    sigma: f64,
    /// How many times its square the squared eigenvalue may be.
    expansion: f64,
}

impl Default for FilterL2 {
    fn default() -> Self {
        FilterL2 { f: None, sigma: 0.0, expansion: 20.0 }
    }
}

/// Centred averaging around a pivot.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Cva {
    /// How many byzantine rows to tolerate; absent: the declared number.
    f: Option<usize>,
    /// The row that is the pivot, counted from 0; absent: the median of all rows.
    honest_index: Option<usize>,
    /// The pivot in words, where it is no row: `median`.
    #[serde(rename = "pivot")]
    _pivot: Option<Pivot>,
}

/// The rows nearest to this one or, without, to the median, averaged so often.
fn around(byzantine: Option<usize>, row: Option<usize>, passes: u32) -> Translation {
    let centre = if row.is_some() { "own" } else { "median" };
    let own = row.unwrap_or(0);
    let parameters = format!("own = {own}\ncentre = \"{centre}\"\npasses = {passes}");
    Translation { byzantine, ..Translation::to(parameters) }
}

/// Centred averaging around a pivot, repeated around what comes out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct IterCva {
    /// How many byzantine rows to tolerate; absent: the declared number.
    f: Option<usize>,
    /// The row that is the first pivot, counted from 0; absent: the median of all rows.
    honest_index: Option<usize>,
    /// The first pivot in words, where it is no row: `median`.
    #[serde(rename = "pivot")]
    _pivot: Option<Pivot>,
    /// How often rows are averaged.
    numb_iter: u32,
}

impl Default for IterCva {
    fn default() -> Self {
        IterCva { f: None, honest_index: None, _pivot: None, numb_iter: 2 }
    }
}

/// The mean of the rows nearest to the median.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Aksel {
    /// How many byzantine rows to tolerate; absent: the declared number.
    f: Option<usize>,
    /// How many rows are averaged.
    mode: Mode,
}

/// How many rows are averaged.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
enum Mode {
    /// Half of them, rounded up.
    #[default]
    #[serde(rename = "mid")]
    Mid,
    /// All but f.
    #[serde(rename = "n-f")]
    Honest,
}

/// A pivot in words.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Pivot {
    /// The coordinate-wise median.
    Median,
}

/// Its bucketing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Bucketing {
    /// How many rows make a bucket.
    bucket_size: usize,
    /// The order of the rows that it drew; absent: drawn.
    permutation: Option<Vec<usize>>,
}

impl Default for Bucketing {
    fn default() -> Self {
        Bucketing { bucket_size: 2, permutation: None }
    }
}
