//! At a boundary: one vector from a single statistic of the honest updates, without a search.
//!
//! Over the known updates `x` with mean `m`, and with `s` for `strength`:
//! - `of = "furthest"` (default): `m + (1 + s) (x_k - m)`, just beyond the update `x_k` that is
//!   furthest from the mean; `s` is 0.1 by itself;
//! - `krum`: `x_k - s x_k / |x_k|`, beside the update that Krum selects by plain distances; 0.1;
//! - `diameter`: `m - s D m / |m|` for the largest distance `D` between two updates; 1;
//! - `range`: per coordinate `m - s sign(m) (u - l)`, where `l` and `u` are the extremes that stay
//!   when `trim` values are dropped at each end; 0.5;
//! - `kept`: per coordinate `u - s sign(m) (u - l)`, with the same; 1. Where the mean is negative
//!   that is beyond `u` by the whole range, where it is positive it is `l`.
//!
//! `trim` is as many as are corrupted, or `trim_share` of all participants rounded down, one at
//! least; where that leaves nothing, as many as leave something.
//!
//! They are cheap, and weak: rules of thumb of one library, after the attacks that are named below
//! and that search. Each fails where its search would have gone further, and against all rules but
//! the one that its statistic is taken from. `furthest` fails against every rule that drops what
//! lies outside, which is most of them.
//!
//! Reference: the FL-Byzantine-Library of Koç University's crypto group, after Fang, Cao, Jia and
//! Gong, USENIX Security 2020, and Shejwalkar and Houmansadr, NDSS 2021.

use std::sync::Arc;

use ndarray::ArrayView2;
use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::fang_krum::selection::{Neighbours, Power, Selection};
use super::moments::means;
use super::outcome::length;
use super::perturbation::sign;
use super::{Attack, AttackError, Claims, Crafted, Knowledge, View, finite};
use crate::catalog::{ConfigError, Entry};
use crate::kernels::distances::squared_distances;
use crate::memory::Memory;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Attack, Claims> = Entry {
    name: "boundary",
    summary: "one vector at or just beyond a boundary that the honest updates draw",
    reference: "FL-Byzantine-Library; after Fang et al., USENIX Security 2020",
    source: include_str!("boundary.rs"),
    claims: Claims { moves_mean: true, stays_inside: false },
    parameters: || schema_for!(Boundary),
    build: |parameters| {
        parameters.build::<dyn Attack, Boundary>(|attack| {
            attack.check()?;
            Ok(Arc::new(attack))
        })
    },
};

/// Parameters of the attack at a boundary.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Boundary {
    /// Which boundary: the `furthest` update (default), `krum`'s choice, the `diameter`, the
    /// `range` of what is kept in each coordinate, or the `kept` extreme itself.
    of: Of,
    /// How far from it. Default: 0.1 for `furthest` and `krum`, 1 for `diameter` and `kept`, 0.5
    /// for `range`.
    #[serde(skip_serializing_if = "Option::is_none")]
    strength: Option<f64>,
    /// The share of the participants that is dropped at each end of a coordinate, 0 to 1. Default:
    /// as many as are corrupted.
    #[serde(skip_serializing_if = "Option::is_none")]
    trim_share: Option<f64>,
}

/// Which boundary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Of {
    /// The update furthest from the mean.
    #[default]
    Furthest,
    /// The update that Krum selects.
    Krum,
    /// The largest distance between two updates.
    Diameter,
    /// Half the range of the values that are kept, from the mean.
    Range,
    /// The largest value that is kept.
    Kept,
}

impl Boundary {
    fn check(&self) -> Result<(), ConfigError> {
        finite("strength", self.strength.unwrap_or_default())?;
        match self.trim_share {
            Some(share) if !(0.0..=1.0).contains(&share) => {
                Err(ConfigError::new(format!("`trim_share` must be 0 to 1, got {share}")))
            }
            _ => Ok(()),
        }
    }

    fn strength(&self) -> f64 {
        self.strength.unwrap_or(match self.of {
            Of::Furthest | Of::Krum => 0.1,
            Of::Diameter | Of::Kept => 1.0,
            Of::Range => 0.5,
        })
    }

    /// How many values are dropped at each end of a coordinate.
    fn trim(&self, view: &View<'_>) -> usize {
        let wanted = match self.trim_share {
            Some(share) => (share * view.participants as f64) as usize,
            None => view.corrupted,
        };
        wanted.max(1).min(view.known().nrows().saturating_sub(1) / 2)
    }

    fn vector(&self, view: &View<'_>, mean: &[f64]) -> Vec<f64> {
        let rows = view.known();
        let by = self.strength();
        match self.of {
            Of::Furthest => {
                let away = differences(rows, mean, furthest(rows, mean));
                mean.iter().zip(away).map(|(mean, away)| mean + (1.0 + by) * away).collect()
            }
            Of::Krum => {
                let krum = Selection { power: Power::Plain, neighbours: Neighbours::Others };
                let chosen = krum.pick(rows, view.corrupted);
                let chosen: Vec<f64> =
                    rows.row(chosen).iter().map(|&value| f64::from(value)).collect();
                towards_zero(&chosen, by)
            }
            Of::Diameter => {
                let diameter = squared_distances(rows).into_iter().fold(0.0, f64::max).sqrt();
                towards_zero(mean, by * diameter)
            }
            Of::Range | Of::Kept => {
                let ends = kept(rows, self.trim(view));
                let from = |mean: f64, high: f64| if self.of == Of::Kept { high } else { mean };
                let at = |(&mean, (low, high)): (&f64, (f64, f64))| {
                    from(mean, high) - by * sign(mean) * (high - low)
                };
                mean.iter().zip(ends).map(at).collect()
            }
        }
    }
}

/// The vector, shorter by `less`; as it is where it has no length.
fn towards_zero(vector: &[f64], less: f64) -> Vec<f64> {
    let long = length(vector);
    let share = if long > 0.0 { less / long } else { 0.0 };
    vector.iter().map(|value| value - share * value).collect()
}

/// Row `row` less the mean.
fn differences(rows: ArrayView2<'_, f32>, mean: &[f64], row: usize) -> Vec<f64> {
    rows.row(row).iter().zip(mean).map(|(&value, mean)| f64::from(value) - mean).collect()
}

/// The row furthest from the mean, the first of equals.
fn furthest(rows: ArrayView2<'_, f32>, mean: &[f64]) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for row in 0..rows.nrows() {
        let away = length(&differences(rows, mean, row));
        if away > best.1 {
            best = (row, away);
        }
    }
    best.0
}

/// The smallest and the largest value of each column without `trim` at each end.
fn kept(rows: ArrayView2<'_, f32>, trim: usize) -> Vec<(f64, f64)> {
    let ends = |column: ndarray::ArrayView1<'_, f32>| {
        let mut values = column.to_vec();
        values.sort_unstable_by(f32::total_cmp);
        (f64::from(values[trim]), f64::from(values[values.len() - 1 - trim]))
    };
    rows.columns().into_iter().map(ends).collect()
}

impl Attack for Boundary {
    fn needs(&self) -> Knowledge {
        Knowledge::Colluders
    }

    fn uses_own(&self, knowledge: Knowledge) -> bool {
        knowledge < Knowledge::Omniscient
    }

    fn craft(
        &self,
        view: &View<'_>,
        _memory: &mut Memory,
        _rng: &mut dyn Rng,
    ) -> Result<Crafted, AttackError> {
        let mean = means(ENTRY.name, view.known())?;
        let vector = self.vector(view, &mean).into_iter().map(|value| value as f32).collect();
        Ok(Crafted::same(vector, view.identities.len()))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::attacks::tests::craft_omniscient;

    /// What is sent at this boundary of 1, 2, 3, 4 and 10, whose mean is 4, by one liar.
    fn sent(of: Of, sign: f32) -> f32 {
        let honest = array![[1.0], [2.0], [3.0], [4.0], [10.0]] * sign;
        let attack = Boundary { of, ..Boundary::default() };
        craft_omniscient(&attack, &honest, 1).unwrap()[[0, 0]]
    }

    #[test]
    fn every_boundary_by_hand() {
        for (of, above, below) in [
            (Of::Furthest, 10.6, -10.6),
            // Two neighbours each: 2 and 3 tie at 2, and 2 stands first.
            (Of::Krum, 1.9, -1.9),
            (Of::Diameter, -5.0, 5.0),
            // 2 to 4 are kept.
            (Of::Range, 3.0, -3.0),
            (Of::Kept, 2.0, 0.0),
        ] {
            assert!((sent(of, 1.0) - above).abs() < 1e-5, "{of:?}: {}", sent(of, 1.0));
            assert!((sent(of, -1.0) - below).abs() < 1e-5, "{of:?}: {}", sent(of, -1.0));
        }
    }

    #[test]
    fn as_many_are_trimmed_as_leave_one() {
        let honest = array![[1.0], [2.0], [6.0]];
        let attack = Boundary { of: Of::Kept, trim_share: Some(0.9), ..Boundary::default() };
        assert_eq!(craft_omniscient(&attack, &honest, 3).unwrap()[[0, 0]], 2.0);
        let range = Boundary { of: Of::Range, ..Boundary::default() };
        assert_eq!(craft_omniscient(&range, &honest, 9).unwrap()[[0, 0]], 3.0);
    }

    #[test]
    fn without_a_direction_there_is_a_vector() {
        for of in [Of::Furthest, Of::Krum, Of::Diameter, Of::Range, Of::Kept] {
            let attack = Boundary { of, ..Boundary::default() };
            let sent = craft_omniscient(&attack, &Array2::zeros((3, 2)), 1).unwrap();
            assert!(sent.iter().all(|&value| value == 0.0), "{of:?}: {sent}");
        }
    }
}
