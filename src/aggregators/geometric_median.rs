//! The geometric median: the point with the least sum of distances to all rows, by a few steps.
//!
//! Smoothed Weiszfeld: `z <- Σ w_i x_i / Σ w_i` with `w_i = 1 / max(‖x_i - z‖, nu)`, repeated
//! `iterations` times from `start`. Unlike the coordinate-wise median it turns with the rows.
//!
//! Steps are few, so where they start matters. From the `mean` each step leaves of a far lie
//! about the share f/(n - f) of what there was, and three steps leave much of a huge one. From
//! `zero`, the default, a huge row pulls no more than any other from the first step on; but what
//! is zero is no property of the rows, so that moving all rows does not just move the result.
//! `ByzFL` and the code of He et al. start from zero, with 3 and 8 steps. With `stop` the steps end
//! before `iterations` once the mean distance hardly changes, as in fedlib, which starts from the
//! mean.
//!
//! Fails where updates are smaller than `nu`: all weights are then equal, and the rule is the
//! mean without saying so. Choose `nu` far below the distance between honest rows. Close to half
//! of liars the median itself is drawn towards them. Needs n > 2f.
//!
//! Reference: Pillutla, Kakade, Harchaoui, Robust Aggregation for Federated Learning, IEEE
//! Transactions on Signal Processing, 2022; for learning first: Chen, Su, Xu, Distributed
//! Statistical Machine Learning in Adversarial Settings, POMACS 2017.

use std::sync::Arc;

use ndarray::{Array1, ArrayView2};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::{ConfigError, Entry};
use crate::kernels::centres::{squared_distances_to, weighted_sum_and_distances};
use crate::kernels::means::weighted_sum;
use crate::vector::as_slice;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "geometric_median",
    summary: "the point with the least sum of distances, by a few Weiszfeld steps",
    reference: "Pillutla et al., IEEE TSP 2022",
    source: include_str!("geometric_median.rs"),
    claims: Claims {
        permutation_invariant: true,
        translation_equivariant: false,
        scale_equivariant: false,
        tolerates: |rows| Some(rows.checked_sub(1)? / 2),
        robust: true,
        remembers: Remembers::Nothing,
        uses_byzantine: false,
        uses_samples: false,
    },
    parameters: || schema_for!(GeometricMedian),
    build: |parameters| {
        parameters.build::<dyn Aggregator, GeometricMedian>(|rule| {
            if !(rule.nu > 0.0 && rule.nu.is_finite()) {
                let message = format!("`nu` = {}, and it must be above 0", rule.nu);
                return Err(ConfigError::new(message));
            }
            if rule.iterations == 0 {
                return Err(ConfigError::new("`iterations` = 0, and it must be at least 1"));
            }
            if let Some(stop) = rule.stop.filter(|stop| !(*stop >= 0.0 && stop.is_finite())) {
                let message = format!("`stop` = {stop}, and it must be at least 0");
                return Err(ConfigError::new(message));
            }
            Ok(Arc::new(rule))
        })
    },
};

/// Parameters of the geometric median.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct GeometricMedian {
    /// The distance, in the unit of updates, below which rows weigh no more (default 0.1).
    nu: f64,
    /// How many steps are made (default 3).
    iterations: u32,
    /// Where the steps start: at `zero` (default) or at the `mean` of the rows.
    start: Start,
    /// The change of the mean distance to all rows, as a share of it, at which the steps end, at
    /// least 0. Absent (default): all `iterations` are made.
    stop: Option<f64>,
}

/// Where the steps start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Start {
    /// The vector of zeros.
    #[default]
    Zero,
    /// The mean of the rows.
    Mean,
}

impl Default for GeometricMedian {
    fn default() -> Self {
        GeometricMedian { nu: 0.1, iterations: 3, start: Start::default(), stop: None }
    }
}

impl Aggregator for GeometricMedian {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        AggregateError::unless_majority(ENTRY.name, rows, byzantine)
    }

    /// The weights are those of the last step.
    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        self.admits(updates.nrows(), context.byzantine)?;
        let updates = updates.as_standard_layout();
        let rows = updates.view();
        let uniform = vec![f64::from(1.0 / updates.nrows() as f32); updates.nrows()];
        let (mut centre, mut distances) = match self.start {
            Start::Zero => {
                let zero = Array1::zeros(updates.ncols());
                let distances = squared_distances_to(rows, as_slice(&zero));
                (zero, distances)
            }
            Start::Mean => weighted_sum_and_distances(rows, &uniform, None),
        };
        let mut weights = self.weights(&distances);
        for _ in 1..self.iterations {
            let before = (centre, distances);
            (centre, distances) = weighted_sum_and_distances(rows, &weights, None);
            if centre == before.0 || self.ends(&before.1, &distances) {
                break;
            }
            weights = self.weights(&distances);
        }
        // Nobody asks how far the rows are from the last centre.
        let weights: Vec<f32> = weights.iter().map(|&weight| weight as f32).collect();
        Ok(Aggregate { vector: weighted_sum(rows, &weights), weights: Some(Array1::from(weights)) })
    }
}

impl GeometricMedian {
    /// Whether the mean distance has changed so little from one step to the next that there is no
    /// further one.
    fn ends(&self, before: &[f64], after: &[f64]) -> bool {
        let Some(stop) = self.stop else { return false };
        let (before, after) = (mean_distance(before), mean_distance(after));
        (before - after).abs() <= stop * after
    }

    /// What each row weighs, by its squared distance from the centre; the weights sum to 1.
    fn weights(&self, squared_distances: &[f64]) -> Vec<f64> {
        let weight = |&squared: &f64| {
            let distance = squared.sqrt();
            // A row that is not finite is infinitely far.
            if distance.is_finite() { 1.0 / distance.max(self.nu) } else { 0.0 }
        };
        let weights: Vec<f64> = squared_distances.iter().map(weight).collect();
        let total: f64 = weights.iter().sum();
        if total == 0.0 {
            return vec![f64::from(1.0 / weights.len() as f32); weights.len()];
        }
        // In single precision, as they are reported.
        weights.iter().map(|weight| f64::from((weight / total) as f32)).collect()
    }
}

/// The mean of the finite distances with these squares.
fn mean_distance(squared_distances: &[f64]) -> f64 {
    let distances = squared_distances.iter().map(|squared| squared.sqrt());
    let finite: Vec<f64> = distances.filter(|distance| distance.is_finite()).collect();
    finite.iter().sum::<f64>() / finite.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::aggregators::tests::aggregate_with;

    fn median(rule: &GeometricMedian, rows: &Array2<f32>) -> Array1<f32> {
        aggregate_with(rule, rows, 0, None).unwrap().vector
    }

    #[test]
    fn one_step_by_hand() {
        // From zero the weights are 1/5, 1/5 and 1/10, as shares 0.4, 0.4, 0.2.
        let rows = array![[3.0, 4.0], [-5.0, 0.0], [0.0, 10.0]];
        let rule = GeometricMedian { iterations: 1, ..GeometricMedian::default() };
        let result = aggregate_with(&rule, &rows, 1, None).unwrap();
        assert!((&result.vector - &array![-0.8, 3.6]).iter().all(|off| off.abs() < 1e-6));
        let weights = result.weights.unwrap();
        assert!((&weights - &array![0.4, 0.4, 0.2]).iter().all(|off| off.abs() < 1e-7));
    }

    #[test]
    fn many_steps_find_the_point_that_sees_all_sides_at_one_angle() {
        // Fermat's point of an equilateral triangle is its centre, wherever the steps start.
        let height = 3f32.sqrt();
        let rows = array![[9.0, 0.0], [11.0, 0.0], [10.0, height]];
        for start in [Start::Zero, Start::Mean] {
            let rule = GeometricMedian { nu: 1e-6, iterations: 200, start, stop: None };
            let point = median(&rule, &rows);
            assert!((&point - &array![10.0, height / 3.0]).iter().all(|off| off.abs() < 1e-5));
        }
    }

    #[test]
    fn steps_end_where_the_mean_distance_hardly_changes() {
        // From the mean, 3, the distances are 3, 2 and 5, of mean 10/3; the weights 10, 15 and 6
        // of 31 lead to 63/31 and the mean distance 3.01, which differs by less than a fifth.
        let rows = array![[0.0], [1.0], [8.0]];
        let rule = |iterations, stop| {
            let start = Start::Mean;
            let rule = GeometricMedian { nu: 1e-6, iterations, start, stop };
            median(&rule, &rows)[0]
        };
        assert!((rule(100, Some(0.2)) - 63.0 / 31.0).abs() < 1e-6);
        assert_eq!(rule(100, Some(0.2)), rule(1, None));
        assert!(rule(100, Some(0.05)) < 1.9);
    }

    #[test]
    fn the_start_decides_what_a_huge_lie_leaves() {
        let mut rows = Array2::from_elem((8, 1), 1.0f32);
        rows[[0, 0]] = 1e9;
        let rule = |start| GeometricMedian { start, ..GeometricMedian::default() };
        // From zero: 8/7, then 50/49, then, within nu of the seven, 71/70.
        assert!((median(&rule(Start::Zero), &rows)[0] - 71.0 / 70.0).abs() < 1e-5);
        // From the mean the lie's share is 1/8, then 1/50, 1/344, 1/2402.
        assert!((median(&rule(Start::Mean), &rows)[0] / 1e9 - 1.0 / 2402.0).abs() < 1e-6);
    }

    #[test]
    fn updates_below_nu_are_averaged() {
        let rows = array![[0.01], [0.02], [0.06]];
        assert!((median(&GeometricMedian::default(), &rows)[0] - 0.03).abs() < 1e-8);
    }

    #[test]
    fn rows_that_are_not_finite_weigh_nothing() {
        let rows = array![[f32::NAN], [2.0], [f32::INFINITY]];
        assert_eq!(median(&GeometricMedian::default(), &rows), array![2.0]);
    }
}
