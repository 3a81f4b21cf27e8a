//! Pre-aggregators: updates in, updates out, before a rule; and the chain that ends in a rule.

mod adaptive_clipping;
mod bucketing;
mod chain;
mod clipping;
mod nearest_neighbour_mixing;
mod one_pass;
mod repeated;
mod rows;

use std::fmt::Debug;

use ndarray::{Array2, ArrayView2};

pub use self::chain::{Chain, Link};
use crate::aggregators::{AggregateError, Context};
use crate::catalog::Catalog;
use crate::kernels::mixing::Members;

/// All pre-aggregators.
pub static CATALOG: Catalog<dyn PreAggregator, Claims> = Catalog {
    kind: "pre-aggregator",
    entries: &[
        &clipping::ENTRY,
        &adaptive_clipping::ENTRY,
        &nearest_neighbour_mixing::ENTRY,
        &bucketing::ENTRY,
    ],
};

/// Transforms the updates of one round before a rule sees them.
pub trait PreAggregator: Debug + Send + Sync {
    /// Whether it can work on `rows` updates with `byzantine` liars among them.
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError>;

    /// How many rows come out when `rows` go in.
    fn rows_out(&self, rows: usize) -> usize {
        rows
    }

    /// The bound on the error of a rule behind it, given the rule's own on the rows that come out;
    /// nothing where none is known.
    fn error_bound(&self, _rows: usize, _byzantine: usize, _behind: f64) -> Option<f64> {
        None
    }

    /// Transforms `updates`, shape `[n, d]`, into shape `[rows_out(n), d]`.
    fn transform(
        &self,
        updates: Array2<f32>,
        context: &mut Context<'_>,
    ) -> Result<Array2<f32>, AggregateError>;

    /// What it makes of these rows where it changes each by itself, with nothing remembered and
    /// nothing drawn, so that any part of the rows may be transformed apart from the others.
    fn row_by_row(&self, _updates: ArrayView2<'_, f32>) -> Option<Array2<f32>> {
        None
    }

    /// The pre-aggregator as one that replaces rows by means of rows, if it is.
    fn mixing(&self) -> Option<&dyn Mixing> {
        None
    }
}

/// A pre-aggregator that puts the mean of a group of rows in the place of each row, and knows the
/// groups by the distances among the rows.
pub trait Mixing {
    /// The group of each row, given the squared distances, shape `[n, n]`.
    fn groups(&self, squared_distances: Array2<f64>, byzantine: usize) -> Members;
}

/// What a pre-aggregator promises.
#[derive(Debug, Clone, Copy)]
pub struct Claims {
    /// Reordering the rows reorders what comes out, and changes nothing else.
    pub permutation_equivariant: bool,
    /// Whether the declared `f` changes the result.
    pub uses_byzantine: bool,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::memory::Memory;
    use crate::node::{NodeId, Round};
    use crate::seed::{Purpose, run_stream};

    /// Runs a pre-aggregator on rows of senders 0, 1, … with a fresh memory.
    pub(crate) fn transform_with(
        part: &dyn PreAggregator,
        updates: Array2<f32>,
        byzantine: usize,
    ) -> Result<Array2<f32>, AggregateError> {
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
        part.transform(updates, &mut context)
    }
}
