//! Four honest nodes in a chain, with a liar beside each of the two in the middle.

use serde::Deserialize;

use crate::{Message, Rule, State, assert_near, entries, error, mean, mix, recorded, rule};

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

#[test]
fn the_chain_of_four() {
    let copies: Vec<Copies> = recorded("toy6_weighted_copies");
    for entry in &entries::<ChainEntry>("toy6", 80) {
        let chain = Chain { delta: entry.delta, beta: entry.beta };
        let (rule, lie) = (entry.rule(&copies), entry.lie());
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
    }
}

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
