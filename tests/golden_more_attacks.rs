//! Attacks against what other libraries send, each through its `like` entry.
//!
//! ByzFL 0.0.11 and nine more code bases; which rows are the honest ones' and which the identities'
//! own differs between them, and is said with each.
#![allow(clippy::disallowed_methods, reason = "tests read their vectors from files")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;

use byzlab::aggregators::{self, Aggregator, Context};
use byzlab::attacks::{Attack, Defence, Heard, View};
use byzlab::catalog::Choice;
use byzlab::like;
use byzlab::memory::Memory;
use byzlab::node::{NodeId, Round};
use byzlab::seed::{Purpose, run_stream};
use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use rand::TryRng;
use serde_json::Value;

/// How far a coordinate may be off, as a share of the largest.
const TOLERANCE: f64 = 2e-5;

/// One recorded call.
struct Call(Value);

impl Call {
    fn number(&self, name: &str) -> f64 {
        self.0["params"][name].as_f64().unwrap_or_else(|| panic!("{name} of {}", self.what()))
    }

    fn count(&self, name: &str) -> usize {
        self.number(name) as usize
    }

    fn what(&self) -> String {
        format!("{}.{} {} {}", self.0["library"], self.0["rule"], self.0["params"], self.0["input"])
    }

    /// The named parameters as TOML.
    fn toml(&self, names: &[&str]) -> String {
        let line = |name: &&str| format!("{name} = {}\n", self.0["params"][*name]);
        names.iter().map(line).collect()
    }
}

fn read(name: &str) -> Vec<Call> {
    let path = format!("{}/tests/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let calls: Vec<Value> = serde_json::from_str(&text).unwrap();
    calls.into_iter().filter(|call| call["tie_dependent"] != true).map(Call).collect()
}

/// All recorded inputs.
struct Inputs(BTreeMap<String, Vec<Vec<f64>>>);

impl Inputs {
    fn new() -> Self {
        let text = include_str!("golden/inputs.json");
        Inputs(serde_json::from_str(text).unwrap())
    }

    fn named(&self, name: &Value) -> Array2<f32> {
        let rows = &self.0[name.as_str().unwrap()];
        Array2::from_shape_fn((rows.len(), rows[0].len()), |(row, at)| rows[row][at] as f32)
    }

    fn of(&self, call: &Call) -> Array2<f32> {
        self.named(&call.0["input"])
    }
}

/// The coordinates of a recorded vector.
fn numbers(value: &Value) -> Vec<f64> {
    let number = |value: &Value| match value.as_str() {
        Some("Infinity" | "inf") => f64::INFINITY,
        Some("-Infinity") => f64::NEG_INFINITY,
        Some(_) => f64::NAN,
        None => value.as_f64().unwrap(),
    };
    value.as_array().unwrap().iter().map(number).collect()
}

fn agree(ours: &[f32], theirs: &[f64], what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    if theirs.iter().any(|value| value.is_nan()) {
        // The library divides by a mean of 0; ours stays total.
        assert!(ours.iter().all(|value| value.is_finite()), "{what}: {ours:?}");
        return;
    }
    let largest = theirs.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    for (column, (&ours, &theirs)) in ours.iter().zip(theirs).enumerate() {
        let off = (f64::from(ours) - theirs).abs();
        let close = off <= TOLERANCE * largest || f64::from(ours) == theirs;
        assert!(close, "{what}, column {column}: {ours} for {theirs}");
    }
}

/// What an adversary has before it.
struct Scene<'a> {
    own: Array2<f32>,
    honest: Option<Array2<f32>>,
    participants: usize,
    corrupted: usize,
    defence: Option<&'a Defence<'a>>,
    global: Option<Array1<f32>>,
    memory: Memory,
}

impl Scene<'_> {
    /// One that reads these honest updates.
    fn reading(honest: &Array2<f32>, corrupted: usize) -> Self {
        Scene {
            own: Array2::zeros((0, honest.ncols())),
            participants: honest.nrows() + corrupted,
            honest: Some(honest.clone()),
            corrupted,
            defence: None,
            global: None,
            memory: Memory::default(),
        }
    }

    /// One whose own updates are the first rows, and that reads the others.
    fn among(rows: &Array2<f32>, corrupted: usize) -> Self {
        let own = rows.slice(s![..corrupted, ..]).to_owned();
        let honest = rows.slice(s![corrupted.., ..]).to_owned();
        Scene { own, ..Scene::reading(&honest, corrupted) }
    }

    /// One that knows its own updates alone.
    fn alone(own: Array2<f32>, participants: usize) -> Self {
        let corrupted = own.nrows();
        Scene { honest: None, participants, ..Scene::among(&own, corrupted) }
    }

    /// What so many identities send.
    fn send(
        &mut self,
        attack: &dyn Attack,
        identities: usize,
        rng: &mut dyn rand::Rng,
    ) -> Array2<f32> {
        let identities: Vec<NodeId> = (0..identities as u32).map(NodeId).collect();
        let global = self.global.clone().unwrap_or_else(|| Array1::zeros(self.own.ncols()));
        let honest = self.honest.as_ref().map(|rows| Heard::from(rows.view()));
        let view = View {
            round: Round(1),
            global: global.view(),
            identities: &identities,
            own: self.own.view(),
            honest: honest.as_ref(),
            senders: &[],
            participants: self.participants,
            corrupted: self.corrupted,
            defence: self.defence,
            victim: None,
        };
        let crafted = attack.craft(&view, &mut self.memory, rng).unwrap();
        crafted.per_node().expect("nobody is silent")
    }

    /// What the first identity sends.
    fn first(&mut self, attack: &dyn Attack) -> Vec<f32> {
        self.send(attack, 1, &mut run_stream(1, Purpose::Attack)).row(0).to_vec()
    }
}

fn attack(name: &str, toml: &str) -> std::sync::Arc<dyn Attack> {
    like::attack(&Choice::with(name, toml).unwrap()).unwrap().value
}

/// Replays a file whose rows are the honest updates.
fn replay(file: &str, name: &str, parameters: &[&str], corrupted: &str) {
    let inputs = Inputs::new();
    let calls = read(file);
    assert!(!calls.is_empty(), "{file}");
    for call in calls {
        let liars = if corrupted.is_empty() { 1 } else { call.count(corrupted) };
        let attack = attack(name, &call.toml(parameters));
        let ours = Scene::reading(&inputs.of(&call), liars).first(&*attack);
        agree(&ours, &numbers(&call.0["output"]), &call.what());
    }
}

#[test]
fn one_vector_from_the_honest_updates() {
    replay("byzfl.Inf", "byzfl.Inf", &[], "");
    replay("byzfl.Mimic", "byzfl.Mimic", &["epsilon"], "");
    replay("more/epfml.IPM", "epfml.IPM", &["epsilon"], "");
    replay("more/epfml.ALIE", "epfml.ALIE", &[], "n_byzantine");
    replay("more/blades.ALIE", "blades.ALIE", &[], "n_byzantine");
    replay("more/crypto-ku.ALIE", "crypto-ku.ALIE", &[], "f");
    replay("more/ndss21.LIE", "ndss21.LIE", &["z"], "");
    // Here the rows hold the identities' own as well.
    replay("more/signguard-authors.LIE", "signguard-authors.LIE", &[], "");
}

#[test]
fn pushed_as_far_as_a_distance_allows() {
    let searched = ["dev", "gamma_init", "tol"];
    replay("more/ndss21.MinMax", "ndss21.MinMax", &searched, "");
    replay("more/ndss21.MinSum", "ndss21.MinSum", &searched, "");
    replay("more/crypto-ku.MinMax", "crypto-ku.MinMax", &searched, "");
    replay("more/crypto-ku.MinSum", "crypto-ku.MinSum", &searched, "");
    replay("more/blades.MinMax", "blades.MinMax", &[], "");
    replay("more/signguard-authors.MinMax", "signguard-authors.MinMax", &[], "");
    replay("more/signguard-authors.MinSum", "signguard-authors.MinSum", &[], "");
}

#[test]
fn fang_against_the_trimmed_mean() {
    replay("more/crypto-ku.FangTrimmedMean", "crypto-ku.FangTrimmedMean", &[], "f");
    replay("more/crypto-ku.FangTrimmedMeanPartial", "crypto-ku.FangTrimmedMeanPartial", &[], "f");
    let inputs = Inputs::new();
    for call in read("more/fldetector.TrimFull") {
        let attack = attack("fldetector.TrimFull", "");
        let ours = Scene::among(&inputs.of(&call), call.count("f")).first(&*attack);
        agree(&ours, &numbers(&call.0["output"]), &call.what());
    }
    for call in read("more/fldetector.TrimPartial") {
        let attack = attack("fldetector.TrimPartial", "");
        let rows = inputs.of(&call);
        let own = rows.slice(s![..call.count("f"), ..]).to_owned();
        let ours = Scene::alone(own, rows.nrows()).first(&*attack);
        agree(&ours, &numbers(&call.0["output"]), &call.what());
    }
}

/// A stream of uniform numbers that were drawn before.
struct Drawn(VecDeque<f64>);

impl TryRng for Drawn {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("only doubles are drawn")
    }

    /// The inverse of how a double is made of 53 bits.
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let uniform = self.0.pop_front().expect("as many draws as were recorded");
        Ok(((uniform * (1u64 << 53) as f64).round() as u64) << 11)
    }

    fn try_fill_bytes(&mut self, _bytes: &mut [u8]) -> Result<(), Infallible> {
        unreachable!("only doubles are drawn")
    }
}

#[test]
fn fang_against_the_trimmed_mean_as_it_was_drawn() {
    let inputs = Inputs::new();
    for call in read("more/blades.AdaptiveTrimmedMean") {
        let rows = inputs.of(&call);
        let mut queues: BTreeMap<&str, VecDeque<f64>> =
            ["neg_pos", "neg_neg", "pos_pos", "pos_neg"]
                .map(|case| (case, numbers(&call.0["draws"][case]).into()))
                .into();
        let draw = |column: ndarray::ArrayView1<'_, f32>| {
            let sum: f64 = column.iter().map(|&value| f64::from(value)).sum();
            let furthest = |less: bool| {
                let values = column.iter().copied();
                if less { values.fold(f32::MAX, f32::min) } else { values.fold(f32::MIN, f32::max) }
            };
            let extreme = furthest(sum > 0.0);
            let case = match (sum > 0.0, extreme > 0.0) {
                (false, true) => "neg_pos",
                (false, false) => "neg_neg",
                (true, true) => "pos_pos",
                (true, false) => "pos_neg",
            };
            // Where there is nothing to draw between, any number will do.
            queues.get_mut(case).unwrap().pop_front().unwrap_or(0.5)
        };
        let mut drawn = Drawn(rows.columns().into_iter().map(draw).collect());
        assert!(queues.values().all(VecDeque::is_empty), "{}", call.what());
        let attack = attack("blades.AdaptiveTrimmedMean", &call.toml(&["b"]));
        let sent = Scene::reading(&rows, 1).send(&*attack, 1, &mut drawn);
        agree(&sent.row(0).to_vec(), &numbers(&call.0["output"]), &call.what());
    }
}

#[test]
fn fang_against_krum() {
    replay("more/ndss21.FangKrum", "ndss21.FangKrum", &["threshold"], "f");
    replay("more/crypto-ku.FangKrum", "crypto-ku.FangKrum", &[], "f");
    let inputs = Inputs::new();
    for call in read("more/crypto-ku.FangKrumPartial") {
        let attack = attack("crypto-ku.FangKrumPartial", "");
        let rows = inputs.of(&call);
        let participants = rows.nrows() + call.count("f");
        let ours = Scene::alone(rows, participants).first(&*attack);
        agree(&ours, &numbers(&call.0["output"]), &call.what());
    }
    for call in read("more/fldetector.KrumPartial") {
        let attack = attack("fldetector.KrumPartial", "");
        let rows = inputs.of(&call);
        let own = rows.slice(s![..call.count("f"), ..]).to_owned();
        let ours = Scene::alone(own, rows.nrows()).first(&*attack);
        agree(&ours, &numbers(&call.0["output"]), &call.what());
    }
}

#[test]
fn fang_against_krum_with_supporters_beside_it() {
    let inputs = Inputs::new();
    for call in read("more/fldetector.KrumFull") {
        let attack = attack("fldetector.KrumFull", "");
        let drawn = call.0["draws"]["uniform_raw_and_norm"].as_array();
        let drawn: VecDeque<f64> = drawn.into_iter().flatten().flat_map(numbers).collect();
        let identities = if drawn.is_empty() { 1 } else { 2 };
        let mut scene = Scene::among(&inputs.of(&call), call.count("f"));
        let sent = scene.send(&*attack, identities, &mut Drawn(drawn));
        let output = &call.0["output"];
        agree(&sent.row(0).to_vec(), &numbers(&output["first"]), &call.what());
        if identities == 2 {
            agree(&sent.row(1).to_vec(), &numbers(&output["second"]), &call.what());
        }
    }
}

/// A direction that was drawn before the first round.
fn directed(call: &Call, name: &str) -> Memory {
    let start = numbers(&call.0["draws"][name]);
    let mut memory = Memory::default();
    memory.set("mimic.direction", start.into_iter().map(|value| value as f32).collect());
    memory
}

#[test]
fn mimicry_over_rounds() {
    let inputs = Inputs::new();
    for (file, name, parameters) in [
        ("more/epfml.Mimic", "epfml.Mimic", &["warmup", "argmax"][..]),
        ("more/crypto-ku.MimicVariant", "crypto-ku.MimicVariant", &["warmup"]),
        ("more/crypto-ku.OnlineMimic", "crypto-ku.OnlineMimic", &[]),
    ] {
        for call in read(file) {
            let attack = attack(name, &call.toml(parameters));
            let rounds = call.0["input"].as_array().unwrap();
            let mut scene = Scene::reading(&inputs.named(&rounds[0]), 1);
            scene.memory = directed(&call, "z_start");
            for (round, output) in rounds.iter().zip(call.0["output"].as_array().unwrap()) {
                scene.honest = Some(inputs.named(round));
                agree(&scene.first(&*attack), &numbers(output), &call.what());
            }
        }
    }
    for call in read("more/epfl-rcl.MimicHeuristic") {
        let mut scene = Scene::reading(&inputs.of(&call), 1);
        scene.memory = directed(&call, "z");
        let ours = scene.first(&*attack("epfl-rcl.MimicHeuristic", ""));
        agree(&ours, &numbers(&call.0["output"]), &call.what());
    }
}

#[test]
fn the_identities_own_updates() {
    let inputs = Inputs::new();
    for name in ["fldetector.Scaling", "fldetector.SignFlip", "fldetector.FullMean"] {
        for call in read(&format!("more/{name}")) {
            let attack = attack(name, "");
            let sent = Scene::among(&inputs.of(&call), call.count("f")).send(
                &*attack,
                call.count("f"),
                &mut run_stream(1, Purpose::Attack),
            );
            agree(&sent.row(0).to_vec(), &numbers(&call.0["output"]), &call.what());
        }
    }
}

#[test]
fn coordinates_that_are_left_alone() {
    let inputs = Inputs::new();
    for call in read("more/fl-analysis.Neurotoxin") {
        let rows = inputs.of(&call);
        let (old, last, new) = (rows.row(0), rows.row(1), rows.row(2));
        let own = (&new - &old).insert_axis(Axis(0));
        let attack = attack("fl-analysis.Neurotoxin", &call.toml(&["topk_percent"]));
        let mut scene = Scene::alone(own, rows.nrows());
        scene.global = Some(last.to_owned());
        scene.first(&*attack);
        scene.global = Some(old.to_owned());
        let sent = scene.first(&*attack);
        let ours: Vec<f32> = sent.iter().zip(old).map(|(sent, old)| old + sent).collect();
        agree(&ours, &numbers(&call.0["output"]), &call.what());
    }
    for call in read("more/neurotoxin-authors.NeurotoxinMask") {
        let attack = attack("neurotoxin-authors.Neurotoxin", &call.toml(&["gradmask_ratio"]));
        let rows = inputs.of(&call);
        let columns = rows.ncols();
        let layers: Vec<f32> = rows.slice(s![..2, ..]).iter().copied().collect();
        // A layer by itself, or both as one.
        let size = if call.count("aggregate_all_layer") == 0 { columns } else { 2 * columns };
        let masks = layers.chunks(size).flat_map(|piece| {
            let clean = Array2::from_shape_vec((1, size), piece.to_vec()).unwrap();
            let mut scene = Scene::reading(&clean, 1);
            scene.own = Array2::ones(clean.dim());
            scene.first(&*attack)
        });
        let masks: Vec<f32> = masks.collect();
        let theirs: Vec<f64> =
            call.0["output"].as_array().unwrap().iter().flat_map(numbers).collect();
        agree(&masks, &theirs, &call.what());
    }
}

/// The rule as a function of all rows.
fn lent(rule: &dyn Aggregator, byzantine: usize, rows: ArrayView2<'_, f32>) -> Array1<f32> {
    let senders: Vec<NodeId> = (0..rows.nrows() as u32).map(NodeId).collect();
    let mut context = Context {
        round: Round(1),
        rounds_total: 1,
        byzantine,
        senders: &senders,
        samples: None,
        previous: None,
        trusted: None,
        head: None,
        memory: &mut Memory::default(),
        rng: &mut run_stream(1, Purpose::Aggregation),
    };
    rule.aggregate(rows, &mut context).unwrap().vector
}

#[test]
fn byzfl_searches_with_the_rule() {
    let inputs = Inputs::new();
    for name in ["byzfl.Optimal_ALittleIsEnough", "byzfl.Optimal_InnerProductManipulation"] {
        let calls = read(name);
        assert_eq!(calls.len(), 48, "{name}");
        for call in calls {
            let f = call.toml(&["f"]);
            let parts = [&call.0["params"]["pre"], &call.0["params"]["agg"]];
            let parts = parts.into_iter().map(|part| part.as_str().unwrap());
            let chain: Vec<Choice> = parts
                .filter(|part| *part != "none")
                .map(|part| Choice::with(&format!("byzfl.{part}"), &f).unwrap())
                .collect();
            let chain = like::chain(&chain, None).unwrap().chain().unwrap();
            let tries = Cell::new(0);
            let defence = |rows: ArrayView2<'_, f32>| {
                tries.set(tries.get() + 1);
                Ok(lent(&chain, 0, rows))
            };
            let mut scene = Scene::reading(&inputs.of(&call), call.count("f"));
            scene.defence = Some(&defence);
            let ours = scene.first(&*attack(name, &f));
            assert_eq!(tries.get(), 20, "{}", call.what());
            agree(&ours, &numbers(&call.0["output"]), &call.what());
        }
    }
}

#[test]
fn byzmom_goes_a_fixed_way_or_searches_with_the_rule() {
    let inputs = Inputs::new();
    for rule in ["Empire", "Little"] {
        for call in read(&format!("more/epfl-byzmom.{rule}")) {
            let f = call.count("f");
            let rows = inputs.of(&call);
            if call.number("factor") > 0.0 {
                let attack =
                    attack(&format!("epfl-byzmom.{rule}"), &call.toml(&["factor", "negative"]));
                let ours = Scene::reading(&rows, f).first(&*attack);
                agree(&ours, &numbers(&call.0["output"]), &call.what());
                continue;
            }
            let name = format!("epfl-byzmom.Optimal{rule}");
            let attack = attack(&name, &call.toml(&["factor", "negative"]));
            let choice = match call.0["params"]["defense"].as_str().unwrap() {
                "krum" => {
                    let keep = rows.nrows() - 2;
                    let convention = "neighbours = \"inclusive\"\ndistance = \"plain\"\n\
                                      tolerance = \"none\"";
                    Choice::with("multi_krum", &format!("keep = {keep}\n{convention}"))
                }
                _ => Choice::with("trimmed_mean", ""),
            };
            let defending = aggregators::CATALOG.build(&choice.unwrap()).unwrap().value;
            let defence = |rows: ArrayView2<'_, f32>| Ok(lent(&*defending, f, rows));
            let mut scene = Scene::reading(&rows, f);
            scene.defence = Some(&defence);
            agree(&scene.first(&*attack), &numbers(&call.0["output"]), &call.what());
        }
    }
}

/// The lower median of every column.
fn lower_median(rows: ArrayView2<'_, f32>) -> Array1<f32> {
    let median = |column: ndarray::ArrayView1<'_, f32>| {
        let mut values = column.to_vec();
        values.sort_unstable_by(f32::total_cmp);
        values[(values.len() - 1) / 2]
    };
    rows.columns().into_iter().map(median).collect()
}

#[test]
fn ndss21_tailors_to_the_rule() {
    let inputs = Inputs::new();
    for name in ["ndss21.AgrMultiKrum", "ndss21.AgrTrimmedMean", "ndss21.AgrMedian"] {
        let calls = read(&format!("more/{name}"));
        assert_eq!(calls.len(), 82, "{name}");
        for call in calls {
            let f = call.count("f");
            let rule = |like: &str| {
                let choice = [Choice::with(like, &format!("f = {f}")).unwrap()];
                like::chain(&choice, None).unwrap().chain().unwrap()
            };
            let defence = |rows: ArrayView2<'_, f32>| {
                Ok(match name {
                    "ndss21.AgrMultiKrum" => lent(&rule("ndss21.MultiKrum"), f, rows),
                    "ndss21.AgrTrimmedMean" => lent(&rule("ndss21.TrimmedMean"), f, rows),
                    _ => lower_median(rows),
                })
            };
            let mut scene = Scene::reading(&inputs.of(&call), f);
            scene.defence = Some(&defence);
            let ours = scene.first(&*attack(name, &call.toml(&["dev", "gamma_init"])));
            agree(&ours, &numbers(&call.0["output"]), &call.what());
        }
    }
}

#[test]
fn relocated_around_the_aggregate_before() {
    let inputs = Inputs::new();
    let calls = read("more/crypto-ku.ROP");
    assert_eq!(calls.len(), 140);
    for call in calls {
        let given = call.toml(&["pi", "lamb", "angle"]) + "learning_rate = 1.0";
        let attack = attack("crypto-ku.ROP", &given);
        let rows = inputs.of(&call);
        let mut scene = Scene::reading(&rows, call.count("f"));
        // Before the second round the model moved by the first row.
        if call.0["params"]["round"].as_str().unwrap().starts_with("second") {
            scene.global = Some(rows.row(0).to_owned());
            scene.first(&*attack);
            scene.global = None;
        }
        agree(&scene.first(&*attack), &numbers(&call.0["output"]), &call.what());
    }
}

#[test]
fn one_group_carries_the_mean_to_the_other() {
    let inputs = Inputs::new();
    let calls = read("more/signguard-authors.ByzMean");
    assert_eq!(calls.len(), 14);
    for call in calls {
        let attack = attack("signguard-authors.ByzMean", "");
        let (f, first) = (call.count("f"), call.count("m1"));
        let mut scene = Scene::among(&inputs.of(&call), f);
        let sent = scene.send(&*attack, f, &mut run_stream(1, Purpose::Attack));
        for (identity, row) in sent.rows().into_iter().enumerate() {
            let group = if identity < first { "first_m1" } else { "rest" };
            agree(&row.to_vec(), &numbers(&call.0["output"][group]), &call.what());
        }
        // Who asks for the first alone is told the same.
        agree(&scene.first(&*attack), &numbers(&call.0["output"]["first_m1"]), &call.what());
    }
}

#[test]
fn one_coordinate_is_far_off() {
    replay(
        "more/epfl-byzmom.BulyanAttack",
        "epfl-byzmom.BulyanAttack",
        &["factor", "negative"],
        "f",
    );
}

#[test]
fn the_shortest_turned_round() {
    replay("more/epfl-byzmom.AntiCGE", "epfl-byzmom.AntiCGE", &["f_decl"], "f_real");
    replay("more/epfl-rcl.AntiCGE", "epfl-rcl.AntiCGE", &["f_decl"], "f_real");
}

#[test]
fn at_boundaries_that_the_honest_draw() {
    for rule in ["LmpKrum", "LmpEdgeCase", "LmpMinMax", "LmpTrimmedMean", "LmpLocalTrimmedMean"] {
        let name = format!("crypto-ku.{rule}");
        replay(&format!("more/{name}"), &name, &[], "f");
    }
}
