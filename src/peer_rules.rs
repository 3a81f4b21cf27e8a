//! Peer rules: what a node without a server makes of its own model and those of its neighbours.
//!
//! Two kinds of rule are peer rules. Those of the [`CATALOG`] treat the own model as the one that
//! can be trusted: they measure every message against it. And every aggregator is one by
//! [`Local`], which hands it the own model among the others, as if the node were a server for its
//! neighbourhood. Which weights the messages have is decided before a rule sees them; a rule
//! trusts the weights that it is handed.
//!
//! What the rules promise holds in terms of the graph: with at most b liars beside every honest
//! node, no rule can bring the honest to agree if b is at least half of the second smallest
//! eigenvalue of the honest graph's Laplacian (Gaucher, Dieuleveut, Hendrikx, Unified Breakdown
//! Analysis for Byzantine Robust Gossip, ICML 2025).

#[allow(clippy::inline_always, reason = "generic loops are compiled for each kind of processor")]
mod arithmetic;
mod balance;
mod bridge;
mod clipped_summation;
#[allow(clippy::inline_always, reason = "generic loops are compiled for each kind of processor")]
mod columns;
mod float;
mod formula;
mod iterative_outlier_scissor;
mod local;
mod metropolis_hastings;
mod nearest_neighbour_averaging;
mod order;
mod self_centred_clipping;
mod trimmed_summation;
mod ubar;

use std::fmt::{self, Debug};

use ndarray::{Array1, ArrayView1, ArrayView2};

use crate::aggregators::{AggregateError, Context};
use crate::catalog::{Catalog, ConfigError};
use crate::node::NodeId;

pub use float::Float;
pub use local::Local;

/// All peer rules but [`Local`], which is built from an aggregator.
pub static CATALOG: Catalog<dyn PeerRule, Claims> = Catalog {
    kind: "peer rule",
    entries: &[
        &metropolis_hastings::ENTRY,
        &self_centred_clipping::ENTRY,
        &nearest_neighbour_averaging::ENTRY,
        &clipped_summation::ENTRY,
        &trimmed_summation::ENTRY,
        &iterative_outlier_scissor::ENTRY,
        &ubar::ENTRY,
        &bridge::ENTRY,
        &balance::ENTRY,
    ],
};

/// Mixes a node's model with those of its neighbours.
///
/// A rule is an immutable value; what it must remember between rounds goes into the context's
/// memory. The context's `byzantine` is the declared number b of liars among the neighbours; its
/// `senders` and `samples` are not read. Rules are total: whatever the messages hold, they return
/// or refuse, and never panic or hang. A message that is infinitely far or not a number counts
/// for nothing with every rule that measures distances.
pub trait PeerRule: Debug + Send + Sync {
    /// Whether the rule can stand `byzantine` liars among `neighbours` neighbours.
    ///
    /// The own model is not among the neighbours; n in the refusal counts it.
    fn admits(&self, neighbours: usize, byzantine: usize) -> Result<(), AggregateError>;

    /// What the rule must be handed in the [`Neighbourhood`] beyond models and weights.
    fn needs(&self) -> Needs {
        Needs::default()
    }

    /// The node's next model, from `own` of length d and its neighbours'.
    ///
    /// Refuses what [`admits`](PeerRule::admits) refuses, and neighbourhoods that do not fit.
    fn mix(
        &self,
        own: ArrayView1<'_, f32>,
        neighbours: &Neighbourhood<'_>,
        context: &mut Context<'_>,
    ) -> Result<Mixed, AggregateError>;

    /// The same in double precision, for averaging without learning; rules that are not given by
    /// one formula refuse.
    fn mix_double(
        &self,
        _own: ArrayView1<'_, f64>,
        _neighbours: &Neighbourhood<'_, f64>,
        _context: &mut Context<'_>,
    ) -> Result<Mixed<f64>, AggregateError> {
        let message = "computes in single precision only".to_owned();
        Err(AggregateError::Unfit { rule: "this peer rule", message })
    }
}

/// The neighbours of one node and what came from them.
#[derive(Clone, Copy)]
pub struct Neighbourhood<'a, F: Float = f32> {
    /// The node that mixes.
    pub node: NodeId,
    /// The neighbours that were heard, ascending, without the node itself.
    pub ids: &'a [NodeId],
    /// Their models, one per row, shape `[neighbours, d]`.
    pub models: ArrayView2<'a, F>,
    /// What each message weighs in plain gossip; with `own_weight` they sum to 1.
    ///
    /// The weight of a neighbour that was not heard belongs to `own_weight`.
    pub weights: &'a [f64],
    /// What the own model weighs in plain gossip.
    pub own_weight: f64,
    /// Who is honest: only for rules that [need](PeerRule::needs) an oracle.
    pub honest: Option<&'a [bool]>,
    /// The loss of a model on a fresh batch of the node's own samples: only for rules that
    /// [need](PeerRule::needs) it.
    pub loss: Option<Loss<'a, F>>,
}

/// Measures a model on data of one's own.
pub type Loss<'a, F = f32> = &'a dyn Fn(ArrayView1<'_, F>) -> F;

/// What a rule made of a neighbourhood.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixed<F: Float = f32> {
    /// The node's next model, length d.
    pub model: Array1<F>,
    /// Which messages entered it, one per neighbour, where the rule refuses some.
    pub accepted: Option<Vec<bool>>,
}

/// What a rule must be handed beyond models and weights; it depends on its parameters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Needs {
    /// The loss on a fresh batch.
    pub loss: bool,
    /// Knowledge of who is honest, which nobody has outside of an experiment.
    pub oracle: bool,
}

/// What a rule promises with its defaults; tests hold it to each.
#[derive(Debug, Clone, Copy)]
pub struct Claims {
    /// Numbering the neighbours otherwise does not change the model, ties apart.
    pub permutation_invariant: bool,
    /// Adding one vector to all models adds it to the result.
    pub translation_equivariant: bool,
    /// Scaling all models scales the result.
    pub scale_equivariant: bool,
    /// With b = 0 the rule is plain gossip: the weighted mean.
    pub plain_without_liars: bool,
    /// Whether the declared b changes the result.
    pub uses_byzantine: bool,
    /// Whether the weights change the result.
    pub uses_weights: bool,
    /// Whether one step stays near the honest models whatever the liars send.
    pub robust: bool,
    /// The largest b admitted among so many neighbours.
    pub tolerates: fn(usize) -> usize,
}

impl<F: Float> Neighbourhood<'_, F> {
    /// How many neighbours were heard.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether nobody was heard.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The most that `byzantine` liars can weigh: the sum of the largest weights.
    pub fn declared_weight(&self, byzantine: usize) -> f64 {
        let mut weights = self.weights.to_vec();
        weights.sort_unstable_by(|a, b| b.total_cmp(a));
        weights.iter().take(byzantine).sum()
    }
}

impl<F: Float> Debug for Neighbourhood<'_, F> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Neighbourhood")
            .field("node", &self.node)
            .field("ids", &self.ids)
            .field("weights", &self.weights)
            .field("own_weight", &self.own_weight)
            .finish_non_exhaustive()
    }
}

/// Refuses a parameter that is not a share of a whole.
fn share(name: &str, value: f64) -> Result<(), ConfigError> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(ConfigError::new(format!("`{name}` = {value}, and it must be from 0 to 1")))
}

#[cfg(test)]
pub(crate) mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::memory::Memory;
    use crate::node::Round;
    use crate::seed::{Purpose, run_stream};

    /// Calls `with` in the first of ten rounds.
    pub(crate) fn in_context<T>(byzantine: usize, with: impl FnOnce(&mut Context<'_>) -> T) -> T {
        with(&mut Context {
            round: Round(1),
            rounds_total: 10,
            byzantine,
            senders: &[],
            samples: None,
            previous: None,
            trusted: None,
            head: None,
            memory: &mut Memory::default(),
            rng: &mut run_stream(1, Purpose::Aggregation),
        })
    }

    /// The neighbourhood of node 3, without oracle and loss.
    pub(crate) fn neighbourhood<'a>(
        ids: &'a [NodeId],
        models: ArrayView2<'a, f32>,
        weights: &'a [f64],
    ) -> Neighbourhood<'a> {
        let own_weight = 1.0 - weights.iter().sum::<f64>();
        Neighbourhood {
            node: NodeId(3),
            ids,
            models,
            weights,
            own_weight,
            honest: None,
            loss: None,
        }
    }

    /// Mixes in the first of ten rounds.
    pub(crate) fn mix_in(
        rule: &dyn PeerRule,
        own: &Array1<f32>,
        neighbours: &Neighbourhood<'_>,
        byzantine: usize,
    ) -> Result<Mixed, AggregateError> {
        in_context(byzantine, |context| rule.mix(own.view(), neighbours, context))
    }

    /// Mixes with neighbours 10, 11, … of these weights.
    pub(crate) fn mix_with(
        rule: &dyn PeerRule,
        own: &Array1<f32>,
        models: &Array2<f32>,
        weights: &[f64],
        byzantine: usize,
    ) -> Result<Mixed, AggregateError> {
        let ids: Vec<NodeId> = (10..10 + models.nrows() as u32).map(NodeId).collect();
        mix_in(rule, own, &neighbourhood(&ids, models.view(), weights), byzantine)
    }
}
