//! Phocas: in every coordinate, the mean of the values nearest to the trimmed mean.
//!
//! `F(x)_k = 1/(n - f) · Σ x_ik` over the `n - f` values of coordinate k nearest to the mean of
//! that coordinate without its f lowest and f highest values. Of two values equally far, one on
//! each side, the higher and the lower are dropped in turn; libraries leave that open.
//!
//! Against the trimmed mean it averages f values more, at the price of liars that come close.
//!
//! Fails where liars stay inside the spread of the honest values: then it keeps all of theirs and
//! drops honest ones in their place, coordinate by coordinate. Needs n > 2f; some copies of the
//! authors' code check nothing.
//!
//! Reference: Xie, Koyejo, Gupta, Phocas: Dimensional Byzantine-Resilient Stochastic Gradient
//! Descent, 2018.

use std::sync::Arc;

use ndarray::ArrayView2;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::nearest_values::{mean_of_nearest, mean_of_rows};
use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::Entry;
use crate::kernels::columns::summarise_ranks;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "phocas",
    summary: "the mean of the n - f values of every coordinate nearest to its trimmed mean",
    reference: "Xie et al., 2018",
    source: include_str!("phocas.rs"),
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
    parameters: || schema_for!(Phocas),
    build: |parameters| parameters.build::<dyn Aggregator, Phocas>(|rule| Ok(Arc::new(rule))),
};

/// Phocas has no parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Phocas {}

impl Aggregator for Phocas {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        AggregateError::unless_majority(ENTRY.name, rows, byzantine)
    }

    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        let (n, f) = (updates.nrows(), context.byzantine);
        self.admits(n, f)?;
        let vector = summarise_ranks(updates, 0..n, |rows| {
            mean_of_nearest(rows, mean_of_rows(&rows[f..n - f]), n - f)
        });
        Ok(Aggregate { vector, weights: None })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::aggregators::tests::aggregate_with;

    #[test]
    fn by_hand() {
        // Trimmed means 3 and -3; the values farthest from them are 20 and -90.
        let rows = array![[1.0, -1.0], [2.0, -2.0], [3.0, -3.0], [4.0, -4.0], [20.0, -90.0]];
        let result = aggregate_with(&Phocas {}, &rows, 1, None).unwrap();
        assert_eq!(result.vector, array![2.5, -2.5]);
        let mean = aggregate_with(&Phocas {}, &rows, 0, None).unwrap();
        assert_eq!(mean.vector, array![6.0, -20.0]);
    }

    #[test]
    fn half_of_the_rows_is_too_many() {
        let error = aggregate_with(&Phocas {}, &array![[1.0], [2.0]], 1, None).unwrap_err();
        let text = "phocas needs n > 2f = 2 and got n = 2 updates with f = 1 byzantine";
        assert_eq!(error.to_string(), text);
    }
}
