//! Norm bounding: longer updates are scaled down to a bound, then all are averaged.
//!
//! `F(x) = (1/n) Σ x_i min(1, b / ‖x_i‖) + N(0, s²)`, with the bound `b` as given, or else the
//! median norm of the round's updates, and `s` the `noise`, 0 unless given. Sun et al. choose a
//! fixed bound and a little noise against backdoors, and call that weak differential privacy; it
//! carries no privacy guarantee.
//!
//! No liar pushes farther than the bound, but all push their share of it: `f b / n` in one
//! direction, round after round. So it fails against whoever stays under the bound, which is how
//! backdoors are placed in practice (Wang et al., Attack of the Tails, `NeurIPS` 2020), and its
//! error has nothing to do with how far apart honest updates are. With the median as bound it
//! needs n > 2f, or liars choose the bound; a fixed one asks for nothing.
//!
//! Reference: Sun, Kairouz, Suresh, `McMahan`, Can You Really Backdoor Federated Learning?,
//! `NeurIPS` workshop on federated learning, 2019.

use std::sync::Arc;

use ndarray::{Array1, ArrayView2};
use rand_distr::{Distribution, StandardNormal};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::{ConfigError, Entry};
use crate::kernels::means::weighted_sum;
use crate::kernels::row_norms::{median, row_norms};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "norm_bound",
    summary: "the mean of updates scaled down to a bound, by default their median norm",
    reference: "Sun et al., NeurIPS workshop on federated learning 2019",
    source: include_str!("norm_bound.rs"),
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
    parameters: || schema_for!(NormBound),
    build: |parameters| {
        parameters.build::<dyn Aggregator, NormBound>(|rule| {
            if let Some(bound) = rule.bound.filter(|bound| !(*bound > 0.0 && bound.is_finite())) {
                let message = format!("`bound` = {bound}, and it must be above 0");
                return Err(ConfigError::new(message));
            }
            if !(rule.noise >= 0.0 && rule.noise.is_finite()) {
                let message = format!("`noise` = {}, and it must be at least 0", rule.noise);
                return Err(ConfigError::new(message));
            }
            Ok(Arc::new(rule))
        })
    },
};

/// Parameters of norm bounding.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct NormBound {
    /// The largest norm that counts in full, in the unit of updates (default: the median norm).
    bound: Option<f64>,
    /// The standard deviation of the normal noise added to every coordinate, in the unit of
    /// updates (default 0).
    noise: f64,
}

impl Aggregator for NormBound {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        match self.bound {
            Some(_) if rows > 0 => Ok(()),
            _ => AggregateError::unless_majority(ENTRY.name, rows, byzantine),
        }
    }

    fn rescales(&self) -> bool {
        true
    }

    /// Every row counts alike after it was scaled.
    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        let rows = updates.nrows();
        self.admits(rows, context.byzantine)?;
        let norms = row_norms(updates);
        let bound = self.bound.unwrap_or_else(|| median(&norms));
        let counted = vec![true; rows];
        let shares = bounded_shares(&norms, &counted, bound);
        let mut vector = weighted_sum(updates, &shares);
        add_noise(&mut vector, self.noise, context);
        Ok(Aggregate { vector, weights: Some(Array1::from_elem(rows, 1.0 / rows as f32)) })
    }
}

/// What each row is multiplied with, so that the rows that count are scaled down to `bound` and
/// averaged. Rows that are not finite have no direction and come to nothing.
pub(super) fn bounded_shares(norms: &[f64], counted: &[bool], bound: f64) -> Vec<f32> {
    let count = counted.iter().filter(|&&counted| counted).count() as f64;
    let share = |(&norm, &counted): (&f64, &bool)| match counted && norm.is_finite() {
        true if norm > bound => (bound / norm / count) as f32,
        true => (1.0 / count) as f32,
        false => 0.0,
    };
    norms.iter().zip(counted).map(share).collect()
}

/// Adds normal noise of this standard deviation to every coordinate.
pub(super) fn add_noise(vector: &mut Array1<f32>, deviation: f64, context: &mut Context<'_>) {
    if deviation == 0.0 || !deviation.is_finite() {
        return;
    }
    for value in vector {
        let noise: f64 = StandardNormal.sample(&mut *context.rng);
        *value = (f64::from(*value) + deviation * noise) as f32;
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::aggregators::tests::aggregate_with;

    fn bounded(rule: &NormBound, rows: &Array2<f32>) -> Array1<f32> {
        aggregate_with(rule, rows, 0, None).unwrap().vector
    }

    #[test]
    fn long_rows_are_scaled_to_the_bound() {
        let rows = array![[3.0, 4.0], [0.0, 1.0]];
        let rule = NormBound { bound: Some(2.5), noise: 0.0 };
        assert_eq!(bounded(&rule, &rows), array![0.75, 1.5]);
    }

    #[test]
    fn the_median_norm_is_the_bound_unless_one_is_given() {
        let rows = array![[300.0, 400.0], [0.0, 1.0], [0.0, -2.0]];
        // Lengths 500, 1 and 2: the first becomes (1.2, 1.6).
        let result = bounded(&NormBound::default(), &rows);
        assert!((&result - &array![0.4, 0.2]).iter().all(|off| off.abs() < 1e-6), "{result}");
    }

    #[test]
    fn rows_that_are_not_finite_come_to_nothing() {
        let rows = array![[f32::NAN], [2.0], [4.0]];
        assert_eq!(bounded(&NormBound::default(), &rows), array![2.0]);
    }

    #[test]
    fn noise_has_the_deviation_that_was_asked_for() {
        let rule = NormBound { bound: None, noise: 0.5 };
        let result = bounded(&rule, &Array2::zeros((3, 4000)));
        let deviation = (result.mapv(|x| x * x).sum() / 4000.0).sqrt();
        assert!((deviation - 0.5).abs() < 0.03, "{deviation}");
    }

    #[test]
    fn a_fixed_bound_asks_for_no_majority() {
        let fixed = NormBound { bound: Some(1.0), noise: 0.0 };
        assert_eq!(fixed.admits(3, 3), Ok(()));
        assert!(NormBound::default().admits(4, 2).is_err());
    }
}
