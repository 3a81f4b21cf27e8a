//! Honest peers for the tests of attacks: a graph, models, and liars of their own for each.

use ndarray::{Array1, Array2, ArrayView2, Axis};

use super::{Attack, AttackError, Defence, Victim, View};
use crate::graph::{Graph, metropolis_weight};
use crate::memory::Memory;
use crate::node::{NodeId, Round};
use crate::seed::{Purpose, run_stream};

/// Honest peers, each with `liars` corrupted neighbours besides, numbered after the honest.
pub(crate) struct Peers {
    pub(crate) graph: Graph,
    pub(crate) models: Array2<f32>,
    pub(crate) liars: usize,
    pub(crate) round: Round,
    pub(crate) rounds: u32,
}

impl Peers {
    pub(crate) fn new(edges: &[(u32, u32)], models: Array2<f32>, liars: usize) -> Self {
        let graph = Graph::from_edges(models.nrows(), edges.iter().copied()).unwrap();
        Peers { graph, models, liars, round: Round(1), rounds: 10 }
    }

    /// Peers that know the one before and the one after.
    pub(crate) fn chain(models: Array2<f32>, liars: usize) -> Self {
        let edges: Vec<(u32, u32)> = (1..models.nrows() as u32).map(|to| (to - 1, to)).collect();
        Peers::new(&edges, models, liars)
    }

    /// Runs `with` on the view of those who lie to `node`; the model that all set out from is
    /// all ones.
    pub(crate) fn with_view<T>(
        &self,
        node: u32,
        defence: Option<&Defence<'_>>,
        with: impl FnOnce(&View<'_>) -> T,
    ) -> T {
        let node = NodeId(node);
        let neighbours = self.graph.neighbours(node);
        let degree = |node: NodeId| self.graph.degree(node) + self.liars;
        let weight = |other: &NodeId| metropolis_weight(degree(node), degree(*other));
        let weights: Vec<f64> = neighbours.iter().map(weight).collect();
        let liar_weight = self.liars as f64 * metropolis_weight(degree(node), 1);
        let rows = |nodes: &[NodeId]| {
            let places: Vec<usize> = nodes.iter().map(|node| node.index()).collect();
            self.models.select(Axis(0), &places)
        };
        let models = rows(neighbours);
        let honest: Vec<NodeId> = self.graph.nodes().collect();
        let mut near: Vec<NodeId> = neighbours.iter().copied().chain([node]).collect();
        near.sort();
        let known = rows(&near);
        let first = (honest.len() + node.index() * self.liars) as u32;
        let identities: Vec<NodeId> = (first..first + self.liars as u32).map(NodeId).collect();
        let global = Array1::ones(self.models.ncols());
        with(&View {
            round: self.round,
            global: global.view(),
            identities: &identities,
            own: ArrayView2::from_shape((0, self.models.ncols()), &[]).unwrap(),
            honest: Some(&known.view().into()),
            senders: &[],
            participants: near.len() + self.liars,
            corrupted: self.liars,
            defence,
            victim: Some(Victim {
                node,
                model: self.models.row(node.index()),
                own_weight: 1.0 - weights.iter().sum::<f64>() - liar_weight,
                neighbours,
                models: models.view(),
                weights: &weights,
                liars: self.liars,
                liar_weight,
                honest: &honest,
                everyone: self.models.view(),
                graph: &self.graph,
                rounds: self.rounds,
            }),
        })
    }

    /// Runs `with` on what the liars of `node` see of it.
    pub(crate) fn with_victim<T>(&self, node: u32, with: impl FnOnce(&Victim<'_>) -> T) -> T {
        self.with_view(node, None, |view| with(view.victim.as_ref().unwrap()))
    }

    /// What the liars of `node` send to it, one row each.
    pub(crate) fn craft(
        &self,
        attack: &dyn Attack,
        node: u32,
        defence: Option<&Defence<'_>>,
    ) -> Result<Array2<f32>, AttackError> {
        let mut rng = run_stream(1, Purpose::Attack);
        self.with_view(node, defence, |view| {
            let crafted = attack.craft(view, &mut Memory::default(), &mut rng)?;
            Ok(crafted.per_node().expect("one row per identity"))
        })
    }

    /// The weighted mean that `node` moves to when its liars send these rows.
    pub(crate) fn gossip(&self, node: u32, lies: &Array2<f32>) -> Vec<f64> {
        self.with_victim(node, |victim| {
            let share = victim.liar_weight / victim.liars as f64;
            let coordinate = |column: usize| {
                let honest = victim.models.column(column);
                let honest = honest.iter().zip(victim.weights);
                let lies = lies.column(column);
                victim.own_weight * f64::from(victim.model[column])
                    + honest.map(|(&value, weight)| weight * f64::from(value)).sum::<f64>()
                    + lies.iter().map(|&value| share * f64::from(value)).sum::<f64>()
            };
            (0..victim.model.len()).map(coordinate).collect()
        })
    }
}
