//! Krum: the one row whose neighbours are nearest.
//!
//! `F(x) = x_i` with the least score `s_i = Σ ‖x_i - x_j‖²` over the `n - f - 2` rows j nearest to
//! i, i itself not among them. Equal scores go to the row of the lowest sender.
//!
//! Libraries under this name differ: `ByzFL` counts `n - f - 1` neighbours and asks for n > 2f,
//! Flower checks nothing, others sum plain distances or fourth powers. `neighbours`, `tolerance`
//! and `distance` say which is meant; the defaults are the paper's.
//!
//! Fails slowly where nobody lies: one row in place of n has n times the mean's variance, so
//! learning is noisy and, where nodes hold different data, biased towards one of them. Liars who
//! stay close together inside the honest spread can be the nearest neighbours of each other and
//! win every round. With a single neighbour (n = 3, f = 0) the two rows nearest to each other tie.
//!
//! Reference: Blanchard, El Mhamdi, Guerraoui, Stainer, Machine Learning with Adversaries:
//! Byzantine Tolerant Gradient Descent, NIPS 2017.

use std::sync::Arc;

use ndarray::{Array1, ArrayView2};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::scores::{Distance, Neighbours, Scoring, Tolerance, best};
use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::Entry;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "krum",
    summary: "the one update whose nearest neighbours are closest",
    reference: "Blanchard et al., NIPS 2017",
    source: include_str!("krum.rs"),
    claims: Claims {
        permutation_invariant: true,
        translation_equivariant: true,
        scale_equivariant: true,
        tolerates: |rows| Some(rows.checked_sub(3)? / 2),
        robust: true,
        remembers: Remembers::Nothing,
        uses_byzantine: true,
        uses_samples: false,
    },
    parameters: || schema_for!(Krum),
    build: |parameters| parameters.build::<dyn Aggregator, Krum>(|krum| Ok(Arc::new(krum))),
};

/// Parameters of Krum.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Krum {
    /// How many other rows a score counts: `paper` n - f - 2 (default), `inclusive` n - f - 1,
    /// `short` n - f - 3.
    neighbours: Neighbours,
    /// What a score sums: `squared` (default), `plain` or `fourth` powers of distances.
    distance: Distance,
    /// For which n it runs: `paper` n >= 2f + 3 (default), `majority` n > 2f, `none` any.
    tolerance: Tolerance,
}

impl Krum {
    fn scoring(&self) -> Scoring {
        Scoring { neighbours: self.neighbours, distance: self.distance, tolerance: self.tolerance }
    }
}

impl Aggregator for Krum {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        self.scoring().admits(ENTRY.name, rows, byzantine)
    }

    fn error_bound(&self, rows: usize, byzantine: usize) -> Option<f64> {
        self.admits(rows, byzantine).ok()?;
        self.scoring().error_bound(rows, byzantine)
    }

    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        self.admits(updates.nrows(), context.byzantine)?;
        let scores = self.scoring().scores(updates, context.byzantine);
        let chosen = best(&scores, 1)[0];
        let mut weights = Array1::zeros(updates.nrows());
        weights[chosen] = 1.0;
        Ok(Aggregate { vector: updates.row(chosen).to_owned(), weights: Some(weights) })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::aggregators::tests::aggregate_with;

    #[test]
    fn known_bounds() {
        let bound = |neighbours, rows, f| {
            let tolerance = Tolerance::Majority;
            let rule = Krum { neighbours, tolerance, ..Krum::default() };
            rule.error_bound(rows, f).map(|bound| (bound * 10.0).round() / 10.0)
        };
        assert_eq!(bound(Neighbours::Inclusive, 10, 4), Some(14.9));
        assert_eq!(bound(Neighbours::Inclusive, 5, 1), Some(4.9));
        assert_eq!(bound(Neighbours::Paper, 10, 3), Some(11.0));
        assert_eq!(bound(Neighbours::Paper, 11, 5), None);
    }

    #[test]
    fn by_hand() {
        // With f = 1 each of six rows counts three neighbours. The rows at 2, 3 and 4 have the
        // least sum, 1 + 1 + 4; the first of them wins.
        let rows = array![[1.0], [2.0], [3.0], [4.0], [5.0], [50.0]];
        let result = aggregate_with(&Krum::default(), &rows, 1, None).unwrap();
        assert_eq!(result.vector, array![2.0]);
        assert_eq!(result.weights, Some(array![0.0, 1.0, 0.0, 0.0, 0.0, 0.0]));
    }

    #[test]
    fn the_number_of_neighbours_decides() {
        // A tight pair wins while scores count one neighbour, and loses when they count two.
        let rows = array![[0.0], [0.1], [5.0], [5.5], [6.0]];
        let inclusive = Krum { tolerance: Tolerance::None, ..Krum::default() };
        let paper = aggregate_with(&inclusive, &rows, 2, None).unwrap();
        assert_eq!(paper.vector, array![0.0]);
        let inclusive = Krum { neighbours: Neighbours::Inclusive, ..inclusive };
        let inclusive = aggregate_with(&inclusive, &rows, 2, None).unwrap();
        assert_eq!(inclusive.vector, array![5.5]);
    }

    #[test]
    fn too_few_rows_are_refused() {
        let error = aggregate_with(&Krum::default(), &Array2::zeros((7, 1)), 3, None).unwrap_err();
        let text = "krum needs n >= 2f + 3 = 9 and got n = 7 updates with f = 3 byzantine";
        assert_eq!(error.to_string(), text);
    }
}
