//! Meetings: who exchanges models with whom in a round.

mod severed;

use std::fmt::Debug;
use std::sync::Arc;

pub use self::severed::Severed;
use crate::graph::Graph;
use crate::node::Round;

/// The graph of every round. Everybody who knows the seed computes the same.
pub trait Meetings: Debug + Send + Sync {
    /// Who exchanges models with whom in `round`.
    fn graph(&self, round: Round) -> Arc<Graph>;
}

/// The same graph in every round.
#[derive(Debug, Clone)]
pub struct Always(pub Arc<Graph>);

impl Meetings for Always {
    fn graph(&self, _round: Round) -> Arc<Graph> {
        Arc::clone(&self.0)
    }
}
