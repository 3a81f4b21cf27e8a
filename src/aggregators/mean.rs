//! The arithmetic mean, uniform or weighted by the declared number of samples.
//!
//! `F(x) = Σ w_i x_i / Σ w_i`, with `w_i = 1` or the sender's sample count, at most the `cap`.
//!
//! Fails against a single liar: one row can place the mean anywhere (Blanchard et al., lemma 1).
//! Weighted by declared counts it fails even sooner, since a liar also names its own weight; a
//! cap keeps it from having nearly all of it, and costs the honest who do hold much their share.
//!
//! Reference: McMahan et al., Communication-Efficient Learning of Deep Networks from
//! Decentralized Data, AISTATS 2017 (FedAvg).

use std::sync::Arc;

use ndarray::{Array1, ArrayView2};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::{ConfigError, Entry};
use crate::kernels::means::weighted_sum;
use crate::vector::as_slice;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "mean",
    summary: "the arithmetic mean; one liar can place it anywhere",
    reference: "McMahan et al., AISTATS 2017",
    source: include_str!("mean.rs"),
    claims: Claims {
        permutation_invariant: true,
        translation_equivariant: true,
        scale_equivariant: true,
        tolerates: |rows| rows.checked_sub(1).map(|_| 0),
        robust: false,
        remembers: Remembers::Nothing,
        uses_byzantine: false,
        uses_samples: false,
    },
    parameters: || schema_for!(Mean),
    build: |parameters| {
        parameters.build::<dyn Aggregator, Mean>(|mean| {
            if mean.cap == Some(0) {
                return Err(ConfigError::new("`cap` = 0, and it must be at least 1"));
            }
            if mean.cap.is_some() && mean.weighting == Weighting::Uniform {
                return Err(ConfigError::new("`cap` means nothing where all rows count alike")
                    .help("write weighting = \"samples\" beside it"));
            }
            Ok(Arc::new(mean))
        })
    },
};

/// Parameters of the mean.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Mean {
    /// What each row counts: `uniform`, or its declared number of `samples`.
    weighting: Weighting,
    /// The most samples that count of one sender, however many it declares (default: no limit).
    #[serde(skip_serializing_if = "Option::is_none")]
    cap: Option<u64>,
}

/// What a row counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Weighting {
    /// All rows alike.
    #[default]
    Uniform,
    /// By the number of samples that the sender declares; alike where none are declared.
    Samples,
}

impl Aggregator for Mean {
    /// The mean makes no promise, so it refuses no `byzantine`: it is the baseline of every table.
    fn admits(&self, rows: usize, _byzantine: usize) -> Result<(), AggregateError> {
        if rows == 0 { Err(AggregateError::Empty { rule: ENTRY.name }) } else { Ok(()) }
    }

    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        self.admits(updates.nrows(), context.byzantine)?;
        let rows = updates.nrows();
        let weights = self.weighting.capped_weights(ENTRY.name, rows, context, self.cap)?;
        let vector = weighted_sum(updates, as_slice(&weights));
        Ok(Aggregate { vector, weights: Some(weights) })
    }
}

impl Weighting {
    /// One weight per row, summing to 1.
    pub(super) fn weights(
        self,
        rule: &'static str,
        rows: usize,
        context: &Context<'_>,
    ) -> Result<Array1<f32>, AggregateError> {
        self.capped_weights(rule, rows, context, None)
    }

    /// The same, with no sender counting for more than `cap` samples.
    fn capped_weights(
        self,
        rule: &'static str,
        rows: usize,
        context: &Context<'_>,
        cap: Option<u64>,
    ) -> Result<Array1<f32>, AggregateError> {
        let uniform = || Array1::from_elem(rows, 1.0 / rows as f32);
        let Some(samples) = context.samples.filter(|_| self == Weighting::Samples) else {
            return Ok(uniform());
        };
        if samples.len() != rows {
            let message = format!("{} sample counts for {rows} rows", samples.len());
            return Err(AggregateError::Unfit { rule, message });
        }
        let counted = samples.iter().map(|&count| count.min(cap.unwrap_or(u64::MAX)));
        let total: u128 = counted.clone().map(u128::from).sum();
        if total == 0 {
            return Ok(uniform());
        }
        Ok(counted.map(|count| (count as f64 / total as f64) as f32).collect())
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::aggregators::tests::aggregate_with;

    #[test]
    fn uniform_by_hand() {
        let rows = array![[1.0, 2.0], [3.0, 6.0]];
        let result = aggregate_with(&Mean::default(), &rows, 0, None).unwrap();
        assert_eq!(result.vector, array![2.0, 4.0]);
        assert_eq!(result.weights, Some(array![0.5, 0.5]));
    }

    #[test]
    fn by_declared_samples() {
        let rows = array![[1.0, 2.0], [5.0, 6.0]];
        let mean = Mean { weighting: Weighting::Samples, cap: None };
        let result = aggregate_with(&mean, &rows, 0, Some(&[3, 1])).unwrap();
        assert_eq!(result.vector, array![2.0, 3.0]);
    }

    #[test]
    fn no_sender_counts_for_more_than_the_cap() {
        let rows = array![[1.0], [5.0]];
        let mean = Mean { weighting: Weighting::Samples, cap: Some(6) };
        let result = aggregate_with(&mean, &rows, 0, Some(&[2, 1_000_000])).unwrap();
        assert_eq!(result.vector, array![4.0]);
        assert_eq!(result.weights, Some(array![0.25, 0.75]));
    }

    #[test]
    fn a_cap_belongs_to_sample_counts() {
        for wrong in ["cap = 5", "cap = 0\nweighting = \"samples\""] {
            let choice = crate::catalog::Choice::with("mean", wrong).unwrap();
            assert!(crate::aggregators::CATALOG.build(&choice).is_err(), "{wrong}");
        }
    }

    #[test]
    fn counts_must_fit_the_rows() {
        let mean = Mean { weighting: Weighting::Samples, cap: None };
        let error = aggregate_with(&mean, &array![[1.0], [2.0]], 0, Some(&[1])).unwrap_err();
        assert_eq!(error.to_string(), "mean: 1 sample counts for 2 rows");
    }
}
