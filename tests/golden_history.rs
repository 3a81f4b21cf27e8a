//! Filters, votes and rules with a history against the code that authors and libraries published.
//!
//! Every recorded call goes through [`byzlab::like`] with the library's own parameters; calls of
//! several rounds keep their memory and their aggregate of the round before.
#![allow(clippy::disallowed_methods, reason = "tests read their vectors from files")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;

use byzlab::aggregators::{Aggregate, Aggregator, Context};
use byzlab::catalog::Choice;
use byzlab::like;
use byzlab::memory::Memory;
use byzlab::node::{NodeId, Round};
use byzlab::preaggregators::Chain;
use byzlab::seed::{Purpose, run_stream};
use ndarray::{Array1, Array2};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// The share of the largest absolute coordinate by which single precision may differ.
const TOLERANCE: f64 = 2e-5;

/// What was recorded: the file, which is also the name that is `like` it, how many calls it
/// holds, and how many of these depend on how a library breaks ties.
const FILES: [(&str, usize, usize); 20] = [
    ("blades-legacy.ClippedClustering", 14, 0),
    ("blades-legacy.FLTrust", 14, 0),
    ("crypto-ku.FLAME", 14, 2),
    ("crypto-ku.FoolsGold", 20, 0),
    ("crypto-ku.SignGuard", 12, 0),
    ("crypto-ku.SignSGD", 14, 0),
    ("crypto-ku.TrimmedMeanHistory", 6, 0),
    ("dba.FoolsGold", 20, 0),
    ("epfml.CenteredClipping", 48, 0),
    ("fedlib.CenteredClipping", 34, 0),
    ("fedlib.ClippedClustering", 34, 2),
    ("fedlib.SignGuard", 28, 0),
    ("foolsgold-authors.FoolsGold", 34, 0),
    ("rlr-authors.RLR", 72, 0),
    ("signguard-authors.SignGuard", 18, 0),
    ("signguard-authors.SignGuardDist", 3, 0),
    ("signguard-authors.SignGuardSim", 3, 0),
    ("zhmzm.FLAME", 14, 2),
    ("zhmzm.FLTrust", 14, 0),
    ("zhmzm.RLR", 14, 0),
];

/// What was recorded of a call and is none of the library's parameters.
const NOT_PARAMETERS: [&str; 13] = [
    "start",
    "rounds",
    "cos_eps",
    "server_lr",
    "weights",
    "epochs",
    "min_cluster_size",
    "min_samples",
    "allow_single_cluster",
    "clustering",
    "metric",
    "hdbscan",
    "algorithm",
];

/// One recorded call, of one round or several.
#[derive(Deserialize)]
struct Recorded {
    params: BTreeMap<String, Value>,
    input: Value,
    output: Vec<Value>,
    /// What was drawn at random.
    #[serde(default)]
    draws: BTreeMap<String, Value>,
    kmeans_labels: Option<Value>,
    #[serde(default)]
    selected: Vec<Value>,
    #[serde(default)]
    tie_dependent: bool,
}

impl Recorded {
    /// The name of the input and the expected output of each round.
    fn rounds(&self) -> Vec<(String, Vec<f64>)> {
        let number = |value: &Value| value.as_f64().unwrap_or(f64::NAN);
        let name = |value: &Value| value.as_str().unwrap().to_owned();
        match &self.input {
            Value::Array(names) => {
                let outputs = self.output.iter().map(|output| output.as_array().unwrap());
                let outputs = outputs.map(|output| output.iter().map(number).collect());
                names.iter().map(name).zip(outputs).collect()
            }
            one => vec![(name(one), self.output.iter().map(number).collect())],
        }
    }

    /// The library's parameters as TOML.
    fn parameters(&self, library: &str) -> String {
        let given = self.params.iter().filter(|(key, _)| !NOT_PARAMETERS.contains(&key.as_str()));
        let given = given.filter(|(_, value)| !value.is_null() && **value != "all");
        // What the library has no choice of.
        let fixed = |key: &str| match library {
            "dba" => key == "epsilon" || key == "cap",
            "blades-legacy" => key == "linkage",
            // Clipped clustering averages; SignGuard has a choice.
            "fedlib" => key == "agg" && self.params.contains_key("linkage"),
            _ => false,
        };
        let given = given.filter(|(key, _)| !fixed(key));
        let mut lines: Vec<String> = given.map(|(key, value)| format!("{key} = {value}")).collect();
        if let Some(labels) = &self.kmeans_labels {
            lines.push(format!("kmeans_labels = [{labels}]"));
        }
        match self.draws.get("block_start") {
            Some(Value::Array(starts)) => {
                lines.push(format!("block_start = {}", Value::from(starts.clone())));
            }
            Some(start) => lines.push(format!("block_start = [{start}]")),
            None => {}
        }
        lines.join("\n")
    }
}

fn read<T: DeserializeOwned>(name: &str) -> T {
    let path = format!("{}/tests/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn inputs() -> BTreeMap<String, Array2<f32>> {
    let inputs: BTreeMap<String, Vec<Vec<f64>>> = read("inputs");
    let matrix = |rows: Vec<Vec<f64>>| {
        Array2::from_shape_fn((rows.len(), rows[0].len()), |(row, column)| rows[row][column] as f32)
    };
    inputs.into_iter().map(|(name, rows)| (name, matrix(rows))).collect()
}

fn chain(name: &str, parameters: &str) -> Chain {
    let choice = Choice::with(name, parameters).unwrap();
    like::chain(&[choice], None).unwrap().chain().unwrap()
}

/// Lets the rule work through these rounds.
fn replay(rule: &Chain, rounds: &[&Array2<f32>]) -> Vec<Aggregate> {
    let mut memory = Memory::default();
    let mut previous: Option<Array1<f32>> = None;
    let mut aggregates = Vec::new();
    for (round, updates) in rounds.iter().enumerate() {
        let senders: Vec<NodeId> = (0..updates.nrows() as u32).map(NodeId).collect();
        let mut context = Context {
            round: Round(round as u32 + 1),
            rounds_total: rounds.len() as u32,
            byzantine: 0,
            senders: &senders,
            samples: None,
            previous: previous.as_ref().map(|previous| previous.view()),
            trusted: None,
            head: None,
            memory: &mut memory,
            rng: &mut run_stream(1, Purpose::Aggregation),
        };
        let aggregate = rule.aggregate(updates.view(), &mut context).unwrap();
        previous = Some(aggregate.vector.clone());
        aggregates.push(aggregate);
    }
    aggregates
}

/// Whether two vectors agree as closely as single precision does.
fn agree(ours: &Array1<f32>, theirs: &[f64]) -> bool {
    let largest = theirs.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    let close =
        |(ours, theirs): (&f32, &f64)| (f64::from(*ours) - theirs).abs() <= TOLERANCE * largest;
    ours.len() == theirs.len() && ours.iter().zip(theirs).all(close)
}

/// Which rows have a weight.
fn kept(aggregate: &Aggregate) -> Vec<u64> {
    let weights = aggregate.weights.as_ref().unwrap();
    (0..).zip(weights).filter(|(_, weight)| **weight > 0.0).map(|(row, _)| row).collect()
}

#[test]
fn every_recorded_call_is_reached() {
    let inputs = inputs();
    let mut wrong = Vec::new();
    for (name, count, ties) in FILES.into_iter().filter(|file| file.1 > 0) {
        let recorded: Vec<Recorded> = read(&format!("more/{name}"));
        assert_eq!(recorded.len(), count, "{name}");
        assert_eq!(recorded.iter().filter(|call| call.tie_dependent).count(), ties, "{name}");
        for call in recorded.iter().filter(|call| !call.tie_dependent) {
            let library = name.split('.').next().unwrap();
            let rule = chain(name, &call.parameters(library));
            let rounds = call.rounds();
            let rows: Vec<&Array2<f32>> = rounds.iter().map(|(input, _)| &inputs[input]).collect();
            let ours = replay(&rule, &rows);
            for (round, (ours, (input, theirs))) in ours.iter().zip(&rounds).enumerate() {
                // What is NaN there, because nobody was left, is no change here.
                let nobody = theirs.iter().all(|value| value.is_nan());
                let reached = match nobody {
                    true => ours.vector.iter().all(|value| *value == 0.0),
                    false => agree(&ours.vector, theirs),
                };
                if !reached {
                    wrong.push(format!("{name} {:?} round {round} {input}", call.params));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn flame_admits_whom_a_density_based_clustering_admits() {
    let inputs = inputs();
    let recorded: Vec<Recorded> = read("more/flpoison.FLAMEFilter");
    assert_eq!(recorded.len(), 14);
    let rule = chain("crypto-ku.FLAME", "");
    for call in recorded.iter().filter(|call| !call.tie_dependent) {
        let input = call.input.as_str().unwrap();
        let theirs: Vec<u64> = call.selected.iter().map(|row| row.as_u64().unwrap()).collect();
        assert_eq!(kept(&replay(&rule, &[&inputs[input]])[0]), theirs, "{input}");
    }
}

/// The members whose other names are replayed here.
const MEMBERS: [&str; 9] = [
    "norm_bound",
    "sign_majority",
    "robust_learning_rate",
    "sign_guard",
    "clipped_clustering",
    "flame",
    "foolsgold",
    "fltrust",
    "fl_detector",
];

#[test]
fn every_name_of_these_libraries_is_replayed() {
    let of_these = |name: &str| MEMBERS.contains(&like::find(name).unwrap().member);
    let missing: Vec<&str> = like::entries()
        .map(|entry| entry.name)
        .filter(|name| of_these(name))
        .filter(|name| !FILES.iter().any(|(file, ..)| file == name))
        .collect();
    assert!(missing.is_empty(), "no recorded call for {missing:?}");
}
