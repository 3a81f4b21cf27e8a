//! Mixing of few rows and a rule over columns behind it, in one pass over the rows: the mixed rows
//! are stored nowhere, and the rows not copied unless something comes before.

use ndarray::{Array1, Array2, ArrayView2};

use super::{Chain, Link, Mixing, PreAggregator};
use crate::aggregators::{AggregateError, ByColumns, Context};
use crate::kernels::columns::MIXED_MAX;
use crate::kernels::distances::squared_distances;

/// A chain that ends like this.
pub(super) struct OnePass<'a> {
    /// What happens first.
    pub(super) before: &'a [Link<dyn PreAggregator>],
    last: &'a Link<dyn PreAggregator>,
    mixing: &'a dyn Mixing,
    rule: &'a dyn ByColumns,
    byzantine: Option<usize>,
}

impl<'a> OnePass<'a> {
    /// The chain over so many rows, if it ends like this and few of them are left at its end.
    pub(super) fn of(chain: &'a Chain, rows: usize) -> Option<Self> {
        let (last, before) = chain.before.split_last()?;
        let mixing = last.part.mixing()?;
        let rule = chain.rule.part.by_columns()?;
        let left = before.iter().fold(rows, |rows, link| link.part.rows_out(rows));
        let pass = OnePass { before, last, mixing, rule, byzantine: chain.rule.byzantine };
        (left <= MIXED_MAX).then_some(pass)
    }

    /// The chain's aggregate.
    pub(super) fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Array1<f32>, AggregateError> {
        if self.before.is_empty() {
            return self.aggregate_prepared(updates, context.byzantine);
        }
        let prepared = Chain::prepare(self.before, updates.to_owned(), context)?;
        self.aggregate_prepared(prepared.view(), context.byzantine)
    }

    fn aggregate_prepared(
        &self,
        updates: ArrayView2<'_, f32>,
        declared: usize,
    ) -> Result<Array1<f32>, AggregateError> {
        let updates = updates.as_standard_layout();
        let flat = updates.as_slice().expect("standard layout is contiguous");
        let columns = updates.ncols();
        let rows: Vec<&[f32]> =
            (0..updates.nrows()).map(|row| &flat[row * columns..(row + 1) * columns]).collect();
        self.finish(&rows, declared, || squared_distances(updates.view()))
    }

    /// What comes of the rows that what happens first has left, given the distances among them.
    pub(super) fn finish(
        &self,
        rows: &[&[f32]],
        declared: usize,
        squared_distances: impl FnOnce() -> Array2<f64>,
    ) -> Result<Array1<f32>, AggregateError> {
        let byzantine = self.last.byzantine.unwrap_or(declared);
        self.last.part.admits(rows.len(), byzantine)?;
        let groups = self.mixing.groups(squared_distances(), byzantine);
        self.rule.aggregate_means(rows, &groups, self.byzantine.unwrap_or(declared))
    }
}
