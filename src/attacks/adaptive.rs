//! Adaptive: an automatic attack with the rule in the loop.
//!
//! It sends `B = mean(x) + sum_k c_k p_k` over the honest updates `x`, the same from every
//! identity, and searches the `c` for which the rule's outcome does most harm by running the rule
//! on what it considers sending, at most `evaluations` times. Harm is how far the outcome is from
//! the mean against the direction of the mean itself (`aim = "against"`, default), which is what
//! keeps a model from learning, or in any direction (`away`), which is what robustness is proven
//! against: under an unbounded rule the two agree, but what is furthest away may as well be the
//! mean amplified, and that teaches the model faster.
//!
//! The directions `p` are few: the mean, its signs, the standard deviations, the way to the honest
//! update furthest from the mean, the direction in which the honest differ most, and what is
//! remembered of earlier rounds; each is scaled to the spread of the honest, so that a coefficient
//! of 1 means a usual distance.
//!
//! First come the vectors of published attacks (inner product, a little is enough, a copy of
//! the honest update furthest out), so that it never does less than these. Then each direction
//! by itself, on both sides, near and far; then steps along single directions from the best point,
//! which shrink when none helps.
//!
//! With a `horizon` above 1 it looks at the last so many rounds together, this one included:
//! `against` then means against the sum of their means, of which chance has less part, and `away`
//! the distance covered in all of them, so that it keeps pushing the same way rather than to and
//! fro, which is what wears down rules that remember.
//!
//! Fails where the rule that it was lent is not the one that decides: it is told of no state that
//! the rule keeps from round to round, and cannot plan with it. What it finds is a lower bound of
//! what an attacker can do, not the worst case.
//!
//! Reference: ours; the idea of searching with the rule in the loop is that of Shejwalkar and
//! Houmansadr, Manipulating the Byzantine, NDSS 2021.

mod basis;
mod climb;

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use self::basis::Basis;
use self::climb::Climb;
use super::outcome::{Trial, length};
use super::{Attack, AttackError, Claims, Crafted, Knowledge, View};
use crate::catalog::{ConfigError, Entry};
use crate::memory::Memory;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Attack, Claims> = Entry {
    name: "adaptive",
    summary: "searches with the rule in the loop for the vector that does most to it",
    reference: "ours, after Shejwalkar and Houmansadr, NDSS 2021",
    source: include_str!("adaptive.rs"),
    claims: Claims { moves_mean: true, stays_inside: false },
    parameters: || schema_for!(Adaptive),
    build: |parameters| {
        parameters.build::<dyn Attack, Adaptive>(|attack| {
            attack.check()?;
            Ok(Arc::new(attack))
        })
    },
};

/// Parameters of the adaptive attack.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Adaptive {
    /// How often the rule is run in a round, 1 to 10,000; default 80.
    evaluations: u32,
    /// How many rounds count together, 1 to 1,000; default 1.
    horizon: u32,
    /// Whether the outcome is to be led `against` the direction of the mean (default), or `away`
    /// from it in any direction.
    aim: Aim,
}

/// What is harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Aim {
    /// Against the direction of learning.
    Against,
    /// In any direction.
    Away,
}

impl Default for Adaptive {
    fn default() -> Self {
        Adaptive { evaluations: 80, horizon: 1, aim: Aim::Against }
    }
}

impl Adaptive {
    fn check(&self) -> Result<(), ConfigError> {
        if !(1..=10_000).contains(&self.evaluations) {
            let message = format!("`evaluations` must be 1 to 10000, got {}", self.evaluations);
            return Err(ConfigError::new(message));
        }
        if !(1..=1_000).contains(&self.horizon) {
            let message = format!("`horizon` must be 1 to 1000, got {}", self.horizon);
            return Err(ConfigError::new(message));
        }
        Ok(())
    }

    /// The name under which it remembers a round; it is used again once that is out of sight.
    fn slot(&self, view: &View<'_>, round: u32) -> String {
        view.memory_of(&format!("adaptive.round.{}", round % self.horizon))
    }

    /// What is remembered of the rounds of the horizon before this one, added up.
    fn past(&self, view: &View<'_>, columns: usize, memory: &Memory) -> Vec<f64> {
        let mut sum = vec![0.0; columns];
        for ago in 1..self.horizon {
            let Some(before) = view.round.0.checked_sub(ago) else { break };
            let slot = memory.get(&self.slot(view, before)).filter(|slot| slot.len() == columns);
            for (sum, &value) in sum.iter_mut().zip(slot.unwrap_or_default()) {
                *sum += f64::from(value);
            }
        }
        sum
    }
}

impl Adaptive {
    /// How much harm it is that the outcome is `away` from the mean: against the `way` that the
    /// honest go, or together with what was covered in the `past`.
    fn harm(&self, away: &[f64], past: &[f64], way: &[f64]) -> f64 {
        let size = length(way);
        if self.aim == Aim::Against && size > 0.0 {
            let along: f64 = away.iter().zip(way).map(|(away, way)| away * way).sum();
            return -along / size;
        }
        match self.aim {
            Aim::Against => length(away),
            Aim::Away => length(&away.iter().zip(past).map(|(a, b)| a + b).collect::<Vec<_>>()),
        }
    }
}

impl Attack for Adaptive {
    fn needs(&self) -> Knowledge {
        Knowledge::OmniscientAndRule
    }

    fn uses_own(&self, knowledge: Knowledge) -> bool {
        knowledge < Knowledge::Omniscient
    }

    fn craft(
        &self,
        view: &View<'_>,
        memory: &mut Memory,
        _rng: &mut dyn Rng,
    ) -> Result<Crafted, AttackError> {
        let mut trial = Trial::new(ENTRY.name, view, None)?;
        let mean = trial.mean.clone();
        let past = self.past(view, mean.len(), memory);
        let basis = Basis::new(view.known(), &mean, &past);
        let way: Vec<f64> = past.iter().zip(&mean).map(|(past, mean)| past + mean).collect();
        let gain = |coefficients: &[f64]| {
            let away = trial.displacement(&basis.at(coefficients))?;
            Some(self.harm(&away, &past, &way))
        };
        let mut climb = Climb::new(self.evaluations, basis.directions(), gain);
        for start in basis.published() {
            climb.attempt(&start);
        }
        let best = basis.at(&climb.run());
        if self.horizon > 1 {
            let kept = match self.aim {
                Aim::Against => mean,
                Aim::Away => trial.displacement(&best).unwrap_or_else(|| vec![0.0; best.len()]),
            };
            let kept = kept.iter().map(|&value| value as f32).collect();
            memory.set(&self.slot(view, view.round.0), kept);
        }
        let vector = best.into_iter().map(|value| value as f32).collect();
        Ok(Crafted::same(vector, view.identities.len()))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, ArrayView2, array};

    use super::*;
    use crate::attacks::tests::{Stage, build, craft_against, middle};

    /// How far a rule is led from the mean of the honest by an attack, and how far against it.
    fn led(
        attack: &dyn Attack,
        honest: &Array2<f32>,
        rule: &crate::attacks::Defence<'_>,
    ) -> [f64; 2] {
        let sent = craft_against(attack, honest, 3, rule).unwrap();
        let all = ndarray::concatenate![ndarray::Axis(0), honest.view(), sent.view()];
        let mean = honest.mean_axis(ndarray::Axis(0)).unwrap();
        let away = rule.outcome(all.view()).unwrap() - &mean;
        let product = |a: &ndarray::Array1<f32>, b: &ndarray::Array1<f32>| -> f64 {
            a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
        };
        let against = -product(&away, &mean) / product(&mean, &mean).sqrt();
        [product(&away, &away).sqrt(), against]
    }

    /// The mean of the rows within reach of the coordinate-wise median.
    fn near_the_middle(rows: ArrayView2<'_, f32>) -> Result<ndarray::Array1<f32>, String> {
        let centre = middle(rows)?;
        let near: Vec<usize> = (0..rows.nrows())
            .filter(|&row| {
                let away = &rows.row(row) - &centre;
                away.iter().map(|away| away * away).sum::<f32>() < 30.0
            })
            .collect();
        rows.select(ndarray::Axis(0), &near)
            .mean_axis(ndarray::Axis(0))
            .ok_or_else(|| "nobody is near".to_owned())
    }

    #[test]
    fn it_does_at_least_what_published_attacks_do() {
        let honest = Array2::from_shape_fn((10, 6), |(row, column)| {
            ((row * 7 + column * 5) % 11) as f32 * 0.5 + column as f32
        });
        let others = ["sign_flip", "inner_product", "little_is_enough", "min_max", "min_sum"];
        for rule in [&middle as &crate::attacks::Defence<'_>, &near_the_middle] {
            for (measure, aim) in [Aim::Away, Aim::Against].into_iter().enumerate() {
                let attack = Adaptive { aim, ..Adaptive::default() };
                let ours = led(&attack, &honest, rule)[measure];
                for name in others {
                    let theirs = led(&*build(name, ""), &honest, rule)[measure];
                    assert!(ours >= theirs - 1e-6, "{name}, {aim:?}: {theirs} against {ours}");
                }
            }
        }
    }

    #[test]
    fn over_several_rounds_it_keeps_to_its_way() {
        // The median can be led equally far to both sides: only the past tells them apart.
        let honest = array![[-1.0], [0.0], [1.0]];
        let rule = |rows: ArrayView2<'_, f32>| middle(rows);
        let attack = Adaptive { horizon: 5, aim: Aim::Away, ..Adaptive::default() };
        let mut stage = Stage { defence: Some(&rule), ..Stage::default() };
        let mut sides = Vec::new();
        for round in 1..=5 {
            stage.round = round;
            let honest = honest.mapv(|value: f32| if round % 2 == 0 { -value } else { value });
            sides.push(stage.craft(&attack, &honest, 2).unwrap()[[0, 0]] > 0.0);
        }
        assert!(sides.iter().all(|side| *side == sides[0]), "{sides:?}");
    }

    #[test]
    fn it_runs_the_rule_no_more_often_than_it_may() {
        let runs = std::cell::Cell::new(0);
        let rule = |rows: ArrayView2<'_, f32>| {
            runs.set(runs.get() + 1);
            middle(rows)
        };
        let attack = Adaptive { evaluations: 7, ..Adaptive::default() };
        craft_against(&attack, &array![[1.0, 2.0], [3.0, 5.0]], 1, &rule).unwrap();
        assert_eq!(runs.get(), 7);
    }
}
