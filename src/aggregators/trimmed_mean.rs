//! The coordinate-wise trimmed mean.
//!
//! In every coordinate the t lowest and the t highest values are dropped and the rest averaged:
//! `F(x)_k = 1/(n - 2t) · Σ x_(i)k` over the ranks `i = t+1, …, n-t`. By default t is the declared
//! number of liars f; with `fraction` it is `⌊fraction · n⌋` whatever f is, as in Flower and
//! `SciPy`. Some code lowers f silently where 2f >= n; `excess = "lower"` does.
//!
//! With t >= f the error is bounded by `‖F(x) - m‖² <= κ σ²`, with m the mean and σ² the variance
//! of the honest rows, and `κ = t / (n - f - t)`. For t = f this is `f / (n - 2f)`, and no rule
//! can promise less.
//!
//! Fails when more lie than are trimmed: one liar too many in a coordinate moves it anywhere. With
//! a `fraction` nothing checks that against f. Needs n > 2f without one.
//!
//! Reference: Yin, Chen, Ramchandran, Bartlett, Byzantine-Robust Distributed Learning: Towards
//! Optimal Statistical Rates, ICML 2018.

use std::sync::Arc;

use ndarray::{Array1, ArrayView2};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::nearest_values::mean_of_rows;
use super::{Aggregate, AggregateError, Aggregator, ByColumns, Claims, Context, Remembers};
use crate::catalog::{ConfigError, Entry};
use crate::kernels::columns::{summarise_ranks_apart, summarise_ranks_of_means};
use crate::kernels::mixing::Members;
use crate::vector::slices_of;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "trimmed_mean",
    summary: "the mean of every coordinate without its f lowest and f highest values",
    reference: "Yin et al., ICML 2018",
    source: include_str!("trimmed_mean.rs"),
    claims: Claims {
        permutation_invariant: true,
        translation_equivariant: true,
        scale_equivariant: true,
        tolerates: |rows| Some(rows.checked_sub(1)? / 2),
        robust: true,
        remembers: Remembers::Nothing,
        uses_byzantine: true,
        uses_samples: false,
    },
    parameters: || schema_for!(TrimmedMean),
    build: |parameters| parameters.build::<dyn Aggregator, TrimmedMean>(TrimmedMean::checked),
};

/// Parameters of the trimmed mean.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct TrimmedMean {
    /// The share of the rows dropped at each end, rounded down, at least 0 and below 0.5.
    /// Absent (default): as many rows as are declared byzantine.
    fraction: Option<f64>,
    /// What is done where dropping f at each end leaves nothing: the rule is `refuse`d (default),
    /// or as many are dropped as leave one value or two (`lower`), whatever f was.
    excess: Excess,
}

/// What is done where f is too large.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Excess {
    /// The rule refuses.
    #[default]
    Refuse,
    /// Fewer are dropped, and nobody is told.
    Lower,
}

impl TrimmedMean {
    fn checked(self) -> Result<Arc<dyn Aggregator>, ConfigError> {
        match self.fraction {
            Some(fraction) if !(0.0..0.5).contains(&fraction) => {
                let message = format!("`fraction` is {fraction}, but must be in 0.0 .. 0.5");
                Err(ConfigError::new(message)
                    .help("it is dropped at each end: half at each end leaves nothing"))
            }
            _ => Ok(Arc::new(self)),
        }
    }

    /// How many values are dropped at each end.
    fn dropped(&self, rows: usize, byzantine: usize) -> usize {
        match self.fraction {
            Some(fraction) => (fraction * rows as f64).floor() as usize,
            None if self.excess == Excess::Lower => byzantine.min(rows.saturating_sub(1) / 2),
            None => byzantine,
        }
    }
}

impl Aggregator for TrimmedMean {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        let dropped = self.dropped(rows, byzantine);
        if self.fraction.is_none() || rows == 0 {
            let lowered = if self.excess == Excess::Lower { dropped } else { byzantine };
            AggregateError::unless_majority(ENTRY.name, rows, lowered)
        } else if 2 * dropped >= rows {
            let message = format!("dropping {dropped} at each end leaves nothing of {rows} rows");
            Err(AggregateError::Unfit { rule: ENTRY.name, message })
        } else {
            Ok(())
        }
    }

    /// `t / (n - f - t)` for t values dropped at each end, which is attained; nothing if that is
    /// less than the liars.
    fn error_bound(&self, rows: usize, byzantine: usize) -> Option<f64> {
        self.admits(rows, byzantine).ok()?;
        let dropped = self.dropped(rows, byzantine);
        let left = rows.checked_sub(byzantine + dropped).filter(|&left| left > 0)?;
        (dropped >= byzantine).then(|| dropped as f64 / left as f64)
    }

    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        let updates = updates.as_standard_layout();
        self.aggregate_apart(&slices_of(&updates.view()), context)
    }

    fn aggregate_apart(
        &self,
        updates: &[&[f32]],
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        let rows = updates.len();
        self.admits(rows, context.byzantine)?;
        let dropped = self.dropped(rows, context.byzantine);
        let vector = summarise_ranks_apart(updates, dropped..rows - dropped, mean_of_rows);
        Ok(Aggregate { vector, weights: None })
    }

    fn by_columns(&self) -> Option<&dyn ByColumns> {
        Some(self)
    }
}

impl ByColumns for TrimmedMean {
    fn aggregate_means(
        &self,
        rows: &[&[f32]],
        groups: &Members,
        byzantine: usize,
    ) -> Result<Array1<f32>, AggregateError> {
        self.admits(rows.len(), byzantine)?;
        let dropped = self.dropped(rows.len(), byzantine);
        let ranks = dropped..rows.len() - dropped;
        Ok(summarise_ranks_of_means(rows, groups, ranks, mean_of_rows))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::aggregators::tests::aggregate_with;

    #[test]
    fn drops_f_at_each_end() {
        let rows = array![[1.0, 9.0], [2.0, 8.0], [3.0, 1e9], [6.0, 7.0], [-1e9, 6.0]];
        let result = aggregate_with(&TrimmedMean::default(), &rows, 1, None).unwrap();
        assert_eq!(result.vector, array![2.0, 8.0]);
        let result = aggregate_with(&TrimmedMean::default(), &rows, 2, None).unwrap();
        assert_eq!(result.vector, array![2.0, 8.0]);
    }

    #[test]
    fn known_bounds() {
        let bound = |fraction, rows, f| {
            TrimmedMean { fraction, ..TrimmedMean::default() }.error_bound(rows, f)
        };
        assert_eq!(bound(None, 10, 3), Some(0.75));
        assert_eq!(bound(Some(0.4), 10, 3), Some(4.0 / 3.0));
        assert_eq!(bound(Some(0.2), 10, 3), None);
    }

    #[test]
    fn a_fraction_rounds_down_and_ignores_f() {
        let rows = Array2::from_shape_fn((10, 1), |(row, _)| (row * row) as f32);
        let trimmed = TrimmedMean { fraction: Some(0.29), ..TrimmedMean::default() };
        let result = aggregate_with(&trimmed, &rows, 5, None).unwrap();
        assert_eq!(result.vector, array![(4 + 9 + 16 + 25 + 36 + 49) as f32 / 6.0]);
    }

    #[test]
    fn the_worst_case_is_attained() {
        // Honest 0, 0, 0, 1 and a liar at 0: mean 1/4, variance 3/16, error (1/4)², so κ = 1/3.
        let rows = array![[0.0], [0.0], [0.0], [1.0], [0.0]];
        let result = aggregate_with(&TrimmedMean::default(), &rows, 1, None).unwrap();
        let kappa = (result.vector[0] - 0.25).powi(2) / (3.0 / 16.0);
        assert!((kappa - 1.0 / 3.0).abs() < 1e-6);
    }

    fn fraction(fraction: f64) -> TrimmedMean {
        TrimmedMean { fraction: Some(fraction), ..TrimmedMean::default() }
    }

    #[test]
    fn what_is_dropped_may_be_lowered() {
        let lower = TrimmedMean { excess: Excess::Lower, ..TrimmedMean::default() };
        let rows = array![[1.0], [2.0], [9.0], [4.0]];
        assert_eq!(aggregate_with(&lower, &rows, 7, None).unwrap().vector, array![3.0]);
    }

    #[test]
    fn impossible_trims_are_refused() {
        let error = fraction(0.5).checked().unwrap_err();
        assert_eq!(error.message, "`fraction` is 0.5, but must be in 0.0 .. 0.5");
        assert!(fraction(f64::NAN).checked().is_err());
        let rows = Array2::zeros((4, 1));
        let error = aggregate_with(&TrimmedMean::default(), &rows, 2, None).unwrap_err();
        let text = "trimmed_mean needs n > 2f = 4 and got n = 4 updates with f = 2 byzantine";
        assert_eq!(error.to_string(), text);
    }
}
