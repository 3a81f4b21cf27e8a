//! ByzFL 0.0.11, Guerraoui et al.: its names, parameters and defaults.
//!
//! Its Krum counts `n - f - 1` neighbours where the paper counts `n - f - 2`, and every rule asks
//! for `n > 2f` alone. Its `f` is 0 unless given, its a-little-is-enough adds the deviation of a
//! sample where the authors subtract that of the population. Its SMEA and CAF estimate eigenvalues
//! by one step of the power method from a random vector and are random; without the vectors it
//! drew, ours compute them.

use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::{Entry, Kind, Nothing, Tolerance, Translation, number, numbers, read};
use crate::catalog::ConfigError;

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "byzfl.Average",
        kind: Kind::Aggregator,
        member: "mean",
        parameters: || schema_for!(Nothing),
        byzantine: None,
        translate: |given| read(given, |Nothing {}| Ok(Translation::to(""))),
    },
    Entry {
        name: "byzfl.Median",
        kind: Kind::Aggregator,
        member: "median",
        parameters: || schema_for!(Nothing),
        byzantine: None,
        translate: |given| read(given, |Nothing {}| Ok(Translation::to("middle = \"midpoint\""))),
    },
    Entry {
        name: "byzfl.TrMean",
        kind: Kind::Aggregator,
        member: "trimmed_mean",
        parameters: || schema_for!(Tolerance),
        byzantine: Some(0),
        translate: |given| read(given, |given: Tolerance| Ok(given.with(""))),
    },
    Entry {
        name: "byzfl.Krum",
        kind: Kind::Aggregator,
        member: "krum",
        parameters: || schema_for!(Tolerance),
        byzantine: Some(0),
        translate: |given| read(given, |given: Tolerance| Ok(given.with(KRUM))),
    },
    Entry {
        name: "byzfl.MultiKrum",
        kind: Kind::Aggregator,
        member: "multi_krum",
        parameters: || schema_for!(Tolerance),
        byzantine: Some(0),
        translate: |given| read(given, |given: Tolerance| Ok(given.with(KRUM))),
    },
    Entry {
        name: "byzfl.Meamed",
        kind: Kind::Aggregator,
        member: "mean_around_median",
        parameters: || schema_for!(Tolerance),
        byzantine: Some(0),
        translate: |given| read(given, |given: Tolerance| Ok(given.with(MEAMED))),
    },
    Entry {
        name: "byzfl.CenteredClipping",
        kind: Kind::Aggregator,
        member: "centered_clipping",
        parameters: || schema_for!(CenteredClipping),
        byzantine: None,
        translate: |given| {
            read(given, |given: CenteredClipping| {
                let (iterations, tau) = (given.iterations, number("tau", given.tau)?);
                let start = "start = \"previous\"";
                Ok(Translation::to(format!("iterations = {iterations}\ntau = {tau}\n{start}")))
            })
        },
    },
    Entry {
        name: "byzfl.MDA",
        kind: Kind::Aggregator,
        member: "minimum_diameter",
        parameters: || schema_for!(Tolerance),
        byzantine: Some(0),
        translate: |given| read(given, |given: Tolerance| Ok(given.with(""))),
    },
    Entry {
        name: "byzfl.SMEA",
        kind: Kind::Aggregator,
        member: "smallest_maximum_eigenvalue",
        parameters: || schema_for!(PowerMethod),
        byzantine: Some(0),
        translate: |given| read(given, PowerMethod::translate),
    },
    Entry {
        name: "byzfl.CAF",
        kind: Kind::Aggregator,
        member: "covariance_filter",
        parameters: || schema_for!(PowerMethod),
        byzantine: Some(0),
        translate: |given| {
            read(given, |given: PowerMethod| {
                let Translation { parameters, byzantine, samples } = given.translate()?;
                let parameters = format!("largest = \"all\"\n{parameters}");
                Ok(Translation { parameters, byzantine, samples })
            })
        },
    },
    Entry {
        name: "byzfl.MoNNA",
        kind: Kind::Aggregator,
        member: "nearest_to_own",
        parameters: || schema_for!(MoNna),
        byzantine: Some(0),
        translate: |given| {
            read(given, |given: MoNna| {
                let own = format!("own = {}\ncentre = \"own\"", given.idx);
                Ok(Translation { byzantine: given.f, ..Translation::to(own) })
            })
        },
    },
    Entry {
        name: "byzfl.NNM",
        kind: Kind::PreAggregator,
        member: "nearest_neighbour_mixing",
        parameters: || schema_for!(Tolerance),
        byzantine: Some(0),
        translate: |given| read(given, |given: Tolerance| Ok(given.with(""))),
    },
    Entry {
        name: "byzfl.Clipping",
        kind: Kind::PreAggregator,
        member: "clipping",
        parameters: || schema_for!(Clipping),
        byzantine: None,
        translate: |given| {
            read(given, |given: Clipping| {
                Ok(Translation::to(format!("threshold = {}", number("c", given.c)?)))
            })
        },
    },
    Entry {
        name: "byzfl.ARC",
        kind: Kind::PreAggregator,
        member: "adaptive_clipping",
        parameters: || schema_for!(Tolerance),
        byzantine: Some(0),
        translate: |given| read(given, |given: Tolerance| Ok(given.with(""))),
    },
    Entry {
        name: "byzfl.Bucketing",
        kind: Kind::PreAggregator,
        member: "bucketing",
        parameters: || schema_for!(Bucketing),
        byzantine: None,
        translate: |given| {
            read(given, |given: Bucketing| {
                let order =
                    given.row_order.map_or(String::new(), |rows| format!("\norder = {rows:?}"));
                Ok(Translation::to(format!("size = {}\nremainder = \"bucket\"{order}", given.s)))
            })
        },
    },
    Entry {
        name: "byzfl.SignFlipping",
        kind: Kind::Attack,
        member: "sign_flip",
        parameters: || schema_for!(Nothing),
        byzantine: None,
        translate: |given| read(given, |Nothing {}| Ok(Translation::to("factor = 1.0"))),
    },
    Entry {
        name: "byzfl.InnerProductManipulation",
        kind: Kind::Attack,
        member: "inner_product",
        parameters: || schema_for!(InnerProductManipulation),
        byzantine: None,
        translate: |given| {
            read(given, |given: InnerProductManipulation| {
                Ok(Translation::to(format!("epsilon = {}", number("tau", given.tau)?)))
            })
        },
    },
    Entry {
        name: "byzfl.ALittleIsEnough",
        kind: Kind::Attack,
        member: "little_is_enough",
        parameters: || schema_for!(ALittleIsEnough),
        byzantine: None,
        translate: |given| {
            read(given, |given: ALittleIsEnough| {
                let tau = number("tau", given.tau)?;
                Ok(Translation::to(format!("deviations = {tau}\nsign = \"plus\"\nsample = true")))
            })
        },
    },
    Entry {
        name: "byzfl.Gaussian",
        kind: Kind::Attack,
        member: "gaussian",
        parameters: || schema_for!(Gaussian),
        byzantine: None,
        translate: |given| {
            read(given, |given: Gaussian| {
                let (mu, sigma) = (number("mu", given.mu)?, number("sigma", given.sigma)?);
                Ok(Translation::to(format!("mean = {mu}\ndeviation = {sigma}")))
            })
        },
    },
];

/// Its conventions for Krum and Multi-Krum; Multi-Krum keeps `n - f`, which is our default.
const KRUM: &str = "neighbours = \"inclusive\"\ndistance = \"squared\"\ntolerance = \"majority\"";

/// Its conventions for the mean around the median.
const MEAMED: &str = "centre = \"midpoint\"\nties = \"first\"";

/// Its rules that estimate an eigenvalue by one step of the power method from a random vector.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct PowerMethod {
    /// How many byzantine rows to tolerate; absent: the declared number, else 0.
    f: Option<usize>,
    /// The random vectors that the library drew, one for each estimate, in order; absent: the
    /// eigenvalue is computed, which is what the library's estimate stands for.
    starts: Option<Vec<Vec<f64>>>,
}

impl PowerMethod {
    fn translate(self) -> Result<Translation, ConfigError> {
        let starts = match &self.starts {
            Some(starts) => format!("starts = {}", numbers("starts", starts)?),
            None => String::new(),
        };
        Ok(Translation { byzantine: self.f, ..Translation::to(starts) })
    }
}

/// Its nearest-neighbour averaging.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct MoNna {
    /// How many byzantine rows to tolerate; absent: the declared number, else 0.
    f: Option<usize>,
    /// The trusted row, counted from 0.
    idx: usize,
}

/// Its static clipping.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Clipping {
    /// The largest norm that is left alone.
    c: f64,
}

impl Default for Clipping {
    fn default() -> Self {
        Clipping { c: 2.0 }
    }
}

/// Its bucketing.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Bucketing {
    /// How many rows make a bucket.
    s: usize,
    /// The order of the rows that the library drew; absent: drawn.
    row_order: Option<Vec<usize>>,
}

impl Default for Bucketing {
    fn default() -> Self {
        Bucketing { s: 1, row_order: None }
    }
}

/// Its centered clipping.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct CenteredClipping {
    /// How many steps are made in a round.
    #[serde(rename = "L")]
    iterations: u32,
    /// How far a row may pull.
    tau: f64,
}

impl Default for CenteredClipping {
    fn default() -> Self {
        CenteredClipping { iterations: 1, tau: 100.0 }
    }
}

/// Its inner product manipulation.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct InnerProductManipulation {
    /// How many times the mean is sent, negated.
    tau: f64,
}

impl Default for InnerProductManipulation {
    fn default() -> Self {
        InnerProductManipulation { tau: 2.0 }
    }
}

/// Its a little is enough.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct ALittleIsEnough {
    /// How many standard deviations are added to the mean.
    tau: f64,
}

impl Default for ALittleIsEnough {
    fn default() -> Self {
        ALittleIsEnough { tau: 1.5 }
    }
}

/// Its noise.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Gaussian {
    /// The mean of every coordinate.
    mu: f64,
    /// The standard deviation of every coordinate.
    sigma: f64,
}

impl Default for Gaussian {
    fn default() -> Self {
        Gaussian { mu: 0.0, sigma: 1.0 }
    }
}
