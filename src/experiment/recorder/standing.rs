//! Where the honest nodes stand after a round: each has a model of its own, so there is a worst
//! one, and it comes first.

use std::collections::BTreeMap;
use std::sync::Arc;

use ndarray::Array1;
use rayon::prelude::*;

use crate::dataset::Shard;
use crate::metrics::Evaluation;
use crate::models::Model;
use crate::node::NodeId;
use crate::training::evaluate;
use crate::vector::{Digest, Shared, as_slice, squared_distance};

/// A model and its digest.
pub(super) type Held = (Shared, Digest);

/// How well the honest nodes do.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    /// Every node with what its model came to, ascending.
    pub(super) nodes: Vec<(NodeId, Evaluation)>,
    /// The mean of all models, which nobody holds.
    pub(super) averaged: Evaluation,
    /// The mean squared distance of the models to their mean.
    pub(super) disagreement: f64,
}

impl Standing {
    /// Judges the models that honest nodes hold, each once.
    pub(super) fn judge(
        model: &dyn Model,
        held: &BTreeMap<NodeId, Held>,
        test: &Shard,
    ) -> Option<Self> {
        let distinct: BTreeMap<Digest, &Shared> =
            held.values().map(|(model, digest)| (*digest, model)).collect();
        let judged: BTreeMap<Digest, Evaluation> = distinct
            .par_iter()
            .map(|(digest, parameters)| (*digest, evaluate(model, parameters.view(), test)))
            .collect();
        let (first, _) = held.values().next()?;
        let nodes = held.iter().map(|(&node, (_, digest))| (node, judged[digest])).collect();
        if distinct.len() == 1 {
            let averaged = *judged.values().next()?;
            return Some(Standing { nodes, averaged, disagreement: 0.0 });
        }
        let mean = mean(held, first.len());
        let apart =
            held.values().map(|(model, _)| squared_distance(as_slice(model), as_slice(&mean)));
        let disagreement = apart.sum::<f64>() / held.len() as f64;
        Some(Standing { nodes, averaged: evaluate(model, mean.view(), test), disagreement })
    }

    /// What the node that does worst came to; of several the first.
    pub(super) fn worst(&self) -> Evaluation {
        self.worst_of_all().1
    }

    /// The node that does worst; of several the first.
    pub(super) fn worst_node(&self) -> NodeId {
        self.worst_of_all().0
    }

    fn worst_of_all(&self) -> (NodeId, Evaluation) {
        let nodes = self.nodes.iter().copied();
        nodes
            .reduce(|worst, next| if next.1.accuracy < worst.1.accuracy { next } else { worst })
            .expect("somebody was judged")
    }

    /// The accuracy that a share of the nodes stays under or reaches: the smallest such value.
    pub(super) fn quantile(&self, share: f64) -> f64 {
        let mut accuracies: Vec<f64> =
            self.nodes.iter().map(|(_, judged)| judged.accuracy).collect();
        accuracies.sort_by(f64::total_cmp);
        let rank = (share * accuracies.len() as f64).ceil() as usize;
        accuracies[rank.clamp(1, accuracies.len()) - 1]
    }

    /// The mean accuracy over nodes.
    pub(super) fn mean(&self) -> f64 {
        let sum: f64 = self.nodes.iter().map(|(_, judged)| judged.accuracy).sum();
        sum / self.nodes.len() as f64
    }
}

/// The mean of models, summed in node order in `f64`.
fn mean(held: &BTreeMap<NodeId, Held>, columns: usize) -> Arc<Array1<f32>> {
    let mut sums = vec![0.0f64; columns];
    for (model, _) in held.values() {
        for (sum, value) in sums.iter_mut().zip(as_slice(model)) {
            *sum += f64::from(*value);
        }
    }
    let count = held.len() as f64;
    Arc::new(sums.into_iter().map(|sum| (sum / count) as f32).collect())
}
