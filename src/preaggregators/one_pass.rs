//! Mixing of few rows and a rule over columns behind it, in one pass over the rows: the mixed rows
//! are stored nowhere, and the rows not copied unless something comes before.

use ndarray::{Array1, Array2};

use super::{Chain, Link, Mixing, PreAggregator};
use crate::aggregators::{AggregateError, ByColumns, Context};
use crate::kernels::columns::MIXED_MAX;
use crate::kernels::distances::squared_distances_apart;
use crate::vector::{slices_of, stack_slices};

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
        updates: &[&[f32]],
        context: &mut Context<'_>,
    ) -> Result<Array1<f32>, AggregateError> {
        let declared = context.byzantine;
        if self.before.is_empty() {
            return self.finish(updates, declared, || squared_distances_apart(updates));
        }
        let prepared = Chain::prepare(self.before, stack_slices(updates), context)?;
        let prepared = prepared.as_standard_layout();
        let view = prepared.view();
        let rows = slices_of(&view);
        self.finish(&rows, declared, || squared_distances_apart(&rows))
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
