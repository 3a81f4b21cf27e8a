//! Threats: who is corrupted, what they know and what they do.
//!
//! A threat is a value. Who is corrupted is a placement, the one part of it with members of its
//! own; attacks and poisons come from their catalogs.

mod around;
mod bottlenecks;
mod by_degree;
mod first;
mod list;
mod random;

use std::fmt::Debug;
use std::sync::Arc;

use rand::Rng;

use crate::attacks::{Attack, Knowledge};
use crate::catalog::{Catalog, ConfigError};
use crate::graph::Graph;
use crate::node::NodeId;
use crate::poisons::Poison;

/// All placements.
pub static CATALOG: Catalog<dyn Placement> = Catalog {
    kind: "placement",
    entries: &[
        &first::ENTRY,
        &random::ENTRY,
        &list::ENTRY,
        &by_degree::ENTRY,
        &bottlenecks::ENTRY,
        &around::ENTRY,
    ],
};

/// Chooses which identities are corrupted.
pub trait Placement: Debug + Send + Sync {
    /// `corrupted` of the workers of the field, ascending.
    fn place(
        &self,
        field: &Field<'_>,
        corrupted: usize,
        rng: &mut dyn Rng,
    ) -> Result<Vec<NodeId>, ConfigError>;
}

/// Where there are places to choose from.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// How many workers there are, numbered from 0.
    pub workers: usize,
    /// Who talks to whom, one node for each worker, where workers talk to each other.
    pub graph: Option<&'a Graph>,
}

impl<'a> Field<'a> {
    /// The graph, for a placement that cannot do without.
    fn graph(&self, placement: &str) -> Result<&'a Graph, ConfigError> {
        let graph = self.graph.ok_or_else(|| {
            ConfigError::new(format!(
                "placement {placement} needs a graph: use it in system `gossip`"
            ))
        })?;
        if graph.len() != self.workers {
            return Err(ConfigError::new(format!(
                "placement {placement} has a graph of {} nodes for {} workers",
                graph.len(),
                self.workers
            )));
        }
        Ok(graph)
    }

    /// The first `corrupted` of all workers in this order, ascending.
    fn first_of(
        &self,
        mut order: Vec<NodeId>,
        corrupted: usize,
    ) -> Result<Vec<NodeId>, ConfigError> {
        if corrupted > self.workers {
            return Err(ConfigError::new(format!(
                "{corrupted} of {} workers cannot be corrupted",
                self.workers
            )));
        }
        order.truncate(corrupted);
        order.sort_unstable();
        Ok(order)
    }
}

/// What the honest are up against.
#[derive(Debug, Clone)]
pub struct Threat {
    /// The corrupted identities, ascending.
    pub corrupted: Vec<NodeId>,
    /// What whoever speaks for them knows.
    pub knowledge: Knowledge,
    /// What they send in place of an honest update; `None`: what honest workers would.
    pub attack: Option<Arc<dyn Attack>>,
    /// What is done to their data first.
    pub poison: Option<Arc<dyn Poison>>,
}

impl Threat {
    /// Whether `node` is corrupted.
    pub fn corrupts(&self, node: NodeId) -> bool {
        self.corrupted.binary_search(&node).is_ok()
    }

    /// Whether one adversary speaks for all corrupted identities.
    pub fn colludes(&self) -> bool {
        self.attack.is_some() && self.knowledge > Knowledge::OwnData
    }

    /// Whether the adversary is to be shown what the honest send.
    pub fn taps(&self) -> bool {
        self.attack.is_some() && self.knowledge >= Knowledge::Omniscient
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::Choice;
    use crate::seed::{Purpose, run_stream};

    /// Whom a member corrupts on a graph, or the refusal.
    pub(super) fn place_on(
        name: &str,
        parameters: &str,
        nodes: usize,
        edges: &[(u32, u32)],
        corrupted: usize,
    ) -> Result<Vec<u32>, String> {
        let graph = Graph::from_edges(nodes, edges.iter().copied()).unwrap();
        let field = Field { workers: nodes, graph: Some(&graph) };
        let placement = CATALOG.build(&Choice::with(name, parameters).unwrap()).unwrap().value;
        let placed = placement.place(&field, corrupted, &mut run_stream(1, Purpose::Placement));
        let placed = placed.map_err(|error| error.message)?;
        Ok(placed.into_iter().map(|node| node.0).collect())
    }

    #[test]
    fn places_on_a_graph_need_a_graph_of_the_workers() {
        let small = Graph::from_edges(3, [(0, 1), (1, 2)]).unwrap();
        for name in ["by_degree", "bottlenecks", "around"] {
            let placement = CATALOG.build_default(name).unwrap().value;
            let refusal = |graph| {
                let field = Field { workers: 5, graph };
                let placed = placement.place(&field, 1, &mut run_stream(1, Purpose::Placement));
                placed.unwrap_err().message
            };
            assert_eq!(
                refusal(None),
                format!("placement {name} needs a graph: use it in system `gossip`")
            );
            assert_eq!(
                refusal(Some(&small)),
                format!("placement {name} has a graph of 3 nodes for 5 workers")
            );
        }
    }

    #[test]
    fn as_many_are_corrupted_as_asked_each_once_and_ascending() {
        let edges = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (1, 4)];
        for entry in CATALOG.entries.iter().filter(|entry| entry.name != "list") {
            for corrupted in 0..6 {
                let placed = place_on(entry.name, "", 6, &edges, corrupted).unwrap();
                assert_eq!(placed.len(), corrupted, "{}", entry.name);
                assert!(placed.is_sorted_by(|a, b| a < b), "{}: {placed:?}", entry.name);
            }
        }
    }
}
