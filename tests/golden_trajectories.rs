//! Averaging without learning, many steps long: recorded trajectories of every rule, and what
//! they are known to show.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]
#![allow(clippy::disallowed_methods, reason = "tests read their vectors from files")]

mod golden_trajectories {
    mod chain;
    mod worlds;
}

use std::sync::Arc;

use byzlab::aggregators::Context;
use byzlab::catalog::Choice;
use byzlab::memory::Memory;
use byzlab::node::{NodeId, Round};
use byzlab::peer_rules::{CATALOG, Neighbourhood, PeerRule};
use byzlab::seed::{Purpose, run_stream};
use ndarray::{Array2, ArrayView1};
use serde::de::DeserializeOwned;
use serde_json::Value;

type Rule = Arc<dyn PeerRule>;
type State = Vec<Vec<f64>>;

fn rule(name: &str, parameters: &str) -> Rule {
    CATALOG.build(&Choice::with(name, parameters).unwrap()).unwrap().value
}

/// One message: a model, its weight, and whether it is honest.
#[derive(Clone)]
struct Message {
    model: Vec<f64>,
    weight: f64,
    honest: bool,
}

fn mix(rule: &dyn PeerRule, own: &[f64], messages: &[Message], byzantine: usize) -> Vec<f64> {
    let ids: Vec<NodeId> = (1..=messages.len() as u32).map(NodeId).collect();
    let shape = (messages.len(), own.len());
    let models = Array2::from_shape_fn(shape, |(row, column)| messages[row].model[column]);
    let weights: Vec<f64> = messages.iter().map(|message| message.weight).collect();
    let honest: Vec<bool> = messages.iter().map(|message| message.honest).collect();
    let neighbours = Neighbourhood {
        node: NodeId(0),
        ids: &ids,
        models: models.view(),
        weights: &weights,
        own_weight: 1.0 - weights.iter().sum::<f64>(),
        honest: Some(&honest),
        loss: None,
    };
    let mut context = Context {
        round: Round(1),
        rounds_total: 1,
        byzantine,
        senders: &ids,
        samples: None,
        previous: None,
        trusted: None,
        head: None,
        memory: &mut Memory::default(),
        rng: &mut run_stream(1, Purpose::Aggregation),
    };
    rule.mix_double(ArrayView1::from(own), &neighbours, &mut context).unwrap().model.to_vec()
}

fn mean(state: &State) -> Vec<f64> {
    let column =
        |column: usize| state.iter().map(|model| model[column]).sum::<f64>() / state.len() as f64;
    (0..state[0].len()).map(column).collect()
}

/// The mean over nodes of the squared distance to a point.
fn error(state: &State, point: &[f64]) -> f64 {
    let squared = |model: &Vec<f64>| -> f64 {
        model.iter().zip(point).map(|(value, point)| (value - point) * (value - point)).sum()
    };
    state.iter().map(squared).sum::<f64>() / state.len() as f64
}

/// A part of the file of recorded trajectories.
fn recorded<T: DeserializeOwned>(part: &str) -> T {
    let path = format!("{}/tests/golden/peer/trajectories.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mut file: Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value(file[part].take()).unwrap_or_else(|error| panic!("{part}: {error}"))
}

/// The recorded trajectories of one kind, of which there are `count`.
fn entries<T: DeserializeOwned>(kind: &str, count: usize) -> Vec<T> {
    let entries: Vec<Value> = recorded("entries");
    let entries = entries.into_iter().filter(|entry| entry["kind"] == kind);
    let entries: Vec<T> = entries.map(|entry| serde_json::from_value(entry).unwrap()).collect();
    assert_eq!(entries.len(), count, "{kind}");
    entries
}

#[track_caller]
fn assert_near(ours: f64, expected: f64, tolerance: f64, what: &str) {
    assert!((ours - expected).abs() <= tolerance, "{what}: {ours} is not {expected}");
}
