//! Multi-Krum: the mean of the rows with the best Krum scores.
//!
//! `F(x) = Σ w_i x_i` over the `keep` rows of least score `s_i = Σ ‖x_i - x_j‖²`, the sum over the
//! `n - f - 2` rows nearest to i; equal scores go to the rows of the lowest senders.
//!
//! The paper leaves `keep` open between 1 (Krum) and n (the mean) and runs its experiments with
//! `n - f`, as many as are honest; so do `ByzFL` and this rule unless `keep` is given. Libraries
//! differ in the rest as they do for Krum: `neighbours`, `distance` and `tolerance` say which is
//! meant. Flower's newer strategy weights the kept rows by sample counts that their senders
//! declare (`weighting = "samples"`): then a liar who is kept also names its own weight. With
//! `iterated` the best row is taken out and the others are scored anew, as in the code of
//! Shejwalkar and Houmansadr (NDSS 2021). With `sum` the kept rows are added and not divided by
//! their number, as in the code of Karimireddy et al.: `keep` times too long. With `combine =
//! "median"` the kept rows are not averaged: the median of every coordinate is taken of them.
//!
//! Fails, like Krum, against liars inside the honest spread: with `keep = n - f` such liars are
//! averaged in place of the honest rows farthest out. A `keep` above `n - f` always averages
//! liars, if all f are there.
//!
//! Reference: Blanchard, El Mhamdi, Guerraoui, Stainer, Machine Learning with Adversaries:
//! Byzantine Tolerant Gradient Descent, NIPS 2017.

use std::sync::Arc;

use ndarray::{Array1, ArrayView2};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::iterated::{Ties, picks};
use super::mean::Weighting;
use super::median::{Middle, middle_of};
use super::scores::{Distance, Neighbours, Scoring, Tolerance, best};
use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::{ConfigError, Entry};
use crate::kernels::columns::summarise_ranks_of;
use crate::kernels::means::weighted_sum;
use crate::vector::as_slice;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "multi_krum",
    summary: "the mean of the n - f updates with the best Krum scores",
    reference: "Blanchard et al., NIPS 2017",
    source: include_str!("multi_krum.rs"),
    claims: Claims {
        permutation_invariant: true,
        translation_equivariant: true,
        scale_equivariant: true,
        tolerates: |rows| Some(rows.checked_sub(3)? / 2),
        robust: true,
        remembers: Remembers::Nothing,
        uses_byzantine: true,
        uses_samples: false,
    },
    parameters: || schema_for!(MultiKrum),
    build: |parameters| parameters.build::<dyn Aggregator, MultiKrum>(MultiKrum::checked),
};

/// Parameters of Multi-Krum.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct MultiKrum {
    /// How many rows are averaged, at least 1. Absent (default): n - f, or n - 2f - 2 if
    /// `iterated`.
    keep: Option<usize>,
    /// How many other rows a score counts: `paper` n - f - 2 (default), `inclusive` n - f - 1,
    /// `short` n - f - 3.
    neighbours: Neighbours,
    /// What a score sums: `squared` (default), `plain` or `fourth` powers of distances.
    distance: Distance,
    /// For which n it runs: `paper` n >= 2f + 3 (default), `majority` n > 2f, `none` any.
    tolerance: Tolerance,
    /// What each kept row counts: `uniform` (default), or its declared number of `samples`.
    weighting: Weighting,
    /// Whether rows are picked one after the other, each time by scores among those that are left
    /// (default false).
    iterated: bool,
    /// Whether the kept rows are added up in place of averaged (default false).
    sum: bool,
    /// What is made of the kept rows: their `mean` (default), or their coordinate-wise `median`,
    /// with which neither `sum` nor `weighting` has a meaning.
    combine: Combine,
    /// What an even number of kept rows has as its median: the `midpoint` (default), `lower` or
    /// `upper` of the two in the middle.
    middle: Middle,
}

/// What is made of the kept rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Combine {
    /// Their mean.
    #[default]
    Mean,
    /// Their median in every coordinate.
    Median,
}

impl MultiKrum {
    fn checked(self) -> Result<Arc<dyn Aggregator>, ConfigError> {
        if self.keep == Some(0) {
            return Err(ConfigError::new("`keep` is 0, but at least 1 row must be averaged")
                .help("leave it out to keep n - f"));
        }
        let weighted = self.sum || self.weighting != Weighting::Uniform;
        if self.combine == Combine::Median && weighted {
            return Err(ConfigError::new("a median has neither a `sum` nor a `weighting`")
                .help("leave them out, or set combine = \"mean\""));
        }
        Ok(Arc::new(self))
    }

    fn scoring(&self) -> Scoring {
        Scoring { neighbours: self.neighbours, distance: self.distance, tolerance: self.tolerance }
    }

    /// How many rows are averaged.
    fn kept(&self, rows: usize, byzantine: usize) -> usize {
        let lost =
            if self.iterated { byzantine.saturating_mul(2).saturating_add(2) } else { byzantine };
        self.keep.unwrap_or(rows.saturating_sub(lost))
    }

    /// The rows that are averaged, ascending.
    fn chosen(&self, updates: ArrayView2<'_, f32>, byzantine: usize) -> Vec<usize> {
        let keep = self.kept(updates.nrows(), byzantine);
        if !self.iterated {
            return best(&self.scoring().scores(updates, byzantine), keep);
        }
        let mut chosen = picks(self.scoring(), updates, byzantine, keep, Ties::Sender);
        chosen.sort_unstable();
        chosen
    }

    /// The weights of the `chosen` rows among all, summing to 1.
    fn weights(
        &self,
        chosen: &[usize],
        rows: usize,
        context: &Context<'_>,
    ) -> Result<Array1<f32>, AggregateError> {
        let declared = self.weighting.weights(ENTRY.name, rows, context)?;
        let total: f64 = chosen.iter().map(|&row| f64::from(declared[row])).sum();
        let mut weights = Array1::zeros(rows);
        for &row in chosen {
            // Where all that were chosen declare no samples, they count alike.
            let share = if total > 0.0 {
                f64::from(declared[row]) / total
            } else {
                1.0 / chosen.len() as f64
            };
            weights[row] = share as f32;
        }
        Ok(weights)
    }
}

impl Aggregator for MultiKrum {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        self.scoring().admits(ENTRY.name, rows, byzantine)?;
        let keep = self.kept(rows, byzantine);
        if (1..=rows).contains(&keep) {
            return Ok(());
        }
        let message = if let Some(keep) = self.keep {
            format!("cannot keep = {keep} of n = {rows} updates")
        } else {
            let bound = if self.iterated { "n - 2f - 2" } else { "n - f" };
            format!("{bound} leaves nothing to keep of n = {rows} with f = {byzantine}")
        };
        Err(AggregateError::Unfit { rule: ENTRY.name, message })
    }

    /// Known where n - f rows count alike, chosen by squared distances to their n - f nearest.
    fn error_bound(&self, rows: usize, byzantine: usize) -> Option<f64> {
        self.admits(rows, byzantine).ok()?;
        let (n, f) = (rows as f64, byzantine as f64);
        let known = self.neighbours == Neighbours::Inclusive
            && self.distance == Distance::Squared
            && self.weighting == Weighting::Uniform
            && self.combine == Combine::Mean
            && self.kept(rows, byzantine) == rows - byzantine;
        let spread = (2.0 / (n - 2.0 * f)).sqrt()
            + f / ((n - f) * (n - 2.0 * f).sqrt())
            + 1.0 / (n - f).sqrt();
        known.then_some(f * spread * spread)
    }

    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        let rows = updates.nrows();
        self.admits(rows, context.byzantine)?;
        let chosen = self.chosen(updates, context.byzantine);
        if self.combine == Combine::Median {
            let vector = summarise_ranks_of(updates, &chosen, 0..chosen.len(), |rows| {
                middle_of(rows, self.middle)
            });
            return Ok(Aggregate { vector, weights: None });
        }
        let weights = self.weights(&chosen, rows, context)?;
        let vector = if self.sum {
            let count = chosen.len() as f32;
            weighted_sum(updates, as_slice(&weights.mapv(|weight| weight * count)))
        } else {
            weighted_sum(updates, as_slice(&weights))
        };
        Ok(Aggregate { vector, weights: Some(weights) })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::aggregators::tests::aggregate_with;

    /// Scores with f = 1, three neighbours each: 14, 6, 6, 6, 14, far.
    fn line() -> Array2<f32> {
        array![[1.0], [2.0], [3.0], [4.0], [5.0], [50.0]]
    }

    #[test]
    fn averages_the_best_scores() {
        let result = aggregate_with(&MultiKrum::default(), &line(), 1, None).unwrap();
        assert_eq!(result.vector, array![3.0]);
        assert_eq!(result.weights, Some(array![0.2, 0.2, 0.2, 0.2, 0.2, 0.0]));
        let two = MultiKrum { keep: Some(2), ..MultiKrum::default() };
        assert_eq!(aggregate_with(&two, &line(), 1, None).unwrap().vector, array![2.5]);
    }

    #[test]
    fn a_sum_is_not_divided() {
        let sum = MultiKrum { keep: Some(2), sum: true, ..MultiKrum::default() };
        assert_eq!(aggregate_with(&sum, &line(), 1, None).unwrap().vector, array![5.0]);
    }

    #[test]
    fn the_median_of_the_kept() {
        // Kept are 2, 3, 4 and 1, of equal scores the lower sender's.
        let of = |middle| {
            let combine = Combine::Median;
            let rule = MultiKrum { keep: Some(4), combine, middle, ..MultiKrum::default() };
            aggregate_with(&rule, &line(), 1, None).unwrap()
        };
        assert_eq!(of(Middle::Lower).vector, array![2.0]);
        assert_eq!(of(Middle::Midpoint).vector, array![2.5]);
        assert_eq!(of(Middle::Midpoint).weights, None);
        let sum = MultiKrum { sum: true, combine: Combine::Median, ..MultiKrum::default() };
        assert!(sum.checked().is_err());
    }

    #[test]
    fn one_after_the_other() {
        // Of n = 6 with f = 1 two are picked: 2 first, then 4 among 1, 3, 4, 5, 50.
        let iterated = MultiKrum { iterated: true, ..MultiKrum::default() };
        let result = aggregate_with(&iterated, &line(), 1, None).unwrap();
        assert_eq!(result.vector, array![3.0]);
        let error =
            aggregate_with(&MultiKrum { tolerance: Tolerance::None, ..iterated }, &line(), 2, None);
        let text = "multi_krum: n - 2f - 2 leaves nothing to keep of n = 6 with f = 2";
        assert_eq!(error.unwrap_err().to_string(), text);
    }

    #[test]
    fn known_bounds() {
        let bound = |rows, f| {
            let (neighbours, tolerance) = (Neighbours::Inclusive, Tolerance::Majority);
            let rule = MultiKrum { neighbours, tolerance, ..MultiKrum::default() };
            rule.error_bound(rows, f).map(|bound| (bound * 100.0).round() / 100.0)
        };
        assert_eq!(bound(5, 1), Some(2.13));
        assert_eq!(bound(10, 3), Some(5.06));
        assert_eq!(MultiKrum::default().error_bound(10, 3), None);
    }

    #[test]
    fn declared_samples_weight_the_kept() {
        let rule =
            MultiKrum { keep: Some(2), weighting: Weighting::Samples, ..MultiKrum::default() };
        let result = aggregate_with(&rule, &line(), 1, Some(&[9, 3, 1, 9, 9, 9])).unwrap();
        assert_eq!(result.vector, array![2.25]);
        let silent = aggregate_with(&rule, &line(), 1, Some(&[9, 0, 0, 9, 9, 9])).unwrap();
        assert_eq!(silent.vector, array![2.5]);
    }

    #[test]
    fn impossible_numbers_are_refused() {
        let nothing = MultiKrum { keep: Some(0), ..MultiKrum::default() }.checked().unwrap_err();
        assert_eq!(nothing.message, "`keep` is 0, but at least 1 row must be averaged");
        let seven = MultiKrum { keep: Some(7), ..MultiKrum::default() };
        let error = aggregate_with(&seven, &line(), 1, None).unwrap_err();
        assert_eq!(error.to_string(), "multi_krum: cannot keep = 7 of n = 6 updates");
        let any = MultiKrum { tolerance: Tolerance::None, ..MultiKrum::default() };
        let error = aggregate_with(&any, &line(), 6, None).unwrap_err();
        let text = "multi_krum: n - f leaves nothing to keep of n = 6 with f = 6";
        assert_eq!(error.to_string(), text);
    }
}
