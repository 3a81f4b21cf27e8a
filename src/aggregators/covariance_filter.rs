//! The covariance-bound-agnostic filter (CAF): rows are weighed down along the direction in which
//! they differ most.
//!
//! Every row begins with the weight `c_i = 1`. While `Σ c > n - 2f`: with the weighted mean μ and
//! the leading eigenvector v of the weighted covariance, `τ_i = ⟨x_i - μ, v⟩²` and `c_i ← c_i (1 -
//! τ_i / max τ)`, so that each pass takes at least one row out. The aggregate is the μ of the pass
//! with the least leading eigenvalue.
//!
//! It needs no bound on the honest covariance, only f. `ByzFL` takes the largest τ among all rows,
//! also those of weight 0 (`largest = "all"`): a row far out then shields the others for ever, and
//! its loop may not end; this one ends after 10,000 passes, fewer for many rows. It also estimates
//! v by one step of the power method from a random vector, so that its result is random; this rule
//! computes v, unless `starts` gives the vectors of such steps.
//!
//! Fails where honest rows from different data spread more in one direction than the liars do: it
//! then removes honest rows. Its guarantee is good for small f/n only. Needs n > 2f.
//!
//! Reference: Allouah, Guerraoui, Stephan, Towards Trustworthy Federated Learning with Untrusted
//! Participants, ICML 2025.

use std::sync::Arc;

use ndarray::{Array1, Array2, ArrayView2};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::power_step::power_step;
use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::Entry;
use crate::kernels::distances::squared_distances;
use crate::kernels::means::weighted_sum;
use crate::kernels::row_norms::each_row;
use crate::kernels::spectral::{centred_products, leading};
use crate::vector::{as_slice, first_not_finite};

/// The largest number of passes for few rows. With the largest τ among counted rows each pass takes
/// one out, so that `2f < n` are enough.
const PASSES: usize = 10_000;

/// Passes times squared rows, where there are many rows and still passes left: some seconds.
const WORK: usize = 4_000_000;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "covariance_filter",
    summary: "the mean after updates are weighed down along the direction of largest variance",
    reference: "Allouah et al., ICML 2025",
    source: include_str!("covariance_filter.rs"),
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
    parameters: || schema_for!(CovarianceFilter),
    build: |parameters| {
        parameters.build::<dyn Aggregator, CovarianceFilter>(|rule| Ok(Arc::new(rule)))
    },
};

/// Parameters of the filter.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct CovarianceFilter {
    /// Among which rows the largest τ is taken: those that are `counted`, of weight above 0
    /// (default), or `all`.
    largest: Largest,
    /// One vector for each pass, with a value per coordinate: the eigenvector is then one step of
    /// the power method from there; passes behind the last compute it. Absent (default): all do.
    starts: Option<Vec<Vec<f64>>>,
}

/// Among which rows the largest τ is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Largest {
    /// Those of weight above 0.
    #[default]
    Counted,
    /// All that are finite.
    All,
}

/// What one pass found: the leading eigenvalue, and how far each row is along its direction.
pub(super) struct Spread {
    pub(super) value: f64,
    pub(super) squared: Vec<f64>,
}

impl Aggregator for CovarianceFilter {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        AggregateError::unless_majority(ENTRY.name, rows, byzantine)
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

impl CovarianceFilter {
    /// The weights of the pass with the least eigenvalue, summing to 1.
    fn weights(&self, updates: ArrayView2<'_, f32>, byzantine: usize) -> Array1<f32> {
        let rows = updates.nrows();
        let finite =
            each_row(updates, |_, row| f64::from(u8::from(first_not_finite(row).is_none())));
        let mut weights = finite.clone();
        if weights.iter().sum::<f64>() == 0.0 {
            return Array1::from_elem(rows, 1.0 / rows as f32);
        }
        let enough = (rows - 2 * byzantine) as f64;
        let distances = squared_distances(updates);
        let mut best = (f64::INFINITY, weights.clone());
        let limit = (WORK / rows.pow(2)).clamp(rows.min(PASSES), PASSES);
        let mut passes = 0;
        while weights.iter().sum::<f64>() > enough && passes < limit {
            let spread = match self.starts.as_ref().and_then(|starts| starts.get(passes)) {
                Some(start) => estimated(updates, &weights, start),
                None => computed(&distances, &weights, self.largest),
            };
            if spread.value < best.0 {
                best = (spread.value, weights.clone());
            }
            let takes_part = match self.largest {
                Largest::Counted => &weights,
                Largest::All => &finite,
            };
            let squared = spread.squared.iter().zip(takes_part);
            let most = squared
                .filter(|(_, part)| **part > 0.0)
                .fold(0.0, |most: f64, (squared, _)| most.max(*squared));
            if most == 0.0 || !most.is_finite() {
                break;
            }
            for (weight, squared) in weights.iter_mut().zip(&spread.squared) {
                if *weight > 0.0 {
                    *weight *= (1.0 - squared / most).max(0.0);
                }
            }
            passes += 1;
        }
        let total: f64 = best.1.iter().sum();
        best.1.iter().map(|weight| (weight / total) as f32).collect()
    }
}

/// From the distances: exact. How far those are that do not count is found where it is asked for.
pub(super) fn computed(distances: &Array2<f64>, weights: &[f64], among: Largest) -> Spread {
    let counted: Vec<usize> = (0..weights.len()).filter(|&row| weights[row] > 0.0).collect();
    let own: Vec<f64> = counted.iter().map(|&row| weights[row]).collect();
    let products = centred_products(&own, |i, j| distances[[counted[i], counted[j]]]);
    let roots: Vec<f64> = own.iter().map(|weight| weight.sqrt()).collect();
    let weighted = |(i, row): (usize, &Vec<f64>)| -> Vec<f64> {
        row.iter().zip(&roots).map(|(product, root)| roots[i] * product * root).collect()
    };
    let (value, vector) = leading(products.iter().enumerate().map(weighted).collect());
    let mut squared = vec![0.0; weights.len()];
    if value > 0.0 {
        // The direction is `Σ √c_j u_j (x_j - μ) / √λ`.
        let shares: Vec<f64> = roots.iter().zip(&vector).map(|(root, u)| root * u).collect();
        // Whole rows are added up, which is faster than sums along them, and the same.
        let mut along = vec![0.0; counted.len()];
        for (products, share) in products.iter().zip(&shares) {
            along.iter_mut().zip(products).for_each(|(sum, product)| *sum += product * share);
        }
        for (&row, along) in counted.iter().zip(along) {
            squared[row] = along * (along / value);
        }
        if among == Largest::All {
            outside(distances, &counted, &own, &shares, value, &mut squared);
        }
    }
    Spread { value: value / own.iter().sum::<f64>(), squared }
}

/// How far along the direction those are that do not count. Rows that are not finite come out as
/// NaN or infinite and are left out by whoever asks for the largest.
fn outside(
    distances: &Array2<f64>,
    counted: &[usize],
    own: &[f64],
    shares: &[f64],
    value: f64,
    squared: &mut [f64],
) {
    let total: f64 = own.iter().sum();
    let mean = |row: usize| -> f64 {
        let far = counted.iter().zip(own).map(|(&j, weight)| weight * distances[[row, j]]);
        far.sum::<f64>() / total
    };
    let means: Vec<f64> = counted.iter().map(|&row| mean(row)).collect();
    let overall = means.iter().zip(own).map(|(mean, weight)| mean * weight).sum::<f64>() / total;
    for row in (0..squared.len()).filter(|row| !counted.contains(row)) {
        let own_mean = mean(row);
        let product = |j: usize| {
            0.5 * (own_mean + means[j] - distances[[row, counted[j]]] - overall) * shares[j]
        };
        let along: f64 = (0..counted.len()).map(product).sum();
        squared[row] = along * (along / value);
    }
}

/// By one step of the power method.
fn estimated(updates: ArrayView2<'_, f32>, weights: &[f64], start: &[f64]) -> Spread {
    let step = power_step(updates, weights, start);
    Spread {
        value: step.length / weights.iter().sum::<f64>(),
        squared: step.along.iter().map(|along| along * along).collect(),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::aggregators::tests::aggregate_with;

    #[test]
    fn by_hand() {
        // Around their mean 2 the rows are at -2, -1, -1, -1 and 5. The last has the largest square
        // and goes; 0 keeps 1 - 4/25 and the others 1 - 1/25. That sums to 3.72 > 3, so there is
        // one more pass, with the mean 2.88/3.72 and a far smaller variance: the best.
        let rows = array![[0.0], [1.0], [1.0], [1.0], [7.0]];
        let result = aggregate_with(&CovarianceFilter::default(), &rows, 1, None).unwrap();
        assert!((result.vector[0] - 2.88 / 3.72).abs() < 1e-6);
        assert!((result.weights.unwrap()[0] - 0.84 / 3.72).abs() < 1e-6);
    }

    #[test]
    fn nobody_lies_or_all_agree() {
        let rows = array![[1.0], [2.0], [9.0]];
        let rule = CovarianceFilter::default();
        assert_eq!(aggregate_with(&rule, &rows, 0, None).unwrap().vector, array![4.0]);
        let same = array![[5.0], [5.0], [5.0]];
        assert_eq!(aggregate_with(&rule, &same, 1, None).unwrap().vector, array![5.0]);
    }

    #[test]
    fn a_row_far_out_shields_the_others_where_all_rows_are_asked() {
        // After the first pass 7 has no weight, and is 6.2 from the mean: the others keep more.
        let rows = array![[0.0], [1.0], [1.0], [1.0], [7.0], [2.0], [-3.0]];
        let all = CovarianceFilter { largest: Largest::All, ..CovarianceFilter::default() };
        let stepped = CovarianceFilter { starts: Some(vec![vec![1.0]; 10_000]), ..all.clone() };
        let exact = aggregate_with(&all, &rows, 2, None).unwrap();
        let steps = aggregate_with(&stepped, &rows, 2, None).unwrap();
        assert!((exact.vector[0] - steps.vector[0]).abs() < 1e-6);
        let counted = aggregate_with(&CovarianceFilter::default(), &rows, 2, None).unwrap();
        assert_ne!(counted.vector, exact.vector);
    }

    #[test]
    fn a_step_in_one_dimension_is_exact() {
        let rows = array![[0.0], [1.0], [1.0], [1.0], [7.0]];
        let stepped = CovarianceFilter {
            starts: Some(vec![vec![-0.3], vec![2.0]]),
            ..CovarianceFilter::default()
        };
        let stepped = aggregate_with(&stepped, &rows, 1, None).unwrap();
        let exact = aggregate_with(&CovarianceFilter::default(), &rows, 1, None).unwrap();
        assert!((stepped.vector[0] - exact.vector[0]).abs() < 1e-6);
    }
}
