//! What holds for every topology, and what the tests of the members share.

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
fn what_claims_to_hold_together_does() {
    for entry in CATALOG.entries.iter().filter(|entry| entry.claims.connected) {
        for nodes in 1..40 {
            if let Ok(graph) = draw(entry.name, "", nodes, 1) {
                assert_eq!(connected(&graph), Ok(()), "{} of {nodes} nodes", entry.name);
            }
        }
    }
    let apart = |name, parameters| connected(&graph(name, parameters, 60)).is_err();
    assert!(apart("erdos_renyi", "p = 0.01") && apart("small_world", "k = 2\nbeta = 0.9"));
    assert!(apart("edges", needed("edges")));
}

#[test]
fn the_seed_decides_where_a_graph_is_drawn_and_nothing_does_elsewhere() {
    for entry in CATALOG.entries {
        let draw = |seed| draw(entry.name, needed(entry.name), 24, seed).unwrap();
        assert_eq!(draw(1), draw(1), "{}", entry.name);
        assert_eq!(draw(1) != draw(2), entry.claims.drawn, "{}", entry.name);
    }
}

/// A change of these changes every result on a random graph.
#[test]
fn the_first_draws_are_pinned() {
    let mut lines = String::new();
    for entry in CATALOG.entries.iter().filter(|entry| entry.claims.drawn) {
        lines.push_str(entry.name);
        for (from, to) in edges(entry.name, "", 6) {
            lines.push_str(&format!(" {from}-{to}"));
        }
        lines.push('\n');
    }
    insta::assert_snapshot!(lines, @r"
    k_regular 0-1 0-3 0-4 0-5 1-2 1-3 1-5 2-3 2-4 2-5 3-4 4-5
    erdos_renyi 0-1 0-2 0-4 1-3 2-3
    small_world 0-1 0-2 0-4 0-5 1-2 1-3 1-5 2-3 2-4 3-4 3-5 4-5
    barabasi_albert 0-1 0-2 0-3 0-4 0-5 1-3 2-4 4-5
    two_cliques 0-1 0-2 0-3 1-2 3-4 3-5 4-5
    ");
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
