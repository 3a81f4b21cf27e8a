//! Relocated orthogonal perturbation (ROP): a shift at right angles to the movement, around the
//! aggregate of the round before.
//!
//! `B = π g + (1 - π) m + s (sin(a) p + cos(a) u)`, with `m` the mean of the known updates, `g`
//! the aggregate of the round before, `u` the unit vector of `λ g + (1 - λ) m`, and `p` the unit
//! vector of what remains of `(1, …, 1)` when its part along `u` is taken out. The same from every
//! identity.
//!
//! Centered clipping cuts what it is sent around its own last outcome. What lies at `g` already
//! (`location`, π = 1) is hardly cut, and what is orthogonal to the movement is not undone by the
//! honest, so the shift adds up. `s` is `deviations` times the length of the honest deviations
//! (`scale = "spread"`), or of 1 (`one`, the authors').
//!
//! `g` is read off the model: it moved by the learning rate times `g`. With `learning_rate` that
//! is divided by it; without, `g` is taken to be as long as the mean of the updates known then. In
//! its first round there is no `g`, and it attacks around the mean (`first = "mean"`), or around 0
//! as the authors (`zero`). A peer is attacked around its own model, which is what peers clip
//! around.
//!
//! Fails against rules that look at each round by itself, where a shift around an old aggregate is
//! worth no more than one around the mean; and where the server averages momentum of its own, so
//! that the movement of the model is not what its rule returned.
//!
//! Reference: Ozfatura, Ozfatura, Kupcu and Gunduz, Byzantines Can Also Learn from History: Fall
//! of Centered Clipping in Federated Learning, IEEE Transactions on Information Forensics and
//! Security 2023.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::little_is_enough::{doubtful_shift, largest_shift};
use super::moments::means;
use super::neighbourhood::wide;
use super::outcome::length;
use super::scale::Scale;
use super::{Attack, AttackError, Claims, Crafted, Knowledge, View, finite};
use crate::catalog::{ConfigError, Entry};
use crate::memory::Memory;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Attack, Claims> = Entry {
    name: "relocated_orthogonal",
    summary: "a shift at right angles to the movement, around the aggregate of the round before",
    reference: "Ozfatura et al., IEEE TIFS 2023",
    source: include_str!("relocated_orthogonal.rs"),
    claims: Claims { moves_mean: true, stays_inside: false },
    parameters: || schema_for!(RelocatedOrthogonal),
    build: |parameters| {
        parameters.build::<dyn Attack, RelocatedOrthogonal>(|attack| {
            attack.check()?;
            Ok(Arc::new(attack))
        })
    },
};

/// What is sent by default, in lengths of the honest deviations.
const DEVIATIONS: f64 = 1.5;

/// Parameters of the relocated orthogonal perturbation.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RelocatedOrthogonal {
    /// How much of the aggregate before is in the place that is attacked, the rest being the mean;
    /// π, default 1.
    location: f64,
    /// How much of it is in the direction that angles are measured from; λ, default 0.9.
    reference: f64,
    /// The angle between the shift and that direction, in degrees: 90 (default) is orthogonal, 180
    /// straight back.
    angle: f64,
    /// The size of the shift; default 1.5.
    deviations: f64,
    /// Whether the size is computed from the numbers of participants and corrupted instead, as a
    /// little is enough does; default no.
    formula: bool,
    /// What the size counts: lengths of the honest deviations, `spread` (default), or `one`.
    scale: Scale,
    /// Where it attacks before there is an aggregate: around the `mean` (default) or `zero`.
    first: First,
    /// By what a movement of the model is divided to make an aggregate of it, above 0. Default: it
    /// is given the length of the mean of the updates known then.
    #[serde(skip_serializing_if = "Option::is_none")]
    learning_rate: Option<f64>,
}

/// Where it attacks in its first round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum First {
    /// Around the mean, whatever `location` says.
    Mean,
    /// As if the aggregate before had been 0.
    Zero,
}

impl Default for RelocatedOrthogonal {
    fn default() -> Self {
        RelocatedOrthogonal {
            location: 1.0,
            reference: 0.9,
            angle: 90.0,
            deviations: DEVIATIONS,
            formula: false,
            scale: Scale::Spread,
            first: First::Mean,
            learning_rate: None,
        }
    }
}

/// The names under which it remembers the last model, and how long the mean was.
const MODEL: &str = "relocated_orthogonal.model";
const LENGTH: &str = "relocated_orthogonal.length";

impl RelocatedOrthogonal {
    fn check(&self) -> Result<(), ConfigError> {
        finite("location", self.location)?;
        finite("reference", self.reference)?;
        finite("angle", self.angle)?;
        finite("deviations", self.deviations)?;
        if self.formula && self.deviations != DEVIATIONS {
            let message = format!("`deviations` = {} has no effect here", self.deviations);
            return Err(ConfigError::new(message)
                .help("formula = true computes the size of the shift: give one of the two"));
        }
        match self.learning_rate {
            Some(rate) if !(rate.is_finite() && rate > 0.0) => {
                Err(ConfigError::new(format!("`learning_rate` must be above 0, got {rate}")))
            }
            _ => Ok(()),
        }
    }

    /// The aggregate of the round before, if there was one.
    fn aggregate(&self, view: &View<'_>, mean: &[f64], memory: &mut Memory) -> Option<Vec<f64>> {
        if let Some(victim) = &view.victim {
            return Some(wide(victim.model));
        }
        let global = view.global;
        let before = memory.get(MODEL).filter(|before| before.len() == global.len());
        let aggregate = before.map(|before| {
            let moved = before.iter().zip(global).map(|(&old, &new)| f64::from(old - new));
            let moved: Vec<f64> = moved.collect();
            let long = memory.get(LENGTH).map_or(0.0, |long| f64::from(long[0]));
            let factor = match self.learning_rate {
                Some(rate) => 1.0 / rate,
                None => settled(long / length(&moved)),
            };
            moved.into_iter().map(|moved| factor * moved).collect()
        });
        memory.set(MODEL, global.to_vec());
        memory.set(LENGTH, vec![length(mean) as f32]);
        aggregate
    }

    /// How long the shift is.
    fn size(&self, view: &View<'_>, mean: &[f64]) -> Result<f64, AttackError> {
        let size = if self.formula {
            largest_shift(ENTRY.name, view.participants, view.corrupted)?
        } else {
            self.deviations
        };
        Ok(size * self.scale.unit(ENTRY.name, view.known(), mean)?)
    }

    /// The shift's direction, of length 1, by the direction that angles are measured from.
    fn direction(&self, towards: &[f64]) -> Vec<f64> {
        let size = length(towards);
        let along: Vec<f64> = towards.iter().map(|&value| settled(value / size)).collect();
        let product: f64 = along.iter().sum();
        let across: Vec<f64> = along.iter().map(|value| 1.0 - product * value).collect();
        let wide = length(&across);
        // What rounding leaves of a vector along all ones is no direction.
        let wide = if wide > 1e-9 * (across.len() as f64).sqrt() { wide } else { f64::INFINITY };
        let (sin, cos) = self.angle.to_radians().sin_cos();
        along.iter().zip(across).map(|(along, across)| sin * across / wide + cos * along).collect()
    }
}

/// 0 in place of what is no number.
fn settled(value: f64) -> f64 {
    if value.is_finite() { value } else { 0.0 }
}

impl Attack for RelocatedOrthogonal {
    fn needs(&self) -> Knowledge {
        Knowledge::Colluders
    }

    fn uses_own(&self, knowledge: Knowledge) -> bool {
        knowledge < Knowledge::Omniscient
    }

    fn admits(
        &self,
        knowledge: Knowledge,
        participants: usize,
        corrupted: usize,
    ) -> Result<(), AttackError> {
        if self.formula {
            largest_shift(ENTRY.name, participants, corrupted)?;
        }
        knowledge.require(ENTRY.name, self.scale.needs(), participants, corrupted)
    }

    fn doubt(&self, participants: usize, corrupted: usize) -> Option<String> {
        if self.formula { doubtful_shift(ENTRY.name, participants, corrupted) } else { None }
    }

    fn craft(
        &self,
        view: &View<'_>,
        memory: &mut Memory,
        _rng: &mut dyn Rng,
    ) -> Result<Crafted, AttackError> {
        let mean = means(ENTRY.name, view.known())?;
        let size = self.size(view, &mean)?;
        let before = self.aggregate(view, &mean, memory);
        // The place, and the direction that angles are measured from.
        let blend = |share: f64, other: &[f64]| -> Vec<f64> {
            other.iter().zip(&mean).map(|(g, m)| share * g + (1.0 - share) * m).collect()
        };
        let (place, towards) = match (&before, self.first) {
            (Some(before), _) => (blend(self.location, before), blend(self.reference, before)),
            (None, First::Mean) => (mean.clone(), mean.clone()),
            (None, First::Zero) => (blend(self.location, &vec![0.0; mean.len()]), mean.clone()),
        };
        let shift = self.direction(&towards);
        let vector = place.iter().zip(shift).map(|(place, shift)| (place + size * shift) as f32);
        Ok(Crafted::same(vector.collect(), view.identities.len()))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::attacks::tests::{Stage, craft_omniscient};

    fn close(sent: &Array2<f32>, expected: [f32; 2]) {
        for (sent, expected) in sent.row(0).iter().zip(expected) {
            assert!((sent - expected).abs() < 1e-5, "{sent} for {expected}");
        }
    }

    #[test]
    fn the_first_round_by_hand() {
        // The mean is (3, 0), so the part of (1, 1) across it is (0, 1); each coordinate's
        // deviation is 2 and 1.5, together 2.5.
        let honest = array![[1.0, 1.5], [5.0, -1.5]];
        let attack = RelocatedOrthogonal { deviations: 2.0, ..RelocatedOrthogonal::default() };
        close(&craft_omniscient(&attack, &honest, 1).unwrap(), [3.0, 5.0]);
        let back = RelocatedOrthogonal { angle: 180.0, ..attack.clone() };
        close(&craft_omniscient(&back, &honest, 1).unwrap(), [-2.0, 0.0]);
        let zero = RelocatedOrthogonal { first: First::Zero, scale: Scale::One, ..attack };
        close(&craft_omniscient(&zero, &honest, 1).unwrap(), [0.0, 2.0]);
    }

    #[test]
    fn later_it_attacks_around_the_aggregate() {
        let honest = array![[1.0, 1.5], [5.0, -1.5]];
        let play = |learning_rate| {
            let attack = RelocatedOrthogonal {
                reference: 1.0,
                scale: Scale::One,
                learning_rate,
                ..RelocatedOrthogonal::default()
            };
            let mut stage = Stage { global: Some(array![0.0, 0.2]), ..Stage::default() };
            stage.craft(&attack, &honest, 1).unwrap();
            stage.global = Some(array![0.0, 0.0]);
            stage.craft(&attack, &honest, 1).unwrap()
        };
        // The model moved by 0.2 along the second coordinate, so (1, 1) leaves (1, 0) across.
        close(&play(Some(0.1)), [1.5, 2.0]);
        // Else the aggregate is as long as the mean was, 3.
        close(&play(None), [1.5, 3.0]);
    }

    #[test]
    fn where_there_is_nothing_across_it_stays() {
        let honest = array![[1.0, 1.0], [5.0, 5.0]];
        let attack = RelocatedOrthogonal::default();
        close(&craft_omniscient(&attack, &honest, 1).unwrap(), [3.0, 3.0]);
        // Without a mean there is no direction to be across of.
        let still = array![[1.0, 0.0], [-1.0, 0.0]];
        let long = 1.5 / 2f32.sqrt();
        close(&craft_omniscient(&attack, &still, 1).unwrap(), [long, long]);
    }

    #[test]
    fn the_formula_is_that_of_a_little_is_enough() {
        let formula = RelocatedOrthogonal { formula: true, ..RelocatedOrthogonal::default() };
        assert!(formula.doubt(10, 2).unwrap().starts_with("relocated_orthogonal has z = 0"));
        assert!(formula.doubt(13, 3).is_none());
        assert!(formula.admits(Knowledge::Omniscient, 10, 6).is_err());
        assert!(RelocatedOrthogonal { deviations: 1.0, ..formula }.check().is_err());
    }
}
