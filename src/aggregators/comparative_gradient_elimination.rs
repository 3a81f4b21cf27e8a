//! Comparative gradient elimination (CGE): the mean of the shortest rows.
//!
//! `F(x) = 1/(n - f) · Σ x_i` over the `n - f` rows of least Euclidean norm; of equal norms the
//! rows of the lowest senders. A row that is not finite is infinitely long.
//!
//! It looks at lengths alone, so it costs one pass and no comparison of rows.
//!
//! Fails against every lie that is no longer than an honest row: minus the honest mean passes, and
//! so does any direction at all. The paper's promise holds for costs that are redundant among the
//! honest, in terms of gradients of the costs; as an estimate of the honest mean the rule has no
//! bound. It drops the longest honest rows where nobody lies, which are those that still have most
//! to learn. Needs n > 2f.
//!
//! Reference: Gupta, Liu, Vaidya, Byzantine Fault-Tolerant Distributed Machine Learning Using
//! Stochastic Gradient Descent (SGD) and Norm-Based Comparative Gradient Elimination (CGE),
//! DSN Workshops 2021.

use std::sync::Arc;

use ndarray::ArrayView2;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::selection::{least, mean_of};
use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::Entry;
use crate::kernels::row_norms::each_row;
use crate::vector::norm;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "comparative_gradient_elimination",
    summary: "the mean of the n - f shortest updates",
    reference: "Gupta et al., DSN-W 2021",
    source: include_str!("comparative_gradient_elimination.rs"),
    claims: Claims {
        permutation_invariant: true,
        translation_equivariant: false,
        scale_equivariant: true,
        tolerates: |rows| Some(rows.checked_sub(1)? / 2),
        robust: false,
        remembers: Remembers::Nothing,
        uses_byzantine: true,
        uses_samples: false,
    },
    parameters: || schema_for!(ComparativeGradientElimination),
    build: |parameters| {
        parameters
            .build::<dyn Aggregator, ComparativeGradientElimination>(|rule| Ok(Arc::new(rule)))
    },
};

/// Comparative gradient elimination has no parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct ComparativeGradientElimination {}

impl Aggregator for ComparativeGradientElimination {
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
        let norms = each_row(updates.view(), |_, row| norm(row));
        let chosen = least(&norms, updates.nrows() - context.byzantine);
        Ok(mean_of(updates.view(), &chosen))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::aggregators::tests::aggregate_with;

    #[test]
    fn the_longest_are_left_out() {
        let rows = array![[3.0, 4.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -7.0], [1.0, 1.0]];
        let rule = ComparativeGradientElimination {};
        let result = aggregate_with(&rule, &rows, 2, None).unwrap();
        assert_eq!(result.vector, array![0.0, 1.0]);
        let all = aggregate_with(&rule, &rows, 0, None).unwrap();
        assert_eq!(all.vector, array![0.6, 0.0]);
    }

    #[test]
    fn the_opposite_of_the_honest_passes() {
        let rows = array![[-2.0], [2.0], [2.0]];
        let rule = ComparativeGradientElimination {};
        assert_eq!(aggregate_with(&rule, &rows, 1, None).unwrap().vector, array![0.0]);
    }

    #[test]
    fn rows_that_are_not_finite_are_longest() {
        let rows = array![[f32::NAN], [2.0], [f32::INFINITY], [1.0], [6.0]];
        let rule = ComparativeGradientElimination {};
        assert_eq!(aggregate_with(&rule, &rows, 2, None).unwrap().vector, array![3.0]);
    }
}
