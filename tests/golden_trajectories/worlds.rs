//! Two cliques with eight links across from every node, and liars beside all of them.

use std::sync::Arc;

use byzlab::seed::{Purpose, run_stream};
use rand_distr::{Distribution, StandardNormal};
use serde::Deserialize;

use crate::{Message, Rule, State, assert_near, entries, error, mean, mix, recorded, rule};

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

#[derive(Deserialize)]
struct Initial {
    seed: u64,
    x0: State,
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

#[test]
fn the_two_worlds() {
    let initial: Vec<Initial> = recorded("two_worlds_initial");
    for entry in &entries::<WorldsEntry>("two_worlds_26_8", 120) {
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
        let initial = initial.iter().find(|start| start.seed == entry.seed);
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
    }
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
