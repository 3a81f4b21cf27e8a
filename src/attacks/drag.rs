//! Drag: walks a peer towards a model of the attacker's choice, by steps that its rule accepts.
//!
//! All liars of peer `i` send `x_i + s (t - x_i) / |t - x_i|` for the target `t`, with
//! `s = min(|t - x_i|, limit)`. Rules that measure from the victim's own model take a message
//! that lies near it; but that model moves along, and the walk never ends. `within` says what
//! limit the attacker keeps to:
//!
//! - `{ tau = T }`: `T`, for clipping at a fixed threshold;
//! - `cs_plus` (default): the (b + 1)-th largest distance of an honest neighbour for `b` liars,
//!   the own 0 counted in: on equal weights, all that `clipped_summation` lets through;
//! - `{ balance = { gamma, kappa } }`: `gamma · exp(-kappa · t / T) · |x_i|` in round `t` of `T`,
//!   all that `balance` accepts;
//! - `rule`: a search with the victim's own rule (at most 41 calls of it), which the attacker
//!   must know: the step that carries the victim furthest towards the target, the shortest where
//!   several do. Under a rule that clips or refuses by distance, that is the largest it leaves
//!   alone. Where no step carries it further, `s = 0`.
//!
//! `target` is `negated` (default), `zero`, `alternating`, `{ constant = VALUE }` or
//! `{ global = FACTOR }`.
//!
//! Fails where the steps are small against what the honest neighbours pull back: few liars, a
//! small threshold, neighbours that agree (`cs_plus` measures their spread), or late rounds of
//! `balance`. A rule that also asks for a low loss on the victim's own data (`ubar`) refuses
//! steps towards a target that raises it.
//!
//! Reference: after Raynal, Pasquini and Troncoso, Can Decentralized Learning be more robust than
//! Federated Learning?, arXiv 2303.03829, 2023, who make a network converge to a model of their
//! choice; the limits are ours.

mod search;

use std::sync::Arc;

use ndarray::Axis;
use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use self::search::best_step;
use super::neighbourhood::{message, rounded, victim_of, wide};
use super::target::Target;
use super::{Attack, AttackError, Claims, Crafted, Knowledge, Victim, View, finite};
use crate::catalog::{ConfigError, Entry};
use crate::memory::Memory;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Attack, Claims> = Entry {
    name: "drag",
    summary: "walks each peer to a model of the attacker's choice in steps that its rule accepts",
    reference: "after Raynal, Pasquini and Troncoso, arXiv 2303.03829, 2023",
    source: include_str!("drag.rs"),
    claims: Claims { moves_mean: true, stays_inside: true },
    parameters: || schema_for!(Drag),
    build: |parameters| {
        parameters.build::<dyn Attack, Drag>(|attack| {
            attack.target.check()?;
            attack.within.check()?;
            Ok(Arc::new(attack))
        })
    },
};

/// Parameters of the drag.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Drag {
    /// The model that the victim is to end up with. Default: `negated`.
    target: Target,
    /// The limit that a step keeps to. Default: `cs_plus`.
    within: Within,
}

/// The limit that a step keeps to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Within {
    /// This Euclidean distance.
    Tau(f64),
    /// What `clipped_summation` lets through.
    #[default]
    CsPlus,
    /// What `balance` accepts.
    Balance(Balance),
    /// Whatever serves the attacker best under the rule that the victim has.
    Rule,
}

/// The acceptance of `balance`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Balance {
    /// The accepted distance in the beginning, as a share of the norm of the victim's model.
    /// Default: 0.3.
    gamma: f64,
    /// How fast it shrinks: by `exp(-kappa)` over the run. Default: 1.
    kappa: f64,
}

impl Default for Balance {
    fn default() -> Self {
        Balance { gamma: 0.3, kappa: 1.0 }
    }
}

impl Within {
    fn check(self) -> Result<(), ConfigError> {
        let at_least_zero = |value: f64| {
            if value >= 0.0 {
                return Ok(());
            }
            Err(ConfigError::new(format!("`within` must be at least 0, got {value}")))
        };
        match self {
            Within::Tau(tau) => finite("within", tau).and_then(|()| at_least_zero(tau)),
            Within::Balance(Balance { gamma, kappa }) => {
                finite("within", kappa)?;
                finite("within", gamma).and_then(|()| at_least_zero(gamma))
            }
            Within::CsPlus | Within::Rule => Ok(()),
        }
    }
}

/// What a rule's arithmetic in `f32` may change about a distance, as a share of the vectors.
const ROUNDING: f64 = 1e-6;

/// A straight way from the victim's model to the target.
struct Way {
    from: Vec<f64>,
    to: Vec<f64>,
    length: f64,
}

impl Way {
    fn new(from: Vec<f64>, to: Vec<f64>) -> Self {
        let length = distance(&from, &to);
        Way { from, to, length }
    }

    /// The norm of the victim's model.
    fn norm(&self) -> f64 {
        self.from.iter().map(|value| value * value).sum::<f64>().sqrt()
    }

    /// How far along the way a model is; 0 where there is no way.
    fn passed(&self, model: &[f64]) -> f64 {
        let ends = self.from.iter().zip(&self.to);
        let along = ends.zip(model).map(|((from, to), at)| (at - from) * (to - from)).sum::<f64>();
        if self.length > 0.0 { along / self.length } else { 0.0 }
    }

    /// The model after `step` of the way.
    fn after(&self, step: f64) -> impl Iterator<Item = f64> {
        let share = if self.length > 0.0 { step / self.length } else { 0.0 };
        self.from.iter().zip(&self.to).map(move |(from, to)| from + share * (to - from))
    }
}

impl Attack for Drag {
    fn needs(&self) -> Knowledge {
        match self.within {
            Within::Rule => Knowledge::OmniscientAndRule,
            _ => Knowledge::Omniscient,
        }
    }

    fn uses_own(&self, _knowledge: Knowledge) -> bool {
        false
    }

    fn directed(&self) -> bool {
        true
    }

    fn craft(
        &self,
        view: &View<'_>,
        _memory: &mut Memory,
        _rng: &mut dyn Rng,
    ) -> Result<Crafted, AttackError> {
        let victim = victim_of(ENTRY.name, view)?;
        let liars = view.identities.len();
        let way = Way::new(wide(victim.model), self.target.model(view, victim));
        let limit = match self.within {
            Within::Tau(tau) => just_below(tau, &way),
            Within::CsPlus => just_below(spread(victim, &way.from), &way),
            Within::Balance(balance) => just_below(accepted(balance, view, victim, &way), &way),
            Within::Rule => searched(view, &way, liars)?,
        };
        Ok(message(way.after(limit.min(way.length)), liars))
    }
}

/// A limit less what rounding a message to `f32` may add to its distance, so that a rule that
/// compares exactly still accepts it.
fn just_below(limit: f64, way: &Way) -> f64 {
    (limit - f64::from(f32::EPSILON) * (way.norm() + limit)).max(0.0)
}

/// The (b + 1)-th largest distance of an honest neighbour, the own 0 counted in.
fn spread(victim: &Victim<'_>, own: &[f64]) -> f64 {
    let models = victim.models.rows().into_iter();
    let mut distances: Vec<f64> = models.map(|model| distance(&wide(model), own)).collect();
    distances.sort_unstable_by(|a, b| b.total_cmp(a));
    distances.get(victim.liars).copied().unwrap_or(0.0)
}

/// The distance that `balance` accepts in this round.
fn accepted(balance: Balance, view: &View<'_>, victim: &Victim<'_>, way: &Way) -> f64 {
    let passed = f64::from(view.round.0) / f64::from(victim.rounds.max(1));
    balance.gamma * (-balance.kappa * passed).exp() * way.norm()
}

/// The step that carries the victim furthest on its way, by its own rule.
fn searched(view: &View<'_>, way: &Way, liars: usize) -> Result<f64, AttackError> {
    let defence = view.defence.ok_or(AttackError::NoDefence { attack: ENTRY.name })?;
    let gain = |step: f64| {
        let row = rounded(way.after(step)).insert_axis(Axis(0));
        let rows = row.broadcast((liars, row.ncols())).expect("one row");
        // A rule that refuses carries the victim nowhere. Rows are handed out contiguous.
        let mixed = defence.outcome(rows.to_owned().view());
        mixed.map_or(f64::NEG_INFINITY, |mixed| way.passed(&wide(mixed.view())))
    };
    Ok(best_step(way.length, ROUNDING * (way.norm() + way.length), gain))
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, Array2, ArrayView2, array};

    use super::*;
    use crate::attacks::peers::Peers;
    use crate::catalog::Choice;
    use crate::node::Round;

    fn drag(within: Within) -> Drag {
        Drag { target: Target::Zero, within }
    }

    fn peers() -> Peers {
        // From node 1 the others are 5, 10 and 1 away.
        let models = array![[3.0, 0.0], [3.0, 5.0], [-3.0, -3.0], [4.0, 5.0]];
        Peers::new(&[(1, 0), (1, 2), (1, 3)], models, 1)
    }

    fn step(sent: &Array2<f32>, from: &Array1<f32>) -> f64 {
        f64::from((&sent.row(0) - from).mapv(|value| value * value).sum().sqrt())
    }

    #[test]
    fn limits_by_hand() {
        let mut peers = peers();
        peers.round = Round(5);
        let own = peers.models.row(1).to_owned();
        let norm = 34f64.sqrt();
        let cases = [
            (Within::Tau(2.0), 2.0),
            // One liar: the second largest of 10, 5, 1 and 0.
            (Within::CsPlus, 5.0),
            (Within::Balance(Balance::default()), 0.3 * (-0.5f64).exp() * norm),
            // Not further than the target.
            (Within::Tau(100.0), norm),
        ];
        for (within, expected) in cases {
            let sent = peers.craft(&drag(within), 1, None).unwrap();
            let off = step(&sent, &own) - expected;
            assert!(off.abs() < 1e-5, "{within:?}: {off} off {expected}");
        }
    }

    #[test]
    fn a_victim_at_the_target_is_left_there() {
        let peers = Peers::chain(array![[0.0, 0.0], [1.0, 1.0]], 2);
        let sent = peers.craft(&drag(Within::CsPlus), 0, None).unwrap();
        assert_eq!(sent, Array2::<f32>::zeros((2, 2)));
    }

    /// A rule that weighs the lie `weight` once it has been clipped, or is refused beyond
    /// `radius`.
    fn limited(own: &Array1<f32>, row: &[f32], radius: f64, clips: bool) -> Array1<f32> {
        let lie = Array1::from(row.to_vec());
        let difference = &lie - own;
        let away = difference.mapv(f64::from).mapv(|value| value * value).sum().sqrt();
        let kept = if away <= radius {
            1.0
        } else if clips {
            radius / away
        } else {
            0.0
        };
        own + &(difference * (0.25 * kept) as f32)
    }

    #[test]
    fn the_search_finds_what_clipping_and_refusing_rules_let_through() {
        let peers = peers();
        let own = peers.models.row(1).to_owned();
        for radius in [0.3, 1.7, 4.0, 20.0] {
            for clips in [true, false] {
                let rule = |rows: ArrayView2<'_, f32>| -> Result<Array1<f32>, String> {
                    Ok(limited(&own, rows.row(0).to_slice().unwrap(), radius, clips))
                };
                let sent = peers.craft(&drag(Within::Rule), 1, Some(&rule)).unwrap();
                let expected = radius.min(34f64.sqrt());
                let found = step(&sent, &own);
                assert!((found / expected - 1.0).abs() < 1e-3, "{clips}: {found} for {expected}");
            }
        }
    }

    #[test]
    fn a_rule_that_refuses_everything_gets_the_victims_own() {
        let peers = peers();
        let refuse = |_: ArrayView2<'_, f32>| Err("too many liars".to_owned());
        let sent = peers.craft(&drag(Within::Rule), 1, Some(&refuse)).unwrap();
        assert_eq!(sent.row(0), peers.models.row(1));
        let blind = peers.craft(&drag(Within::Rule), 1, None).unwrap_err();
        assert_eq!(
            blind.to_string(),
            "drag searches with the victim's rule and does not know it: give the adversary \
             `omniscient_and_rule`"
        );
    }

    #[test]
    fn limits_are_written_as_words_or_tables() {
        let build =
            |text: &str| crate::attacks::CATALOG.build(&Choice::with("drag", text).unwrap());
        assert_eq!(build("within = 'rule'").unwrap().value.needs(), Knowledge::OmniscientAndRule);
        let built = build("within = { balance = { gamma = 0.5 } }").unwrap();
        assert_eq!(built.parameters["within"]["balance"]["kappa"], 1.0);
        assert_eq!(
            build("within = { tau = -1.0 }").unwrap_err().message,
            "`within` must be at least 0, got -1"
        );
        assert!(build("within = { tau = nan }").is_err());
        assert!(build("within = { balance = { gama = 0.5 } }").is_err());
    }
}
