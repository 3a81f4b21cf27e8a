//! Peer rules against one step of every rule on four graphs, in both precisions, and the
//! geometric median against `ByzFL` 0.0.11.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]
#![allow(clippy::disallowed_methods, reason = "tests read their vectors from files")]

use std::collections::BTreeMap;
use std::sync::Arc;

use byzlab::aggregators::{self, AggregateError, Context};
use byzlab::catalog::Choice;
use byzlab::memory::Memory;
use byzlab::node::{NodeId, Round};
use byzlab::peer_rules::{CATALOG, Float, Local, Mixed, Neighbourhood, PeerRule};
use byzlab::seed::{Purpose, run_stream};
use ndarray::{Array1, Array2, ArrayView1};
use serde::Deserialize;
use serde::de::DeserializeOwned;

fn read<T: DeserializeOwned>(name: &str) -> T {
    let path = format!("{}/tests/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

// ---------------------------------------------------------------------------- the file

#[derive(Deserialize)]
struct Mixing {
    cases: Vec<Case>,
    entries: Vec<Entry>,
}

/// Who talks to whom, with which weights, as fractions.
#[derive(Deserialize)]
struct Case {
    graph: String,
    b: usize,
    neighbours: Vec<Vec<u32>>,
    weights: Vec<Vec<String>>,
    own_weight: Vec<String>,
}

#[derive(Clone, Deserialize)]
struct Entry {
    graph: String,
    b: usize,
    d: usize,
    seed: u64,
    honest: Vec<Vec<f64>>,
    byzantine: Vec<Vec<Vec<f64>>>,
    centre: Vec<f64>,
    #[serde(default)]
    out: BTreeMap<String, Vec<Vec<f64>>>,
    #[serde(default)]
    out_digest: BTreeMap<String, Vec<[f64; 4]>>,
    tau: BTreeMap<String, Vec<f64>>,
    ids: BTreeMap<String, Vec<serde_json::Value>>,
}

fn fraction(text: &str) -> f64 {
    let (above, below) = text.split_once('/').unwrap();
    above.parse::<f64>().unwrap() / below.parse::<f64>().unwrap()
}

// ---------------------------------------------------------------------------- one step

/// Both precisions through the same code.
trait Precision: Float {
    fn mix(
        rule: &dyn PeerRule,
        own: ArrayView1<'_, Self>,
        neighbours: &Neighbourhood<'_, Self>,
        context: &mut Context<'_>,
    ) -> Result<Mixed<Self>, AggregateError>;

    /// How far a coordinate may be off, when the largest of the vector is `largest`.
    fn tolerance(expected: f64, largest: f64) -> f64;
}

impl Precision for f64 {
    fn mix(
        rule: &dyn PeerRule,
        own: ArrayView1<'_, f64>,
        neighbours: &Neighbourhood<'_, f64>,
        context: &mut Context<'_>,
    ) -> Result<Mixed<f64>, AggregateError> {
        rule.mix_double(own, neighbours, context)
    }

    fn tolerance(expected: f64, _largest: f64) -> f64 {
        1e-8 * expected.abs().max(1.0)
    }
}

impl Precision for f32 {
    fn mix(
        rule: &dyn PeerRule,
        own: ArrayView1<'_, f32>,
        neighbours: &Neighbourhood<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Mixed<f32>, AggregateError> {
        rule.mix(own, neighbours, context)
    }

    fn tolerance(_expected: f64, largest: f64) -> f64 {
        2e-5 * largest
    }
}

/// A rule in a round of ten.
struct Recipe {
    rule: Arc<dyn PeerRule>,
    round: u32,
}

fn recipe(name: &str, parameters: &str) -> Recipe {
    let choice = Choice::with(name, parameters).unwrap();
    Recipe { rule: CATALOG.build(&choice).unwrap().value, round: 1 }
}

fn local(name: &str, parameters: &str) -> Recipe {
    let choice = Choice::with(name, parameters).unwrap();
    let aggregator = aggregators::CATALOG.build(&choice).unwrap().value;
    Recipe { rule: Arc::new(Local::new(aggregator)), round: 1 }
}

/// What every honest node makes of its neighbourhood.
fn step<F: Precision>(recipe: &Recipe, entry: &Entry, case: &Case) -> Vec<Mixed<F>> {
    let models: Vec<&Vec<f64>> =
        entry.honest.iter().chain(entry.byzantine.iter().flatten()).collect();
    let centre = entry.centre.clone();
    // Half of the squared distance to the centre.
    let loss = move |model: ArrayView1<'_, F>| {
        let squares = model.iter().zip(&centre).map(|(&value, centre)| {
            let value: f64 = value.into();
            (value - centre) * (value - centre)
        });
        F::nearest(0.5 * squares.sum::<f64>())
    };
    let one = |node: usize| {
        let ids: Vec<NodeId> = case.neighbours[node].iter().copied().map(NodeId).collect();
        let model = |id: &NodeId, column: usize| F::nearest(models[id.index()][column]);
        let rows =
            Array2::from_shape_fn((ids.len(), entry.d), |(row, column)| model(&ids[row], column));
        let own = Array1::from_shape_fn(entry.d, |column| model(&NodeId(node as u32), column));
        let weights: Vec<f64> = case.weights[node].iter().map(|text| fraction(text)).collect();
        let honest: Vec<bool> = ids.iter().map(|id| id.index() < entry.honest.len()).collect();
        let neighbours = Neighbourhood {
            node: NodeId(node as u32),
            ids: &ids,
            models: rows.view(),
            weights: &weights,
            own_weight: fraction(&case.own_weight[node]),
            honest: Some(&honest),
            loss: Some(&loss),
        };
        let mut context = Context {
            round: Round(recipe.round),
            rounds_total: 10,
            byzantine: entry.b,
            senders: &ids,
            samples: None,
            previous: None,
            trusted: None,
            head: None,
            memory: &mut Memory::default(),
            rng: &mut run_stream(1, Purpose::Aggregation),
        };
        F::mix(&*recipe.rule, own.view(), &neighbours, &mut context).unwrap()
    };
    (0..entry.honest.len()).map(one).collect()
}

/// Calls `check` with every entry and its graph.
fn each_entry(check: impl Fn(&Entry, &Case, &str)) {
    let file: Mixing = read("peer/mixing");
    assert_eq!(file.entries.len(), 12);
    for entry in &file.entries {
        let fits = |case: &&Case| case.graph == entry.graph && case.b == entry.b;
        let case = file.cases.iter().find(fits).unwrap();
        let what = format!("{}, d = {}, seed {}", entry.graph, entry.d, entry.seed);
        check(entry, case, &what);
    }
}

fn digest(model: &[f64]) -> [f64; 4] {
    let norm = model.iter().map(|value| value * value).sum::<f64>().sqrt();
    [model[0], model[model.len() - 1], model.iter().sum(), norm]
}

#[track_caller]
fn assert_close<F: Precision>(ours: &[f64], expected: &[f64], largest: f64, what: &str) {
    assert_eq!(ours.len(), expected.len(), "{what}");
    for (ours, expected) in ours.iter().zip(expected) {
        let tolerance = F::tolerance(*expected, largest);
        assert!((ours - expected).abs() <= tolerance, "{what}: {ours} is not {expected}");
    }
}

/// Compares what the file calls `name` at every node.
fn outputs_are<F: Precision>(name: &str, recipe: &Recipe) {
    each_entry(|entry, case, what| {
        for (node, mixed) in step::<F>(recipe, entry, case).iter().enumerate() {
            let what = format!("{name} at node {node} of {what}");
            let ours: Vec<f64> = mixed.model.iter().map(|&value| value.into()).collect();
            if let Some(expected) = entry.out.get(name) {
                let largest = expected[node].iter().fold(0.0f64, |a, b| a.max(b.abs()));
                assert_close::<F>(&ours, &expected[node], largest, &what);
            } else {
                let expected = entry.out_digest[name][node];
                let largest = ours.iter().fold(0.0f64, |a, b| a.max(b.abs()));
                // A sum of d coordinates may be off by d times as much as one, a norm by the root.
                let d = ours.len() as f64;
                let scales = [1.0, 1.0, d, d.sqrt()].map(|scale| scale * largest);
                for (part, scale) in scales.into_iter().enumerate() {
                    let ours = digest(&ours)[part];
                    assert_close::<F>(&[ours], &[expected[part]], scale, &what);
                }
            }
        }
    });
}

/// Compares who entered at every node; the own id is in the file's lists where `with_own` says so.
fn accepted_are<F: Precision>(name: &str, recipe: &Recipe, with_own: bool) {
    each_entry(|entry, case, what| {
        for (node, mixed) in step::<F>(recipe, entry, case).iter().enumerate() {
            let accepted = mixed.accepted.as_ref().expect("the rule refuses some");
            let heard = case.neighbours[node].iter().zip(accepted);
            let mut ours: Vec<u32> = heard.filter(|(_, is)| **is).map(|(id, _)| *id).collect();
            // A rule that chooses one model chooses the own one if no other.
            if with_own || ours.is_empty() && entry.ids[name][node].is_u64() {
                ours.push(node as u32);
            }
            ours.sort_unstable();
            let mut expected: Vec<u32> = match &entry.ids[name][node] {
                serde_json::Value::Array(ids) => {
                    ids.iter().map(|id| id.as_u64().unwrap() as u32).collect()
                }
                id => vec![id.as_u64().unwrap() as u32],
            };
            expected.sort_unstable();
            assert_eq!(ours, expected, "{name} at node {node} of {what}");
        }
    });
}

fn in_both_precisions(name: &str, recipe: &Recipe) {
    outputs_are::<f64>(name, recipe);
    outputs_are::<f32>(name, recipe);
}

fn accepted_in_both_precisions(name: &str, recipe: &Recipe, with_own: bool) {
    accepted_are::<f64>(name, recipe, with_own);
    accepted_are::<f32>(name, recipe, with_own);
}

// ---------------------------------------------------------------------------- rules

#[test]
fn plain_gossip() {
    in_both_precisions("gossip_mh", &recipe("metropolis_hastings", ""));
}

#[test]
fn self_centred_clipping() {
    let rule = |threshold| recipe("self_centred_clipping", &format!("threshold = {threshold}"));
    in_both_precisions("scc_fixed_0.5", &rule("{ fixed = { tau = 0.5 } }"));
    in_both_precisions("scc_fixed_1.0", &rule("{ fixed = { tau = 1.0 } }"));
    in_both_precisions("scc_oracle", &rule("'oracle'"));
    in_both_precisions("scc_adaptive", &rule("'adaptive'"));
    in_both_precisions("scc_adaptive", &recipe("self_centred_clipping", ""));
    in_both_precisions("scc_adaptive_released", &rule("'adaptive_released'"));
    in_both_precisions("scc_second_largest", &rule("'second_largest'"));
}

#[test]
fn thresholds_are_those_of_the_file() {
    // A rule that computes its threshold does what a fixed one of the recorded size does.
    each_entry(|entry, case, what| {
        for (name, taus) in &entry.tau {
            for (node, tau) in taus.iter().enumerate() {
                let fixed = format!("threshold = {{ fixed = {{ tau = {tau:?} }} }}");
                let ours = step::<f64>(&recipe("self_centred_clipping", &fixed), entry, case);
                let ours = ours[node].model.to_vec();
                let what = format!("{name} at node {node} of {what}");
                if let Some(expected) = entry.out.get(name) {
                    assert_close::<f64>(&ours, &expected[node], 0.0, &what);
                } else {
                    assert_close::<f64>(&digest(&ours), &entry.out_digest[name][node], 0.0, &what);
                }
            }
        }
    });
}

#[test]
fn nearest_neighbour_averaging() {
    let one = recipe("nearest_neighbour_averaging", "");
    let twice = recipe("nearest_neighbour_averaging", "keep = 'n_minus_2f'");
    for (name, rule) in [("nna_keep_n_minus_f", one), ("monna_keep_n_minus_2f", twice)] {
        in_both_precisions(name, &rule);
        accepted_in_both_precisions(name, &rule, true);
    }
}

#[test]
fn summations() {
    in_both_precisions("cs_plus", &recipe("clipped_summation", ""));
    in_both_precisions("gts", &recipe("trimmed_summation", ""));
    let released = recipe("trimmed_summation", "convention = 'released'");
    in_both_precisions("gts_released_exact", &released);
}

#[test]
fn iterative_outlier_scissor() {
    let rule = recipe("iterative_outlier_scissor", "");
    in_both_precisions("ios", &rule);
    accepted_in_both_precisions("ios", &rule, false);
}

#[test]
fn bridge() {
    in_both_precisions("bridge_t", &recipe("bridge", ""));
    in_both_precisions("bridge_t_keep_own", &recipe("bridge", "keep_own = true"));
    in_both_precisions("bridge_m", &recipe("bridge", "screen = 'median'"));
    let krum = recipe("bridge", "screen = 'krum'");
    accepted_in_both_precisions("bridge_k_released", &krum, false);
}

#[test]
fn balance() {
    for (name, round) in [("balance_t0", 1), ("balance_half", 6)] {
        let rule = Recipe { round, ..recipe("balance", "") };
        in_both_precisions(name, &rule);
        accepted_in_both_precisions(name, &rule, false);
    }
}

#[test]
fn ubar() {
    let lowest = recipe("ubar", "ratio = 0.6");
    in_both_precisions("ubar_quadratic", &lowest);
    accepted_in_both_precisions("ubar_quadratic", &lowest, false);
    let nearest = recipe("ubar", "ratio = 0.6\nfallback = 'nearest'");
    in_both_precisions("ubar_quadratic_nearest_fallback", &nearest);
}

#[test]
fn aggregators_in_a_neighbourhood() {
    outputs_are::<f32>("bridge_t", &local("trimmed_mean", ""));
    outputs_are::<f32>("bridge_m", &local("median", ""));
    let geometric = "nu = 0.1\niterations = 8\nstart = 'zero'";
    outputs_are::<f32>("geomed_t8_nu0.1", &local("geometric_median", geometric));
    accepted_are::<f32>("krum_standard", &local("krum", "tolerance = 'none'"), false);
}

#[test]
fn all_outputs_are_compared() {
    let file: Mixing = read("peer/mixing");
    let own: String = include_str!("golden_peer_rules.rs").to_owned();
    for entry in &file.entries {
        for name in entry.out.keys().chain(entry.out_digest.keys()) {
            assert!(own.contains(&format!("\"{name}\"")), "{name} is compared with nothing");
        }
    }
}

// ---------------------------------------------------------------------------- the shortlist

#[test]
fn ubar_short_lists() {
    // With one loss for all, the whole short list is kept.
    for ratio in ["0.4", "0.6"] {
        let rule = recipe("ubar", &format!("ratio = {ratio}"));
        each_entry(|entry, case, what| {
            let flat = Entry { centre: vec![f64::INFINITY; entry.d], ..entry.clone() };
            for (node, mixed) in step::<f64>(&rule, &flat, case).iter().enumerate() {
                let accepted = mixed.accepted.as_ref().unwrap();
                let heard = case.neighbours[node].iter().zip(accepted);
                let ours: Vec<u32> = heard.filter(|(_, is)| **is).map(|(id, _)| *id).collect();
                let listed = &entry.ids[&format!("ubar_shortlist_{ratio}")][node];
                let mut expected: Vec<u32> = serde_json::from_value(listed.clone()).unwrap();
                expected.sort_unstable();
                assert_eq!(ours, expected, "ratio {ratio} at node {node} of {what}");
            }
        });
    }
}

// ---------------------------------------------------------------------------- geometric median

#[derive(Deserialize)]
struct Call {
    params: Steps,
    input: String,
    output: Vec<f64>,
}

#[derive(Deserialize)]
struct Steps {
    nu: f64,
    #[serde(rename = "T")]
    iterations: u32,
}

#[test]
fn byzfl_geometric_median() {
    let inputs: BTreeMap<String, Vec<Vec<f64>>> = read("inputs");
    let calls: Vec<Call> = read("byzfl.GeometricMedian");
    assert!(calls.len() >= 36, "{} calls", calls.len());
    for call in &calls {
        let Steps { nu, iterations } = call.params;
        let parameters = format!("nu = {nu:?}\niterations = {iterations}\nstart = 'zero'");
        let choice = Choice::with("geometric_median", &parameters).unwrap();
        let rule = aggregators::CATALOG.build(&choice).unwrap().value;
        let rows = &inputs[&call.input];
        let updates =
            Array2::from_shape_fn((rows.len(), rows[0].len()), |(i, k)| rows[i][k] as f32);
        let senders: Vec<NodeId> = (0..rows.len() as u32).map(NodeId).collect();
        let mut context = Context {
            round: Round(1),
            rounds_total: 1,
            byzantine: 0,
            senders: &senders,
            samples: None,
            previous: None,
            trusted: None,
            head: None,
            memory: &mut Memory::default(),
            rng: &mut run_stream(1, Purpose::Aggregation),
        };
        let ours = rule.aggregate(updates.view(), &mut context).unwrap().vector;
        let ours: Vec<f64> = ours.iter().map(|&value| f64::from(value)).collect();
        let largest = call.output.iter().fold(0.0f64, |a, b| a.max(b.abs()));
        let what = format!("nu {nu}, T {iterations} on {}", call.input);
        assert_close::<f32>(&ours, &call.output, largest, &what);
    }
}
