//! Peer rules.

use std::fmt::Debug;

use ndarray::{Array1, ArrayView1, ArrayView2};

use crate::aggregators::{AggregateError, Context};
use crate::node::NodeId;

/// Mixes.
pub trait PeerRule: Debug + Send + Sync {
    /// Admits.
    fn admits(&self, neighbours: usize, byzantine: usize) -> Result<(), AggregateError>;
    /// Mixes.
    fn mix(
        &self,
        own: ArrayView1<'_, f32>,
        neighbours: &Neighbourhood<'_>,
        context: &mut Context<'_>,
    ) -> Result<Mixed, AggregateError>;
}
/// Neighbourhood.
#[allow(missing_debug_implementations, reason = "temporary")]
pub struct Neighbourhood<'a> {
    /// Ids.
    pub ids: &'a [NodeId],
    /// Models.
    pub models: ArrayView2<'a, f32>,
    /// Weights.
    pub weights: &'a [f64],
    /// Own.
    pub own_weight: f64,
    /// Honest.
    pub honest: Option<&'a [bool]>,
    /// Loss.
    pub loss: Option<&'a dyn Fn(ArrayView1<'_, f32>) -> f32>,
}
/// Mixed.
#[derive(Debug)]
pub struct Mixed {
    /// Model.
    pub model: Array1<f32>,
    /// Accepted.
    pub accepted: Option<Vec<bool>>,
}

/// Local.
#[derive(Debug)]
pub struct Local {
    /// Rule.
    pub rule: std::sync::Arc<dyn crate::aggregators::Aggregator>,
}
impl PeerRule for Local {
    fn admits(&self, neighbours: usize, byzantine: usize) -> Result<(), AggregateError> {
        self.rule.admits(neighbours + 1, byzantine)
    }
    fn mix(
        &self,
        own: ArrayView1<'_, f32>,
        neighbours: &Neighbourhood<'_>,
        context: &mut Context<'_>,
    ) -> Result<Mixed, AggregateError> {
        let mut all = vec![own];
        all.extend(neighbours.models.rows());
        let rows = ndarray::stack(ndarray::Axis(0), &all).expect("rows");
        Ok(Mixed { model: self.rule.aggregate(rows.view(), context)?.vector, accepted: None })
    }
}
/// All.
pub static CATALOG: crate::catalog::Catalog<dyn PeerRule> =
    crate::catalog::Catalog { kind: "peer rule", entries: &[] };
