//! Who talks to whom, where peers find each other by a sampling protocol that is under attack.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::Occasion;
use super::Parameters;
use crate::catalog::{ConfigError, Member};
use crate::graph::Graph;
use crate::node::NodeId;
use crate::sampling::crowd::Network;
use crate::sampling::overlay::Overlay;
use crate::sampling::{Aim, Flood, Protocol};

/// The graph of every round: peers that a node draws exchange models with it, so that an edge
/// stands wherever one of its ends has drawn the other.
pub(super) fn graphs(
    protocol: &Member<dyn Protocol>,
    parameters: &Parameters,
    occasion: &Occasion,
    attackers: &BTreeSet<NodeId>,
) -> Result<Vec<Arc<Graph>>, ConfigError> {
    let network = Network {
        protocol: Arc::clone(&protocol.value),
        nodes: parameters.workers,
        view: parameters.view.min(parameters.workers.saturating_sub(1)),
        attackers: attackers.clone(),
        flood: Flood { force: parameters.flood, aim: Aim::Everybody },
        seed: occasion.seed,
    };
    let refused = |message: String| ConfigError::new(format!("`sampler`: {message}"));
    let overlay =
        Overlay::new(network, parameters.peers).map_err(|error| refused(error.to_string()))?;
    let rounds = overlay.skip(parameters.warm_up as usize).take(occasion.rounds as usize);
    rounds
        .map(|peers| {
            let edges = peers
                .iter()
                .enumerate()
                .flat_map(|(node, peers)| peers.iter().map(move |peer| (node as u32, peer.0)));
            let graph = Graph::from_edges(parameters.workers, edges);
            graph.map(Arc::new).map_err(|error| refused(error.to_string()))
        })
        .collect()
}
