//! Rules against what ByzFL 0.0.11 and Flower 1.41.0 return on the same rows.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]
#![allow(clippy::disallowed_methods, reason = "tests read their vectors from files")]

use std::collections::BTreeMap;

use byzlab::aggregators::{self, Aggregate, Aggregator, Context};
use byzlab::catalog::Choice;
use byzlab::memory::Memory;
use byzlab::node::{NodeId, Round};
use byzlab::preaggregators::{self, Chain, Link};
use byzlab::seed::{Purpose, run_stream};
use ndarray::Array2;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The share of the largest absolute coordinate by which single precision may differ.
const TOLERANCE: f64 = 2e-5;

/// One recorded call; `O` is what it returned.
#[derive(Debug, Deserialize)]
struct Golden<O> {
    params: Params,
    input: String,
    output: O,
    selected_index: Option<usize>,
}

/// The parameters of all recorded calls, in their libraries' names.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Params {
    f: usize,
    to_keep: usize,
    cut: f64,
    weights: String,
}

type Inputs = BTreeMap<String, Vec<Vec<f64>>>;

fn read<T: DeserializeOwned>(name: &str) -> T {
    let path = format!("{}/tests/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn matrix(rows: &[Vec<f64>]) -> Array2<f32> {
    Array2::from_shape_fn((rows.len(), rows[0].len()), |(row, column)| rows[row][column] as f32)
}

/// Runs `with` in a context for `rows` senders that declare `samples`.
fn in_context<T>(
    rows: usize,
    byzantine: usize,
    samples: &[u64],
    with: impl FnOnce(&mut Context<'_>) -> T,
) -> T {
    let senders: Vec<NodeId> = (0..rows as u32).map(NodeId).collect();
    with(&mut Context {
        round: Round(1),
        rounds_total: 1,
        byzantine,
        senders: &senders,
        samples: Some(samples),
        previous: None,
        trusted: None,
        head: None,
        memory: &mut Memory::default(),
        rng: &mut run_stream(1, Purpose::Aggregation),
    })
}

fn aggregate(rule: &dyn Aggregator, updates: &Array2<f32>, f: usize, samples: &[u64]) -> Aggregate {
    in_context(updates.nrows(), f, samples, |context| rule.aggregate(updates.view(), context))
        .unwrap_or_else(|error| panic!("{error}"))
}

fn assert_close<'a>(
    ours: impl IntoIterator<Item = &'a f32>,
    theirs: impl IntoIterator<Item = &'a f64>,
    what: &str,
) {
    let ours: Vec<f64> = ours.into_iter().map(|&value| f64::from(value)).collect();
    let theirs: Vec<f64> = theirs.into_iter().copied().collect();
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let largest = theirs.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert!((ours - theirs).abs() <= TOLERANCE * largest, "{what}: {ours} is not {theirs}");
    }
}

/// Replays all `count` calls of a file through the rule that `choose` names for each.
fn replay(file: &str, count: usize, choose: impl Fn(&Params) -> (&'static str, String)) {
    let inputs: Inputs = read("inputs");
    let calls: Vec<Golden<Vec<f64>>> = read(file);
    assert_eq!(calls.len(), count, "{file}");
    for call in &calls {
        let what = format!("{file} {:?} {}", call.params, call.input);
        let (name, parameters) = choose(&call.params);
        let choice = Choice::with(name, &parameters).unwrap();
        let rule = aggregators::CATALOG.build(&choice).unwrap().value;
        let updates = matrix(&inputs[&call.input]);
        let samples: Vec<u64> = match call.params.weights.as_str() {
            "1..n" => (1..=updates.nrows() as u64).collect(),
            _ => vec![7; updates.nrows()],
        };
        let ours = aggregate(&*rule, &updates, call.params.f, &samples);
        assert_close(&ours.vector, &call.output, &what);
        if let Some(selected) = call.selected_index {
            let weights = ours.weights.expect("a rule that selects has weights");
            assert_eq!(weights[selected], 1.0, "{what}");
        }
    }
}

#[test]
fn byzfl_average() {
    replay("byzfl.Average", 12, |_| ("mean", String::new()));
}

#[test]
fn byzfl_median() {
    replay("byzfl.Median", 12, |_| ("median", String::new()));
}

#[test]
fn byzfl_trimmed_mean() {
    replay("byzfl.TrMean", 40, |_| ("trimmed_mean", String::new()));
}

/// `ByzFL` counts n - f - 1 neighbours and asks for n > 2f.
const BYZFL: &str = "neighbours = 'inclusive'\ntolerance = 'majority'";

#[test]
fn byzfl_krum() {
    replay("byzfl.Krum", 40, |_| ("krum", BYZFL.to_owned()));
}

#[test]
fn byzfl_multi_krum() {
    replay("byzfl.MultiKrum", 40, |_| ("multi_krum", BYZFL.to_owned()));
}

#[test]
fn flower_mean() {
    replay("flower.aggregate", 12, |_| ("mean", "weighting = 'samples'".to_owned()));
}

#[test]
fn flower_median() {
    replay("flower.aggregate_median", 12, |_| ("median", String::new()));
}

#[test]
fn flower_trimmed_mean() {
    replay("flower.aggregate_trimmed_avg", 36, |params| {
        ("trimmed_mean", format!("fraction = {}", params.cut))
    });
}

#[test]
fn flower_krum() {
    // All senders declare the same count in these calls, so weighting by samples is uniform.
    for weighting in ["uniform", "samples"] {
        replay("flower.aggregate_krum", 80, |params| match params.to_keep {
            0 => ("krum", "tolerance = 'none'".to_owned()),
            keep => (
                "multi_krum",
                format!("keep = {keep}\ntolerance = 'none'\nweighting = '{weighting}'"),
            ),
        });
    }
}

#[test]
fn byzfl_nearest_neighbour_mixing() {
    let inputs: Inputs = read("inputs");
    let calls: Vec<Golden<Vec<Vec<f64>>>> = read("byzfl.NNM");
    assert_eq!(calls.len(), 29);
    let mixing = preaggregators::CATALOG.build_default("nearest_neighbour_mixing").unwrap().value;
    for call in &calls {
        let updates = matrix(&inputs[&call.input]);
        let mixed = in_context(updates.nrows(), call.params.f, &[], |context| {
            mixing.transform(updates, context)
        });
        let what = format!("NNM {:?} {}", call.params, call.input);
        assert_close(&mixed.unwrap(), call.output.iter().flatten(), &what);
    }
}

#[test]
fn byzfl_mixing_then_trimmed_mean() {
    let inputs: Inputs = read("inputs");
    let calls: Vec<Golden<Vec<f64>>> = read("byzfl.NNM_then_TrMean");
    assert_eq!(calls.len(), 36);
    let mixing = preaggregators::CATALOG.build_default("nearest_neighbour_mixing").unwrap().value;
    let trimmed = aggregators::CATALOG.build_default("trimmed_mean").unwrap().value;
    let chain = Chain {
        before: vec![Link { part: mixing, byzantine: None }],
        rule: Link { part: trimmed, byzantine: None },
    };
    for call in &calls {
        let updates = matrix(&inputs[&call.input]);
        let ours = aggregate(&chain, &updates, call.params.f, &[]);
        let what = format!("NNM, TrMean {:?} {}", call.params, call.input);
        assert_close(&ours.vector, &call.output, &what);
    }
}
