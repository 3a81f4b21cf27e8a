//! Any aggregator as a peer rule: the node is the server of its own neighbourhood.

use std::sync::Arc;

use ndarray::{Array2, ArrayView1};

use super::formula::check;
use super::{Mixed, Neighbourhood, PeerRule};
use crate::aggregators::{AggregateError, Aggregator, Context};
use crate::node::NodeId;

/// An aggregator applied to the own model and those of the neighbours, in ascending order of
/// nodes.
///
/// The own model is a row like any other: nothing says that it is the one to trust, and the
/// weights of the graph are not used. Whatever the aggregator needs for n rows it needs for one
/// more than there are neighbours; b liars among the neighbours are its f.
///
/// Fails where the graph has a bottleneck: a node whose few links lead to another world has most
/// of its neighbours in its own, and medians, trimmed means and Krum take the others for liars.
/// Without any attacker the two worlds then never agree (He, Karimireddy, Jaggi,
/// Byzantine-Robust Decentralized Learning via `ClippedGossip`, 2022).
#[derive(Debug, Clone)]
pub struct Local {
    aggregator: Arc<dyn Aggregator>,
}

impl Local {
    /// The peer rule that `aggregator` makes.
    pub fn new(aggregator: Arc<dyn Aggregator>) -> Self {
        Local { aggregator }
    }
}

impl PeerRule for Local {
    fn admits(&self, neighbours: usize, byzantine: usize) -> Result<(), AggregateError> {
        self.aggregator.admits(neighbours + 1, byzantine)
    }

    /// Accepts the neighbours to which the aggregator gives weight, where it decides per row.
    fn mix(
        &self,
        own: ArrayView1<'_, f32>,
        neighbours: &Neighbourhood<'_>,
        context: &mut Context<'_>,
    ) -> Result<Mixed, AggregateError> {
        check("local", own.len(), neighbours)?;
        let before = neighbours.ids.partition_point(|&id| id < neighbours.node);
        let mut senders: Vec<NodeId> = neighbours.ids.to_vec();
        senders.insert(before, neighbours.node);
        let rows = stacked(own, neighbours, before);
        let mut inner = Context {
            round: context.round,
            rounds_total: context.rounds_total,
            byzantine: context.byzantine,
            senders: &senders,
            samples: None,
            previous: context.previous,
            trusted: context.trusted,
            head: context.head.clone(),
            memory: &mut *context.memory,
            rng: &mut *context.rng,
        };
        let aggregate = self.aggregator.aggregate(rows.view(), &mut inner)?;
        let accepted = aggregate.weights.map(|weights| {
            let mut accepted: Vec<bool> = weights.iter().map(|&weight| weight > 0.0).collect();
            accepted.remove(before);
            accepted
        });
        Ok(Mixed { model: aggregate.vector, accepted })
    }
}

/// All models in one matrix, the own behind the first `before` neighbours.
fn stacked(own: ArrayView1<'_, f32>, neighbours: &Neighbourhood<'_>, before: usize) -> Array2<f32> {
    let rows = neighbours.models.rows();
    let mut flat = Vec::with_capacity((neighbours.len() + 1) * own.len());
    for (position, row) in rows.into_iter().enumerate() {
        if position == before {
            flat.extend(own);
        }
        flat.extend(row);
    }
    if before == neighbours.len() {
        flat.extend(own);
    }
    Array2::from_shape_vec((neighbours.len() + 1, own.len()), flat).expect("rows times columns")
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::aggregators::CATALOG;
    use crate::catalog::Choice;
    use crate::peer_rules::tests::{mix_in, neighbourhood};

    fn local(name: &str, parameters: &str) -> Local {
        Local::new(CATALOG.build(&Choice::with(name, parameters).unwrap()).unwrap().value)
    }

    #[test]
    fn the_median_by_hand() {
        let models = array![[1.0, 9.0], [5.0, 2.0]];
        let ids = [NodeId(1), NodeId(4)];
        let around = neighbourhood(&ids, models.view(), &[0.25, 0.25]);
        let mixed = mix_in(&local("median", ""), &array![3.0, 3.0], &around, 1).unwrap();
        assert_eq!(mixed, Mixed { model: array![3.0, 3.0], accepted: None });
    }

    #[test]
    fn rows_stand_in_the_order_of_nodes() {
        // All scores are equal, so the lowest node wins: 0 among 0, 2, 7; and 2, which mixes,
        // among 2, 7, 9.
        let krum = local("krum", "tolerance = 'none'");
        let models = array![[5.0], [5.0]];
        let own = array![5.0];
        let ids = [NodeId(0), NodeId(7)];
        let around =
            Neighbourhood { node: NodeId(2), ..neighbourhood(&ids, models.view(), &[0.1; 2]) };
        let accepted = mix_in(&krum, &own, &around, 0).unwrap().accepted;
        assert_eq!(accepted, Some(vec![true, false]));
        let ids = [NodeId(7), NodeId(9)];
        let around = Neighbourhood { ids: &ids, ..around };
        let accepted = mix_in(&krum, &own, &around, 0).unwrap().accepted;
        assert_eq!(accepted, Some(vec![false, false]));
    }

    #[test]
    fn refusals_are_the_aggregators_and_count_the_own_model() {
        let median = local("median", "");
        assert_eq!(median.admits(2, 1), Ok(()));
        let error = median.admits(3, 2).unwrap_err().to_string();
        assert_eq!(error, "median needs n > 2f = 4 and got n = 4 updates with f = 2 byzantine");
        let double = Array2::<f64>::zeros((0, 1));
        let alone = Neighbourhood {
            node: NodeId(0),
            ids: &[],
            models: double.view(),
            weights: &[],
            own_weight: 1.0,
            honest: None,
            loss: None,
        };
        crate::peer_rules::tests::in_context(0, |context| {
            assert!(median.mix_double(array![1.0].view(), &alone, context).is_err());
        });
    }
}
