//! Nearest-neighbour mixing (NNM): each row becomes the mean of the rows nearest to it.
//!
//! `y_i = 1/(n - f) · Σ x_j` over the `n - f` rows j nearest to i in Euclidean distance, i itself
//! the first of them; of rows equally far the lowest senders come first. n rows go in and come out.
//!
//! It pulls honest rows towards each other, so that the rule behind it sees less of the spread
//! that different data cause: with a rule of constant κ behind it the chain has
//! `8f/(n - f) · (κ + 1)`.
//!
//! Fails where liars are among the nearest of most rows: what stays inside the honest spread is
//! mixed into all. It cannot lower the worst case of the trimmed mean, which is the least possible
//! already. Needs n > 2f.
//!
//! Reference: Allouah, Farhadkhani, Guerraoui, Gupta, Pinot, Stephan, Fixing by Mixing: A Recipe
//! for Optimal Byzantine ML under Heterogeneity, AISTATS 2023.

use std::sync::Arc;

use ndarray::Array2;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Claims, Mixing, PreAggregator};
use crate::aggregators::{AggregateError, Context};
use crate::catalog::Entry;
use crate::kernels::distances::squared_distances;
use crate::kernels::least::least;
use crate::kernels::mixing::{Members, mix_rows};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn PreAggregator, Claims> = Entry {
    name: "nearest_neighbour_mixing",
    summary: "each update becomes the mean of the n - f nearest to it",
    reference: "Allouah et al., AISTATS 2023",
    source: include_str!("nearest_neighbour_mixing.rs"),
    claims: Claims { permutation_equivariant: true, uses_byzantine: true },
    parameters: || schema_for!(NearestNeighbourMixing),
    build: |parameters| {
        parameters.build::<dyn PreAggregator, NearestNeighbourMixing>(|mixing| Ok(Arc::new(mixing)))
    },
};

/// Nearest-neighbour mixing has no parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct NearestNeighbourMixing {}

impl PreAggregator for NearestNeighbourMixing {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        AggregateError::unless_majority(ENTRY.name, rows, byzantine)
    }

    /// `8f / (n - f) (κ + 1)`, with κ that of the rule behind it.
    fn error_bound(&self, rows: usize, byzantine: usize, behind: f64) -> Option<f64> {
        let honest = rows.checked_sub(byzantine).filter(|&honest| honest > 0)?;
        Some(8.0 * byzantine as f64 / honest as f64 * (behind + 1.0))
    }

    fn transform(
        &self,
        updates: Array2<f32>,
        context: &mut Context<'_>,
    ) -> Result<Array2<f32>, AggregateError> {
        self.admits(updates.nrows(), context.byzantine)?;
        let groups = self.groups(squared_distances(updates.view()), context.byzantine);
        Ok(mix_rows(updates, &groups))
    }

    fn mixing(&self) -> Option<&dyn Mixing> {
        Some(self)
    }
}

impl Mixing for NearestNeighbourMixing {
    fn groups(&self, squared_distances: Array2<f64>, byzantine: usize) -> Members {
        let (rows, mut distances) = (squared_distances.nrows(), squared_distances);
        // Nothing is nearer than a row to itself, not even another that is the same.
        distances.diag_mut().fill(-1.0);
        Members::new(rows, |row, add| {
            let distances = distances.row(row).to_vec();
            least(&distances, rows - byzantine, &mut Vec::new(), add);
        })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::memory::Memory;
    use crate::node::{NodeId, Round};
    use crate::seed::{Purpose, run_stream};

    fn mix(updates: Array2<f32>, byzantine: usize) -> Result<Array2<f32>, AggregateError> {
        let senders: Vec<NodeId> = (0..updates.nrows() as u32).map(NodeId).collect();
        let mut context = Context {
            round: Round(1),
            rounds_total: 1,
            byzantine,
            senders: &senders,
            samples: None,
            previous: None,
            trusted: None,
            head: None,
            memory: &mut Memory::default(),
            rng: &mut run_stream(1, Purpose::Aggregation),
        };
        NearestNeighbourMixing {}.transform(updates, &mut context)
    }

    #[test]
    fn by_hand() {
        // Three nearest each; rows 0 and 2 are equally far from row 1 and both among its three.
        let mixed = mix(array![[0.0], [3.0], [6.0], [99.0]], 1).unwrap();
        assert_eq!(mixed, array![[3.0], [3.0], [3.0], [36.0]]);
    }

    #[test]
    fn of_rows_equally_far_the_lowest_comes_first() {
        let mixed = mix(array![[2.0], [0.0], [-2.0]], 1).unwrap();
        assert_eq!(mixed, array![[1.0], [1.0], [-1.0]]);
    }

    #[test]
    fn half_of_the_rows_is_too_many() {
        let error = mix(Array2::zeros((4, 1)), 2).unwrap_err();
        assert!(error.to_string().starts_with("nearest_neighbour_mixing needs n > 2f = 4 and got"));
    }
}
