//! Averaging without learning, many steps long: recorded trajectories of every rule, and what
//! they are known to show.
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]
#![allow(clippy::disallowed_methods, reason = "tests read their vectors from files")]

use std::sync::Arc;

use byzlab::aggregators::Context;
use byzlab::catalog::Choice;
use byzlab::memory::Memory;
use byzlab::node::{NodeId, Round};
use byzlab::peer_rules::{CATALOG, Neighbourhood, PeerRule};
use byzlab::seed::{Purpose, run_stream};
use ndarray::{Array2, ArrayView1};
use rand_distr::{Distribution, StandardNormal};
use serde::Deserialize;

// ---------------------------------------------------------------------------- mixing

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

// ---------------------------------------------------------------------------- the chain

/// Four honest nodes in a chain, a liar beside each of the two in the middle.
struct Chain {
    /// The weight of a liar.
    delta: f64,
    /// The weight of the link in the middle.
    beta: f64,
}

/// What the liars of the chain say.
#[derive(Clone, Copy)]
enum Lie {
    /// Two numbers, one for each.
    Constant(f64, f64),
    /// This many times against the pull of the victim's honest neighbours.
    Dissensus(f64),
}

/// How the nodes of the chain mix.
enum ChainRule {
    /// A rule, with one liar declared in the middle and none at the ends.
    Plain(Rule),
    /// A rule on as many copies of each value as its weight has hundredths.
    Copies(Rule, Copies),
}

/// How often values are repeated, and how many are declared to be lies.
#[derive(Clone, Copy, Deserialize)]
struct Copies {
    delta: f64,
    beta: f64,
    end_node: EndCopies,
    middle_node: MiddleCopies,
}

#[derive(Clone, Copy, Deserialize)]
struct EndCopies {
    own: usize,
    neighbour: usize,
    trim: usize,
}

#[derive(Clone, Copy, Deserialize)]
struct MiddleCopies {
    own: usize,
    outer: usize,
    inner: usize,
    liar: usize,
    trim: usize,
}

impl Chain {
    /// The honest neighbours of a node with their weights, the outer one first.
    fn honest(&self, node: usize) -> Vec<(usize, f64)> {
        let third = 1.0 / 3.0;
        match node {
            0 => vec![(1, third)],
            1 => vec![(0, third), (2, self.beta)],
            2 => vec![(3, third), (1, self.beta)],
            _ => vec![(2, third)],
        }
    }

    fn lie(&self, lie: Lie, state: &State, victim: usize) -> f64 {
        match lie {
            Lie::Constant(first, second) => {
                if victim == 1 {
                    first
                } else {
                    second
                }
            }
            Lie::Dissensus(epsilon) => {
                let own = state[victim][0];
                let pull = |(node, weight): (usize, f64)| weight * (state[node][0] - own);
                own - epsilon * self.honest(victim).into_iter().map(pull).sum::<f64>() / self.delta
            }
        }
    }

    fn step(&self, rule: &ChainRule, lie: Lie, state: &State) -> State {
        let node = |node: usize| {
            let message = |(from, weight): (usize, f64)| Message {
                model: state[from].clone(),
                weight,
                honest: true,
            };
            let mut messages: Vec<Message> = self.honest(node).into_iter().map(message).collect();
            let middle = node == 1 || node == 2;
            if middle {
                let model = vec![self.lie(lie, state, node)];
                messages.push(Message { model, weight: self.delta, honest: false });
            }
            match rule {
                ChainRule::Plain(rule) => {
                    mix(&**rule, &state[node], &messages, usize::from(middle))
                }
                ChainRule::Copies(rule, copies) => {
                    let (own, counts, trim) = copies.of(middle);
                    let model = state[node].clone();
                    messages.push(Message { model, weight: 0.0, honest: true });
                    let counts = counts.iter().copied().chain([own - 1]);
                    let repeated = messages.iter().zip(counts);
                    let mut all: Vec<Message> = repeated
                        .flat_map(|(message, count)| std::iter::repeat_n(message.clone(), count))
                        .collect();
                    let share = 1.0 / (all.len() + 1) as f64;
                    for message in &mut all {
                        message.weight = share;
                    }
                    mix(&**rule, &state[node], &all, trim)
                }
            }
        };
        (0..4).map(node).collect()
    }
}

impl Copies {
    /// How often the own value and each message count, and how many are trimmed at each end.
    fn of(&self, middle: bool) -> (usize, Vec<usize>, usize) {
        let Copies { end_node: end, middle_node, .. } = self;
        if middle {
            let MiddleCopies { own, outer, inner, liar, trim } = *middle_node;
            (own, vec![outer, inner, liar], trim)
        } else {
            (end.own, vec![end.neighbour], end.trim)
        }
    }
}

// ---------------------------------------------------------------------------- two worlds

const NODES: usize = 26;

/// Two cliques of 13; node i of the first is linked to 8 of the second, from i on.
fn neighbours_of(node: usize) -> Vec<usize> {
    let linked = |first: usize, second: usize| (second + 13 - first) % 13 < 8;
    let joined = |other: &usize| match (node < 13, *other < 13) {
        (true, false) => linked(node, other - 13),
        (false, true) => linked(*other, node - 13),
        _ => *other != node,
    };
    (0..NODES).filter(joined).collect()
}

/// Two worlds in which `liars` lie to every node and every message weighs the same.
struct Worlds {
    rule: Rule,
    liars: usize,
}

impl Worlds {
    /// How far the honest neighbours of a node are from it, all together, the other way round.
    fn disagreement(state: &State, node: usize) -> Vec<f64> {
        let mut sum = vec![0.0; state[node].len()];
        for other in neighbours_of(node) {
            for (column, sum) in sum.iter_mut().enumerate() {
                *sum += state[node][column] - state[other][column];
            }
        }
        sum
    }

    /// What a node makes of its neighbours and of liars who say its own model plus `scale` times
    /// its disagreement.
    fn lied_to(&self, state: &State, node: usize, scale: f64) -> Vec<f64> {
        let weight = 1.0 / (21 + self.liars) as f64;
        let honest = neighbours_of(node).into_iter().map(|from| Message {
            model: state[from].clone(),
            weight,
            honest: true,
        });
        let away = Self::disagreement(state, node);
        let lie = state[node].iter().zip(away).map(|(own, away)| own + scale * away).collect();
        let lie = Message { model: lie, weight, honest: false };
        let messages: Vec<Message> = honest.chain(std::iter::repeat_n(lie, self.liars)).collect();
        mix(&*self.rule, &state[node], &messages, self.liars)
    }

    fn step(&self, state: &State, scale: f64) -> State {
        (0..NODES).map(|node| self.lied_to(state, node, scale)).collect()
    }

    /// Every liar takes the scale that leaves its victim farthest from the honest mean.
    fn greedy_step(&self, state: &State) -> State {
        let centre = mean(state);
        let scales = (0..12).map(|power| 0.01 * f64::from(1 << power));
        let worst = |node: usize| {
            let results = scales.clone().map(|scale| self.lied_to(state, node, scale));
            results
                .max_by(|a, b| {
                    let far = |model: &Vec<f64>| error(&vec![model.clone()], &centre);
                    far(a).total_cmp(&far(b))
                })
                .unwrap()
        };
        (0..NODES).map(worst).collect()
    }
}

// ---------------------------------------------------------------------------- the file

#[derive(Deserialize)]
struct File {
    toy6_weighted_copies: Vec<Copies>,
    two_worlds_initial: Vec<Initial>,
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Initial {
    seed: u64,
    x0: State,
}

#[derive(Deserialize)]
#[serde(tag = "kind")]
enum Entry {
    #[serde(rename = "toy6")]
    Chain(ChainEntry),
    #[serde(rename = "two_worlds_26_8")]
    Worlds(WorldsEntry),
}

#[derive(Deserialize)]
struct ChainEntry {
    rule: String,
    attack: String,
    param: serde_json::Value,
    delta: f64,
    beta: f64,
    x0: [f64; 4],
    every: usize,
    error: Vec<f64>,
    r#final: Vec<f64>,
}

#[derive(Deserialize)]
struct WorldsEntry {
    seed: u64,
    rule: String,
    b: usize,
    eps: Option<String>,
    scale: f64,
    every: usize,
    error: Vec<f64>,
    consensus: Vec<f64>,
    reproducible_to: f64,
}

fn file() -> File {
    let path = format!("{}/tests/golden/peer/trajectories.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

impl ChainEntry {
    fn rule(&self, copies: &[Copies]) -> ChainRule {
        let copies = || {
            let fits = |copies: &&Copies| copies.delta == self.delta && copies.beta == self.beta;
            *copies.iter().find(fits).unwrap()
        };
        let (median, trimmed) = (rule("bridge", "screen = 'median'"), rule("bridge", ""));
        match &*self.rule {
            "SSClip" => ChainRule::Plain(rule("self_centred_clipping", "threshold = 'oracle'")),
            "Median" => ChainRule::Plain(median),
            "TrimmedMean" => ChainRule::Plain(trimmed),
            "MedianWeighted" => ChainRule::Copies(median, copies()),
            "TrimmedMeanWeighted" => ChainRule::Copies(trimmed, copies()),
            other => panic!("no rule for {other}"),
        }
    }

    fn lie(&self) -> Lie {
        match &*self.attack {
            "constant" => {
                let numbers: [f64; 2] = serde_json::from_value(self.param.clone()).unwrap();
                Lie::Constant(numbers[0], numbers[1])
            }
            "dissensus" => Lie::Dissensus(self.param.as_f64().unwrap()),
            other => panic!("no attack for {other}"),
        }
    }
}

#[track_caller]
fn assert_near(ours: f64, expected: f64, tolerance: f64, what: &str) {
    assert!((ours - expected).abs() <= tolerance, "{what}: {ours} is not {expected}");
}

#[test]
fn the_chain_of_four() {
    let file = file();
    let mut compared = 0;
    for entry in &file.entries {
        let Entry::Chain(entry) = entry else { continue };
        let chain = Chain { delta: entry.delta, beta: entry.beta };
        let (rule, lie) = (entry.rule(&file.toy6_weighted_copies), entry.lie());
        let mut state: State = entry.x0.iter().map(|&value| vec![value]).collect();
        let centre = mean(&state);
        for (row, &expected) in entry.error.iter().enumerate() {
            let ChainEntry { rule: name, attack, delta, beta, .. } = entry;
            let what = format!("{name}, {attack}, delta {delta}, beta {beta}, row {row}");
            let ours = error(&state, &centre);
            assert_near(ours, expected, 1e-8 * expected.abs().max(1.0), &what);
            if row + 1 < entry.error.len() {
                for _ in 0..entry.every {
                    state = chain.step(&rule, lie, &state);
                }
            }
        }
        for (node, &expected) in entry.r#final.iter().enumerate() {
            let tolerance = 1e-8 * expected.abs().max(1.0);
            assert_near(state[node][0], expected, tolerance, &entry.rule);
        }
        compared += 1;
    }
    assert_eq!(compared, 80);
}

#[test]
fn the_two_worlds() {
    let file = file();
    let mut compared = 0;
    for entry in &file.entries {
        let Entry::Worlds(entry) = entry else { continue };
        let rule = match &*entry.rule {
            "cs_plus" => rule("clipped_summation", ""),
            "gts" => rule("trimmed_summation", ""),
            "gts_released_exact" => rule("trimmed_summation", "convention = 'released'"),
            "scc_adaptive" => rule("self_centred_clipping", ""),
            "scc_adaptive_released" => {
                rule("self_centred_clipping", "threshold = 'adaptive_released'")
            }
            other => panic!("no rule for {other}"),
        };
        let worlds = Worlds { rule, liars: entry.b };
        let scale = if entry.eps.is_some() { 1.0 / entry.b as f64 } else { entry.scale };
        let initial = file.two_worlds_initial.iter().find(|start| start.seed == entry.seed);
        let mut state = initial.unwrap().x0.clone();
        let centre = mean(&state);
        for row in 0..entry.error.len() {
            let pairs = [
                (error(&state, &centre), entry.error[row]),
                (error(&state, &mean(&state)), entry.consensus[row]),
            ];
            for (ours, expected) in pairs {
                let larger = ours.max(expected);
                let WorldsEntry { rule: name, b, scale, seed, .. } = entry;
                let what = format!("{name}, b = {b}, scale {scale}, seed {seed}, row {row}");
                if larger >= 1e-12 {
                    assert_near(ours, expected, entry.reproducible_to * larger, &what);
                }
            }
            if row + 1 < entry.error.len() {
                for _ in 0..entry.every {
                    state = worlds.step(&state, scale);
                }
            }
        }
        compared += 1;
    }
    assert_eq!(compared, 120);
}

// ---------------------------------------------------------------------------- what they show

/// The squared distance from agreement after 100 steps; it starts at 10,000.
fn chain_after_100(rule: Rule, delta: f64, beta: f64, lie: Lie) -> f64 {
    let (chain, rule) = (Chain { delta, beta }, ChainRule::Plain(rule));
    let mut state: State = [0.0, 0.0, 200.0, 200.0].map(|value| vec![value]).to_vec();
    for _ in 0..100 {
        state = chain.step(&rule, lie, &state);
    }
    error(&state, &[100.0])
}

const LIES: [Lie; 3] = [Lie::Constant(0.0, 200.0), Lie::Dissensus(1.0), Lie::Dissensus(0.05)];

#[test]
fn medians_and_trimmed_means_never_leave_their_half_of_the_chain() {
    for screen in ["", "screen = 'median'"] {
        for (delta, beta) in [(0.1, 0.267), (0.1, 0.04), (0.3, 0.267), (0.3, 0.04)] {
            for lie in LIES {
                assert_eq!(chain_after_100(rule("bridge", screen), delta, beta, lie), 1e4);
            }
        }
    }
}

#[test]
fn clipping_by_an_oracle_agrees_while_liars_weigh_little_against_the_gap() {
    let after = |delta, beta, lie| {
        chain_after_100(rule("self_centred_clipping", "threshold = 'oracle'"), delta, beta, lie)
    };
    for lie in LIES {
        assert!(after(0.1, 0.267, lie) < 0.001);
    }
    // With a seventh of the weight on the middle link, the same liars keep the halves apart or
    // drive them further apart than they were.
    let narrow = LIES.map(|lie| after(0.1, 0.04, lie));
    assert!(narrow[0] > 4000.0 && narrow[1] > 1e6 && narrow[2] > 90.0, "{narrow:?}");
    // And so do heavier ones.
    let heavy = LIES.map(|lie| after(0.3, 0.267, lie));
    assert!(heavy[0] > 1000.0 && heavy[1] > 1e6 && heavy[2] < 1e-6, "{heavy:?}");
}

/// Two worlds around +5 and -5 in the first coordinate, with normal spread.
fn two_worlds(seed: u64) -> State {
    let mut rng = run_stream(seed, Purpose::Initial);
    let mut model = |node: usize| -> Vec<f64> {
        let mut model: Vec<f64> = (0..5).map(|_| StandardNormal.sample(&mut rng)).collect();
        model[0] += if node < 13 { 5.0 } else { -5.0 };
        model
    };
    (0..NODES).map(&mut model).collect()
}

/// The errors after 60 rounds of greedy liars, over three seeds, as shares of the first error.
fn greedy(rule: &Rule, liars: usize) -> Vec<f64> {
    let run = |seed| {
        let mut state = two_worlds(seed);
        let centre = mean(&state);
        let before = error(&state, &centre);
        let worlds = Worlds { rule: Arc::clone(rule), liars };
        for _ in 0..60 {
            state = worlds.greedy_step(&state);
        }
        error(&state, &centre) / before
    };
    (0..3).map(run).collect()
}

#[test]
fn one_liar_takes_plain_gossip_anywhere() {
    let errors = greedy(&rule("metropolis_hastings", ""), 1);
    assert!(errors.iter().all(|&error| error > 1e9), "{errors:?}");
}

#[test]
fn below_a_quarter_of_the_second_eigenvalue_all_rules_agree() {
    // The eigenvalue is 16 here; three liars beside every node are below 4.
    for name in [
        "self_centred_clipping",
        "nearest_neighbour_averaging",
        "clipped_summation",
        "trimmed_summation",
        "iterative_outlier_scissor",
    ] {
        let errors = greedy(&rule(name, ""), 3);
        assert!(errors.iter().all(|&error| error < 0.002), "{name}: {errors:?}");
    }
}

#[test]
fn past_a_quarter_what_is_trimmed_diverges() {
    for name in ["nearest_neighbour_averaging", "trimmed_summation", "iterative_outlier_scissor"] {
        let errors = greedy(&rule(name, ""), 7);
        assert!(errors.iter().all(|&error| error > 1e9), "{name}: {errors:?}");
    }
    let errors = greedy(&rule("trimmed_summation", ""), 5);
    assert!(errors.iter().all(|&error| error > 1.0), "{errors:?}");
}

#[test]
fn past_a_quarter_clipped_summation_stalls_and_does_not_blow_up() {
    let clipped = rule("clipped_summation", "");
    let (five, seven) = (greedy(&clipped, 5), greedy(&clipped, 7));
    assert!(five.iter().all(|error| (0.01..0.2).contains(error)), "{five:?}");
    assert!(seven.iter().all(|error| (0.2..0.8).contains(error)), "{seven:?}");
}

#[test]
fn adaptive_clipping_stays_under_dissensus_until_seven() {
    let clipping = rule("self_centred_clipping", "");
    let (five, seven) = (greedy(&clipping, 5), greedy(&clipping, 7));
    assert!(five.iter().all(|&error| error < 0.002), "{five:?}");
    assert!(seven.iter().all(|&error| error < 0.02), "{seven:?}");
}
