//! Attacks against outputs of ByzFL 0.0.11, each through its `like` entry.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;

use byzlab::attacks::View;
use byzlab::catalog::Choice;
use byzlab::like;
use byzlab::memory::Memory;
use byzlab::node::{NodeId, Round};
use byzlab::seed::{Purpose, run_stream};
use ndarray::{Array1, Array2};
use serde::Deserialize;

/// How far a coordinate may be off, as a share of the largest.
const TOLERANCE: f64 = 2e-5;

/// One recorded call.
#[derive(Deserialize)]
struct Recorded {
    params: BTreeMap<String, f64>,
    input: String,
    output: Vec<f64>,
}

fn inputs() -> BTreeMap<String, Array2<f32>> {
    let rows: BTreeMap<String, Vec<Vec<f64>>> =
        serde_json::from_str(include_str!("golden/inputs.json")).unwrap();
    let matrix = |rows: Vec<Vec<f64>>| {
        Array2::from_shape_fn((rows.len(), rows[0].len()), |(row, column)| rows[row][column] as f32)
    };
    rows.into_iter().map(|(name, rows)| (name, matrix(rows))).collect()
}

/// What one identity sends that reads these honest updates.
fn send(name: &str, parameters: &BTreeMap<String, f64>, honest: &Array2<f32>) -> Array1<f32> {
    let toml: Vec<String> =
        parameters.iter().map(|(key, value)| format!("{key} = {value:?}")).collect();
    let attack = like::attack(&Choice::with(name, &toml.join("\n")).unwrap()).unwrap().value;
    let own = Array2::zeros((0, honest.ncols()));
    let global = Array1::zeros(honest.ncols());
    let view = View {
        round: Round(1),
        global: global.view(),
        identities: &[NodeId(0)],
        own: own.view(),
        honest: Some(&honest.view().into()),
        senders: &[],
        participants: honest.nrows() + 1,
        corrupted: 1,
        defence: None,
        victim: None,
    };
    let mut rng = run_stream(1, Purpose::Attack);
    let crafted = attack.craft(&view, &mut Memory::default(), &mut rng).unwrap();
    crafted.per_node().expect("nobody is silent").row(0).to_owned()
}

fn hold(name: &str, recorded: &str, count: usize) {
    let inputs = inputs();
    let recorded: Vec<Recorded> = serde_json::from_str(recorded).unwrap();
    assert_eq!(recorded.len(), count, "{name}");
    for Recorded { params, input, output } in recorded {
        let sent = send(name, &params, &inputs[&input]);
        assert_eq!(sent.len(), output.len(), "{name} {params:?} {input}");
        let largest = output.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
        for (column, (&ours, &theirs)) in sent.iter().zip(&output).enumerate() {
            let off = (f64::from(ours) - theirs).abs() / largest;
            assert!(
                off <= TOLERANCE,
                "{name} {params:?} on {input}, column {column}: {ours} for {theirs}"
            );
        }
    }
}

#[test]
fn sign_flipping() {
    hold("byzfl.SignFlipping", include_str!("golden/byzfl.SignFlipping.json"), 12);
}

#[test]
fn inner_product_manipulation() {
    hold(
        "byzfl.InnerProductManipulation",
        include_str!("golden/byzfl.InnerProductManipulation.json"),
        24,
    );
}

#[test]
fn a_little_is_enough() {
    hold("byzfl.ALittleIsEnough", include_str!("golden/byzfl.ALittleIsEnough.json"), 36);
}
