//! The server's rule as an adversary has it that knows the rule: without what it remembers.

use ndarray::{Array1, ArrayView2};

use crate::aggregators::{Aggregator, Context};
use crate::attacks::{Lent, Trying, stacked};
use crate::memory::Memory;
use crate::node::{NodeId, Round};
use crate::seed::{Purpose, stream};

/// A rule in one round.
pub(super) struct LentRule<'a> {
    /// The rule, if it is known.
    pub(super) rule: Option<&'a dyn Aggregator>,
    /// Its declared `f`.
    pub(super) byzantine: usize,
    pub(super) round: Round,
    pub(super) rounds_total: u32,
    /// The run's seed.
    pub(super) seed: u64,
}

impl Lent for LentRule<'_> {
    fn outcome(&self, rows: ArrayView2<'_, f32>) -> Result<Array1<f32>, String> {
        let rule = self.rule.ok_or("the rule is not known")?;
        let senders: Vec<NodeId> = (0..rows.nrows() as u32).map(NodeId).collect();
        let mut context = Context {
            round: self.round,
            rounds_total: self.rounds_total,
            byzantine: self.byzantine,
            senders: &senders,
            samples: None,
            previous: None,
            trusted: None,
            head: None,
            memory: &mut Memory::default(),
            rng: &mut stream(self.seed, Purpose::Aggregation, self.round, NodeId(0)),
        };
        let result = rule.aggregate(rows, &mut context);
        result.map(|aggregate| aggregate.vector).map_err(|error| error.to_string())
    }

    fn trying<'a>(&'a self, fixed: ArrayView2<'a, f32>, copies: usize) -> Box<Trying<'a>> {
        let repeated = self.rule.and_then(|rule| rule.repeated(fixed, copies, self.byzantine));
        match repeated {
            Some(mut rule) => {
                Box::new(move |vector| rule.aggregate(vector).map_err(|error| error.to_string()))
            }
            None => stacked(|rows| self.outcome(rows), fixed, copies),
        }
    }
}
