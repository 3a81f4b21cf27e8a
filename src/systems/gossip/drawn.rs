//! Meetings on one graph after the other.

use std::sync::Arc;

use crate::graph::Graph;
use crate::node::Round;
use crate::protocol::meetings::Meetings;

/// A graph for every round; after the last the first comes again, which no run asks for.
#[derive(Debug)]
pub(super) struct Drawn {
    /// The graphs, the first round's first.
    pub(super) graphs: Vec<Arc<Graph>>,
}

impl Meetings for Drawn {
    fn graph(&self, round: Round) -> Arc<Graph> {
        let index = round.previous().0 as usize % self.graphs.len();
        Arc::clone(&self.graphs[index])
    }
}
