//! Pre-aggregators in order and then a rule, as one rule.

use std::sync::Arc;

use ndarray::{Array2, ArrayView2};

use super::PreAggregator;
use super::one_pass::OnePass;
use super::repeated::RepeatedChain;
use crate::aggregators::{Aggregate, AggregateError, Aggregator, Context, Remembers, Repeated};
use crate::vector::{slices_of, stack_slices};

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

    /// The aggregate of rows that may be changed.
    fn aggregate_owned(
        &self,
        updates: Array2<f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        let declared = context.byzantine;
        let prepared = Chain::prepare(&self.before, updates, context)?;
        context.byzantine = self.rule.byzantine.unwrap_or(declared);
        let result = self.rule.part.aggregate(prepared.view(), context);
        context.byzantine = declared;
        Ok(Aggregate { weights: None, ..result? })
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
        if OnePass::of(self, updates.nrows()).is_some() {
            let updates = updates.as_standard_layout();
            return self.aggregate_apart(&slices_of(&updates.view()), context);
        }
        self.aggregate_owned(updates.to_owned(), context)
    }

    /// What happens first has its own copy of the rows anyway.
    fn aggregate_apart(
        &self,
        updates: &[&[f32]],
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        if self.before.is_empty() {
            let declared = context.byzantine;
            context.byzantine = self.rule.byzantine.unwrap_or(declared);
            let result = self.rule.part.aggregate_apart(updates, context);
            context.byzantine = declared;
            return result;
        }
        if let Some(pass) = OnePass::of(self, updates.len()) {
            let vector = pass.aggregate(updates, context)?;
            return Ok(Aggregate { vector, weights: None });
        }
        self.aggregate_owned(stack_slices(updates), context)
    }

    fn repeated<'a>(
        &'a self,
        fixed: ArrayView2<'a, f32>,
        copies: usize,
        byzantine: usize,
    ) -> Option<Box<dyn Repeated + 'a>> {
        RepeatedChain::new(self, fixed, copies, byzantine).map(|chain| Box::new(chain) as _)
    }
}
