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

use std::sync::Arc;

use ndarray::{Array1, Array2, ArrayView2, Axis};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::{ConfigError, Entry};
use crate::kernels::columns::summarise_ranks;
use crate::kernels::row_norms::{each_row, lower_median, row_norms};

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
        let rows = updates.select(Axis(0), &finite);
        let norms: Vec<f64> = finite.iter().map(|&row| norms[row]).collect();
        let elected = elected(rows.view());
        let magnitudes = magnitudes(rows.view(), &norms);
        let lower = (rows.nrows() - 1) / 2;
        let largest = summarise_ranks(magnitudes.view(), lower..lower + 1, |rows| rows[0]);
        let floors = each_row(rows.view(), |_, row| quantile(row, self.sparsity));
        let mean = |column: usize| {
            let (mut sum, mut count) = (0.0, 0u32);
            for row in 0..rows.nrows() {
                let value = rows[[row, column]];
                let left = f64::from(value.abs()) > floors[row];
                let sign = if left { sign_of(value) } else { 0 };
                if elected[column] == 0 || sign == elected[column] {
                    let magnitude = magnitudes[[row, column]].min(largest[column]);
                    sum += f64::from(magnitude) * sign as f64;
                    count += 1;
                }
            }
            (sum / f64::from(count.max(1))) as f32
        };
        Ok(Aggregate { vector: (0..rows.ncols()).map(mean).collect(), weights: None })
    }
}

fn sign_of(value: f32) -> i64 {
    i64::from(value > 0.0) - i64::from(value < 0.0)
}

/// The sign of every coordinate that rows vote for, each with its concordance; 0 where the vote is
/// even. Concordances are counted in whole rows, so that an even vote is one.
fn elected(rows: ArrayView2<'_, f32>) -> Vec<i64> {
    let signs = each_row(rows, |_, row| Signs::of(row));
    let votes: Vec<i64> = signs
        .iter()
        .map(|own| signs.iter().map(|other| own.agreement(other).signum()).sum::<i64>().max(0))
        .collect();
    let mut sums = vec![0i64; rows.ncols()];
    for (row, &votes) in rows.rows().into_iter().zip(&votes).filter(|(_, votes)| **votes > 0) {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += votes * sign_of(value);
        }
    }
    sums.into_iter().map(i64::signum).collect()
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

/// The magnitudes of the rows when each is scaled down to the lower median norm.
fn magnitudes(rows: ArrayView2<'_, f32>, norms: &[f64]) -> Array2<f32> {
    let bound = lower_median(norms);
    let mut magnitudes = rows.to_owned();
    for (mut row, &norm) in magnitudes.rows_mut().into_iter().zip(norms) {
        let factor = if norm > bound { bound / norm } else { 1.0 };
        row.mapv_inplace(|value| (f64::from(value.abs()) * factor) as f32);
    }
    magnitudes
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
        assert_eq!(elected(rows.view()), vec![1, 1, 0]);
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
