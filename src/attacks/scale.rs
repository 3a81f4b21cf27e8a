//! What the size of a shift counts.

use ndarray::ArrayView2;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::AttackError;
use super::moments::deviations;
use super::outcome::length;

/// What a size of 1 is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Scale {
    /// The root of the mean squared distance of the known updates to their mean.
    #[default]
    Spread,
    /// 1.
    One,
}

impl Scale {
    /// How many updates must be known.
    pub(super) fn needs(self) -> usize {
        match self {
            Scale::Spread => 2,
            Scale::One => 1,
        }
    }

    /// The length that a size of 1 has, at these rows with this mean.
    pub(super) fn unit(
        self,
        attack: &'static str,
        rows: ArrayView2<'_, f32>,
        mean: &[f64],
    ) -> Result<f64, AttackError> {
        Ok(match self {
            Scale::Spread => length(&deviations(attack, rows, mean, 0)?),
            Scale::One => 1.0,
        })
    }
}
