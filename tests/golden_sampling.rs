//! Peer samplers and capture probabilities against recorded values.
//!
//! `golden/peer/sampling.json` holds what the authors' own view and sampler code did when its hash
//! was replaced by a table of ranks, and exact hypergeometric tails.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;

use byzlab::analyses::capture::Capture;
use byzlab::node::NodeId;
use byzlab::sampling::basalt::{Basalt, Node};
use byzlab::sampling::brahms::{Brahms, Parts, Variant};
use byzlab::sampling::min_wise::MinWise;
use byzlab::sampling::ranking::{Ranking, Row};
use byzlab::sampling::{Joining, Sampler, Say, Word};
use byzlab::seed::{Purpose, run_stream};
use rand::Rng;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// How far a probability may be off, absolutely and as a share of itself.
const TOLERANCE: f64 = 1e-12;

/// All entries of a kind.
fn entries<T: DeserializeOwned>(kind: &str) -> Vec<T> {
    let recorded: Value = serde_json::from_str(include_str!("golden/peer/sampling.json")).unwrap();
    let entries = recorded["entries"].as_array().unwrap().iter();
    let of_kind = entries.filter(|entry| entry["kind"] == kind).cloned();
    of_kind.map(|entry| serde_json::from_value(entry).unwrap()).collect()
}

/// Orders that are written down, in the order of their lines.
#[derive(Debug)]
struct Table {
    rows: Vec<Vec<u64>>,
    used: usize,
}

impl Ranking for Table {
    fn next(&mut self, _rng: &mut dyn Rng) -> Row {
        self.used += 1;
        Row::listed(self.used as u64 - 1, self.rows[self.used - 1].clone())
    }
}

#[derive(Deserialize)]
struct BasaltTrace {
    slots: usize,
    me: NodeId,
    replace_every: u32,
    replace_count: u32,
    rank_rows: Vec<Vec<u64>>,
    events: Vec<BasaltEvent>,
}

#[derive(Deserialize)]
struct BasaltEvent {
    op: String,
    #[serde(default)]
    ids: Vec<NodeId>,
    sender: Option<NodeId>,
    t: Option<u32>,
    #[serde(default)]
    replaced: Vec<usize>,
    #[serde(default)]
    emitted: Vec<NodeId>,
    pull_from: Option<NodeId>,
    push_to: Option<NodeId>,
    view: Vec<(u64, NodeId, u64)>,
}

fn view(node: &Node) -> Vec<(u64, NodeId, u64)> {
    let slots = node.slots().as_slice().iter();
    slots.map(|slot| (slot.key(), slot.peer(), slot.hits())).collect()
}

#[test]
fn basalt_does_what_the_authors_code_does() {
    let traces = entries::<BasaltTrace>("basalt_trace");
    assert_eq!(traces.len(), 5);
    for trace in traces {
        let mut events = trace.events.into_iter();
        let bootstrap = events.next().unwrap();
        assert_eq!(bootstrap.op, "bootstrap");
        let mut rng = run_stream(1, Purpose::Sampling);
        let protocol =
            Basalt { replace_every: trace.replace_every, replace_count: trace.replace_count };
        let joining = Joining {
            me: trace.me,
            view: trace.slots,
            bootstrap: &bootstrap.ids,
            ranking: Box::new(Table { rows: trace.rank_rows, used: 0 }),
        };
        let mut node = Node::join(&protocol, joining, &mut rng);
        assert_eq!(view(&node), bootstrap.view);
        for event in events {
            match event.op.as_str() {
                "push" => {
                    let push = Word::Push(event.ids);
                    assert!(node.hear(event.sender.unwrap(), &push, &mut rng).is_empty());
                }
                "step" => {
                    let before = view(&node);
                    let known = before.iter().map(|slot| slot.1).collect();
                    let says = node.step(event.t.unwrap(), &mut rng);
                    let pull = Say { to: event.pull_from.unwrap(), word: Word::Pull };
                    let push = Say { to: event.push_to.unwrap(), word: Word::Push(known) };
                    assert_eq!(says, [pull, push]);
                    assert_eq!(node.samples(), event.emitted);
                    let after = view(&node);
                    let new = (0..trace.slots).filter(|slot| before[*slot].0 != after[*slot].0);
                    let mut replaced = event.replaced;
                    replaced.sort_unstable();
                    assert_eq!(new.collect::<Vec<usize>>(), replaced);
                }
                other => panic!("unknown event {other}"),
            }
            assert_eq!(view(&node), event.view);
        }
    }
}

#[derive(Deserialize)]
struct SamplerTrace {
    samplers: usize,
    rank_rows: Vec<Vec<u64>>,
    events: Vec<SamplerEvent>,
}

#[derive(Deserialize)]
struct SamplerEvent {
    op: String,
    #[serde(default)]
    ids: Vec<NodeId>,
    #[serde(default, rename = "samplers")]
    emptied: Vec<usize>,
    samples: Vec<Option<NodeId>>,
}

#[test]
fn brahms_samplers_do_what_the_baseline_does() {
    let traces = entries::<SamplerTrace>("brahms_sampler_trace");
    assert_eq!(traces.len(), 5);
    for trace in traces {
        let rows = trace.rank_rows.into_iter().zip(0..).take(trace.samplers);
        let mut cells: Vec<MinWise> =
            rows.map(|(ranks, key)| MinWise::new(Row::listed(key, ranks))).collect();
        assert_eq!(cells.len(), trace.samplers);
        for event in trace.events {
            match event.op.as_str() {
                "offer" => cells.iter_mut().for_each(|cell| cell.offer(&event.ids)),
                "invalidate" => event.emptied.iter().for_each(|cell| cells[*cell].invalidate()),
                other => panic!("unknown event {other}"),
            }
            let samples: Vec<Option<NodeId>> = cells.iter().map(MinWise::sample).collect();
            assert_eq!(samples, event.samples);
        }
    }
}

#[derive(Deserialize)]
struct Rows<T> {
    columns: Vec<String>,
    rows: Vec<T>,
}

#[test]
fn each_variant_of_brahms_renews_its_view_when_its_program_does() {
    let gate = entries::<Rows<(usize, usize, usize, bool, bool, bool)>>("brahms_gate").remove(0);
    assert_eq!(gate.columns[3..], ["paper", "never_empty_check", "no_flood_check"]);
    assert_eq!(gate.rows.len(), 60);
    for (limit, pushes, pulls, paper, advdv, baseline) in gate.rows {
        let renews = |variant: Variant| variant.renews(limit, pushes, pulls);
        let ours = [Variant::Paper, Variant::Advdv, Variant::BasaltBaseline].map(renews);
        assert_eq!(ours, [paper, advdv, baseline], "{limit} {pushes} {pulls}");
    }
}

#[test]
fn the_parts_of_a_view_are_rounded_down() {
    type Shares = (usize, f64, f64, f64, usize, usize, usize);
    let shares = entries::<Rows<Shares>>("brahms_shares").remove(0);
    assert_eq!(shares.rows.len(), 5);
    for (size, alpha, beta, gamma, pushes, pulls, history) in shares.rows {
        let parts = Brahms { alpha, beta, gamma, ..Brahms::default() }.parts(size);
        assert_eq!(parts, Parts { pushes, pulls, history });
    }
}

#[derive(Deserialize)]
struct Tails {
    population: u64,
    byzantine: u64,
    columns: Vec<String>,
    rows: Vec<(u64, f64, f64, f64, f64, f64, f64)>,
    #[serde(default)]
    exact_strict_majority: BTreeMap<u64, String>,
}

/// Recorded with 13 digits, so the last of them may be off by half besides our own error.
#[track_caller]
fn assert_close(ours: f64, recorded: f64, digits: f64, what: &str) {
    let error = (ours - recorded).abs();
    assert!(error <= TOLERANCE.max(digits * recorded), "{what}: {ours} in place of {recorded}");
}

#[test]
fn capture_probabilities_are_exact() {
    let mut compared = 0;
    for kind in ["committee", "neighbourhood"] {
        for Tails { population, byzantine, columns, rows, exact_strict_majority } in entries(kind) {
            assert_eq!(columns[1..4], ["more_than_third", "strict_majority", "half_or_more"]);
            for (size, third, majority, half, all, third_once, majority_once) in rows {
                let what = format!("{kind} {population} {byzantine} {size}");
                let ours = Capture::of(population, byzantine, size, 1000).unwrap();
                assert_close(ours.more_than_third.once, third, 0.0, &what);
                assert_close(ours.majority.once, majority, 0.0, &what);
                assert_close(ours.half_or_more.once, half, 0.0, &what);
                assert_close(ours.all.once, all, 0.0, &what);
                // Recorded with 10 digits.
                assert_close(ours.more_than_third.ever, third_once, 5e-10, &what);
                assert_close(ours.majority.ever, majority_once, 5e-10, &what);
                compared += 1;
            }
            for (size, fraction) in exact_strict_majority {
                let ours = Capture::of(population, byzantine, size, 1).unwrap().majority.once;
                let (above, below) = fraction.split_once('/').unwrap_or((&fraction, "1"));
                let number = |text: &str| text.parse::<u128>().unwrap() as f64;
                let exact = number(above) / number(below);
                let error = (ours - exact).abs();
                assert!(error <= TOLERANCE * exact, "{kind} {byzantine} {size}: {fraction}");
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 16 * 28 + 8 * 6);
}
