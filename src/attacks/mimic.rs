//! Mimic: every corrupted identity repeats what one honest worker says.
//!
//! Nothing false is sent: one worker's update counts `m + 1` times, and the others' count for
//! less. Where workers hold different data, the model learns that worker's and forgets the rest.
//!
//! With `worker` the one to be copied is fixed. Without, the attacker looks for the direction `z`
//! in which the honest differ most: in its first `warm_up` rounds it follows the power method,
//! with `t` from 0, `c_i = x_i - m` around a running mean `m` of the means:
//! `z <- norm(t/(t+1) z + 1/(t+1) norm(sum_i <c_i, z> c_i))`, from a `z` drawn at random. It copies
//! the update with the largest `<x_i, z>`. After the warm-up it keeps to the last worker
//! (`after = "worker"`), to the last direction (`direction`), or goes on learning (`learn`).
//!
//! Fails where workers hold alike data, since a copy of an honest update is then as good as any,
//! and under rules that bring the rows together before they select (bucketing, mixing of nearest
//! neighbours). No distance test sees it.
//!
//! Reference: Karimireddy, He and Jaggi, Byzantine-Robust Learning on Heterogeneous Datasets via
//! Bucketing, ICLR 2022.

use std::sync::Arc;

use ndarray::{ArrayView1, ArrayView2};
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::moments::means;
use super::{Attack, AttackError, Claims, Crafted, Knowledge, View};
use crate::catalog::{ConfigError, Entry};
use crate::memory::Memory;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Attack, Claims> = Entry {
    name: "mimic",
    summary: "the update of one honest worker, repeated by every identity",
    reference: "Karimireddy, He and Jaggi, ICLR 2022",
    source: include_str!("mimic.rs"),
    claims: Claims { moves_mean: true, stays_inside: true },
    parameters: || schema_for!(Mimic),
    build: |parameters| {
        parameters.build::<dyn Attack, Mimic>(|attack| {
            attack.check()?;
            Ok(Arc::new(attack))
        })
    },
};

/// Parameters of mimicry.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Mimic {
    /// Which of the known updates is copied, in order of their senders from 0; beyond the last it
    /// is the last. Default: the attacker looks for the one that differs most.
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<usize>,
    /// In how many rounds it learns the direction in which updates differ; default 20.
    warm_up: u32,
    /// Whose product with the direction decides: the `largest` (default), the `smallest`, or the
    /// largest `magnitude`.
    pick: Pick,
    /// What stays after the warm-up: the `worker` (default), the `direction`, or nothing, and it
    /// goes on to `learn`.
    after: After,
    /// What a round adds to the direction: a vector of length 1 (`unit`, default), or the sum as it
    /// is, times 1/(t+1) (`share`) or in full (`sum`).
    step: Step,
    /// The direction before the first round; default: drawn at random.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    start: Vec<f64>,
}

/// Whose product with the direction decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Pick {
    /// The largest.
    Largest,
    /// The smallest.
    Smallest,
    /// The largest by its absolute value.
    Magnitude,
}

/// What stays after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum After {
    /// The worker that was copied last.
    Worker,
    /// The direction.
    Direction,
    /// Nothing.
    Learn,
}

/// What one round adds to the direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Step {
    /// Its own direction, of length 1, as one of t + 1 rounds.
    Unit,
    /// The sum itself, as one of t + 1 rounds.
    Share,
    /// The sum itself, in full.
    Sum,
}

impl Default for Mimic {
    fn default() -> Self {
        Mimic {
            worker: None,
            warm_up: 20,
            pick: Pick::Largest,
            after: After::Worker,
            step: Step::Unit,
            start: Vec::new(),
        }
    }
}

/// The names under which it remembers.
const DIRECTION: &str = "mimic.direction";
const MEAN: &str = "mimic.mean";
const TARGET: &str = "mimic.target";
const ROUNDS: &str = "mimic.rounds";

impl Mimic {
    fn check(&self) -> Result<(), ConfigError> {
        if self.start.iter().any(|value| !value.is_finite()) {
            return Err(ConfigError::new("`start` holds a value that is not finite"));
        }
        Ok(())
    }

    /// The row that is copied.
    fn target(
        &self,
        view: &View<'_>,
        memory: &mut Memory,
        rng: &mut dyn Rng,
    ) -> Result<usize, AttackError> {
        let known = view.known();
        let last = known.nrows() - 1;
        if let Some(worker) = self.worker {
            return Ok(worker.min(last));
        }
        let learnt = memory.get(&view.memory_of(ROUNDS)).map_or(0, |rounds| rounds[0] as u32);
        let learns = learnt < self.warm_up || self.after == After::Learn;
        if !learns
            && self.after == After::Worker
            && let Some(target) = memory.get(&view.memory_of(TARGET))
        {
            let sender = target[0] as u32;
            let place = view.senders.iter().position(|id| id.0 == sender);
            // Where the worker is absent, its neighbour has to do.
            return Ok(place.unwrap_or((sender as usize).min(last)));
        }
        let direction = if learns {
            let direction = self.learn(learnt, view, memory, rng)?;
            memory.set(&view.memory_of(ROUNDS), vec![(learnt + 1) as f32]);
            direction
        } else {
            self.direction(view, memory, rng)
        };
        let row = self.choose(known, &direction);
        let sender = view.senders.get(row).map_or(row as u32, |id| id.0);
        memory.set(&view.memory_of(TARGET), vec![sender as f32]);
        Ok(row)
    }

    /// The direction so far: what is remembered, what was given, or a draw.
    fn direction(&self, view: &View<'_>, memory: &Memory, rng: &mut dyn Rng) -> Vec<f64> {
        let columns = view.known().ncols();
        match memory.get(&view.memory_of(DIRECTION)).filter(|direction| direction.len() == columns)
        {
            Some(direction) => direction.iter().map(|&value| f64::from(value)).collect(),
            None if self.start.len() == columns => self.start.clone(),
            None => (0..columns).map(|_| StandardNormal.sample(rng)).collect(),
        }
    }

    /// One round of the power method.
    fn learn(
        &self,
        learnt: u32,
        view: &View<'_>,
        memory: &mut Memory,
        rng: &mut dyn Rng,
    ) -> Result<Vec<f64>, AttackError> {
        let known = view.known();
        let t = f64::from(learnt);
        let before = self.direction(view, memory, rng);
        let mut centre = means(ENTRY.name, known)?;
        if let Some(old) = memory.get(&view.memory_of(MEAN)).filter(|old| old.len() == centre.len())
        {
            for (centre, &old) in centre.iter_mut().zip(old) {
                *centre = (t * f64::from(old) + *centre) / (t + 1.0);
            }
        }
        let mut sum = vec![0.0; centre.len()];
        for row in known.rows() {
            let away: Vec<f64> =
                row.iter().zip(&centre).map(|(&value, mean)| f64::from(value) - mean).collect();
            let product: f64 = away.iter().zip(&before).map(|(away, z)| away * z).sum();
            for (sum, away) in sum.iter_mut().zip(away) {
                *sum += product * away;
            }
        }
        let share = match self.step {
            Step::Unit => {
                sum = normalised(sum);
                1.0 / (t + 1.0)
            }
            Step::Share => 1.0 / (t + 1.0),
            Step::Sum => 1.0,
        };
        if learnt > 0 {
            for (sum, before) in sum.iter_mut().zip(&before) {
                *sum = t / (t + 1.0) * before + share * *sum;
            }
        }
        let direction = normalised(sum);
        memory.set(&view.memory_of(MEAN), centre.iter().map(|&value| value as f32).collect());
        memory
            .set(&view.memory_of(DIRECTION), direction.iter().map(|&value| value as f32).collect());
        Ok(direction)
    }

    /// The first row that the direction decides for.
    fn choose(&self, known: ArrayView2<'_, f32>, direction: &[f64]) -> usize {
        let product = |row: ArrayView1<'_, f32>| -> f64 {
            let product = row.iter().zip(direction).map(|(&value, z)| f64::from(value) * z).sum();
            match self.pick {
                Pick::Largest => product,
                Pick::Smallest => -product,
                Pick::Magnitude => product.abs(),
            }
        };
        let mut best = (0, f64::NEG_INFINITY);
        for (place, row) in known.rows().into_iter().enumerate() {
            let product = product(row);
            if product > best.1 {
                best = (place, product);
            }
        }
        best.0
    }
}

/// The vector divided by its length; as it is where it has none.
fn normalised(vector: Vec<f64>) -> Vec<f64> {
    let norm = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
    if norm.is_finite() && norm > 0.0 {
        return vector.into_iter().map(|value| value / norm).collect();
    }
    vector
}

impl Attack for Mimic {
    fn needs(&self) -> Knowledge {
        Knowledge::Omniscient
    }

    fn uses_own(&self, knowledge: Knowledge) -> bool {
        knowledge < Knowledge::Omniscient
    }

    fn craft(
        &self,
        view: &View<'_>,
        memory: &mut Memory,
        rng: &mut dyn Rng,
    ) -> Result<Crafted, AttackError> {
        let known = view.known();
        if known.nrows() == 0 {
            return Err(AttackError::TooFewKnown { attack: ENTRY.name, needed: 1, got: 0 });
        }
        let row = self.target(view, memory, rng)?;
        Ok(Crafted::same(known.row(row).to_owned(), view.identities.len()))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::attacks::tests::{Stage, craft_omniscient};

    #[test]
    fn a_fixed_worker_is_repeated() {
        let honest = array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]];
        let attack = |worker| Mimic { worker: Some(worker), ..Mimic::default() };
        let sent = craft_omniscient(&attack(1), &honest, 2).unwrap();
        assert_eq!(sent, array![[3.0, 4.0], [3.0, 4.0]]);
        assert_eq!(craft_omniscient(&attack(9), &honest, 1).unwrap(), array![[5.0, 6.0]]);
    }

    #[test]
    fn it_copies_along_the_direction_in_which_updates_differ() {
        // They differ along the second coordinate; which of its ends is copied is a draw.
        let honest = array![[1.0, -9.0], [1.1, 0.0], [0.9, 8.0]];
        let sent = craft_omniscient(&Mimic::default(), &honest, 1).unwrap();
        assert_ne!(sent[[0, 1]], 0.0);
        let smallest = Mimic { start: vec![0.0, 1.0], pick: Pick::Smallest, ..Mimic::default() };
        assert_eq!(craft_omniscient(&smallest, &honest, 1).unwrap(), array![[1.0, -9.0]]);
    }

    #[test]
    fn after_the_warm_up_it_keeps_to_its_worker() {
        let attack = Mimic { start: vec![1.0], warm_up: 1, ..Mimic::default() };
        let mut stage = Stage::default();
        let first = stage.craft(&attack, &array![[1.0], [5.0]], 1).unwrap();
        assert_eq!(first, array![[5.0]]);
        // The other worker has the larger update now.
        let second = stage.craft(&attack, &array![[7.0], [2.0]], 1).unwrap();
        assert_eq!(second, array![[2.0]]);
        let follows = Mimic { after: After::Direction, ..attack };
        let mut stage = Stage::default();
        stage.craft(&follows, &array![[1.0], [5.0]], 1).unwrap();
        assert_eq!(stage.craft(&follows, &array![[7.0], [2.0]], 1).unwrap(), array![[7.0]]);
    }
}
