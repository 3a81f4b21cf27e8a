//! Flower 1.41.0, Beutel et al.: the functions of `flwr.server.strategy.aggregate`, and the
//! strategies that call them.
//!
//! They check no number of byzantine clients, cut `⌊cut · n⌋` values at each end, and weigh what
//! Krum keeps, like the mean itself, by the sample counts that clients declare. Defaults are
//! those of the strategies that call them.

use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::{Entry, Kind, Nothing, Samples, Tolerance, Translation, number, read};

pub(super) static ENTRIES: &[Entry] = &[
    Entry {
        name: "flower.aggregate",
        kind: Kind::Aggregator,
        member: "mean",
        parameters: || schema_for!(Aggregate),
        byzantine: None,
        translate: |given| {
            read(given, |given: Aggregate| {
                let mean = Translation::to("weighting = \"samples\"");
                Ok(Translation { samples: given.weights, ..mean })
            })
        },
    },
    Entry {
        name: "flower.aggregate_median",
        kind: Kind::Aggregator,
        member: "median",
        parameters: || schema_for!(AggregateMedian),
        byzantine: None,
        translate: |given| {
            read(given, |AggregateMedian {}| Ok(Translation::to("middle = \"midpoint\"")))
        },
    },
    Entry {
        name: "flower.aggregate_trimmed_avg",
        kind: Kind::Aggregator,
        member: "trimmed_mean",
        parameters: || schema_for!(AggregateTrimmedAvg),
        byzantine: None,
        translate: |given| {
            read(given, |given: AggregateTrimmedAvg| {
                Ok(Translation::to(format!("fraction = {}", number("cut", given.cut)?)))
            })
        },
    },
    Entry {
        name: "flower.aggregate_krum",
        kind: Kind::Aggregator,
        member: "multi_krum",
        parameters: || schema_for!(AggregateKrum),
        byzantine: Some(0),
        translate: |given| read(given, |given: AggregateKrum| Ok(given.translate())),
    },
    Entry {
        name: "flower.aggregate_bulyan",
        kind: Kind::Aggregator,
        member: "bulyan",
        parameters: || schema_for!(Tolerance),
        byzantine: Some(0),
        translate: |given| read(given, |given: Tolerance| Ok(given.with(BULYAN))),
    },
    Entry {
        name: "flower.FedAvg",
        kind: Kind::Aggregator,
        member: "mean",
        parameters: || schema_for!(Nothing),
        byzantine: None,
        translate: |given| read(given, |Nothing {}| Ok(Translation::to("weighting = \"samples\""))),
    },
    Entry {
        name: "flower.FedMedian",
        kind: Kind::Aggregator,
        member: "median",
        parameters: || schema_for!(Nothing),
        byzantine: None,
        translate: |given| read(given, |Nothing {}| Ok(Translation::to("middle = \"midpoint\""))),
    },
    Entry {
        name: "flower.FedTrimmedAvg",
        kind: Kind::Aggregator,
        member: "trimmed_mean",
        parameters: || schema_for!(FedTrimmedAvg),
        byzantine: None,
        translate: |given| {
            read(given, |given: FedTrimmedAvg| {
                Ok(Translation::to(format!("fraction = {}", number("beta", given.beta)?)))
            })
        },
    },
    Entry {
        name: "flower.Krum",
        kind: Kind::Aggregator,
        member: "multi_krum",
        parameters: || schema_for!(Krum),
        byzantine: Some(0),
        translate: |given| {
            read(given, |given: Krum| {
                let (f, to_keep) = (given.num_malicious_clients, given.num_clients_to_keep);
                Ok(AggregateKrum { f, to_keep, weights: None }.translate())
            })
        },
    },
    Entry {
        name: "flower.Bulyan",
        kind: Kind::Aggregator,
        member: "bulyan",
        parameters: || schema_for!(Bulyan),
        byzantine: Some(0),
        translate: |given| {
            read(given, |given: Bulyan| {
                let tolerance = Tolerance { f: given.num_malicious_clients };
                Ok(tolerance.with(BULYAN))
            })
        },
    },
];

/// Its conventions for Bulyan, with Krum as the inner rule, the only one that it takes.
const BULYAN: &str = "neighbours = \"paper\"\nselection = \"iterated\"\nmiddle = \"midpoint\"\n\
     ties = \"sender\"";

/// Its weighted mean.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Aggregate {
    /// How many samples each row stands for: a list, or `"1..n"`; absent: what senders declare.
    weights: Option<Samples>,
}

/// Its median has no parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AggregateMedian {}

/// Its trimmed mean.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct AggregateTrimmedAvg {
    /// The fraction of values that is cut at each end; 0.2 is the default of `FedTrimmedAvg`.
    cut: f64,
}

impl Default for AggregateTrimmedAvg {
    fn default() -> Self {
        AggregateTrimmedAvg { cut: 0.2 }
    }
}

/// Its Krum and Multi-Krum.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct AggregateKrum {
    /// How many byzantine rows to expect; absent: the declared number, else 0.
    f: Option<usize>,
    /// How many rows to average; 0 is Krum, which returns the best row.
    to_keep: usize,
    /// How many samples each row stands for: a list, or `"1..n"`; absent: what senders declare.
    weights: Option<Samples>,
}

impl AggregateKrum {
    fn translate(self) -> Translation {
        // Keeping the one best row is Krum.
        let keep = self.to_keep.max(1);
        let parameters = format!(
            "keep = {keep}\nneighbours = \"paper\"\ndistance = \"squared\"\n\
             tolerance = \"none\"\nweighting = \"samples\""
        );
        Translation { parameters, byzantine: self.f, samples: self.weights }
    }
}

/// Its strategy of the trimmed mean.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct FedTrimmedAvg {
    /// The fraction of values that is cut at each end.
    beta: f64,
}

impl Default for FedTrimmedAvg {
    fn default() -> Self {
        FedTrimmedAvg { beta: 0.2 }
    }
}

/// Its strategy of Krum and Multi-Krum.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Krum {
    /// How many byzantine clients to expect; absent: the declared number, else 0.
    num_malicious_clients: Option<usize>,
    /// How many clients' updates are averaged; 0 is Krum.
    num_clients_to_keep: usize,
}

/// Its strategy of Bulyan.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Bulyan {
    /// How many byzantine clients to expect; absent: the declared number, else 0.
    num_malicious_clients: Option<usize>,
}
