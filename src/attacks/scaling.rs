//! Model replacement: an identity's own update, so many times larger that it outweighs the others.
//!
//! `B_i = factor · x_i` for the identity's own update `x_i`. By itself the factor is `n / m` for
//! `m` corrupted among `n`: under a mean the corrupted then decide alone, and where the honest
//! have nothing to learn any more the model becomes the one that they trained. With a poison on
//! their data, that is a model with a backdoor in it. `clip` bounds the length of what is sent, so
//! that a bound on norms does not see it.
//!
//! An adversary with no update of its own scales the mean of those that it knows.
//!
//! Fails against every rule that bounds or compares norms, as long as `clip` is not used, and
//! under a mean early in training, while the honest updates are as large as its own.
//!
//! Reference: Bagdasaryan et al., How To Backdoor Federated Learning, AISTATS 2020.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::plain::plain;
use super::{Attack, AttackError, Claims, Crafted, Knowledge, View, finite};
use crate::catalog::{ConfigError, Entry};
use crate::memory::Memory;
use crate::vector::{norm, view_slice};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Attack, Claims> = Entry {
    name: "scaling",
    summary: "its own, poisoned update, large enough to replace the model",
    reference: "Bagdasaryan et al., AISTATS 2020",
    source: include_str!("scaling.rs"),
    claims: Claims { moves_mean: true, stays_inside: false },
    parameters: || schema_for!(Scaling),
    build: |parameters| {
        parameters.build::<dyn Attack, Scaling>(|attack| {
            attack.check()?;
            Ok(Arc::new(attack))
        })
    },
};

/// Parameters of model replacement.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Scaling {
    /// What an update is multiplied by. Default: participants over corrupted.
    #[serde(skip_serializing_if = "Option::is_none")]
    factor: Option<f64>,
    /// Whether the default factor is the number of participants, as if nobody else were corrupted;
    /// default no.
    alone: bool,
    /// The largest Euclidean norm that is sent, above 0. Default: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    clip: Option<f64>,
}

impl Scaling {
    fn check(&self) -> Result<(), ConfigError> {
        finite("factor", self.factor.unwrap_or_default())?;
        match self.clip {
            Some(clip) if clip.is_nan() || clip <= 0.0 => {
                Err(ConfigError::new(format!("`clip` must be above 0, got {clip}")))
            }
            _ => Ok(()),
        }
    }
}

impl Attack for Scaling {
    fn needs(&self) -> Knowledge {
        Knowledge::OwnData
    }

    fn uses_own(&self, _knowledge: Knowledge) -> bool {
        true
    }

    fn craft(
        &self,
        view: &View<'_>,
        _memory: &mut Memory,
        _rng: &mut dyn Rng,
    ) -> Result<Crafted, AttackError> {
        let liars = if self.alone { 1 } else { view.corrupted.max(1) };
        let share = view.participants as f64 / liars as f64;
        let factor = self.factor.unwrap_or(share);
        let mut rows = plain(ENTRY.name, view)?;
        for mut row in rows.rows_mut() {
            row.mapv_inplace(|value| (factor * f64::from(value)) as f32);
            let length = norm(view_slice(&row.view()));
            if let Some(clip) = self.clip.filter(|clip| length > *clip) {
                row.mapv_inplace(|value| (f64::from(value) * clip / length) as f32);
            }
        }
        Ok(Crafted::PerNode(rows))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::attacks::tests::{craft_alone, craft_omniscient};

    #[test]
    fn ten_with_two_liars_make_a_factor_of_five() {
        let own = array![[1.0, -2.0], [0.5, 0.0]];
        let sent = craft_alone(&Scaling::default(), &own).unwrap();
        assert_eq!(sent, array![[5.0, -10.0], [2.5, 0.0]]);
        let alone = Scaling { alone: true, ..Scaling::default() };
        assert_eq!(craft_alone(&alone, &own).unwrap(), array![[10.0, -20.0], [5.0, 0.0]]);
    }

    #[test]
    fn the_length_is_bounded() {
        let attack = Scaling { factor: Some(10.0), clip: Some(5.0), alone: false };
        assert_eq!(craft_alone(&attack, &array![[3.0, 4.0]]).unwrap(), array![[3.0, 4.0]]);
    }

    #[test]
    fn without_an_update_of_its_own_it_scales_the_mean() {
        let attack = Scaling { factor: Some(2.0), ..Scaling::default() };
        let sent = craft_omniscient(&attack, &array![[1.0], [3.0]], 1).unwrap();
        assert_eq!(sent, array![[4.0]]);
    }
}
