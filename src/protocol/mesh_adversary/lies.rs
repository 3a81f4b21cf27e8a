//! What is said in place of the truth: one lie for all receivers, spread among them, or one aimed
//! at each.

use std::collections::BTreeMap;
use std::sync::Arc;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};

use super::MeshAdversary;
use crate::attacks::{AttackError, Heard, Knowledge, Victim, View};
use crate::graph::{Graph, metropolis_weight};
use crate::memory::Memory;
use crate::node::{NodeId, Round};
use crate::protocol::{Message, ProtocolError};
use crate::seed::{Purpose, stream};
use crate::vector::{Shared, as_slice, stack};

impl MeshAdversary {
    /// What each word's vector is replaced with; `None` for silence.
    pub(super) fn lies(
        &self,
        scene: &Scene,
        words: &[(NodeId, NodeId, Message)],
        memory: &mut Memory,
    ) -> Result<Lies, ProtocolError> {
        // A peer's rule is asked about that peer, so who searches with it aims at each.
        let attack = &self.settings.attack;
        let searches = attack.needs() >= Knowledge::OmniscientAndRule;
        let aimed = self.settings.meetings.is_some()
            && (self.settings.equivocates || attack.directed() || searches);
        if !aimed {
            return self.same_for_all(scene, words, memory);
        }
        let lies = self.aimed(scene, words, memory)?;
        Ok(if self.settings.equivocates { lies } else { consistent(&lies) })
    }

    /// One lie for each identity; where it equivocates, spread about the mean of what is known,
    /// from the lie itself to its mirror image, so that no two receivers hear the same.
    fn same_for_all(
        &self,
        scene: &Scene,
        words: &[(NodeId, NodeId, Message)],
        memory: &mut Memory,
    ) -> Result<Lies, ProtocolError> {
        let identities: Vec<NodeId> = scene.own.keys().copied().collect();
        let own = stack(&scene.own);
        let honest = self.reads_along().then(|| heard(&scene.honest, own.ncols()));
        let senders: Vec<NodeId> = scene.honest.keys().copied().collect();
        let first = self.inner.keys().next().copied().unwrap_or(NodeId(0));
        let view = View {
            round: scene.round,
            global: self.settings.initial.view(),
            identities: &identities,
            own: own.view(),
            honest: honest.as_ref(),
            senders: &senders,
            participants: self.settings.faults.participants(self.settings.participants),
            corrupted: self.settings.faults.count(scene.round, &self.settings.corrupted),
            defence: None,
            victim: None,
        };
        let defence = self.lent(scene.round);
        let knows = self.settings.knowledge >= Knowledge::OmniscientAndRule;
        let view = View { defence: if knows { Some(&defence) } else { None }, ..view };
        let rows = self.ask(&view, memory, first)?;
        let mean = mean(view.known());
        let mut lies = Lies::new();
        for (index, &from) in identities.iter().enumerate() {
            let receivers: Vec<NodeId> =
                words.iter().filter(|word| word.0 == from).map(|word| word.1).collect();
            let row = rows.as_ref().map(|rows| rows.row(index).to_owned());
            for (place, &to) in receivers.iter().enumerate() {
                let lie = row.as_ref().map(|row| match self.settings.equivocates {
                    true => Arc::new(spread(row, &mean, place, receivers.len())),
                    false => Arc::new(row.clone()),
                });
                lies.insert((from, to), lie);
            }
        }
        Ok(lies)
    }

    /// A lie for each victim, about its own neighbourhood.
    fn aimed(
        &self,
        scene: &Scene,
        words: &[(NodeId, NodeId, Message)],
        memory: &mut Memory,
    ) -> Result<Lies, ProtocolError> {
        let meetings = self.settings.meetings.as_ref().expect("only peers are aimed at");
        let graph = meetings.graph(scene.round);
        let present: Vec<NodeId> = scene.honest.keys().copied().collect();
        let among = graph.induced(&present);
        let columns = self.settings.initial.len();
        let everyone = rows(&scene.honest, columns);
        let mut by_victim: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
        for (from, to, _) in words {
            if scene.honest.contains_key(to) {
                by_victim.entry(*to).or_default().push(*from);
            }
        }
        let mut lies = Lies::new();
        for (victim, liars) in by_victim {
            let scene = Aim {
                scene,
                graph: &graph,
                among: &among,
                everyone: everyone.view(),
                present: &present,
            };
            let rows = self.lie_to(&scene, victim, &liars, memory)?;
            for (index, from) in liars.into_iter().enumerate() {
                let lie = rows.as_ref().map(|rows| Arc::new(rows.row(index).to_owned()));
                lies.insert((from, victim), lie);
            }
        }
        Ok(lies)
    }

    /// What its corrupted neighbours tell one victim, one row each.
    fn lie_to(
        &self,
        aim: &Aim<'_>,
        victim: NodeId,
        liars: &[NodeId],
        memory: &mut Memory,
    ) -> Result<Option<Array2<f32>>, ProtocolError> {
        let honest = &aim.scene.honest;
        let degree = aim.graph.degree(victim);
        let near: Vec<NodeId> = aim
            .graph
            .neighbours(victim)
            .iter()
            .copied()
            .filter(|node| honest.contains_key(node))
            .collect();
        let columns = self.settings.initial.len();
        let select = |nodes: &[NodeId]| {
            let chosen: BTreeMap<NodeId, Shared> =
                nodes.iter().map(|node| (*node, Arc::clone(&honest[node]))).collect();
            rows(&chosen, columns)
        };
        let models = select(&near);
        let mut circle = near.clone();
        circle.push(victim);
        circle.sort_unstable();
        let known = select(&circle);
        let weights: Vec<f64> =
            near.iter().map(|&node| metropolis_weight(degree, aim.graph.degree(node))).collect();
        let claimed = |liar: &NodeId| match self.settings.understates_degree {
            true => 0,
            false => aim.graph.degree(*liar),
        };
        let liar_weights: Vec<f64> =
            liars.iter().map(|liar| metropolis_weight(degree, claimed(liar))).collect();
        let liar_weight: f64 = liar_weights.iter().sum();
        let own_weight = 1.0 - weights.iter().sum::<f64>() - liar_weight;
        let own: BTreeMap<NodeId, Shared> =
            liars.iter().map(|liar| (*liar, Arc::clone(&aim.scene.own[liar]))).collect();
        let own = rows(&own, columns);
        let defence = |sent: ArrayView2<'_, f32>| {
            let mut ids: Vec<(NodeId, ArrayView1<'_, f32>, f64)> = Vec::new();
            ids.extend(
                near.iter()
                    .zip(models.rows())
                    .zip(&weights)
                    .map(|((id, row), weight)| (*id, row, *weight)),
            );
            ids.extend(
                liars
                    .iter()
                    .zip(sent.rows())
                    .zip(&liar_weights)
                    .map(|((id, row), weight)| (*id, row, *weight)),
            );
            ids.sort_by_key(|(id, _, _)| *id);
            self.mix(aim.scene.round, victim, honest[&victim].view(), &ids, own_weight)
        };
        let knows = self.settings.knowledge >= Knowledge::OmniscientAndRule;
        let known = Heard::from(known.view());
        let view = View {
            round: aim.scene.round,
            global: self.settings.initial.view(),
            identities: liars,
            own: own.view(),
            honest: self.reads_along().then_some(&known),
            senders: &circle,
            participants: degree + 1,
            corrupted: liars.len(),
            defence: if knows { Some(&defence) } else { None },
            victim: self.reads_along().then(|| Victim {
                node: victim,
                model: honest[&victim].view(),
                own_weight,
                neighbours: &near,
                models: models.view(),
                weights: &weights,
                liars: liars.len(),
                liar_weight,
                honest: aim.present,
                everyone: aim.everyone,
                graph: aim.among,
                rounds: self.settings.rounds,
            }),
        };
        self.ask(&view, memory, victim)
    }

    /// Asks the attack; `None` is silence. One that absences have left too little to work on is
    /// silent for the round.
    fn ask(
        &self,
        view: &View<'_>,
        memory: &mut Memory,
        node: NodeId,
    ) -> Result<Option<Array2<f32>>, ProtocolError> {
        let mut rng = stream(self.settings.seed, Purpose::Attack, view.round, node);
        match self.settings.attack.craft(view, memory, &mut rng) {
            Ok(crafted) => Ok(crafted.per_node()),
            // Where absences leave too little to work on, or a formula has nothing for so few, it
            // is silent.
            Err(AttackError::TooFewKnown { .. } | AttackError::NoShift { .. }) => Ok(None),
            Err(error) => Err(ProtocolError::Attack { round: view.round, error }),
        }
    }
}

/// What everybody has in a round: what the identities would say, and what the honest say.
pub(super) struct Scene {
    pub(super) round: Round,
    pub(super) own: BTreeMap<NodeId, Shared>,
    pub(super) honest: BTreeMap<NodeId, Shared>,
}

/// A scene among peers.
struct Aim<'a> {
    scene: &'a Scene,
    graph: &'a Graph,
    among: &'a Graph,
    everyone: ArrayView2<'a, f32>,
    present: &'a [NodeId],
}

/// Lies by sender and receiver; `None` is silence.
pub(super) type Lies = BTreeMap<(NodeId, NodeId), Option<Shared>>;

/// Each sender's lies made one: their mean, told to everybody.
fn consistent(lies: &Lies) -> Lies {
    let mut told: BTreeMap<NodeId, Vec<&Shared>> = BTreeMap::new();
    for ((from, _), lie) in lies {
        told.entry(*from).or_default().extend(lie.as_ref());
    }
    let means: BTreeMap<NodeId, Option<Shared>> = told
        .into_iter()
        .map(|(from, lies)| {
            let views: Vec<ArrayView1<'_, f32>> = lies.iter().map(|lie| lie.view()).collect();
            let rows = ndarray::stack(ndarray::Axis(0), &views).ok();
            (from, rows.map(|rows| Arc::new(mean(rows.view()))))
        })
        .collect();
    lies.keys().map(|&(from, to)| ((from, to), means[&from].clone())).collect()
}

/// The lie for the receiver at `place` of `receivers`: the first hears it as it is, the last its
/// mirror image about `mean`, those between evenly spread.
fn spread(lie: &Array1<f32>, mean: &Array1<f32>, place: usize, receivers: usize) -> Array1<f32> {
    let last = receivers.saturating_sub(1).max(1) as f32;
    let factor = 1.0 - 2.0 * place as f32 / last;
    let values = as_slice(lie).iter().zip(as_slice(mean));
    values.map(|(lie, mean)| mean + factor * (lie - mean)).collect()
}

/// The mean of rows, summed in order in `f64`; 0 of none.
fn mean(rows: ArrayView2<'_, f32>) -> Array1<f32> {
    let mut sums = vec![0.0f64; rows.ncols()];
    for row in rows.rows() {
        for (sum, value) in sums.iter_mut().zip(row) {
            *sum += f64::from(*value);
        }
    }
    let count = rows.nrows().max(1) as f64;
    sums.into_iter().map(|sum| (sum / count) as f32).collect()
}

fn heard(vectors: &BTreeMap<NodeId, Shared>, columns: usize) -> Heard<'_> {
    Heard::apart(vectors.values().map(|vector| as_slice(vector)).collect(), columns)
}

fn rows(vectors: &BTreeMap<NodeId, Shared>, columns: usize) -> Array2<f32> {
    if vectors.is_empty() { Array2::zeros((0, columns)) } else { stack(vectors) }
}
