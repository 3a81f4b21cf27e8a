//! Peer rules that are one formula: the same code in single and in double precision.

use std::fmt::Debug;

use ndarray::ArrayView1;

use super::{Float, Mixed, Needs, Neighbourhood, PeerRule};
use crate::aggregators::{AggregateError, Context};
use crate::node::Round;

/// A rule without memory or chance.
pub(super) trait Formula: Debug + Send + Sync {
    /// What configs call it.
    const NAME: &'static str;

    /// See [`PeerRule::admits`].
    fn admits(&self, neighbours: usize, byzantine: usize) -> Result<(), AggregateError>;

    /// See [`PeerRule::needs`].
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// The next model of a node whose neighbourhood fits and is not empty.
    fn mix<F: Float>(
        &self,
        own: ArrayView1<'_, F>,
        neighbours: &Neighbourhood<'_, F>,
        occasion: Occasion,
    ) -> Mixed<F>;
}

/// When a formula is used and against how many.
#[derive(Debug, Clone, Copy)]
pub(super) struct Occasion {
    pub(super) round: Round,
    pub(super) rounds_total: u32,
    pub(super) byzantine: usize,
}

impl<R: Formula> PeerRule for R {
    fn admits(&self, neighbours: usize, byzantine: usize) -> Result<(), AggregateError> {
        Formula::admits(self, neighbours, byzantine)
    }

    fn needs(&self) -> Needs {
        Formula::needs(self)
    }

    fn mix(
        &self,
        own: ArrayView1<'_, f32>,
        neighbours: &Neighbourhood<'_>,
        context: &mut Context<'_>,
    ) -> Result<Mixed, AggregateError> {
        mix(self, own, neighbours, context)
    }

    fn mix_double(
        &self,
        own: ArrayView1<'_, f64>,
        neighbours: &Neighbourhood<'_, f64>,
        context: &mut Context<'_>,
    ) -> Result<Mixed<f64>, AggregateError> {
        mix(self, own, neighbours, context)
    }
}

/// Refuses what does not fit, then computes.
fn mix<R: Formula, F: Float>(
    rule: &R,
    own: ArrayView1<'_, F>,
    neighbours: &Neighbourhood<'_, F>,
    context: &Context<'_>,
) -> Result<Mixed<F>, AggregateError> {
    let Context { round, rounds_total, byzantine, .. } = *context;
    check(R::NAME, own.len(), neighbours)?;
    provided(R::NAME, Formula::needs(rule), neighbours)?;
    Formula::admits(rule, neighbours.len(), byzantine)?;
    if neighbours.is_empty() {
        return Ok(Mixed { model: own.to_owned(), accepted: None });
    }
    Ok(Formula::mix(rule, own, neighbours, Occasion { round, rounds_total, byzantine }))
}

/// Refuses for `rule` a neighbourhood whose parts do not fit each other or a model of length `d`.
pub(super) fn check<F: Float>(
    rule: &'static str,
    d: usize,
    neighbours: &Neighbourhood<'_, F>,
) -> Result<(), AggregateError> {
    let unfit = |message| Err(AggregateError::Unfit { rule, message });
    let count = neighbours.len();
    let shape = neighbours.models.dim();
    if shape != (count, d) {
        return unfit(format!("models of shape {shape:?} where ({count}, {d}) is expected"));
    }
    if neighbours.weights.len() != count {
        return unfit(format!("{} weights for {count} neighbours", neighbours.weights.len()));
    }
    if let Some(honest) = neighbours.honest.filter(|honest| honest.len() != count) {
        return unfit(format!("knows of {} among {count} neighbours", honest.len()));
    }
    if !neighbours.ids.is_sorted_by(|a, b| a < b) || neighbours.ids.contains(&neighbours.node) {
        return unfit(format!(
            "neighbours {:?} of node {} do not ascend without it",
            neighbours.ids, neighbours.node
        ));
    }
    let weights = || neighbours.weights.iter().chain([&neighbours.own_weight]);
    let total: f64 = weights().sum();
    // Also true of NaN and infinities.
    if !((total - 1.0).abs() <= 1e-9 && weights().all(|&weight| weight >= -1e-9)) {
        return unfit(format!(
            "weights {:?} and {} for itself are not shares of 1",
            neighbours.weights, neighbours.own_weight
        ));
    }
    Ok(())
}

/// Refuses for `rule` a neighbourhood without what it needs.
fn provided<F: Float>(
    rule: &'static str,
    needs: Needs,
    neighbours: &Neighbourhood<'_, F>,
) -> Result<(), AggregateError> {
    let lacking = match needs {
        Needs { loss: true, .. } if neighbours.loss.is_none() => "the loss on a fresh batch",
        Needs { oracle: true, .. } if neighbours.honest.is_none() => "who is honest",
        _ => return Ok(()),
    };
    Err(AggregateError::Unfit { rule, message: format!("needs to know {lacking}") })
}

/// Refuses for `rule` more liars than neighbours: it needs n > f, the own model counted.
pub(super) fn unless_more_than_liars(
    rule: &'static str,
    neighbours: usize,
    byzantine: usize,
) -> Result<(), AggregateError> {
    if byzantine <= neighbours {
        return Ok(());
    }
    let (bound, rows) = (format!("n > f = {byzantine}"), neighbours + 1);
    Err(AggregateError::TooFew { rule, bound, rows, byzantine })
}

/// Refuses for `rule` a neighbourhood without honest majority: it needs n > 2f, the own model
/// counted.
pub(super) fn unless_majority(
    rule: &'static str,
    neighbours: usize,
    byzantine: usize,
) -> Result<(), AggregateError> {
    AggregateError::unless_majority(rule, neighbours + 1, byzantine)
}
