//! Adaptive: an automatic attack with the rule in the loop.
//!
//! It sends `B = mean(x) + sum_k c_k p_k` over the honest updates `x`, the same from every
//! identity, and searches the `c` that carry the rule's outcome furthest from the mean by running
//! the rule on what it considers sending, at most `evaluations` times. The directions `p` are few:
//! the mean, its signs, the standard deviations, the way to the honest update furthest from the
//! mean, the direction in which the honest differ most, and what the attack has achieved so far;
//! each is scaled to the spread of the honest, so that a coefficient of 1 means a usual distance.
//!
//! First come the vectors of published attacks (inner product, a little is enough, a copy of
//! the honest update furthest out), so that it never does less than these. Then each direction
//! by itself, on both sides, near and far; then steps along single directions from the best point,
//! which shrink when none helps.
//!
//! With a `horizon` above 1, what counts is not this round alone but the distance covered in the
//! last `horizon` rounds together, this one included. It then keeps pushing the same way rather
//! than to and fro, which is what wears down rules that remember.
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
    /// Over how many rounds the distance covered counts, 1 to 1,000; default 1.
    horizon: u32,
}

impl Default for Adaptive {
    fn default() -> Self {
        Adaptive { evaluations: 80, horizon: 1 }
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

    /// The name under which it remembers what it achieved in the round `ago` rounds back, as far
    /// as names are used again.
    fn slot(&self, view: &View<'_>, round: u32) -> String {
        view.memory_of(&format!("adaptive.covered.{}", round % self.horizon))
    }

    /// What was achieved in the rounds of the horizon before this one, added up.
    fn covered(&self, view: &View<'_>, columns: usize, memory: &Memory) -> Vec<f64> {
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
        let trial = Trial::new(ENTRY.name, view, None)?;
        let covered = self.covered(view, trial.mean.len(), memory);
        let basis = Basis::new(view.known(), &trial.mean, &covered);
        let gain = |coefficients: &[f64]| {
            let away = trial.displacement(&basis.at(coefficients))?;
            Some(length(&away.iter().zip(&covered).map(|(a, b)| a + b).collect::<Vec<_>>()))
        };
        let mut climb = Climb::new(self.evaluations, basis.directions(), gain);
        for start in basis.published() {
            climb.attempt(&start);
        }
        let best = basis.at(&climb.run());
        if self.horizon > 1 {
            let away = trial.displacement(&best).unwrap_or_else(|| vec![0.0; best.len()]);
            memory.set(
                &self.slot(view, view.round.0),
                away.iter().map(|&value| value as f32).collect(),
            );
        }
        let vector = best.into_iter().map(|value| value as f32).collect();
        Ok(Crafted::same(&vector, view.identities.len()))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, ArrayView2, array};

    use super::*;
    use crate::attacks::tests::{Stage, build, craft_against, middle};

    /// How far from the mean of the honest a rule is led by an attack.
    fn led(attack: &dyn Attack, honest: &Array2<f32>, rule: &super::super::Defence<'_>) -> f64 {
        let sent = craft_against(attack, honest, 3, rule).unwrap();
        let all = ndarray::concatenate![ndarray::Axis(0), honest.view(), sent.view()];
        let mean = honest.mean_axis(ndarray::Axis(0)).unwrap();
        let away = rule(all.view()).unwrap() - mean;
        away.iter().map(|&away| f64::from(away).powi(2)).sum::<f64>().sqrt()
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
        let attack = Adaptive::default();
        let others = ["sign_flip", "inner_product", "little_is_enough", "min_max", "min_sum"];
        for rule in [&middle as &super::super::Defence<'_>, &near_the_middle] {
            let ours = led(&attack, &honest, rule);
            for name in others {
                let theirs = led(&*build(name, ""), &honest, rule);
                assert!(ours >= theirs - 1e-6, "{name}: {theirs} against {ours}");
            }
        }
    }

    #[test]
    fn over_several_rounds_it_keeps_to_its_way() {
        // The median can be led equally far to both sides: only the past tells them apart.
        let honest = array![[-1.0], [0.0], [1.0]];
        let rule = |rows: ArrayView2<'_, f32>| middle(rows);
        let attack = Adaptive { horizon: 5, ..Adaptive::default() };
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
        let attack = Adaptive { evaluations: 7, horizon: 1 };
        craft_against(&attack, &array![[1.0, 2.0], [3.0, 5.0]], 1, &rule).unwrap();
        assert_eq!(runs.get(), 7);
    }
}
