//! `FedSECA`: the sign of every coordinate is elected, and who agrees with it is averaged.
//!
//! A row's vote counts as much as its concordance, `ρ_i = max(0, 1/n · Σ_j sign⟨sign x_i, sign
//! x_j⟩)`: how many rows it agrees with in more coordinates than not, less how many it does not.
//! The elected sign of a coordinate is that of `Σ ρ_i sign x_i`. Rows are scaled down to the lower
//! median norm, their magnitudes cut at the lower median magnitude of the coordinate, and of each
//! row only coordinates above its quantile `sparsity` of magnitudes are left. What is left and has
//! the elected sign is averaged in each coordinate; nothing is 0, and where the vote is even what
//! is left of all rows is averaged.
//!
//! Nothing that one row sends moves a coordinate by more than the median magnitude there.
//!
//! Fails by what it leaves out: with the default only a tenth of each row is used, and a coordinate
//! is the mean of those few who are above their quantile in it, so that the result is much longer
//! than what honest rows agree on and sparse where they do not. Where honest rows disagree in most
//! signs their concordance is near 0, and liars who agree with each other win the vote. Needs
//! n > 2f.
//!
//! Reference: Benjamin, Asokan, Yaqub, Nandakumar, `FedSECA`: Sign Election and Coordinate-wise
//! Aggregation of Gradients for Byzantine Tolerant Federated Learning, CVPR Workshops 2025.

use std::ops::Range;
use std::sync::Arc;

use ndarray::{Array1, ArrayView2};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::{ConfigError, Entry};
use crate::kernels::columns::summarise_ranks_apart;
use crate::kernels::row_norms::{lower_median, row_norms};
use crate::kernels::shares;
use crate::vector::slices_of;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "fedseca",
    summary: "in every coordinate the mean of large values that have the elected sign",
    reference: "Benjamin et al., CVPR Workshops 2025",
    source: include_str!("fedseca.rs"),
    claims: Claims {
        permutation_invariant: true,
        translation_equivariant: false,
        scale_equivariant: true,
        tolerates: |rows| Some(rows.checked_sub(1)? / 2),
        robust: false,
        remembers: Remembers::Nothing,
        uses_byzantine: false,
        uses_samples: false,
    },
    parameters: || schema_for!(FedSeca),
    build: |parameters| parameters.build::<dyn Aggregator, FedSeca>(FedSeca::checked),
};

/// Parameters of `FedSECA`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct FedSeca {
    /// The quantile of a row's magnitudes up to which its values are left out, at least 0 and below
    /// 1, with linear interpolation (default 0.9).
    sparsity: f64,
}

impl Default for FedSeca {
    fn default() -> Self {
        FedSeca { sparsity: 0.9 }
    }
}

impl FedSeca {
    fn checked(self) -> Result<Arc<dyn Aggregator>, ConfigError> {
        if (0.0..1.0).contains(&self.sparsity) {
            return Ok(Arc::new(self));
        }
        let message = format!("`sparsity` is {}, but must be in 0.0 .. 1.0", self.sparsity);
        Err(ConfigError::new(message))
    }
}

impl Aggregator for FedSeca {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        AggregateError::unless_majority(ENTRY.name, rows, byzantine)
    }

    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        self.admits(updates.nrows(), context.byzantine)?;
        let norms = row_norms(updates);
        // Rows that are not finite have neither a vote nor values.
        let finite: Vec<usize> = (0..norms.len()).filter(|&row| norms[row].is_finite()).collect();
        if finite.is_empty() || updates.ncols() == 0 {
            return Ok(Aggregate { vector: Array1::zeros(updates.ncols()), weights: None });
        }
        let updates = updates.as_standard_layout();
        let view = updates.view();
        let all = slices_of(&view);
        let rows: Vec<&[f32]> = finite.iter().map(|&row| all[row]).collect();
        let norms: Vec<f64> = finite.iter().map(|&row| norms[row]).collect();
        let bound = lower_median(&norms);
        let factors = norms.iter().map(|&norm| if norm > bound { bound / norm } else { 1.0 });
        let numbers = rows.len() * updates.ncols();
        let own = shares::each(rows.len(), numbers, |row| {
            Some((Signs::of(rows[row]), quantile(rows[row], self.sparsity)))
        });
        let (signs, floors): (Vec<Signs>, Vec<f64>) = own.into_iter().flatten().unzip();
        let vote = Vote { rows, factors: factors.collect(), floors, votes: votes(&signs) };
        let columns = updates.ncols();
        let parts = shares::each(columns.div_ceil(COLUMNS), numbers, |part| {
            vote.means(part * COLUMNS..columns.min((part + 1) * COLUMNS))
        });
        Ok(Aggregate { vector: Array1::from(parts.concat()), weights: None })
    }
}

fn sign_of(value: f32) -> i64 {
    i64::from(value > 0.0) - i64::from(value < 0.0)
}

/// How many votes each row has: how many agree with it, less those that do not.
fn votes(signs: &[Signs]) -> Vec<i64> {
    let numbers = signs.len() * signs.iter().map(|signs| signs.positive.len()).sum::<usize>();
    shares::each(signs.len(), numbers, |own| {
        let agreement = |other: &Signs| signs[own].agreement(other).signum();
        signs.iter().map(agreement).sum::<i64>().max(0)
    })
}

/// Columns that are averaged together: a cache holds what is found of them.
const COLUMNS: usize = 1024;

/// Rows with what has been found of each.
struct Vote<'a> {
    rows: Vec<&'a [f32]>,
    /// What scales a row down to the lower median norm.
    factors: Vec<f64>,
    /// The magnitude above which a row's values count.
    floors: Vec<f64>,
    votes: Vec<i64>,
}

impl Vote<'_> {
    /// The means of what is left of these columns and has the elected sign.
    fn means(&self, columns: Range<usize>) -> Vec<f32> {
        let elected = self.elected(columns.clone());
        let magnitudes: Vec<Vec<f32>> = self
            .rows
            .iter()
            .zip(&self.factors)
            .map(|(row, factor)| {
                let scaled = |value: &f32| (f64::from(value.abs()) * factor) as f32;
                row[columns.clone()].iter().map(scaled).collect()
            })
            .collect();
        let slices: Vec<&[f32]> = magnitudes.iter().map(Vec::as_slice).collect();
        let lower = (slices.len() - 1) / 2;
        let largest = summarise_ranks_apart(&slices, lower..lower + 1, |rows| rows[0]);
        let mut sums = vec![(0.0f64, 0u32); columns.len()];
        for ((row, floor), magnitudes) in self.rows.iter().zip(&self.floors).zip(slices) {
            for (place, &value) in row[columns.clone()].iter().enumerate() {
                let left = f64::from(value.abs()) > *floor;
                let sign = if left { sign_of(value) } else { 0 };
                if elected[place] == 0 || sign == elected[place] {
                    let magnitude = magnitudes[place].min(largest[place]);
                    let (sum, count) = &mut sums[place];
                    *sum += f64::from(magnitude) * sign as f64;
                    *count += 1;
                }
            }
        }
        sums.into_iter().map(|(sum, count)| (sum / f64::from(count.max(1))) as f32).collect()
    }

    /// The sign that the votes elect in each of these columns; 0 where the vote is even.
    /// Concordances are counted in whole rows, so that an even vote is one.
    fn elected(&self, columns: Range<usize>) -> Vec<i64> {
        let mut sums = vec![0i64; columns.len()];
        for (row, &votes) in self.rows.iter().zip(&self.votes).filter(|(_, votes)| **votes > 0) {
            for (sum, &value) in sums.iter_mut().zip(&row[columns.clone()]) {
                *sum += votes * sign_of(value);
            }
        }
        sums.into_iter().map(i64::signum).collect()
    }
}

/// The signs of a row, one bit for each coordinate.
#[derive(Debug, Clone, Default)]
struct Signs {
    positive: Vec<u64>,
    negative: Vec<u64>,
}

impl Signs {
    fn of(row: &[f32]) -> Self {
        let bits = |holds: fn(&f32) -> bool| {
            let word = |values: &[f32]| {
                let set = values.iter().enumerate().filter(|(_, value)| holds(value));
                set.fold(0, |word, (bit, _)| word | 1 << bit)
            };
            row.chunks(64).map(word).collect()
        };
        Signs { positive: bits(|&value| value > 0.0), negative: bits(|&value| value < 0.0) }
    }

    /// In how many coordinates two rows have the same sign, less those where they have opposite
    /// ones.
    fn agreement(&self, other: &Signs) -> i64 {
        let words = self.positive.iter().zip(&self.negative);
        let others = other.positive.iter().zip(&other.negative);
        let agreement = |((up, down), (other_up, other_down)): ((&u64, &u64), (&u64, &u64))| {
            let same = (up & other_up) | (down & other_down);
            let opposite = (up & other_down) | (down & other_up);
            i64::from(same.count_ones()) - i64::from(opposite.count_ones())
        };
        words.zip(others).map(agreement).sum()
    }
}

/// The quantile of a row's magnitudes, between the two values next to it where it is none.
fn quantile(row: &[f32], share: f64) -> f64 {
    let mut magnitudes: Vec<f32> = row.iter().map(|value| value.abs()).collect();
    let place = share * (row.len() - 1) as f64;
    let (below, part) = (place.floor() as usize, place.fract());
    let (_, lower, above) = magnitudes.select_nth_unstable_by(below, f32::total_cmp);
    let lower = f64::from(*lower);
    let upper = above.iter().copied().min_by(f32::total_cmp).map_or(lower, f64::from);
    lower + (upper - lower) * part
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::aggregators::tests::aggregate_with;

    #[test]
    fn signs_and_quantiles() {
        let of = |row: &[f32]| Signs::of(row);
        let long: Vec<f32> =
            (0..130).map(|place| if place % 2 == 0 { 1.0 } else { -2.0 }).collect();
        assert_eq!(of(&long).agreement(&of(&long)), 130);
        assert_eq!(of(&[1.0, -1.0, 0.0]).agreement(&of(&[1.0, 1.0, 5.0])), 0);
        assert_eq!(quantile(&[-4.0, 1.0, 2.0, 0.0], 0.5), 1.5);
        assert_eq!(quantile(&[-4.0, 1.0, 2.0, 0.0], 0.0), 0.0);
    }

    #[test]
    fn by_hand() {
        // The third row agrees with itself and disagrees with the others: its vote is 0, and the
        // others' are 1 each. The signs are +, + and even.
        let rows = array![[2.0, 1.0, 2.0], [1.0, 2.0, -2.0], [-2.0, -2.0, 1.0]];
        let view = rows.view();
        let slices = slices_of(&view);
        let signs: Vec<Signs> = slices.iter().map(|row| Signs::of(row)).collect();
        assert_eq!(votes(&signs), [1, 1, 0]);
        let vote = Vote {
            rows: slices,
            factors: vec![1.0; 3],
            floors: vec![0.0; 3],
            votes: votes(&signs),
        };
        assert_eq!(vote.elected(0..3), [1, 1, 0]);
        // All have the norm 3, and the median magnitudes are 2. The least of each row is its
        // quantile 0 and left out: 2 of the first row, 2 of the second, and (2 - 2 + 0) / 3 of all.
        let rule = FedSeca { sparsity: 0.0 };
        let result = aggregate_with(&rule, &rows, 1, None).unwrap().vector;
        assert_eq!(result, array![2.0, 2.0, 0.0]);
    }

    #[test]
    fn large_values_are_cut() {
        let rows = array![[1.0, 2.0], [1.0, 3.0], [1.0, 1e9]];
        // The last row is scaled down to the norm of the second, √10, and its second value cut
        // at 3; the first value of each is its least and left out.
        let rule = FedSeca { sparsity: 0.0 };
        let result = aggregate_with(&rule, &rows, 1, None).unwrap().vector;
        assert_eq!(result[0], 0.0);
        assert!((result[1] - 8.0 / 3.0).abs() < 1e-6);
    }

    #[test]
    fn a_sparsity_of_one_is_refused() {
        assert!(FedSeca { sparsity: 1.0 }.checked().is_err());
        assert!(FedSeca { sparsity: f64::NAN }.checked().is_err());
    }
}
