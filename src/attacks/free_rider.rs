//! Free riding: an identity that never trains pretends that it did, to be given the model.
//!
//! `with = "nothing"`: an update of zeros, a model returned as it came, here with noise (the plain
//! and the disguised form of Fraboni et al.): `B_ij = sigma · t^-decay · N(0, 1)` in round `t`.
//! `with = "movement"` (default): what the model did in the last round, repeated, as Lin et al.
//! found, plus that noise: `B = (global_{t-1} - global_t) / learning_rate`. Nothing but the models
//! that every worker receives is used, so where the server keeps the momentum the movement has it
//! in it. In its first round it has no movement to repeat.
//!
//! Fails to do harm: it steals, and slows learning down by its share. Repeated movement acts as
//! momentum. A rule that compares directions has no reason to refuse it; one that looks for
//! updates that are alike finds several riders at once, unless there is noise.
//!
//! Reference: Lin, Du and Liu, Free-riders in Federated Learning: Attacks and Defenses, arXiv
//! 1911.12560, 2019; Fraboni, Vidal and Lorenzi, Free-rider Attacks on Model Aggregation in
//! Federated Learning, AISTATS 2021.

use std::sync::Arc;

use ndarray::Array2;
use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Attack, AttackError, Claims, Crafted, Knowledge, View, finite};
use crate::catalog::{ConfigError, Entry};
use crate::memory::Memory;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Attack, Claims> = Entry {
    name: "free_rider",
    summary: "no training at all: the model's last movement repeated, or nothing, under noise",
    reference: "Lin, Du and Liu, 2019; Fraboni, Vidal and Lorenzi, AISTATS 2021",
    source: include_str!("free_rider.rs"),
    claims: Claims { moves_mean: true, stays_inside: false },
    parameters: || schema_for!(FreeRider),
    build: |parameters| {
        parameters.build::<dyn Attack, FreeRider>(|attack| {
            attack.check()?;
            Ok(Arc::new(attack))
        })
    },
};

/// Parameters of free riding.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct FreeRider {
    /// What is sent: the model's last `movement` (default) or `nothing`, each with noise.
    with: With,
    /// By what a movement of the model is divided to make an update of it, above 0: the run's
    /// learning rate. Default 1.
    learning_rate: f64,
    /// The standard deviation of the noise in each coordinate in round 1, at least 0; default 0.
    sigma: f64,
    /// How fast the noise dies down, as a power of the round; default 1.
    decay: f64,
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum With {
    /// What the model did in the last round.
    Movement,
    /// Zeros.
    Nothing,
}

impl Default for FreeRider {
    fn default() -> Self {
        FreeRider { with: With::Movement, learning_rate: 1.0, sigma: 0.0, decay: 1.0 }
    }
}

/// The name under which the last model is remembered.
const MODEL: &str = "free_rider.model";

impl FreeRider {
    fn check(&self) -> Result<(), ConfigError> {
        finite("learning_rate", self.learning_rate)?;
        finite("sigma", self.sigma)?;
        finite("decay", self.decay)?;
        if self.learning_rate <= 0.0 {
            let message = format!("`learning_rate` must be above 0, got {}", self.learning_rate);
            return Err(ConfigError::new(message));
        }
        if self.sigma < 0.0 {
            return Err(ConfigError::new(format!(
                "`sigma` must be at least 0, got {}",
                self.sigma
            )));
        }
        Ok(())
    }

    /// The movement of the model since the last round, as an update.
    fn movement(&self, view: &View<'_>, memory: &mut Memory) -> Vec<f64> {
        let global = view.global;
        let before = memory.get(MODEL).filter(|before| before.len() == global.len());
        let movement = match before {
            Some(before) => before
                .iter()
                .zip(global)
                .map(|(&before, &now)| (f64::from(before) - f64::from(now)) / self.learning_rate)
                .collect(),
            None => vec![0.0; global.len()],
        };
        memory.set(MODEL, global.to_vec());
        movement
    }
}

impl Attack for FreeRider {
    fn needs(&self) -> Knowledge {
        Knowledge::OwnData
    }

    fn uses_own(&self, _knowledge: Knowledge) -> bool {
        false
    }

    fn craft(
        &self,
        view: &View<'_>,
        memory: &mut Memory,
        rng: &mut dyn Rng,
    ) -> Result<Crafted, AttackError> {
        let base = match self.with {
            With::Movement => self.movement(view, memory),
            With::Nothing => vec![0.0; view.global.len()],
        };
        let sigma = self.sigma * f64::from(view.round.0.max(1)).powf(-self.decay);
        let shape = (view.identities.len(), base.len());
        let sent = Array2::from_shape_fn(shape, |(_, column)| {
            let noise: f64 = if sigma > 0.0 { StandardNormal.sample(rng) } else { 0.0 };
            (base[column] + sigma * noise) as f32
        });
        Ok(Crafted::PerNode(sent))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, array};

    use super::*;
    use crate::attacks::tests::Stage;

    #[test]
    fn the_last_movement_is_repeated_by_hand() {
        let attack = FreeRider { learning_rate: 0.5, ..FreeRider::default() };
        let honest = array![[9.0, 9.0]];
        let mut stage = Stage { global: Some(Array1::from(vec![1.0, 2.0])), ..Stage::default() };
        assert_eq!(stage.craft(&attack, &honest, 1).unwrap(), array![[0.0, 0.0]]);
        stage.global = Some(Array1::from(vec![0.5, 3.0]));
        assert_eq!(stage.craft(&attack, &honest, 2).unwrap(), array![[1.0, -2.0], [1.0, -2.0]]);
    }

    #[test]
    fn noise_dies_down_with_the_rounds() {
        let attack = FreeRider { with: With::Nothing, sigma: 100.0, ..FreeRider::default() };
        let honest = Array2::zeros((1, 2000));
        let mut stage = Stage::default();
        let size = |rows: &Array2<f32>| rows.iter().map(|value| value * value).sum::<f32>().sqrt();
        let first = size(&stage.craft(&attack, &honest, 1).unwrap());
        stage.round = 10;
        let tenth = size(&stage.craft(&attack, &honest, 1).unwrap());
        assert!((first / tenth - 10.0).abs() < 1.0, "{first} {tenth}");
    }
}
