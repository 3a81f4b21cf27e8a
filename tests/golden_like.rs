//! Names of other libraries against what these libraries return: ByzFL 0.0.11, Flower 1.41.0, and
//! the code bases in `tests/golden/more`.
//!
//! Every recorded call goes through [`byzlab::like`] with the library's own parameters.
#![allow(clippy::disallowed_methods, reason = "tests read their vectors from files")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/numpy.rs"]
mod numpy;

use std::collections::BTreeMap;

use byzlab::aggregators::{Aggregator, Context};
use byzlab::catalog::Choice;
use byzlab::like::{self, Kind, Resolved};
use byzlab::memory::Memory;
use byzlab::node::{NodeId, Round};
use byzlab::preaggregators::Chain;
use byzlab::seed::{Purpose, run_stream};
use ndarray::{Array2, Axis};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// The share of the largest absolute coordinate by which single precision may differ.
const TOLERANCE: f64 = 2e-5;

/// The files, the names whose chain they record, and how many calls each holds.
const FILES: [(&str, &[&str], usize); 82] = [
    ("byzfl.Average", &["byzfl.Average"], 12),
    ("byzfl.Median", &["byzfl.Median"], 12),
    ("byzfl.TrMean", &["byzfl.TrMean"], 40),
    ("byzfl.Krum", &["byzfl.Krum"], 40),
    ("byzfl.MultiKrum", &["byzfl.MultiKrum"], 40),
    ("byzfl.Meamed", &["byzfl.Meamed"], 40),
    ("byzfl.CenteredClipping", &["byzfl.CenteredClipping"], 36),
    ("byzfl.NNM", &["byzfl.NNM"], 29),
    ("byzfl.NNM_then_TrMean", &["byzfl.NNM", "byzfl.TrMean"], 36),
    ("flower.aggregate", &["flower.aggregate"], 12),
    ("flower.aggregate_median", &["flower.aggregate_median"], 12),
    ("flower.aggregate_trimmed_avg", &["flower.aggregate_trimmed_avg"], 36),
    ("flower.aggregate_krum", &["flower.aggregate_krum"], 80),
    ("byzfl.MDA", &["byzfl.MDA"], 34),
    ("byzfl.SMEA", &["byzfl.SMEA"], 16),
    ("byzfl.CAF", &["byzfl.CAF"], 36),
    ("byzfl.MoNNA", &["byzfl.MoNNA"], 76),
    ("byzfl.Clipping", &["byzfl.Clipping"], 9),
    ("byzfl.ARC", &["byzfl.ARC"], 29),
    ("byzfl.Bucketing", &["byzfl.Bucketing"], 18),
    ("byzfl.ARC_then_NNM_then_Krum", &["byzfl.ARC", "byzfl.NNM", "byzfl.Krum"], 36),
    ("flower.aggregate_bulyan", &["flower.aggregate_bulyan"], 22),
    ("more/crypto-ku.BucketingRandom", &["crypto-ku.BucketingRandom"], 8),
    ("more/crypto-ku.CoordinateMedian", &["crypto-ku.CoordinateMedian"], 14),
    ("more/crypto-ku.DnC", &["crypto-ku.DnC"], 26),
    ("more/crypto-ku.Krum", &["crypto-ku.Krum"], 52),
    ("more/crypto-ku.TrimmedMean", &["crypto-ku.TrimmedMean"], 26),
    ("more/epfl-byzmom.Brute", &["epfl-byzmom.Brute"], 30),
    ("more/epfl-byzmom.CGE", &["epfl-byzmom.CGE"], 40),
    ("more/epfl-byzmom.Krum", &["epfl-byzmom.Krum"], 60),
    ("more/epfl-byzmom.Phocas", &["epfl-byzmom.Phocas"], 40),
    ("more/epfl-byzmom.TrimmedMean", &["epfl-byzmom.TrimmedMean"], 40),
    ("more/epfl-rcl.CGE", &["epfl-rcl.CGE"], 40),
    ("more/epfl-rcl.CVA", &["epfl-rcl.CVA"], 80),
    ("more/epfl-rcl.Krum", &["epfl-rcl.Krum"], 40),
    ("more/epfl-rcl.MEA", &["epfl-rcl.MEA"], 17),
    ("more/epfl-rcl.MultiKrum", &["epfl-rcl.MultiKrum"], 40),
    ("more/epfl-rcl.Phocas", &["epfl-rcl.Phocas"], 40),
    ("more/epfl-rcl.RFA", &["epfl-rcl.RFA"], 42),
    ("more/epfl-rcl.TrimmedMean", &["epfl-rcl.TrimmedMean"], 40),
    ("more/epfml.Bucketing", &["epfml.Bucketing"], 88),
    ("more/epfml.CoordinateMedian", &["epfml.CoordinateMedian"], 14),
    ("more/epfml.Krum", &["epfml.Krum"], 82),
    ("more/epfml.RFA", &["epfml.RFA"], 42),
    ("more/epfml.TrimmedMean", &["epfml.TrimmedMean"], 38),
    ("more/fedlib.DnC", &["fedlib.DnC"], 78),
    ("more/fedlib.MultiKrum", &["fedlib.MultiKrum"], 64),
    ("more/ndss21.Bulyan", &["ndss21.Bulyan"], 22),
    ("more/ndss21.Krum", &["ndss21.Krum"], 32),
    ("more/ndss21.MultiKrum", &["ndss21.MultiKrum"], 32),
    ("more/ndss21.TrimmedMean", &["ndss21.TrimmedMean"], 18),
    ("byzfl.GeometricMedian", &["byzfl.GeometricMedian"], 36),
    ("more/crypto-ku.RFA", &["crypto-ku.RFA"], 28),
    ("more/epfl-byzmom.MeaMed", &["epfl-byzmom.MeaMed"], 40),
    ("more/epfl-rcl.MeaMed", &["epfl-rcl.MeaMed"], 40),
    ("more/epfl-rcl.Bucketing", &["epfl-rcl.Bucketing"], 52),
    ("more/epfl-rcl.CeNNA", &["epfl-rcl.NNM"], 80),
    ("more/epfl-rcl.CenteredClip", &["epfl-rcl.CenteredClip"], 42),
    ("more/crypto-ku.CenteredClipping", &["crypto-ku.CenteredClipping"], 28),
    ("more/blades-legacy.CenteredClipping", &["blades-legacy.CenteredClipping"], 28),
    ("more/fedlib.TrimmedMean", &["fedlib.TrimmedMean"], 44),
    ("more/fldetector.Krum", &["fldetector.Krum"], 24),
    ("more/crypto-ku.TrimmedMeanAbs", &["crypto-ku.TrimmedMeanAbs"], 26),
    ("more/crypto-ku.TrimmedMeanCapped", &["crypto-ku.TrimmedMeanCapped"], 26),
    ("more/crypto-ku.TrimmedMeanPerfect", &["crypto-ku.TrimmedMeanPerfect"], 26),
    ("more/crypto-ku.ChebyshevClamp", &["crypto-ku.ChebyshevClamp"], 28),
    ("more/crypto-ku.FLDefender", &["crypto-ku.FLDefender"], 14),
    ("more/crypto-ku.MedianKrum", &["crypto-ku.MedianKrum"], 26),
    ("more/crypto-ku.Bulyan", &["crypto-ku.Bulyan"], 26),
    ("more/crypto-ku.CenteredClipThenTrimmedMean", &["crypto-ku.CenteredClipThenTrimmedMean"], 26),
    ("more/crypto-ku.SequentialClipping", &["crypto-ku.SequentialClipping"], 14),
    ("more/crypto-ku.GAS", &["crypto-ku.GAS"], 40),
    ("more/crypto-ku.LASA", &["crypto-ku.LASA"], 28),
    ("more/crypto-ku.FedSECA", &["crypto-ku.FedSECA"], 28),
    ("more/epfl-rcl.PseudoKrum", &["epfl-rcl.PseudoKrum"], 32),
    ("more/epfl-rcl.FilterL2", &["epfl-rcl.FilterL2"], 20),
    ("more/fedlib.GeoMed", &["fedlib.GeoMed"], 28),
    ("more/epfl-rcl.Aksel", &["epfl-rcl.Aksel"], 80),
    ("more/epfl-byzmom.Aksel", &["epfl-byzmom.Aksel"], 80),
    ("more/epfl-rcl.IterCVA", &["epfl-rcl.IterCVA"], 40),
    ("more/epfl-rcl.MVA", &["epfl-rcl.MVA"], 30),
    ("more/epfl-rcl.MoM", &["epfl-rcl.Bucketing", "epfl-rcl.RFA"], 28),
];

/// One recorded call.
#[derive(Deserialize)]
struct Recorded {
    params: BTreeMap<String, serde_json::Value>,
    input: String,
    output: Output,
    selected_index: Option<usize>,
    /// The order of rows that the library drew.
    row_order: Option<serde_json::Value>,
    /// What it drew, by the names of our parameters.
    #[serde(default)]
    draws: BTreeMap<String, serde_json::Value>,
    /// Whether the library leaves open what comes out where keys are equal.
    #[serde(default)]
    tie_dependent: bool,
}

impl Recorded {
    /// The names of the chain, and the parameters as the library's functions take them, with what
    /// it drew among them.
    fn chain(&mut self, names: &[&'static str], rows: usize, columns: usize) -> Vec<&'static str> {
        let mut names = names.to_vec();
        self.params.append(&mut self.draws);
        if let Some(order) = self.row_order.take() {
            self.params.insert("row_order".to_owned(), order);
        }
        // What follows the buckets, which variant of a notebook it was, what comes of n and s.
        match self.params.remove("then").as_ref().and_then(serde_json::Value::as_str) {
            Some("krum") => names.push("epfml.Krum"),
            Some("cm") => names.push("epfml.CoordinateMedian"),
            Some("rfa") => names.push("epfml.RFA"),
            _ => {}
        }
        match self.params.remove("gar_second").as_ref().and_then(serde_json::Value::as_str) {
            Some("rfa") => names.push("epfl-rcl.RFA"),
            Some("trmean") => names.push("epfl-rcl.TrimmedMean"),
            _ => {}
        }
        // A geometric median behind buckets takes no f, and was recorded with one.
        if names.last() == Some(&"epfl-rcl.RFA") && names[0] == "epfl-rcl.Bucketing" {
            self.params.remove("f");
        }
        let said = ["variant", "buckets", "start", "theta", "trim", "round"];
        self.params.retain(|name, _| !said.contains(&name.as_str()));
        if names[0] != "epfl-rcl.IterCVA" {
            self.params.remove("numb_iter");
        }
        let f = self.params.get("f").and_then(serde_json::Value::as_u64).unwrap_or(0) as usize;
        let estimates = match names[0] {
            // In few dimensions a row far out makes it take two thousand passes.
            "byzfl.CAF" => {
                if columns < 10 {
                    2000
                } else {
                    40
                }
            }
            "byzfl.SMEA" => (0..f).fold(1, |count, k| count * (rows - k) / (k + 1)),
            _ => 0,
        };
        if estimates > 0 {
            let starts = numpy::normals(12345, estimates, columns);
            self.params.insert("starts".to_owned(), starts.into());
        }
        names
    }
}

/// A vector, or the rows that a pre-aggregator returns.
#[derive(Deserialize)]
#[serde(from = "serde_json::Value")]
struct Output(Vec<f64>);

impl From<serde_json::Value> for Output {
    fn from(value: serde_json::Value) -> Self {
        let items = value.as_array().unwrap().iter();
        let nested = items.flat_map(|item| match item {
            serde_json::Value::Array(row) => row.clone(),
            number => vec![number.clone()],
        });
        // What is not finite is a word.
        Output(nested.map(|number| number.as_f64().unwrap_or(f64::NAN)).collect())
    }
}

fn read<T: DeserializeOwned>(name: &str) -> T {
    let path = format!("{}/tests/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn matrix(rows: &[Vec<f64>]) -> Array2<f32> {
    Array2::from_shape_fn((rows.len(), rows[0].len()), |(row, column)| rows[row][column] as f32)
}

/// The chain of `names` with these parameters, and the caller's number of byzantine senders.
fn resolve(
    names: &[&str],
    parameters: &BTreeMap<String, serde_json::Value>,
    declared: Option<usize>,
) -> Resolved {
    let known = |name: &str, key: &String| {
        let schema = (like::find(name).unwrap().parameters)().to_value();
        schema["properties"].get(key).is_some()
    };
    for key in parameters.keys() {
        assert!(names.iter().any(|name| known(name, key)), "nothing in {names:?} takes {key}");
    }
    let choice = |name: &&str| {
        // JSON numbers, lists and strings read the same as TOML.
        let own = parameters.iter().filter(|(key, _)| known(name, key));
        let toml: Vec<String> = own.map(|(key, value)| format!("{key} = {value}")).collect();
        Choice::with(name, &toml.join("\n")).unwrap()
    };
    like::chain(&names.iter().map(choice).collect::<Vec<_>>(), declared).unwrap()
}

/// What the chain makes of `updates`, and the weights of the rows if it has them.
fn apply(
    resolved: &Resolved,
    updates: Array2<f32>,
    declared: usize,
) -> (Array2<f32>, Option<Vec<f32>>) {
    let rows = updates.nrows();
    let senders: Vec<NodeId> = (0..rows as u32).map(NodeId).collect();
    let samples = resolved.samples.as_ref().map(|samples| samples.counts(rows).unwrap());
    let mut context = Context {
        round: Round(1),
        rounds_total: 1,
        byzantine: declared,
        senders: &senders,
        samples: samples.as_deref(),
        previous: None,
        trusted: None,
        head: None,
        memory: &mut Memory::default(),
        rng: &mut run_stream(1, Purpose::Aggregation),
    };
    let Some(chain) = resolved.chain() else {
        return (Chain::prepare(&resolved.links(), updates, &mut context).unwrap(), None);
    };
    let result = chain.aggregate(updates.view(), &mut context).unwrap();
    let weights = result.weights.map(|weights| weights.to_vec());
    (result.vector.insert_axis(Axis(0)), weights)
}

/// Replays every call of every file; `prepare` says what is declared and leaves the library the
/// rest of its parameters.
fn replay(prepare: impl Fn(&mut BTreeMap<String, serde_json::Value>) -> Option<usize>) {
    let inputs: BTreeMap<String, Vec<Vec<f64>>> = read("inputs");
    for (file, names, count) in FILES {
        let recorded: Vec<Recorded> = read(file);
        assert_eq!(recorded.len(), count, "{file}");
        for mut call in recorded {
            // Two rows of `dups` are exactly opposite: which is farther out is rounding.
            let opposite = call.input == "dups"
                && (file == "more/fedlib.DnC"
                    // A geometric median of them is a zero that only doubles cancel to.
                    || call.params.get("gar_second").is_some_and(|rule| rule == "rfa"));
            // Its clipping divides zero by zero where a row has no length, and its Bulyan in chunks
            // averages deviations where it means values.
            let defect = call.output.0.iter().any(|value| value.is_nan())
                || call.params.get("base").is_some_and(|base| base == "bulyan");
            assert!(!defect || file.contains("LASA") || file.contains("GAS"), "{file}");
            if call.tie_dependent || opposite || defect {
                continue;
            }
            let what = format!("{file} {:?} {}", call.params, call.input);
            let updates = matrix(&inputs[&call.input]);
            let updates_size = updates.iter().fold(0.0f64, |most, x| most.max(f64::from(x.abs())));
            let names = call.chain(names, updates.nrows(), updates.ncols());
            let declared = prepare(&mut call.params);
            let resolved = resolve(&names, &call.params, declared);
            let (ours, weights) = apply(&resolved, updates, declared.unwrap_or(0));
            let theirs = call.output.0;
            assert_eq!(ours.len(), theirs.len(), "{what}");
            let largest = theirs.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
            // What is a millionth of a millionth of the input is a zero that the library rounded.
            let zero = 1e-12 * updates_size;
            let largest = largest.max(zero);
            for (ours, theirs) in ours.iter().zip(&theirs) {
                let off = (f64::from(*ours) - theirs).abs();
                assert!(off <= TOLERANCE * largest, "{what}: {ours} is not {theirs}");
            }
            if let Some(selected) = call.selected_index {
                assert_eq!(weights.unwrap()[selected], 1.0, "{what}");
            }
        }
    }
}

#[test]
fn with_the_librarys_own_parameters() {
    replay(|_| None);
}

#[test]
fn with_f_declared_by_the_caller() {
    replay(|parameters| {
        // A multiple of f needs f beside it.
        if parameters.get("filter_frac").is_some_and(|share| share != 1.0) {
            return None;
        }
        parameters.remove("f").map(|f| f.as_u64().unwrap() as usize)
    });
}

/// Flower's strategies with parameters, and the functions that they call with the same.
const STRATEGIES: [(&str, &str, &str, &str); 5] = [
    ("flower.FedAvg", "", "flower.aggregate", ""),
    ("flower.FedMedian", "", "flower.aggregate_median", ""),
    ("flower.FedTrimmedAvg", "beta = 0.1", "flower.aggregate_trimmed_avg", "cut = 0.1"),
    (
        "flower.Krum",
        "num_malicious_clients = 2\nnum_clients_to_keep = 3",
        "flower.aggregate_krum",
        "f = 2\nto_keep = 3",
    ),
    ("flower.Bulyan", "num_malicious_clients = 1", "flower.aggregate_bulyan", "f = 1"),
];

#[test]
fn strategies_are_the_functions_that_they_call() {
    for (strategy, own, function, its) in STRATEGIES {
        for (own, its) in [(own, its), ("", "")] {
            let rule = |name, parameters| {
                let choice = Choice::with(name, parameters).unwrap();
                let rule = like::chain(&[choice], None).unwrap().rule.unwrap();
                (rule.member.name, rule.member.parameters, rule.byzantine)
            };
            assert_eq!(rule(strategy, own), rule(function, its), "{strategy}");
        }
    }
}

#[test]
fn every_rule_and_pre_aggregator_is_replayed() {
    let missing: Vec<&str> = like::entries()
        .filter(|entry| entry.kind != Kind::Attack)
        .map(|entry| entry.name)
        .filter(|name| name.starts_with("byzfl.") || name.starts_with("flower."))
        .filter(|name| !STRATEGIES.iter().any(|(strategy, ..)| strategy == name))
        .filter(|name| !FILES.iter().any(|(_, names, _)| names.contains(name)))
        .collect();
    assert!(missing.is_empty(), "no recorded call for {missing:?}");
}

#[test]
fn without_any_f_the_librarys_default_holds() {
    let resolved = resolve(&["byzfl.NNM", "byzfl.Krum"], &BTreeMap::new(), None);
    assert_eq!(resolved.before[0].byzantine, Some(0));
    assert_eq!(resolved.rule.as_ref().unwrap().byzantine, Some(0));
    let resolved = resolve(&["byzfl.NNM", "byzfl.Krum"], &BTreeMap::new(), Some(2));
    assert_eq!(resolved.before[0].byzantine, None);
    let parameters = &resolved.rule.unwrap().member.parameters;
    assert_eq!(parameters["neighbours"], "inclusive");
    assert_eq!(parameters["tolerance"], "majority");
}
