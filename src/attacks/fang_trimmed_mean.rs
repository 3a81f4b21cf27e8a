//! Fang's attack on the trimmed mean: just beyond the honest extremes, against the direction.
//!
//! Where the mean of coordinate `j` is positive, a value below the smallest known one is sent;
//! where it is negative, one above the largest. The interval is `[min/b, min]` or `[b·min, min]`,
//! whichever lies below, and likewise above the largest (`range = "extremes"`, for who knows all
//! updates), or `[mean - 4σ, mean - 3σ]` and its mirror image (`deviations`, for who knows the
//! colluders' own alone). A value is drawn anew for each identity and coordinate (`place =
//! "uniform"`), or is the outer end of the interval (`edge`) or its middle (`middle`).
//!
//! A mean of zero is left as it is.
//!
//! Fails against rules that look at whole rows: the vector is extreme in every coordinate at once
//! and lies far from all others. Trimming itself removes up to `f` such values per side, but with
//! them the honest values of the other side, and that shifts the mean.
//!
//! Reference: Fang, Cao, Jia and Gong, Local Model Poisoning Attacks to Byzantine-Robust Federated
//! Learning, USENIX Security 2020.

use std::sync::Arc;

use ndarray::{Array2, ArrayView2};
use rand::{Rng, RngExt};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::moments::{deviations, means};
use super::plain::gathered;
use super::{Attack, AttackError, Claims, Crafted, Knowledge, View, finite};
use crate::catalog::{ConfigError, Entry};
use crate::memory::Memory;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Attack, Claims> = Entry {
    name: "fang_trimmed_mean",
    summary: "just beyond the honest extremes of each coordinate, against the direction",
    reference: "Fang et al., USENIX Security 2020",
    source: include_str!("fang_trimmed_mean.rs"),
    claims: Claims { moves_mean: true, stays_inside: false },
    parameters: || schema_for!(FangTrimmedMean),
    build: |parameters| {
        parameters.build::<dyn Attack, FangTrimmedMean>(|attack| {
            attack.check()?;
            Ok(Arc::new(attack))
        })
    },
};

/// Parameters of the attack on the trimmed mean.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct FangTrimmedMean {
    /// What the interval is beyond: the `extremes` (default) or so many `deviations`.
    range: Range,
    /// Where in the interval: `uniform` (default), at its outer `edge`, or in the `middle`.
    place: Place,
    /// The ratio of the ends of the interval beyond an extreme, above 1; default 2.
    b: f64,
    /// Whether the deviation is that of a sample or of the population (default).
    sample: bool,
    /// Whether the identities' own updates count among the known; default no.
    with_own: bool,
}

/// What the interval is beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Range {
    /// The smallest or largest known value.
    Extremes,
    /// Three deviations from the mean, and up to four.
    Deviations,
}

/// Where in the interval the value lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Place {
    /// Anywhere, drawn for each identity and coordinate.
    Uniform,
    /// At the end further out.
    Edge,
    /// In the middle.
    Middle,
}

impl Default for FangTrimmedMean {
    fn default() -> Self {
        FangTrimmedMean {
            range: Range::Extremes,
            place: Place::Uniform,
            b: 2.0,
            sample: false,
            with_own: false,
        }
    }
}

/// The values that one coordinate is drawn from.
#[derive(Debug, Clone, Copy)]
struct Interval {
    low: f64,
    high: f64,
    /// Whether the low end is the one further out.
    below: bool,
}

impl FangTrimmedMean {
    fn check(&self) -> Result<(), ConfigError> {
        finite("b", self.b)?;
        if self.b > 1.0 {
            return Ok(());
        }
        Err(ConfigError::new(format!("`b` must be above 1, got {}", self.b)))
    }

    /// The interval of every coordinate.
    fn intervals(&self, rows: ArrayView2<'_, f32>) -> Result<Vec<Interval>, AttackError> {
        let means = means(ENTRY.name, rows)?;
        let beyond = match self.range {
            Range::Extremes => rows
                .columns()
                .into_iter()
                .map(|column| {
                    let values = || column.iter().map(|&value| f64::from(value));
                    (
                        values().fold(f64::INFINITY, f64::min),
                        values().fold(f64::NEG_INFINITY, f64::max),
                    )
                })
                .collect(),
            // Of one row alone, the population's deviation is 0.
            Range::Deviations if rows.nrows() == 1 && !self.sample => vec![(0.0, 0.0); means.len()],
            Range::Deviations => deviations(ENTRY.name, rows, &means, usize::from(self.sample))?
                .into_iter()
                .map(|deviation| (deviation, deviation))
                .collect::<Vec<_>>(),
        };
        let interval = |(&mean, (below, above)): (&f64, (f64, f64))| match self.range {
            _ if mean == 0.0 => Interval { low: mean, high: mean, below: true },
            Range::Extremes if mean > 0.0 => {
                let low = if below > 0.0 { below / self.b } else { below * self.b };
                Interval { low, high: below, below: true }
            }
            Range::Extremes => {
                let high = if above > 0.0 { above * self.b } else { above / self.b };
                Interval { low: above, high, below: false }
            }
            Range::Deviations if mean > 0.0 => {
                Interval { low: mean - 4.0 * below, high: mean - 3.0 * below, below: true }
            }
            Range::Deviations => {
                Interval { low: mean + 3.0 * above, high: mean + 4.0 * above, below: false }
            }
        };
        Ok(means.iter().zip(beyond).map(interval).collect())
    }

    fn value(&self, interval: Interval, rng: &mut dyn Rng) -> f32 {
        let Interval { low, high, below } = interval;
        let value = match self.place {
            Place::Uniform => low + (high - low) * rng.random::<f64>(),
            Place::Edge if below => low,
            Place::Edge => high,
            Place::Middle => f64::midpoint(low, high),
        };
        value as f32
    }
}

impl Attack for FangTrimmedMean {
    fn needs(&self) -> Knowledge {
        Knowledge::Colluders
    }

    fn uses_own(&self, knowledge: Knowledge) -> bool {
        knowledge < Knowledge::Omniscient || self.with_own
    }

    fn admits(
        &self,
        knowledge: Knowledge,
        participants: usize,
        corrupted: usize,
    ) -> Result<(), AttackError> {
        let needed = if self.range == Range::Deviations && self.sample { 2 } else { 1 };
        knowledge.require(ENTRY.name, needed, participants, corrupted)
    }

    fn craft(
        &self,
        view: &View<'_>,
        _memory: &mut Memory,
        rng: &mut dyn Rng,
    ) -> Result<Crafted, AttackError> {
        let intervals = self.intervals(gathered(view, self.with_own).view())?;
        let shape = (view.identities.len(), intervals.len());
        let sent = Array2::from_shape_fn(shape, |(_, column)| self.value(intervals[column], rng));
        Ok(Crafted::PerNode(sent))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::attacks::tests::craft_omniscient;

    #[test]
    fn the_outer_edges_by_hand() {
        let attack = FangTrimmedMean { place: Place::Edge, ..FangTrimmedMean::default() };
        // Below a positive and a negative smallest, above a positive and a negative largest.
        let honest = array![[2.0, -1.0, -5.0, -4.0], [4.0, 5.0, 1.0, -2.0]];
        let sent = craft_omniscient(&attack, &honest, 1).unwrap();
        assert_eq!(sent, array![[1.0, -2.0, 2.0, -1.0]]);
    }

    #[test]
    fn draws_stay_in_their_intervals_and_differ() {
        let honest = array![[2.0, -1.0, -5.0, 3.0], [4.0, 5.0, 1.0, -3.0]];
        let sent = craft_omniscient(&FangTrimmedMean::default(), &honest, 2).unwrap();
        for row in sent.rows() {
            assert!((1.0..=2.0).contains(&row[0]) && (-2.0..=-1.0).contains(&row[1]), "{row}");
            assert!((1.0..=2.0).contains(&row[2]) && row[3] == 0.0, "{row}");
        }
        assert_ne!(sent.row(0), sent.row(1));
    }

    #[test]
    fn three_and_a_half_deviations_by_hand() {
        let attack = FangTrimmedMean {
            range: Range::Deviations,
            place: Place::Middle,
            ..FangTrimmedMean::default()
        };
        // Mean 3 and deviation 2, and mirrored.
        let sent = craft_omniscient(&attack, &array![[1.0, -1.0], [5.0, -5.0]], 1).unwrap();
        assert_eq!(sent, array![[-4.0, 4.0]]);
    }
}
