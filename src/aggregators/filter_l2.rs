//! The filter for the mean: whoever is farthest out along the direction of largest variance is
//! taken out, and all others weigh less the farther they are.
//!
//! Every row begins with the weight `c_i = 1/n`. Up to 2f times: with the weighted mean μ and the
//! leading eigenvalue λ and eigenvector v of the weighted covariance, the filter is done if `λ <=
//! expansion · sigma²`; else `τ_i = ⟨x_i - μ, v⟩²`, `c_i ← c_i (1 - τ_i / max τ)`, the row of `max
//! τ` is out, and the weights are scaled to sum to 1. The aggregate is the weighted mean.
//!
//! `sigma` is the deviation of honest rows in any direction. Nobody knows it, and it shrinks as
//! training goes on; with the default, 0, the filter always takes 2f rows out. The code that is
//! usually run (Farhadkhani et al., ICML 2023) compares the square of the eigenvalue with the bound
//! (`measure = "squared"`), which has the wrong unit.
//!
//! Fails where honest rows from different data spread more in one direction than the liars do: it
//! then removes honest rows, 2f of them at worst. Rows that are nearly as far as the farthest keep
//! nearly nothing, so that all weight may come to rest on one row: a search among 11 rows with one
//! liar found a squared error of 8 times the honest variance. With a `sigma` that is too large it
//! is the mean. What is proven of such filters is proven for small f/n: this one needs n > 4f, so
//! that more than half of the rows are left, whatever happens. With fewer the weights of the last
//! rows hang on the last bits of the values.
//!
//! Reference: Diakonikolas, Kamath, Kane, Li, Moitra, Stewart, Being Robust (in High Dimensions)
//! Can Be Practical, ICML 2017; for learning: Data, Diggavi, Byzantine-Resilient High-Dimensional
//! SGD with Local Iterations on Heterogeneous Data, ICML 2021.

use std::sync::Arc;

use ndarray::{Array1, ArrayView2};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::covariance_filter::{Largest, computed};
use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::{ConfigError, Entry};
use crate::kernels::distances::squared_distances;
use crate::kernels::means::weighted_sum;
use crate::kernels::row_norms::each_row;
use crate::vector::{as_slice, first_not_finite};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "filter_l2",
    summary: "the mean after up to 2f times the farthest along the largest variance is taken out",
    reference: "Diakonikolas et al., ICML 2017",
    source: include_str!("filter_l2.rs"),
    claims: Claims {
        permutation_invariant: true,
        translation_equivariant: true,
        scale_equivariant: true,
        tolerates: |rows| Some(rows.checked_sub(1)? / 4),
        robust: false,
        remembers: Remembers::Nothing,
        uses_byzantine: true,
        uses_samples: false,
    },
    parameters: || schema_for!(FilterL2),
    build: |parameters| parameters.build::<dyn Aggregator, FilterL2>(FilterL2::checked),
};

/// Parameters of the filter.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct FilterL2 {
    /// The standard deviation of honest rows in any direction, in the unit of updates, at least 0
    /// (default 0: 2f rows are taken out).
    sigma: f64,
    /// How many times `sigma²` the largest variance may be, at least 0 (default 20).
    expansion: f64,
    /// What is compared with that: the largest `eigenvalue` of the covariance (default), or the
    /// eigenvalue `squared`.
    measure: Measure,
}

/// What is compared with the bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Measure {
    /// The variance.
    #[default]
    Eigenvalue,
    /// Its square.
    Squared,
}

impl Default for FilterL2 {
    fn default() -> Self {
        FilterL2 { sigma: 0.0, expansion: 20.0, measure: Measure::default() }
    }
}

impl Aggregator for FilterL2 {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        if rows == 0 {
            return Err(AggregateError::Empty { rule: ENTRY.name });
        }
        let most = byzantine.saturating_mul(4);
        if rows <= most {
            let bound = format!("n > 4f = {most}");
            return Err(AggregateError::TooFew { rule: ENTRY.name, bound, rows, byzantine });
        }
        Ok(())
    }

    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        self.admits(updates.nrows(), context.byzantine)?;
        let updates = updates.as_standard_layout();
        let weights = self.weights(updates.view(), context.byzantine);
        let vector = weighted_sum(updates.view(), as_slice(&weights));
        Ok(Aggregate { vector, weights: Some(weights) })
    }
}

impl FilterL2 {
    fn checked(self) -> Result<Arc<dyn Aggregator>, ConfigError> {
        for (name, value) in [("sigma", self.sigma), ("expansion", self.expansion)] {
            if !(value >= 0.0 && value.is_finite()) {
                let message = format!("`{name}` = {value}, and it must be at least 0");
                return Err(ConfigError::new(message));
            }
        }
        Ok(Arc::new(self))
    }

    /// Whether the largest variance is as small as it may be.
    fn is_small(&self, variance: f64) -> bool {
        let bound = self.expansion * self.sigma * self.sigma;
        match self.measure {
            Measure::Eigenvalue => variance <= bound,
            Measure::Squared => variance * variance <= bound,
        }
    }

    /// What the rows weigh in the end, summing to 1. Rows that are not finite are out from the
    /// start.
    fn weights(&self, updates: ArrayView2<'_, f32>, byzantine: usize) -> Array1<f32> {
        let rows = updates.nrows();
        let mut left = each_row(updates, |_, row| first_not_finite(row).is_none());
        let mut weights: Vec<f64> = left.iter().map(|&left| f64::from(u8::from(left))).collect();
        if !left.contains(&true) {
            return Array1::from_elem(rows, 1.0 / rows as f32);
        }
        let distances = squared_distances(updates);
        for _ in 0..2 * byzantine {
            // Of a row that weighs nothing and is not out it counts, too, how far it is.
            let spread = computed(&distances, &weights, Largest::All);
            let far = spread.squared.iter().enumerate().filter(|(row, _)| left[*row]);
            let farthest = far.fold(
                (0, 0.0),
                |most, (row, &far)| {
                    if far > most.1 { (row, far) } else { most }
                },
            );
            if self.is_small(spread.value) || farthest.1 == 0.0 || !farthest.1.is_finite() {
                break;
            }
            left[farthest.0] = false;
            let share = |row: usize| match left[row] {
                true => weights[row] * (1.0 - spread.squared[row] / farthest.1).max(0.0),
                false => 0.0,
            };
            let next: Vec<f64> = (0..rows).map(share).collect();
            let total: f64 = next.iter().sum();
            if total == 0.0 {
                // All who weigh anything are equally far: the others stay as they were.
                if weights.iter().sum::<f64>() > weights[farthest.0] {
                    weights[farthest.0] = 0.0;
                }
                break;
            }
            weights = next.iter().map(|weight| weight / total).collect();
        }
        let total: f64 = weights.iter().sum();
        weights.iter().map(|weight| (weight / total) as f32).collect()
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::aggregators::tests::aggregate_with;

    #[test]
    fn by_hand() {
        // Around the mean 2 the rows are at -2, -1, -1, -1 and 5: the last is out, 0 keeps 21/25
        // and the ones 24/25. Of these the mean is 24/31 and 0 is farthest: it is out, and the ones
        // are equally far, so that they keep equal weights.
        let rows = array![[0.0], [1.0], [1.0], [1.0], [7.0]];
        let result = aggregate_with(&FilterL2::default(), &rows, 1, None).unwrap();
        assert!((result.vector[0] - 1.0).abs() < 1e-6);
        // The variance is 6.4 at first and then 0.17: one row is out.
        let one = FilterL2 { sigma: 0.1, ..FilterL2::default() };
        let result = aggregate_with(&one, &rows, 1, None).unwrap();
        assert!((result.vector[0] - 24.0 / 31.0).abs() < 1e-6);
        assert!((result.weights.unwrap()[0] - 7.0 / 31.0).abs() < 1e-6);
        // Nobody is out where the variance is below 20 · 0.36 = 7.2; its square is not.
        let wide = FilterL2 { sigma: 0.6, ..FilterL2::default() };
        assert_eq!(aggregate_with(&wide, &rows, 1, None).unwrap().vector, array![2.0]);
        let squared = FilterL2 { measure: Measure::Squared, ..wide };
        let result = aggregate_with(&squared, &rows, 1, None).unwrap();
        assert!((result.vector[0] - 24.0 / 31.0).abs() < 1e-6);
    }

    #[test]
    fn nobody_lies_or_all_agree() {
        let rule = FilterL2::default();
        let rows = array![[1.0], [2.0], [9.0]];
        assert_eq!(aggregate_with(&rule, &rows, 0, None).unwrap().vector, array![4.0]);
        let same = array![[5.0], [5.0], [5.0], [5.0], [5.0]];
        assert_eq!(aggregate_with(&rule, &same, 1, None).unwrap().vector, array![5.0]);
        let error = aggregate_with(&rule, &rows, 1, None).unwrap_err().to_string();
        assert_eq!(error, "filter_l2 needs n > 4f = 4 and got n = 3 updates with f = 1 byzantine");
    }

    #[test]
    fn numbers_below_zero_are_refused() {
        assert!(FilterL2 { sigma: -1.0, ..FilterL2::default() }.checked().is_err());
        assert!(FilterL2 { expansion: f64::NAN, ..FilterL2::default() }.checked().is_err());
    }
}
