//! Attacks on peers against recorded messages: formulas of published programs, or of our own
//! where there is none. `tests/golden/peer/attacks.json` holds the messages, `mixing.json` the
//! models and weights of the same entries.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeMap;

use byzlab::attacks::{AttackError, CATALOG, Defence, Victim, View};
use byzlab::catalog::Choice;
use byzlab::graph::Graph;
use byzlab::memory::Memory;
use byzlab::node::{NodeId, Round};
use byzlab::seed::{Purpose, run_stream};
use ndarray::{Array1, Array2, ArrayView2, Axis};
use serde::Deserialize;

/// How far a coordinate may be off, as a share of the largest.
const TOLERANCE: f64 = 2e-5;

#[derive(Deserialize)]
struct Recorded<C, E> {
    cases: Vec<C>,
    entries: Vec<E>,
}

/// A graph among the honest, as attacks are recorded on it.
#[derive(Clone, Deserialize)]
struct Case {
    graph: String,
    fiedler_vector: Vec<f64>,
    lambda2_multiplicity: usize,
}

/// The messages to every victim for the models of one seed.
#[derive(Deserialize)]
struct Entry {
    graph: String,
    b: usize,
    d: usize,
    seed: u64,
    z_normal: Vec<Option<f64>>,
    out: BTreeMap<String, Vec<Vec<f64>>>,
}

/// A graph with its liars and weights.
#[derive(Deserialize)]
struct MixingCase {
    graph: String,
    b: usize,
    neighbours: Vec<Vec<u32>>,
    weights: Vec<Vec<String>>,
    own_weight: Vec<String>,
}

/// The models of one seed.
#[derive(Deserialize)]
struct MixingEntry {
    graph: String,
    b: usize,
    d: usize,
    seed: u64,
    honest: Vec<Vec<f64>>,
}

/// One recorded situation: honest peers, each with `b` liars of its own.
struct Peers {
    graph: Graph,
    b: usize,
    weights: Vec<Vec<f64>>,
    own_weight: Vec<f64>,
    models: Array2<f32>,
    known: Entry,
    case: Case,
}

fn fraction(text: &str) -> f64 {
    let (above, below) = text.split_once('/').unwrap_or((text, "1"));
    above.parse::<f64>().unwrap() / below.parse::<f64>().unwrap()
}

/// Every recorded situation.
fn situations() -> Vec<Peers> {
    let attacks: Recorded<Case, Entry> =
        serde_json::from_str(include_str!("golden/peer/attacks.json")).unwrap();
    let mixing: Recorded<MixingCase, MixingEntry> =
        serde_json::from_str(include_str!("golden/peer/mixing.json")).unwrap();
    assert_eq!(attacks.entries.len(), 10);
    let situation = |known: Entry| {
        let drawn = mixing.entries.iter().find(|drawn| {
            (&drawn.graph, drawn.b, drawn.d, drawn.seed)
                == (&known.graph, known.b, known.d, known.seed)
        });
        let mixed =
            mixing.cases.iter().find(|case| (&case.graph, case.b) == (&known.graph, known.b));
        let case = attacks.cases.iter().find(|case| case.graph == known.graph).cloned();
        peers(drawn.unwrap(), mixed.unwrap(), known, case.unwrap())
    };
    attacks.entries.into_iter().map(situation).collect()
}

fn peers(drawn: &MixingEntry, mixed: &MixingCase, known: Entry, case: Case) -> Peers {
    let nodes = drawn.honest.len();
    let edges = mixed.neighbours.iter().enumerate().flat_map(|(from, to)| {
        let honest = to.iter().filter(|&&to| (to as usize) < nodes);
        honest.map(move |&to| (from as u32, to))
    });
    Peers {
        graph: Graph::from_edges(nodes, edges).unwrap(),
        b: mixed.b,
        weights: mixed
            .weights
            .iter()
            .map(|row| row.iter().map(|weight| fraction(weight)).collect())
            .collect(),
        own_weight: mixed.own_weight.iter().map(|weight| fraction(weight)).collect(),
        models: Array2::from_shape_fn((nodes, drawn.d), |(row, column)| {
            drawn.honest[row][column] as f32
        }),
        known,
        case,
    }
}

impl Peers {
    fn nodes(&self) -> std::ops::Range<usize> {
        0..self.models.nrows()
    }

    fn rows(&self, nodes: &[NodeId]) -> Array2<f32> {
        self.models.select(Axis(0), &nodes.iter().map(|node| node.index()).collect::<Vec<_>>())
    }

    /// What the liars of a node send to it, all the same.
    fn send(&self, node: usize, asked: &Asked<'_>) -> Result<Array1<f32>, AttackError> {
        let attack = CATALOG.build(&Choice::with(asked.name, &asked.parameters).unwrap()).unwrap();
        let id = NodeId(node as u32);
        let neighbours = self.graph.neighbours(id);
        let (honest, liars) = self.weights[node].split_at(neighbours.len());
        assert_eq!(liars.len(), self.b);
        let mut near: Vec<NodeId> = neighbours.iter().copied().chain([id]).collect();
        near.sort();
        let everyone: Vec<NodeId> = self.graph.nodes().collect();
        let first = self.nodes().len() + node * self.b;
        let identities: Vec<NodeId> =
            (first..first + self.b).map(|identity| NodeId(identity as u32)).collect();
        let global = Array1::zeros(self.models.ncols());
        let (models, known) = (self.rows(neighbours), self.rows(&near));
        let view = View {
            round: asked.round,
            global: global.view(),
            identities: &identities,
            own: ArrayView2::from_shape((0, self.models.ncols()), &[]).unwrap(),
            honest: Some(
                &if asked.reads_everyone { self.models.view() } else { known.view() }.into(),
            ),
            senders: if asked.reads_everyone { &everyone } else { &near },
            participants: near.len() + self.b,
            corrupted: self.b,
            defence: asked.defence,
            victim: Some(Victim {
                node: id,
                model: self.models.row(node),
                own_weight: self.own_weight[node],
                neighbours,
                models: models.view(),
                weights: honest,
                liars: self.b,
                liar_weight: liars.iter().sum(),
                honest: &everyone,
                everyone: self.models.view(),
                graph: &self.graph,
                rounds: 10,
            }),
        };
        let mut rng = run_stream(1, Purpose::Attack);
        let crafted = attack.value.craft(&view, &mut Memory::default(), &mut rng)?;
        let rows = crafted.per_node().expect("nobody is silent");
        assert_eq!(rows.nrows(), self.b);
        rows.rows().into_iter().for_each(|row| assert_eq!(row, rows.row(0)));
        Ok(rows.row(0).to_owned())
    }

    /// The weighted mean that a node moves to, in 64 bits.
    fn gossip(&self, node: usize, lie: &Array1<f32>) -> Vec<f64> {
        let neighbours = self.graph.neighbours(NodeId(node as u32));
        let (honest, liars) = self.weights[node].split_at(neighbours.len());
        let coordinate = |column: usize| {
            let at = |row: usize| f64::from(self.models[[row, column]]);
            let heard = neighbours.iter().zip(honest).map(|(id, weight)| weight * at(id.index()));
            self.own_weight[node] * at(node)
                + heard.sum::<f64>()
                + liars.iter().sum::<f64>() * f64::from(lie[column])
        };
        (0..self.models.ncols()).map(coordinate).collect()
    }

    fn describe(&self, node: usize) -> String {
        let Entry { graph, d, seed, .. } = &self.known;
        format!("{graph}, d = {d}, seed {seed}, node {node}")
    }
}

/// An attack as it is asked for.
struct Asked<'a> {
    name: &'a str,
    parameters: String,
    round: Round,
    /// Whether it reads all honest models in place of the victim's neighbourhood.
    reads_everyone: bool,
    defence: Option<&'a Defence<'a>>,
}

fn ask<'a>(name: &'a str, parameters: &str) -> Asked<'a> {
    Asked {
        name,
        parameters: parameters.to_owned(),
        round: Round(0),
        reads_everyone: false,
        defence: None,
    }
}

/// Holds values against recorded ones; `largest` is what the tolerance is a share of.
fn hold(ours: &[f64], theirs: &[f64], largest: f64, what: &str) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    for (column, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        let off = (ours - theirs).abs();
        assert!(off <= TOLERANCE * largest, "{what}, column {column}: {ours} for {theirs}");
    }
}

fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |largest, value| value.abs().max(largest))
}

fn wide(values: &Array1<f32>) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

/// Holds an attack to the recorded messages of this name, everywhere.
fn hold_messages(recorded: &str, asked: &Asked<'_>) {
    for peers in situations() {
        for node in peers.nodes() {
            let theirs = &peers.known.out[recorded][node];
            let ours = wide(&peers.send(node, asked).unwrap());
            let what = format!("{recorded}, {}", peers.describe(node));
            hold(&ours, theirs, largest(theirs), &what);
        }
    }
}

#[test]
fn dissensus() {
    for epsilon in ["1.0", "1.5"] {
        let parameters = |weights| format!("epsilon = {epsilon}\nweights = '{weights}'");
        hold_messages(
            &format!("dissensus_mh_{epsilon}"),
            &ask("dissensus", &parameters("metropolis")),
        );
        hold_messages(
            &format!("dissensus_uniform_{epsilon}"),
            &ask("dissensus", &parameters("uniform")),
        );
    }
}

/// The recorded directions are what the messages differ by from the victim's model.
#[test]
fn directions_of_dissensus() {
    for peers in situations() {
        for node in peers.nodes() {
            let own = wide(&peers.models.row(node).to_owned());
            let honest = peers.graph.degree(NodeId(node as u32));
            let liars: f64 = peers.weights[node][honest..].iter().sum();
            let pairs = [
                ("dir_dissensus_unit_laplacian", "uniform", peers.b as f64),
                ("dir_dissensus_mh_laplacian", "metropolis", liars),
            ];
            for (recorded, weights, factor) in pairs {
                let parameters = format!("epsilon = {factor:?}\nweights = '{weights}'");
                let sent = wide(&peers.send(node, &ask("dissensus", &parameters)).unwrap());
                let direction: Vec<f64> =
                    sent.iter().zip(&own).map(|(sent, own)| sent - own).collect();
                let theirs = &peers.known.out[recorded][node];
                let what = format!("{recorded}, {}", peers.describe(node));
                // The messages are rounded, and their size is that of the models.
                hold(&direction, theirs, largest(&sent).max(largest(theirs)), &what);
            }
        }
    }
}

/// What the spectral attack adds to each node's model, one row each.
fn spectral_pushes(peers: &Peers) -> Array2<f64> {
    let rows = peers.nodes().flat_map(|node| {
        let sent = wide(&peers.send(node, &ask("spectral", "scale = 1.0")).unwrap());
        let own = wide(&peers.models.row(node).to_owned());
        sent.into_iter().zip(own).map(|(sent, own)| sent - own).collect::<Vec<_>>()
    });
    Array2::from_shape_vec(peers.models.dim(), rows.collect()).unwrap()
}

#[test]
fn spectral_where_the_vector_is_unique() {
    let mut held = 0;
    for peers in situations().into_iter().filter(|peers| peers.case.lambda2_multiplicity == 1) {
        let pushes = spectral_pushes(&peers);
        for node in peers.nodes() {
            let what = peers.describe(node);
            let theirs = &peers.known.out["spectral_scale1"][node];
            let sent = wide(&peers.send(node, &ask("spectral", "")).unwrap());
            hold(&sent, theirs, largest(theirs), &what);
            let direction = &peers.known.out["dir_spectral"][node];
            hold(&pushes.row(node).to_vec(), direction, largest(theirs), &what);
            held += 1;
        }
    }
    assert_eq!(held, 4 * 10);
}

/// Where several vectors share the eigenvalue, ours is another than the recorded one. The pushes
/// of all nodes together are `f (f^T X)`: they give `f` away, which is then held to be an
/// eigenvector of the same eigenvalue.
#[test]
fn spectral_where_the_vector_is_shared() {
    let models = |peers: &Peers| peers.models.mapv(f64::from);
    let image = |peers: &Peers, vector: &Array1<f64>| -> Array1<f64> {
        let row = |node: NodeId| -> f64 {
            let neighbours = peers.graph.neighbours(node).iter();
            neighbours.map(|other| vector[node.index()] - vector[other.index()]).sum()
        };
        peers.graph.nodes().map(row).collect()
    };
    for peers in situations() {
        let what = &peers.known.graph;
        let recorded = Array1::from(peers.case.fiedler_vector.clone());
        let eigenvalue = image(&peers, &recorded).dot(&recorded);
        let pushes = spectral_pushes(&peers);
        let size = pushes.iter().map(|value| value * value).sum::<f64>().sqrt();
        let rows = pushes.rows().into_iter();
        let strongest = rows.max_by(|a, b| a.dot(a).total_cmp(&b.dot(b))).unwrap();
        let direction = strongest.to_owned() / strongest.dot(&strongest).sqrt();
        let vector = pushes.dot(&direction) / size;
        assert!((vector.dot(&vector) - 1.0).abs() < 1e-4, "{what}: norm");
        assert!(vector.sum().abs() < 1e-4, "{what}: orthogonal to the ones");
        let off = image(&peers, &vector) - eigenvalue * &vector;
        assert!(off.dot(&off).sqrt() < 1e-4 * eigenvalue, "{what}: {off}");
        let difference = vector.dot(&models(&peers));
        for node in peers.nodes() {
            let expected: Vec<f64> = (vector[node] * &difference).to_vec();
            let what = peers.describe(node);
            hold(&pushes.row(node).to_vec(), &expected, largest(&difference.to_vec()), &what);
        }
    }
}

#[test]
fn state_override() {
    for weights in ["uniform", "metropolis"] {
        let parameters = format!("target = 'alternating'\nweights = '{weights}'");
        let recorded = if weights == "uniform" { "override_uniform" } else { "override_mh" };
        hold_messages(recorded, &ask("state_override", &parameters));
    }
}

#[test]
fn echoes() {
    hold_messages("echo_marginalised", &ask("echo", "of = 'marginalised'"));
    for peers in situations() {
        for node in peers.nodes() {
            let sent = peers.send(node, &ask("echo", "of = 'victim'")).unwrap();
            assert_eq!(sent, peers.models.row(node), "{}", peers.describe(node));
        }
    }
}

#[test]
fn drags() {
    let within = |limit: &str| format!("target = 'alternating'\nwithin = {limit}");
    hold_messages("drag_scc_tau1", &ask("drag", &within("{ tau = 1.0 }")));
    hold_messages("drag_csplus", &ask("drag", &within("'cs_plus'")));
    let balance = within("{ balance = { gamma = 0.3, kappa = 1.0 } }");
    hold_messages("drag_balance_t0", &ask("drag", &balance));
    // Five of the ten rounds.
    hold_messages("drag_balance_half", &Asked { round: Round(5), ..ask("drag", &balance) });
}

#[test]
fn little_is_enough_reads_the_neighbourhood() {
    hold_messages("alie_z10", &ask("little_is_enough", "deviations = 10.0\nsample = true"));
    let mut held = 0;
    for peers in situations() {
        for node in peers.nodes() {
            let what = peers.describe(node);
            let formula =
                peers.send(node, &ask("little_is_enough", "formula = true\nsample = true"));
            let Some(z) = peers.known.z_normal[node] else {
                assert!(matches!(formula, Err(AttackError::NoShift { .. })), "{what}: {formula:?}");
                continue;
            };
            let theirs = &peers.known.out["alie_znormal"][node];
            let asked = format!("deviations = {z:?}\nsample = true");
            let given = peers.send(node, &ask("little_is_enough", &asked)).unwrap();
            hold(&wide(&given), theirs, largest(theirs), &what);
            // No shift, or one the other way round, is theirs too.
            hold(&wide(&formula.unwrap()), theirs, largest(theirs), &what);
            held += 1;
        }
    }
    assert!(held > 0);
}

#[test]
fn inner_product_reads_the_neighbourhood() {
    hold_messages("ipm_0.1", &ask("inner_product", "epsilon = 0.1"));
}

/// The forms over all honest nodes are sums of the victim's model and what our members send that
/// read them all: the deviation as a shift less the mean, and the mean as a negative multiple.
#[test]
fn moments_over_all_nodes() {
    let global = |name, parameters| Asked { reads_everyone: true, ..ask(name, parameters) };
    for peers in situations() {
        for node in peers.nodes() {
            let send = |asked: &Asked<'_>| wide(&peers.send(node, asked).unwrap());
            let plus = "deviations = 1.0\nsign = 'plus'\nsample = true";
            let above = send(&global("little_is_enough", plus));
            let mean = send(&global("inner_product", "epsilon = -1.0"));
            let own = wide(&peers.models.row(node).to_owned());
            let little: Vec<f64> =
                (0..own.len()).map(|column| own[column] + above[column] - mean[column]).collect();
            let empire: Vec<f64> = own.iter().zip(&mean).map(|(own, mean)| own + mean).collect();
            for (recorded, ours) in
                [("little_global_scale1", little), ("empire_global_scale1", empire)]
            {
                let theirs = &peers.known.out[recorded][node];
                hold(
                    &ours,
                    theirs,
                    largest(theirs),
                    &format!("{recorded} {}", peers.describe(node)),
                );
            }
        }
    }
}

#[test]
fn every_recorded_attack_is_held() {
    let held = [
        "alie_z10",
        "alie_znormal",
        "dir_dissensus_mh_laplacian",
        "dir_dissensus_unit_laplacian",
        "dir_spectral",
        "dissensus_mh_1.0",
        "dissensus_mh_1.5",
        "dissensus_uniform_1.0",
        "dissensus_uniform_1.5",
        "drag_balance_half",
        "drag_balance_t0",
        "drag_csplus",
        "drag_scc_tau1",
        "echo_marginalised",
        "empire_global_scale1",
        "ipm_0.1",
        "little_global_scale1",
        "override_mh",
        "override_uniform",
        "spectral_scale1",
    ];
    for peers in situations() {
        let recorded: Vec<&str> = peers.known.out.keys().map(String::as_str).collect();
        assert_eq!(recorded, held);
    }
}

// ---------------------------------------------------------------------------- properties

#[test]
fn dissensus_of_one_leaves_gossip_where_it_was() {
    for peers in situations() {
        for node in peers.nodes() {
            let lie = peers.send(node, &ask("dissensus", "epsilon = 1.0")).unwrap();
            let own = wide(&peers.models.row(node).to_owned());
            let scale = largest(&own).max(largest(&wide(&lie)));
            hold(&peers.gossip(node, &lie), &own, scale, &peers.describe(node));
        }
    }
}

#[test]
fn overrides_hit_their_targets() {
    for peers in situations() {
        let columns = peers.models.ncols();
        let alternating = |column: usize| if column.is_multiple_of(2) { 1.0 } else { -1.0 };
        for node in peers.nodes() {
            let what = peers.describe(node);
            let target: Vec<f64> = (0..columns).map(alternating).collect();
            let send = |weights: &str| {
                let asked = format!("target = 'alternating'\nweights = '{weights}'");
                peers.send(node, &ask("state_override", &asked)).unwrap()
            };
            let lie = send("metropolis");
            hold(&peers.gossip(node, &lie), &target, largest(&wide(&lie)), &what);
            let lie = send("uniform");
            let neighbours = peers.graph.neighbours(NodeId(node as u32));
            let sums = peers.rows(neighbours).mapv(f64::from).sum_axis(Axis(0));
            let count = (1 + neighbours.len() + peers.b) as f64;
            let mean: Vec<f64> = (0..columns)
                .map(|column| {
                    let own = f64::from(peers.models[[node, column]]);
                    (own + sums[column] + peers.b as f64 * f64::from(lie[column])) / count
                })
                .collect();
            hold(&mean, &target, largest(&wide(&lie)), &what);
        }
    }
}

/// Euclidean distances from a node: to its honest neighbours, and to a message.
fn distances(peers: &Peers, node: usize, message: &Array1<f32>) -> (Vec<f64>, f64) {
    let own = peers.models.row(node).mapv(f64::from);
    let from_own = |model: Array1<f64>| {
        let difference = model - &own;
        difference.dot(&difference).sqrt()
    };
    let models = peers.rows(peers.graph.neighbours(NodeId(node as u32)));
    let honest = models.rows().into_iter().map(|row| from_own(row.mapv(f64::from))).collect();
    (honest, from_own(message.mapv(f64::from)))
}

/// The threshold of clipped summation on equal weights: the (2b + 1)-th largest of all distances,
/// the own 0 included.
fn clipping_threshold(honest: &[f64], lie: f64, b: usize) -> f64 {
    let mut all: Vec<f64> = honest.iter().copied().chain(vec![lie; b]).chain([0.0]).collect();
    all.sort_by(|a, b| b.total_cmp(a));
    all.get(2 * b).copied().unwrap_or(0.0)
}

#[test]
fn clipped_summation_leaves_a_drag_alone_and_clips_a_longer_one() {
    let mut clipped = 0;
    for peers in situations() {
        for node in peers.nodes() {
            let asked = ask("drag", "target = 'alternating'\nwithin = 'cs_plus'");
            let sent = peers.send(node, &asked).unwrap();
            let (honest, lie) = distances(&peers, node, &sent);
            let what = peers.describe(node);
            assert!(lie <= clipping_threshold(&honest, lie, peers.b), "{what}: {lie}");
            let target: Array1<f32> = (0..sent.len())
                .map(|column| if column.is_multiple_of(2) { 1.0 } else { -1.0 })
                .collect();
            let (_, way) = distances(&peers, node, &target);
            if lie > 0.0 && lie < way * 0.99 {
                let longer = lie * 1.01;
                assert!(longer > clipping_threshold(&honest, longer, peers.b), "{what}");
                clipped += 1;
            }
        }
    }
    assert!(clipped > 50, "{clipped}");
}

#[test]
fn balance_accepts_a_drag_and_refuses_a_longer_one() {
    for peers in situations() {
        for node in peers.nodes() {
            let asked = ask("drag", "target = 'alternating'\nwithin = { balance = {} }");
            for round in [0, 3, 10] {
                let sent = peers.send(
                    node,
                    &Asked { round: Round(round), ..ask(asked.name, &asked.parameters) },
                );
                let (_, lie) = distances(&peers, node, &sent.unwrap());
                let own = peers.models.row(node).mapv(f64::from);
                let norm = own.dot(&own).sqrt();
                let threshold = 0.3 * (-f64::from(round) / 10.0).exp() * norm;
                assert!(lie <= threshold, "{}: {lie} > {threshold}", peers.describe(node));
                let target: Array1<f32> =
                    (0..own.len()).map(|c| if c.is_multiple_of(2) { 1.0 } else { -1.0 }).collect();
                let (_, way) = distances(&peers, node, &target);
                assert!(lie > threshold.min(way) * 0.999, "{}: {lie}", peers.describe(node));
            }
        }
    }
}

/// With the rule at hand, the search finds what the closed forms say.
#[test]
fn the_search_agrees_with_the_closed_forms() {
    for peers in situations() {
        for node in peers.nodes() {
            let own = peers.models.row(node).mapv(f64::from);
            let models = peers.rows(peers.graph.neighbours(NodeId(node as u32)));
            let share = 1.0 / (1 + models.nrows() + peers.b) as f64;
            let clipped = |row: &Array1<f64>, tau: f64| {
                let difference = row - &own;
                let away = difference.dot(&difference).sqrt();
                if away > tau { difference * (tau / away) } else { difference }
            };
            let clipping = |rows: ArrayView2<'_, f32>| -> Result<Array1<f32>, String> {
                let all = models.rows().into_iter().chain(rows.rows());
                let moved = all.fold(own.clone(), |moved, row| {
                    moved + share * clipped(&row.mapv(f64::from), 1.0)
                });
                Ok(moved.mapv(|value| value as f32))
            };
            let balance = |rows: ArrayView2<'_, f32>| -> Result<Array1<f32>, String> {
                let threshold = 0.3 * own.dot(&own).sqrt();
                let all = models.rows().into_iter().chain(rows.rows());
                let near: Vec<Array1<f64>> = all
                    .map(|row| row.mapv(f64::from))
                    .filter(|row| {
                        let difference = row - &own;
                        difference.dot(&difference).sqrt() <= threshold
                    })
                    .collect();
                let sum = near.iter().fold(Array1::zeros(own.len()), |sum, row| sum + row);
                let count = near.len() as f64;
                let mean = if near.is_empty() { own.clone() } else { sum / count };
                Ok((0.5 * &own + 0.5 * mean).mapv(|value| value as f32))
            };
            let rules: [(&Defence<'_>, &str); 2] =
                [(&clipping, "{ tau = 1.0 }"), (&balance, "{ balance = {} }")];
            for (rule, limit) in rules {
                let asked = |within: &str| {
                    ask("drag", &format!("target = 'alternating'\nwithin = {within}"))
                };
                let exact = peers.send(node, &asked(limit)).unwrap();
                let found =
                    peers.send(node, &Asked { defence: Some(rule), ..asked("'rule'") }).unwrap();
                let (_, exact) = distances(&peers, node, &exact);
                let (_, found) = distances(&peers, node, &found);
                let what = peers.describe(node);
                assert!((found / exact - 1.0).abs() < 2e-3, "{what}, {limit}: {found} {exact}");
            }
        }
    }
}
