//! Pre-aggregators: updates in, updates out, before a rule; and the chain that ends in a rule.

mod adaptive_clipping;
mod bucketing;
mod clipping;
mod nearest_neighbour_mixing;
mod rows;

use std::fmt::Debug;
use std::sync::Arc;

use ndarray::{Array2, ArrayView2};

use crate::aggregators::{Aggregate, AggregateError, Aggregator, Context, Remembers};
use crate::catalog::Catalog;

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
}

/// What a pre-aggregator promises.
#[derive(Debug, Clone, Copy)]
pub struct Claims {
    /// Reordering the rows reorders what comes out, and changes nothing else.
    pub permutation_equivariant: bool,
    /// Whether the declared `f` changes the result.
    pub uses_byzantine: bool,
}

/// One part of a chain, with its own `f` where the user gave it one.
#[derive(Debug)]
pub struct Link<T: ?Sized> {
    /// The rule or pre-aggregator.
    pub part: Arc<T>,
    /// `f` for this part alone, in place of the declared one.
    pub byzantine: Option<usize>,
}

impl<T: ?Sized> Clone for Link<T> {
    fn clone(&self) -> Self {
        Link { part: Arc::clone(&self.part), byzantine: self.byzantine }
    }
}

/// Pre-aggregators in order, then a rule. A chain is itself a rule.
#[derive(Debug, Clone)]
pub struct Chain {
    /// What happens first.
    pub before: Vec<Link<dyn PreAggregator>>,
    /// What decides.
    pub rule: Link<dyn Aggregator>,
}

impl Chain {
    /// The updates as the rule will see them.
    pub fn prepare(
        before: &[Link<dyn PreAggregator>],
        updates: Array2<f32>,
        context: &mut Context<'_>,
    ) -> Result<Array2<f32>, AggregateError> {
        let declared = context.byzantine;
        let mut updates = updates;
        for link in before {
            context.byzantine = link.byzantine.unwrap_or(declared);
            updates = link.part.transform(updates, context)?;
        }
        context.byzantine = declared;
        Ok(updates)
    }
}

impl Aggregator for Chain {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        let mut rows = rows;
        for link in &self.before {
            link.part.admits(rows, link.byzantine.unwrap_or(byzantine))?;
            rows = link.part.rows_out(rows);
        }
        self.rule.part.admits(rows, self.rule.byzantine.unwrap_or(byzantine))
    }

    fn remembers(&self) -> Remembers {
        self.rule.part.remembers()
    }

    fn needs_trusted(&self) -> bool {
        self.rule.part.needs_trusted()
    }

    fn rescales(&self) -> bool {
        self.rule.part.rescales()
    }

    /// Known where no part has an `f` of its own.
    fn error_bound(&self, rows: usize, byzantine: usize) -> Option<f64> {
        let own = |f: Option<usize>| f.is_some_and(|f| f != byzantine);
        if own(self.rule.byzantine) || self.before.iter().any(|link| own(link.byzantine)) {
            return None;
        }
        let mut sizes = vec![rows];
        for link in &self.before {
            sizes.push(link.part.rows_out(sizes[sizes.len() - 1]));
        }
        let last = sizes.pop().unwrap_or(rows);
        let mut bound = self.rule.part.error_bound(last, byzantine)?;
        for (link, rows) in self.before.iter().zip(sizes).rev() {
            bound = link.part.error_bound(rows, byzantine, bound)?;
        }
        Some(bound)
    }

    /// Weights are dropped behind a pre-aggregator: its rows are no longer anybody's.
    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        let declared = context.byzantine;
        if self.before.is_empty() {
            context.byzantine = self.rule.byzantine.unwrap_or(declared);
            let result = self.rule.part.aggregate(updates, context);
            context.byzantine = declared;
            return result;
        }
        let prepared = Chain::prepare(&self.before, updates.to_owned(), context)?;
        context.byzantine = self.rule.byzantine.unwrap_or(declared);
        let result = self.rule.part.aggregate(prepared.view(), context);
        context.byzantine = declared;
        Ok(Aggregate { weights: None, ..result? })
    }
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
