//! Adaptive robust clipping (ARC): the longest rows are scaled down to the longest of the rest.
//!
//! With `k = ⌊2 (f/n) (n - f)⌋` the k longest rows are scaled down to the length of the next
//! longest, the (k+1)-th. n rows go in and come out; with f = 0 nothing changes.
//!
//! The threshold follows the rows, so that the promise of the rule behind it survives: a rule with
//! κ has κ + 2f/(n - 2f) behind this (the paper's theorem states 3κ), while a fixed threshold
//! destroys such promises. What it adds is a bound on the error by the length of the rows where
//! the honest differ without limit.
//!
//! Fails where liars are not long: it does nothing against a lie inside the honest lengths. It
//! clips up to 2f honest rows where nobody lies, those of the nodes that still learn most.
//! Needs n > 2f.
//!
//! Reference: Allouah, Guerraoui, Gupta, Jellouli, Rizk, Stephan, Adaptive Gradient Clipping for
//! Robust Federated Learning, 2024 (arXiv 2405.14432).

use std::sync::Arc;

use ndarray::Array2;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::rows::{norms, shorten};
use super::{Claims, PreAggregator};
use crate::aggregators::{AggregateError, Context};
use crate::catalog::Entry;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn PreAggregator, Claims> = Entry {
    name: "adaptive_clipping",
    summary: "the longest 2f(n - f)/n updates are scaled down to the longest of the rest",
    reference: "Allouah et al., 2024",
    source: include_str!("adaptive_clipping.rs"),
    claims: Claims { permutation_equivariant: true, uses_byzantine: true },
    parameters: || schema_for!(AdaptiveClipping),
    build: |parameters| {
        parameters.build::<dyn PreAggregator, AdaptiveClipping>(|clipping| Ok(Arc::new(clipping)))
    },
};

/// Adaptive robust clipping has no parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct AdaptiveClipping {}

impl PreAggregator for AdaptiveClipping {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        AggregateError::unless_majority(ENTRY.name, rows, byzantine)
    }

    fn transform(
        &self,
        updates: Array2<f32>,
        context: &mut Context<'_>,
    ) -> Result<Array2<f32>, AggregateError> {
        let (n, f) = (updates.nrows(), context.byzantine);
        self.admits(n, f)?;
        let norms = norms(&updates);
        let mut ascending = norms.clone();
        // Rows without a norm are the longest, whatever the sign of their NaN.
        ascending.sort_unstable_by(|a, b| a.is_nan().cmp(&b.is_nan()).then_with(|| a.total_cmp(b)));
        let threshold = ascending[n - clipped(n, f) - 1];
        Ok(shorten(updates, &norms, threshold))
    }
}

/// How many rows are clipped: `⌊2 (f/n) (n - f)⌋`, less than n.
fn clipped(n: usize, f: usize) -> usize {
    2 * f * (n - f) / n
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::preaggregators::tests::transform_with;

    #[test]
    fn the_longest_are_clipped_to_the_next() {
        // Two times 1/5 times 4 is 1.6: one row is clipped, to the norm 10 of the second longest.
        let rows = array![[3.0, 4.0], [0.0, 10.0], [30.0, 40.0], [1.0, 0.0], [0.0, 0.0]];
        let clipped = transform_with(&AdaptiveClipping {}, rows.clone(), 1).unwrap();
        assert_eq!(clipped, array![[3.0, 4.0], [0.0, 10.0], [6.0, 8.0], [1.0, 0.0], [0.0, 0.0]]);
        assert_eq!(transform_with(&AdaptiveClipping {}, rows.clone(), 0).unwrap(), rows);
    }

    #[test]
    fn the_example_in_the_documentation_of_byzfl() {
        let rows = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]];
        let clipped = transform_with(&AdaptiveClipping {}, rows, 1).unwrap();
        let expected = array![4.410_04, 5.040_046, 5.670_051_6];
        assert!((&clipped.row(2) - &expected).iter().all(|off: &f32| off.abs() < 1e-6));
    }

    #[test]
    fn less_than_all_are_clipped() {
        for n in 1..40 {
            assert!((0..n).filter(|f| 2 * f < n).all(|f| clipped(n, f) < n));
        }
    }
}
