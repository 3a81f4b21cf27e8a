//! Static clipping: rows longer than a fixed threshold are scaled down to it.
//!
//! `y_i = x_i · min(1, c / ‖x_i‖)`, with `c` the `threshold`. n rows go in and come out.
//!
//! It bounds what any one row can do, which a rule with a mean in it needs.
//!
//! Fails because the threshold is the user's: one that is too low clips honest rows alike, the
//! long ones of nodes with unusual data most, and biases the mean for ever; one that is too high
//! does nothing. Gradients shrink while the threshold stays, so it stops acting as training goes
//! on. Whatever the rule behind it promised for its error in terms of the honest variance is lost:
//! adaptive clipping keeps such promises.
//!
//! Reference: Allouah, Guerraoui, Gupta, Jellouli, Rizk, Stephan, Adaptive Gradient Clipping for
//! Robust Federated Learning, 2024 (arXiv 2405.14432), which studies it as the alternative.

use std::sync::Arc;

use ndarray::{Array2, ArrayView2};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::rows::shorten_to;
use super::{Claims, PreAggregator};
use crate::aggregators::{AggregateError, Context};
use crate::catalog::{ConfigError, Entry};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn PreAggregator, Claims> = Entry {
    name: "clipping",
    summary: "updates longer than a fixed threshold are scaled down to it",
    reference: "Allouah et al., 2024",
    source: include_str!("clipping.rs"),
    claims: Claims { permutation_equivariant: true, uses_byzantine: false },
    parameters: || schema_for!(Clipping),
    build: |parameters| parameters.build::<dyn PreAggregator, Clipping>(Clipping::checked),
};

/// Parameters of static clipping.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Clipping {
    /// The largest norm that is left alone, in the unit of updates, at least 0 (default 2.0).
    threshold: f64,
}

impl Default for Clipping {
    fn default() -> Self {
        Clipping { threshold: 2.0 }
    }
}

impl Clipping {
    fn checked(self) -> Result<Arc<dyn PreAggregator>, ConfigError> {
        if self.threshold >= 0.0 && self.threshold.is_finite() {
            return Ok(Arc::new(self));
        }
        let message =
            format!("`threshold` is {}, but must be at least 0 and finite", self.threshold);
        Err(ConfigError::new(message))
    }
}

impl PreAggregator for Clipping {
    fn admits(&self, rows: usize, _byzantine: usize) -> Result<(), AggregateError> {
        if rows == 0 { Err(AggregateError::Empty { rule: ENTRY.name }) } else { Ok(()) }
    }

    fn transform(
        &self,
        updates: Array2<f32>,
        context: &mut Context<'_>,
    ) -> Result<Array2<f32>, AggregateError> {
        self.admits(updates.nrows(), context.byzantine)?;
        Ok(shorten_to(updates, self.threshold))
    }

    fn row_by_row(&self, updates: ArrayView2<'_, f32>) -> Option<Array2<f32>> {
        Some(shorten_to(updates.to_owned(), self.threshold))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Axis, array};

    use super::*;
    use crate::preaggregators::tests::transform_with;

    #[test]
    fn long_rows_are_shortened_and_short_ones_left() {
        let rows = array![[3.0, 4.0], [0.6, 0.8], [0.0, 0.0], [0.0, -2.5]];
        let clipped = transform_with(&Clipping { threshold: 2.5 }, rows, 0).unwrap();
        assert_eq!(clipped, array![[1.5, 2.0], [0.6, 0.8], [0.0, 0.0], [0.0, -2.5]]);
    }

    #[test]
    fn huge_rows_are_shortened_and_those_without_a_norm_left() {
        let rows = array![[f32::MAX, f32::MAX], [f32::NAN, 1.0]];
        let clipped = transform_with(&Clipping { threshold: 2.0f64.sqrt() }, rows, 0).unwrap();
        assert_eq!(clipped.row(0), array![1.0, 1.0]);
        assert!(clipped[[1, 0]].is_nan() && clipped[[1, 1]] == 1.0);
    }

    #[test]
    fn a_row_is_clipped_alike_alone_and_among_others() {
        let rows = array![[3.0, 4.0], [0.6, 0.8], [f32::NAN, 9.0], [1e30, -2.5]];
        let clipping = Clipping { threshold: 2.5 };
        let together = transform_with(&clipping, rows.clone(), 0).unwrap().mapv(f32::to_bits);
        for (row, expected) in rows.rows().into_iter().zip(together.rows()) {
            let alone = clipping.row_by_row(row.insert_axis(Axis(0))).unwrap();
            assert_eq!(alone.row(0).mapv(f32::to_bits), expected);
        }
    }

    #[test]
    fn thresholds_below_zero_are_refused() {
        for threshold in [-1.0, f64::NAN, f64::INFINITY] {
            assert!(Clipping { threshold }.checked().is_err());
        }
    }
}
