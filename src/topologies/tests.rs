//! What holds for every topology, and what the tests of the members share.

use std::collections::BTreeSet;

use super::*;
use crate::catalog::Choice;
use crate::graph::spectrum::Spectrum;
use crate::seed::{Purpose, run_stream};

/// What a member draws with seed 1, or the refusal of its parameters or its size.
fn draw(name: &str, parameters: &str, nodes: usize, seed: u64) -> Result<Graph, ConfigError> {
    let topology = CATALOG.build(&Choice::with(name, parameters).unwrap())?;
    topology.value.graph(nodes, &mut run_stream(seed, Purpose::Topology))
}

/// The graph of a member.
pub(super) fn graph(name: &str, parameters: &str, nodes: usize) -> Graph {
    draw(name, parameters, nodes, 1).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The edges of a member's graph.
pub(super) fn edges(name: &str, parameters: &str, nodes: usize) -> Vec<(u32, u32)> {
    graph(name, parameters, nodes).edges().map(|(from, to)| (from.0, to.0)).collect()
}

/// The spectrum of a member's graph.
pub(super) fn spectrum(name: &str, parameters: &str, nodes: usize) -> Spectrum {
    Spectrum::of(&graph(name, parameters, nodes)).unwrap()
}

/// What a member is refused with.
pub(super) fn refusal(name: &str, parameters: &str, nodes: usize) -> String {
    draw(name, parameters, nodes, 1).unwrap_err().message
}

/// Fails unless the two are within `tolerance`.
pub(super) fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found} is not {expected}");
}

/// Parameters for those members that have no graph without.
fn needed(name: &str) -> &'static str {
    if name == "edges" { "edges = [[0, 1], [1, 2]]" } else { "" }
}

#[test]
fn a_graph_has_the_nodes_that_were_asked_for_or_the_numbers_are_in_the_refusal() {
    for entry in CATALOG.entries {
        let mut drawn = 0;
        for nodes in 0..40 {
            match draw(entry.name, needed(entry.name), nodes, 1) {
                Ok(graph) => {
                    assert_eq!(graph.len(), nodes, "{}", entry.name);
                    drawn += 1;
                }
                Err(error) => {
                    let last = nodes.saturating_sub(1).to_string();
                    let named = |number: &str| error.message.contains(number);
                    assert!(named(&nodes.to_string()) || named(&last), "{}: {error}", entry.name);
                }
            }
        }
        assert!(drawn > 15, "{} draws {drawn} of 40 sizes", entry.name);
    }
}

#[test]
fn all_but_random_pairs_hold_together() {
    for entry in CATALOG.entries.iter().filter(|entry| entry.name != "erdos_renyi") {
        for nodes in [3, 12, 30] {
            if let Ok(graph) = draw(entry.name, needed(entry.name), nodes, 1)
                && entry.name != "edges"
            {
                assert_eq!(connected(&graph), Ok(()), "{} of {nodes} nodes", entry.name);
            }
        }
    }
}

#[test]
fn the_seed_decides_and_nothing_else() {
    let mut random = BTreeSet::new();
    for entry in CATALOG.entries {
        let draw = |seed| draw(entry.name, needed(entry.name), 24, seed).unwrap();
        assert_eq!(draw(1), draw(1), "{}", entry.name);
        if draw(1) != draw(2) {
            random.insert(entry.name);
        }
    }
    let expected = ["barabasi_albert", "erdos_renyi", "k_regular", "small_world", "two_cliques"];
    assert_eq!(random, BTreeSet::from(expected));
}

/// A change of these changes every result on a random graph.
#[test]
fn the_first_draws_are_pinned() {
    let drawn = |name| edges(name, "", 6);
    insta::assert_debug_snapshot!(
        ["barabasi_albert", "erdos_renyi", "k_regular", "small_world", "two_cliques"]
            .map(|name| format!("{name}: {:?}", drawn(name))),
        @""
    );
}

#[test]
fn parts_that_cannot_reach_each_other_are_named() {
    let parts = |nodes, edges: &[(u32, u32)]| {
        connected(&Graph::from_edges(nodes, edges.iter().copied()).unwrap())
    };
    assert_eq!(parts(3, &[(0, 1), (1, 2)]), Ok(()));
    assert_eq!(
        parts(8, &[(0, 1), (1, 2), (2, 3), (3, 4), (5, 7)]).unwrap_err(),
        "the graph falls into 3 parts that cannot reach each other: 0, 1, 2, 3, … (5 nodes); \
         5, 7; 6"
    );
    assert!(parts(9, &[(0, 1)]).unwrap_err().ends_with("0, 1; 2; 3; 4; 4 more"));
}
