//! Spectra, degrees and weights of recorded graphs, and the edges of those that we make ourselves.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]
#![allow(clippy::disallowed_methods, reason = "tests read their vectors from files")]

use std::collections::BTreeMap;

use byzlab::catalog::Choice;
use byzlab::graph::Graph;
use byzlab::graph::mixing::Mixing;
use byzlab::graph::spectrum::Spectrum;
use byzlab::seed::{Purpose, run_stream};
use byzlab::topologies;
use serde::Deserialize;

/// What may differ, of 1 or of the value if that is larger.
const TOLERANCE: f64 = 1e-8;

#[derive(Debug, Deserialize)]
struct File {
    entries: Vec<Recorded>,
}

/// One graph; see the file for what was recorded, by what and checked against what.
#[derive(Debug, Deserialize)]
struct Recorded {
    id: String,
    n: usize,
    edges: Vec<(u32, u32)>,
    degrees: Vec<usize>,
    diameter: u32,
    mh_edges: Vec<String>,
    mh_self: Vec<String>,
    second_eigenvalue_modulus: f64,
    second_eigenvalue_signed: f64,
    smallest_eigenvalue: f64,
    spectral_gap: f64,
    algebraic_connectivity: f64,
    laplacian_largest: f64,
    lambda2_multiplicity: usize,
}

impl Recorded {
    fn graph(&self) -> Graph {
        Graph::from_edges(self.n, self.edges.iter().copied()).unwrap()
    }
}

fn recorded() -> Vec<Recorded> {
    let path = format!("{}/tests/golden/peer/graphs.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let file: File = serde_json::from_str(&text).unwrap();
    assert_eq!(file.entries.len(), 15);
    file.entries
}

fn close(found: f64, expected: f64, what: &str, id: &str) {
    let allowed = TOLERANCE * expected.abs().max(1.0);
    assert!((found - expected).abs() <= allowed, "{id}: {what} is {found}, recorded {expected}");
}

#[test]
fn degrees_and_diameters() {
    for entry in recorded() {
        let graph = entry.graph();
        let degrees: Vec<usize> = graph.nodes().map(|node| graph.degree(node)).collect();
        assert_eq!(degrees, entry.degrees, "{}", entry.id);
        assert_eq!(graph.diameter(), Some(entry.diameter), "{}", entry.id);
        assert_eq!(topologies::connected(&graph), Ok(()), "{}", entry.id);
    }
}

#[test]
fn metropolis_hastings_weights() {
    for entry in recorded() {
        let graph = entry.graph();
        let mixing = Mixing::metropolis(&graph);
        for (node, expected) in graph.nodes().zip(&entry.mh_self) {
            close(mixing.row(node).0, fraction(expected), "own weight", &entry.id);
        }
        for ((from, to), expected) in graph.edges().zip(&entry.mh_edges) {
            for (from, to) in [(from, to), (to, from)] {
                let place = graph.neighbours(from).binary_search(&to).unwrap();
                close(mixing.row(from).1[place], fraction(expected), "weight", &entry.id);
            }
        }
    }
}

/// `5/6`, or a whole number.
fn fraction(text: &str) -> f64 {
    let (above, below) = text.split_once('/').unwrap_or((text, "1"));
    above.parse::<f64>().unwrap() / below.parse::<f64>().unwrap()
}

#[test]
fn spectra() {
    for entry in recorded() {
        let found = Spectrum::of(&entry.graph()).unwrap();
        let values = [
            ("modulus", found.second_eigenvalue_modulus, entry.second_eigenvalue_modulus),
            ("second eigenvalue", found.second_eigenvalue, entry.second_eigenvalue_signed),
            ("smallest eigenvalue", found.smallest_eigenvalue, entry.smallest_eigenvalue),
            ("gap", found.spectral_gap(), entry.spectral_gap),
            ("connectivity", found.algebraic_connectivity, entry.algebraic_connectivity),
            ("largest of the Laplacian", found.laplacian_largest, entry.laplacian_largest),
        ];
        for (what, found, expected) in values {
            close(found, expected, what, &entry.id);
        }
        assert_eq!(found.multiplicity, entry.lambda2_multiplicity, "{}", entry.id);
    }
}

/// The Fiedler vector of `erdos_renyi_10`, whose second eigenvalue is single, as the attack along it
/// was recorded with. The sign is ours.
const FIEDLER: [f64; 10] = [
    0.268_979_553_401,
    -0.148_848_825_835,
    -0.426_950_378_341,
    -0.366_020_348_106,
    0.448_873_435_532,
    -0.219_331_290_239,
    -0.255_842_544_913,
    0.448_873_435_532,
    -0.018_712_590_434,
    0.268_979_553_401,
];

#[test]
fn the_fiedler_vector_of_a_random_graph() {
    let recorded = recorded();
    let entry = recorded.iter().find(|entry| entry.id == "erdos_renyi_10").unwrap();
    let found = Spectrum::of(&entry.graph()).unwrap().fiedler;
    for (found, expected) in found.iter().zip(FIEDLER) {
        close(*found, expected, "entry", &entry.id);
    }
}

/// The recorded graphs that a topology makes, with its parameters. The others are drawn, or are of
/// a kind that we have no topology for.
const MADE: [(&str, &str, &str); 9] = [
    ("ring_6", "ring", ""),
    ("ring_20", "ring", ""),
    ("chain_5", "chain", ""),
    ("star_6", "star", ""),
    ("torus_4x5", "torus", "rows = 4"),
    ("complete_8", "complete", ""),
    ("dumbbell_10_10", "dumbbell", ""),
    ("two_worlds_26_8", "two_worlds", "links = 8"),
    ("binary_tree_15", "tree", ""),
];

#[test]
fn topologies_make_the_recorded_edges() {
    let recorded: BTreeMap<String, Recorded> =
        recorded().into_iter().map(|entry| (entry.id.clone(), entry)).collect();
    for (id, name, parameters) in MADE {
        let choice = Choice::with(name, parameters).unwrap();
        let topology = topologies::CATALOG.build(&choice).unwrap().value;
        let mut rng = run_stream(1, Purpose::Topology);
        let made = topology.graph(recorded[id].n, &mut rng).unwrap();
        assert_eq!(made, recorded[id].graph(), "{id}");
    }
}
