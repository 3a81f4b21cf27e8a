//! Noise: every corrupted identity sends independent normal numbers.
//!
//! `B_ij = mean + deviation · N(0, 1)`, drawn anew for each identity and coordinate, without
//! regard to any update.
//!
//! The defaults are those of ByzFL. Blanchard et al. used a deviation of 200, which wrecks the
//! mean at once and which every robust rule throws away: this is the attack that a defence must
//! pass before it is worth testing with another. It fails whenever the noise is either small
//! against the honest spread, where it cancels out, or large, where distances give it away.
//!
//! Reference: Blanchard et al., Machine Learning with Adversaries: Byzantine Tolerant Gradient
//! Descent, Neural Information Processing Systems 2017.

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
    name: "gaussian",
    summary: "independent normal noise in place of an update",
    reference: "Blanchard et al., NeurIPS 2017",
    source: include_str!("gaussian.rs"),
    claims: Claims { moves_mean: true, stays_inside: false },
    parameters: || schema_for!(Gaussian),
    build: |parameters| {
        parameters.build::<dyn Attack, Gaussian>(|attack| {
            attack.check()?;
            Ok(Arc::new(attack))
        })
    },
};

/// Parameters of the noise.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Gaussian {
    /// The mean of every coordinate.
    mean: f64,
    /// The standard deviation of every coordinate, at least 0.
    deviation: f64,
}

impl Default for Gaussian {
    fn default() -> Self {
        Gaussian { mean: 0.0, deviation: 1.0 }
    }
}

impl Gaussian {
    fn check(&self) -> Result<(), ConfigError> {
        finite("mean", self.mean)?;
        finite("deviation", self.deviation)?;
        if self.deviation < 0.0 {
            let message = format!("`deviation` must be at least 0, got {}", self.deviation);
            return Err(ConfigError::new(message));
        }
        Ok(())
    }
}

impl Attack for Gaussian {
    fn needs(&self) -> Knowledge {
        Knowledge::OwnData
    }

    fn uses_own(&self, _knowledge: Knowledge) -> bool {
        false
    }

    fn craft(
        &self,
        view: &View<'_>,
        _memory: &mut Memory,
        rng: &mut dyn Rng,
    ) -> Result<Crafted, AttackError> {
        let draw = || {
            let normal: f64 = StandardNormal.sample(rng);
            (self.mean + self.deviation * normal) as f32
        };
        let shape = (view.identities.len(), view.global.len());
        Ok(Crafted::PerNode(Array2::from_shape_simple_fn(shape, draw)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attacks::tests::craft_omniscient;

    #[test]
    fn without_deviation_only_the_mean_is_left() {
        let attack = Gaussian { mean: -2.5, deviation: 0.0 };
        let sent = craft_omniscient(&attack, &Array2::zeros((3, 4)), 2).unwrap();
        assert_eq!(sent, Array2::from_elem((2, 4), -2.5));
    }

    #[test]
    fn the_moments_are_those_asked_for_and_identities_differ() {
        let attack = Gaussian { mean: 3.0, deviation: 200.0 };
        let sent = craft_omniscient(&attack, &Array2::zeros((1, 50_000)), 2).unwrap();
        assert_ne!(sent.row(0), sent.row(1));
        let count = sent.len() as f64;
        let mean = sent.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
        let square = sent.iter().map(|&value| (f64::from(value) - mean).powi(2)).sum::<f64>();
        // Four standard errors of each estimate.
        assert!((mean - 3.0).abs() < 4.0 * 200.0 / count.sqrt(), "{mean}");
        let deviation = (square / count).sqrt();
        assert!((deviation / 200.0 - 1.0).abs() < 4.0 / (2.0 * count).sqrt(), "{deviation}");
    }

    #[test]
    fn the_same_stream_gives_the_same_noise() {
        let craft = || craft_omniscient(&Gaussian::default(), &Array2::zeros((1, 3)), 2).unwrap();
        assert_eq!(craft(), craft());
    }
}
