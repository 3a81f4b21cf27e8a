//! Nearest-neighbour averaging, `MoNNA`'s rule: the mean of the rows nearest to a trusted one.
//!
//! `F(x) = 1/(n - f) · Σ x_i` over the `n - f` rows nearest to row `own` in Euclidean distance,
//! itself among them; of rows equally far those of the lowest senders come first.
//!
//! In the paper every node averages around its own vector: it hears n - f vectors in a round, its
//! own among them, and averages the n - 2f nearest, which is this rule on the rows that came.
//! `ByzFL` has the rule for all n rows at a server and counts the trusted row from 0. With
//! `centre = "median"` the rows are compared with the coordinate-wise median in place of a row.
//!
//! Fails at a server, where no row is to be trusted: if `own` lies, the aggregate is where it
//! says. At a node it fails where honest vectors differ more than the liars stray, and liars near
//! the node's own vector are always averaged. Needs n > 2f.
//!
//! Reference: Farhadkhani, Guerraoui, Gupta, Hoang, Pinot, Stephan, Robust Collaborative Learning
//! with Linear Gradient Overhead, ICML 2023.

use std::sync::Arc;

use ndarray::ArrayView2;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::median::{Median, Middle};
use super::selection::{least, mean_of};
use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::Entry;
use crate::kernels::centres::squared_distances_to;
use crate::vector::{as_slice, view_slice};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "nearest_to_own",
    summary: "the mean of the n - f updates nearest to a trusted one",
    reference: "Farhadkhani et al., ICML 2023",
    source: include_str!("nearest_to_own.rs"),
    claims: Claims {
        permutation_invariant: false,
        translation_equivariant: true,
        scale_equivariant: true,
        tolerates: |rows| Some(rows.checked_sub(1)? / 2),
        robust: false,
        remembers: Remembers::Nothing,
        uses_byzantine: true,
        uses_samples: false,
    },
    parameters: || schema_for!(NearestToOwn),
    build: |parameters| parameters.build::<dyn Aggregator, NearestToOwn>(|rule| Ok(Arc::new(rule))),
};

/// Parameters of nearest-neighbour averaging.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct NearestToOwn {
    /// The trusted row, counted from 0 (default) in ascending order of senders.
    own: usize,
    /// What rows are compared with: the `own` row (default), or the `median` of all, midpoint for
    /// an even number, and then `own` is not used.
    centre: Centre,
}

/// What rows are compared with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Centre {
    /// The trusted row.
    #[default]
    Own,
    /// The coordinate-wise median.
    Median,
}

impl Aggregator for NearestToOwn {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        AggregateError::unless_majority(ENTRY.name, rows, byzantine)?;
        if self.centre == Centre::Own && self.own >= rows {
            let message = format!("own = {} is not among n = {rows} updates from 0", self.own);
            return Err(AggregateError::Unfit { rule: ENTRY.name, message });
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
        let mut distances = match self.centre {
            Centre::Own => squared_distances_to(updates.view(), view_slice(&updates.row(self.own))),
            Centre::Median => {
                let median = Median { middle: Middle::Midpoint };
                let centre = median.aggregate(updates.view(), context)?.vector;
                squared_distances_to(updates.view(), as_slice(&centre))
            }
        };
        if self.centre == Centre::Own {
            // Below every distance: nothing is nearer to a row than itself, not even its equal.
            distances[self.own] = -1.0;
        }
        let chosen = least(&distances, updates.nrows() - context.byzantine);
        Ok(mean_of(updates.view(), &chosen))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::aggregators::tests::aggregate_with;

    fn line() -> Array2<f32> {
        array![[0.0], [1.0], [3.0], [8.0], [9.0]]
    }

    #[test]
    fn the_nearest_to_the_trusted_row() {
        let own =
            |own| aggregate_with(&NearestToOwn { own, ..Default::default() }, &line(), 2, None);
        assert_eq!(own(0).unwrap().vector, array![4.0 / 3.0]);
        assert_eq!(own(4).unwrap().vector, array![20.0 / 3.0]);
        assert_eq!(own(4).unwrap().weights.unwrap()[2], 1.0 / 3.0);
    }

    #[test]
    fn the_nearest_to_the_median() {
        let rule = NearestToOwn { centre: Centre::Median, ..Default::default() };
        assert_eq!(aggregate_with(&rule, &line(), 2, None).unwrap().vector, array![4.0 / 3.0]);
    }

    #[test]
    fn a_row_that_is_not_there_is_refused() {
        let rule = NearestToOwn { own: 5, ..Default::default() };
        let error = aggregate_with(&rule, &line(), 1, None).unwrap_err();
        let text = "nearest_to_own: own = 5 is not among n = 5 updates from 0";
        assert_eq!(error.to_string(), text);
    }
}
