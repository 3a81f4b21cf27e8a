//! Aggregation rules: many updates in, one out.

mod bulyan;
mod centered_clipping;
mod chebyshev_clamp;
mod clipped_clustering;
mod comparative_gradient_elimination;
mod covariance_filter;
mod cover;
mod divide_and_conquer;
mod features;
mod fedseca;
mod filter_l2;
mod fl_defender;
mod fl_detector;
mod flame;
mod fltrust;
mod foolsgold;
mod gas;
mod geometric_median;
mod iterated;
mod krum;
mod lasa;
mod mean;
mod mean_around_median;
mod median;
mod minimum_diameter;
mod multi_krum;
mod nearest_to_own;
mod nearest_values;
mod norm_bound;
mod phocas;
mod power_step;
mod pseudo_krum;
mod robust_learning_rate;
mod scores;
mod selection;
mod sequential_clipping;
mod sign_guard;
mod sign_majority;
mod smallest_maximum_eigenvalue;
mod subsets;
mod trimmed_mean;
mod trimming;

use std::fmt::Debug;
use std::ops::Range;

use ndarray::{Array1, ArrayView1, ArrayView2};
use rand::Rng;

use crate::catalog::Catalog;
use crate::kernels::mixing::Members;
use crate::memory::Memory;
use crate::node::{NodeId, Round};
use crate::vector::stack_slices;

/// All aggregation rules.
pub static CATALOG: Catalog<dyn Aggregator, Claims> = Catalog {
    kind: "aggregator",
    entries: &[
        &mean::ENTRY,
        &median::ENTRY,
        &trimmed_mean::ENTRY,
        &mean_around_median::ENTRY,
        &phocas::ENTRY,
        &krum::ENTRY,
        &multi_krum::ENTRY,
        &pseudo_krum::ENTRY,
        &bulyan::ENTRY,
        &geometric_median::ENTRY,
        &chebyshev_clamp::ENTRY,
        &centered_clipping::ENTRY,
        &sequential_clipping::ENTRY,
        &minimum_diameter::ENTRY,
        &smallest_maximum_eigenvalue::ENTRY,
        &covariance_filter::ENTRY,
        &filter_l2::ENTRY,
        &comparative_gradient_elimination::ENTRY,
        &nearest_to_own::ENTRY,
        &divide_and_conquer::ENTRY,
        &gas::ENTRY,
        &sign_guard::ENTRY,
        &clipped_clustering::ENTRY,
        &norm_bound::ENTRY,
        &sign_majority::ENTRY,
        &lasa::ENTRY,
        &fedseca::ENTRY,
        &robust_learning_rate::ENTRY,
        &fltrust::ENTRY,
        &foolsgold::ENTRY,
        &fl_defender::ENTRY,
        &flame::ENTRY,
        &fl_detector::ENTRY,
    ],
};

/// Combines the updates of one round into one.
///
/// A rule is an immutable value: what it must remember between rounds goes into
/// [`Context::memory`]. Rules are total: whatever the rows hold, they return or refuse, and never
/// panic or hang; admission has refused vectors that are not finite before they get here.
pub trait Aggregator: Debug + Send + Sync {
    /// Whether the rule can stand `byzantine` liars among `rows` updates.
    ///
    /// The refusal states the rule's own bound with the numbers in it.
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError>;

    /// What it keeps between rounds, as its [`Claims`] say.
    fn remembers(&self) -> Remembers {
        Remembers::Nothing
    }

    /// Whether it needs an update computed on trusted data.
    fn needs_trusted(&self) -> bool {
        false
    }

    /// Whether rows are scaled before they are averaged; then the weights of its aggregates are
    /// shares of the scaled rows.
    fn rescales(&self) -> bool {
        false
    }

    /// The most that `‖F(x) - m‖² / σ²` can come to, with m the mean and σ² the mean squared
    /// distance to it of the honest rows, where `byzantine` of `rows` lie and as many are declared;
    /// nothing where no bound is known.
    fn error_bound(&self, _rows: usize, _byzantine: usize) -> Option<f64> {
        None
    }

    /// Combines `updates`, one per row in ascending sender order, shape `[n, d]`.
    ///
    /// Refuses what [`admits`](Aggregator::admits) refuses.
    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError>;

    /// The same of rows that stand anywhere: with the same bits, and without a copy where the rule
    /// needs none.
    fn aggregate_apart(
        &self,
        updates: &[&[f32]],
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        self.aggregate(stack_slices(updates).view(), context)
    }

    /// The rule as one that can take means of rows as they are made, if it is.
    fn by_columns(&self) -> Option<&dyn ByColumns> {
        None
    }

    /// The rule over the rows of `fixed` and `copies` of one vector behind them, for whoever tries
    /// many vectors on it; nothing where there is no better way than
    /// [`aggregate`](Aggregator::aggregate).
    fn repeated<'a>(
        &'a self,
        _fixed: ArrayView2<'a, f32>,
        _copies: usize,
        _byzantine: usize,
    ) -> Option<Box<dyn Repeated + 'a>> {
        None
    }
}

/// A rule that looks at every column by itself and at nothing else.
pub trait ByColumns {
    /// What the rule makes of the means of groups of up to
    /// [`MIXED_MAX`](crate::kernels::columns::MIXED_MAX) rows, one group for each row: the bits of
    /// [`aggregate`](Aggregator::aggregate) of
    /// [`mix_rows`](crate::kernels::mixing::mix_rows), without storing these.
    fn aggregate_means(
        &self,
        rows: &[&[f32]],
        groups: &Members,
        byzantine: usize,
    ) -> Result<Array1<f32>, AggregateError>;
}

/// A rule with most of its rows, which waits for the rest: found once is what depends on these
/// rows alone.
pub trait Repeated {
    /// What the rule makes of its rows and this vector, length `d`: the bits of
    /// [`aggregate`](Aggregator::aggregate), without weights.
    fn aggregate(&mut self, vector: &[f32]) -> Result<Array1<f32>, AggregateError>;
}

/// What a rule returns.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// The combined update, length `d`.
    pub vector: Array1<f32>,
    /// The share of each row in it, where the rule decides per row; they sum to 1. Of a rule that
    /// [rescales](Aggregator::rescales) rows, the share of each scaled row.
    pub weights: Option<Array1<f32>>,
}

/// Everything a rule may know beyond the updates.
pub struct Context<'a> {
    /// The round that is being closed.
    pub round: Round,
    /// How many rounds the run has.
    pub rounds_total: u32,
    /// The declared number of byzantine senders, `f`; it stays when rows are missing.
    pub byzantine: usize,
    /// Who sent each row, ascending.
    pub senders: &'a [NodeId],
    /// How many samples each sender says it holds, one per row.
    pub samples: Option<&'a [u64]>,
    /// The aggregate of the round before.
    pub previous: Option<ArrayView1<'a, f32>>,
    /// An update computed on data that the server trusts.
    pub trusted: Option<ArrayView1<'a, f32>>,
    /// Where the last layer stands in the vector.
    pub head: Option<Range<usize>>,
    /// What the rule remembers.
    pub memory: &'a mut Memory,
    /// The rule's stream of this round.
    pub rng: &'a mut dyn Rng,
}

impl Debug for Context<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Context")
            .field("round", &self.round)
            .field("byzantine", &self.byzantine)
            .field("senders", &self.senders)
            .finish_non_exhaustive()
    }
}

/// What a rule keeps from one round to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remembers {
    /// Nothing: any server can run it in any round.
    Nothing,
    /// The last aggregate, which everybody knows.
    PreviousAggregate,
    /// What senders did before: a committee drawn anew each round cannot run it.
    History,
}

/// What a rule promises; the conformance tests hold it to each.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools, reason = "each is a separate promise, not a state")]
pub struct Claims {
    /// Reordering the rows does not change the aggregate.
    pub permutation_invariant: bool,
    /// Adding one vector to every row adds it to the aggregate.
    pub translation_equivariant: bool,
    /// Scaling every row scales the aggregate.
    pub scale_equivariant: bool,
    /// The largest `f` that the rule, with its defaults, tolerates among `n` rows; `None` if it
    /// does not even work with none.
    pub tolerates: fn(usize) -> Option<usize>,
    /// Whether the aggregate stays near the honest rows whatever `f` liars send. A rule that
    /// tolerates liars and is not robust bounds what one of them can do, however large it is, and
    /// promises no more.
    pub robust: bool,
    /// What it keeps between rounds.
    pub remembers: Remembers,
    /// Whether the declared `f` changes the result.
    pub uses_byzantine: bool,
    /// Whether it reads the declared sample counts by default.
    pub uses_samples: bool,
}

/// Why a rule refuses to aggregate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AggregateError {
    /// Too many liars are declared for the number of rows.
    #[error("{rule} needs {bound} and got n = {rows} updates with f = {byzantine} byzantine")]
    TooFew {
        /// The rule's name.
        rule: &'static str,
        /// Its condition, as a formula with its value: `n >= 2f + 3 = 9`.
        bound: String,
        /// Rows that came.
        rows: usize,
        /// Declared liars.
        byzantine: usize,
    },
    /// There is nothing to aggregate.
    #[error("{rule} got no updates")]
    Empty {
        /// The rule's name.
        rule: &'static str,
    },
    /// What the caller handed in beside the rows does not fit them.
    #[error("{rule}: {message}")]
    Unfit {
        /// The rule's name.
        rule: &'static str,
        /// What does not fit.
        message: String,
    },
}

impl AggregateError {
    /// Refuses for `rule` what has no honest majority: it needs `n > 2f`.
    pub(crate) fn unless_majority(
        rule: &'static str,
        rows: usize,
        byzantine: usize,
    ) -> Result<(), AggregateError> {
        let twice = byzantine.saturating_mul(2);
        if rows == 0 {
            Err(AggregateError::Empty { rule })
        } else if rows <= twice {
            let bound = format!("n > 2f = {twice}");
            Err(AggregateError::TooFew { rule, bound, rows, byzantine })
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::seed::{Purpose, run_stream};

    #[test]
    fn rules_remember_what_their_entries_claim() {
        for entry in CATALOG.entries {
            let rule = CATALOG.build_default(entry.name).unwrap().value;
            assert_eq!(rule.remembers(), entry.claims.remembers, "{}", entry.name);
        }
    }

    /// Runs a rule on rows of senders 0, 1, … with a fresh memory.
    pub(crate) fn aggregate_with(
        rule: &dyn Aggregator,
        updates: &Array2<f32>,
        byzantine: usize,
        samples: Option<&[u64]>,
    ) -> Result<Aggregate, AggregateError> {
        let senders: Vec<NodeId> = (0..updates.nrows() as u32).map(NodeId).collect();
        let mut context = Context {
            round: Round(1),
            rounds_total: 1,
            byzantine,
            senders: &senders,
            samples,
            previous: None,
            trusted: None,
            head: None,
            memory: &mut Memory::default(),
            rng: &mut run_stream(1, Purpose::Aggregation),
        };
        rule.aggregate(updates.view(), &mut context)
    }
}
