//! The adversary of a system without a coordinator: honest machines inside, whose words it
//! replaces.
//!
//! Each corrupted identity has the machine that an honest node would have. What that machine says
//! in a round is held back until the adversary knows what its knowledge level promises; then the
//! vectors are replaced by crafted ones and everything goes out. So the adversary keeps to the
//! protocol of any system without knowing it, and can tell every receiver another lie.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use serde::{Deserialize, Serialize};

use super::meetings::Meetings;
use super::peer::tolerated;
use super::{Action, Event, Machine, MachineState, Message, ProtocolError};
use crate::aggregators::{Aggregator, Context};
use crate::attacks::{Attack, AttackError, Crafted, Knowledge, Victim, View};
use crate::graph::{Graph, metropolis_weight};
use crate::memory::Memory;
use crate::node::{NodeId, Round};
use crate::peer_rules::{Neighbourhood, PeerRule};
use crate::seed::{Purpose, stream};
use crate::vector::{Shared, as_slice, stack};

/// What such an adversary is told before the first round.
#[derive(Debug, Clone)]
pub struct MeshAdversarySettings {
    /// What it knows.
    pub knowledge: Knowledge,
    /// What it does.
    pub attack: Arc<dyn Attack>,
    /// Whether each receiver is told another lie.
    pub equivocates: bool,
    /// The honest identities, whom the omniscient waits to hear, ascending.
    pub honest: Vec<NodeId>,
    /// How many identities take part in all.
    pub participants: usize,
    /// How many of them are corrupted, by this and other adversaries.
    pub corrupted: usize,
    /// Who meets whom, where the identities are peers; they send models then, and updates
    /// elsewhere.
    pub meetings: Option<Arc<dyn Meetings>>,
    /// Whether its peers say that they have no neighbours, which buys them the largest
    /// Metropolis weight.
    pub understates_degree: bool,
    /// What the honest do with what they are sent, for those who know it.
    pub defence: Defence,
    /// The declared number of liars.
    pub byzantine: usize,
    /// How many rounds there are.
    pub rounds: u32,
    /// The run's seed.
    pub seed: u64,
    /// The model before the first round.
    pub initial: Shared,
}

/// What the honest do with what they are sent.
#[derive(Debug, Clone)]
pub enum Defence {
    /// Rows become one update.
    Rule(Arc<dyn Aggregator>),
    /// A peer mixes what its neighbours send with its own model.
    Peer(Arc<dyn PeerRule>),
}

/// The adversary's machine.
pub struct MeshAdversary {
    settings: MeshAdversarySettings,
    inner: BTreeMap<NodeId, Box<dyn Machine>>,
    memory: Memory,
    /// Words that wait for their lies, by round.
    held: BTreeMap<Round, Held>,
    crafted: Round,
    lost: BTreeSet<NodeId>,
    finished: BTreeSet<NodeId>,
}

/// What the identities would say in a round, and what the honest have said.
#[derive(Default)]
struct Held {
    words: Vec<(NodeId, NodeId, Message)>,
    spoken: BTreeSet<NodeId>,
    heard: BTreeMap<NodeId, Option<Shared>>,
}

/// What a checkpoint keeps.
#[derive(Serialize, Deserialize)]
struct State {
    memory: Memory,
    inner: BTreeMap<NodeId, (u32, Vec<u8>)>,
}

impl fmt::Debug for MeshAdversary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("MeshAdversary");
        shown.field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl MeshAdversary {
    /// An adversary that speaks for the identities of these machines.
    pub fn new(settings: MeshAdversarySettings, inner: BTreeMap<NodeId, Box<dyn Machine>>) -> Self {
        MeshAdversary {
            settings,
            inner,
            memory: Memory::default(),
            held: BTreeMap::new(),
            crafted: Round(0),
            lost: BTreeSet::new(),
            finished: BTreeSet::new(),
        }
    }

    fn reads_along(&self) -> bool {
        self.settings.knowledge >= Knowledge::Omniscient
    }

    /// Whether a message is one whose vector the adversary replaces: a peer's model, or an update.
    fn is_held_back(&self, message: &Message) -> bool {
        match message {
            Message::Model { .. } => self.settings.meetings.is_some(),
            Message::Share { .. } => self.settings.meetings.is_none(),
            _ => false,
        }
    }

    /// Steps one identity's machine, and sorts what it wants done.
    fn step_inner(&mut self, node: NodeId, event: Event) -> Result<Vec<Action>, ProtocolError> {
        let mut out = Vec::new();
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let Some(machine) = self.inner.get_mut(&node) else { continue };
            for action in machine.step(event)? {
                match action {
                    Action::Send { from, to, message } if self.is_held_back(&message) => {
                        let held = self.held.entry(message.round()).or_default();
                        held.spoken.insert(from);
                        held.words.push((from, to, message));
                    }
                    Action::Send { from, to, message } => {
                        if matches!(message, Message::Absent { .. }) {
                            self.held.entry(message.round()).or_default().spoken.insert(from);
                        }
                        out.push(Action::Send { from, to, message });
                    }
                    // Nobody keeps what the corrupted come to, so they go on at once.
                    Action::Record(record) => {
                        // Who has nobody to talk to closes a round without a word.
                        if record.round > self.crafted {
                            self.held.entry(record.round).or_default().spoken.insert(node);
                        }
                        events.push(Event::Proceed);
                    }
                    Action::Refuse(_) => {}
                    Action::Finish => {
                        self.finished.insert(node);
                    }
                    wait @ Action::Wait { .. } => out.push(wait),
                }
            }
        }
        Ok(out)
    }

    /// Lets go of every round that enough is known of, in order.
    fn let_go(&mut self) -> Result<Vec<Action>, ProtocolError> {
        let mut out = Vec::new();
        while let Some(mut entry) = self.held.first_entry() {
            let round = *entry.key();
            let held = entry.get_mut();
            if round <= self.crafted {
                // Said again after the round was let go: nobody waits for it.
                entry.remove();
                continue;
            }
            let spoken = held.spoken.len() == self.inner.len();
            let meetings = self.settings.meetings.as_deref();
            let silent = |node: &NodeId| meets_nobody(meetings, round, *node);
            let known = |node: &NodeId| {
                held.heard.contains_key(node) || self.lost.contains(node) || silent(node)
            };
            let heard = self.settings.knowledge < Knowledge::Omniscient
                || self.settings.honest.iter().all(known);
            if !spoken || !heard {
                break;
            }
            let held = entry.remove();
            self.crafted = round;
            out.extend(self.craft(round, held)?);
        }
        if self.finished.len() == self.inner.len() {
            out.push(Action::Finish);
        }
        Ok(out)
    }

    /// The round's words with lies in place of their vectors.
    fn craft(&mut self, round: Round, held: Held) -> Result<Vec<Action>, ProtocolError> {
        let mut own: BTreeMap<NodeId, Shared> = BTreeMap::new();
        for (from, _, message) in &held.words {
            if let Some(vector) = message.vector() {
                own.entry(*from).or_insert_with(|| Arc::clone(vector));
            }
        }
        let active: Vec<NodeId> = own.keys().copied().collect();
        let honest: BTreeMap<NodeId, Shared> = held
            .heard
            .iter()
            .filter_map(|(&node, vector)| Some((node, Arc::clone(vector.as_ref()?))))
            .collect();
        if active.is_empty() {
            return Ok(Vec::new());
        }
        let scene = Scene { round, own, honest };
        let mut memory = std::mem::take(&mut self.memory);
        let lies = self.lies(&scene, &held.words, &mut memory);
        self.memory = memory;
        let lies = lies?;
        let honest: BTreeSet<NodeId> = self.settings.honest.iter().copied().collect();
        let receives_lies = |to: &NodeId| honest.contains(to) || !self.inner.contains_key(to);
        let say = |(from, to, message): (NodeId, NodeId, Message)| {
            let message = match lies.get(&(from, to)) {
                Some(Some(lie)) => self.disguise(message.with_vector(Arc::clone(lie))),
                Some(None) => Message::Absent { round },
                None if receives_lies(&to) => Message::Absent { round },
                None => message,
            };
            Action::Send { from, to, message }
        };
        Ok(held.words.into_iter().map(say).collect())
    }

    fn disguise(&self, message: Message) -> Message {
        match message {
            Message::Model { round, model, .. } if self.settings.understates_degree => {
                Message::Model { round, model, degree: 0 }
            }
            other => other,
        }
    }

    /// What each word's vector is replaced with; `None` for silence.
    fn lies(
        &self,
        scene: &Scene,
        words: &[(NodeId, NodeId, Message)],
        memory: &mut Memory,
    ) -> Result<Lies, ProtocolError> {
        let aimed = self.settings.meetings.is_some()
            && (self.settings.equivocates || self.settings.attack.directed());
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
        let honest = self.reads_along().then(|| rows(&scene.honest, own.ncols()));
        let first = self.inner.keys().next().copied().unwrap_or(NodeId(0));
        let view = View {
            round: scene.round,
            global: self.settings.initial.view(),
            identities: &identities,
            own: own.view(),
            honest: honest.as_ref().map(|rows| rows.view()),
            participants: self.settings.participants,
            corrupted: self.settings.corrupted,
            defence: None,
            victim: None,
        };
        let defence = |rows: ArrayView2<'_, f32>| self.aggregate(scene.round, rows);
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
        let view = View {
            round: aim.scene.round,
            global: self.settings.initial.view(),
            identities: liars,
            own: own.view(),
            honest: self.reads_along().then(|| known.view()),
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
            Ok(Crafted::PerNode(rows)) => Ok(Some(rows)),
            // Where absences leave too little to work on, or a formula has nothing for so few, it
            // is silent.
            Ok(Crafted::Silence)
            | Err(AttackError::TooFewKnown { .. } | AttackError::NoShift { .. }) => Ok(None),
            Err(error) => Err(ProtocolError::Attack { round: view.round, error }),
        }
    }

    fn aggregate(&self, round: Round, rows: ArrayView2<'_, f32>) -> Result<Array1<f32>, String> {
        let Defence::Rule(rule) = &self.settings.defence else {
            return Err("there is no rule over all rows".to_owned());
        };
        let senders: Vec<NodeId> = (0..rows.nrows() as u32).map(NodeId).collect();
        let mut memory = Memory::default();
        let mut rng = stream(self.settings.seed, Purpose::Aggregation, round, NodeId(0));
        let mut context =
            self.context(round, self.settings.byzantine, &senders, &mut memory, &mut rng);
        let result = rule.aggregate(rows, &mut context);
        result.map(|aggregate| aggregate.vector).map_err(|error| error.to_string())
    }

    fn mix(
        &self,
        round: Round,
        victim: NodeId,
        own: ArrayView1<'_, f32>,
        sent: &[(NodeId, ArrayView1<'_, f32>, f64)],
        own_weight: f64,
    ) -> Result<Array1<f32>, String> {
        let Defence::Peer(rule) = &self.settings.defence else {
            return Err("there is no rule of peers".to_owned());
        };
        let ids: Vec<NodeId> = sent.iter().map(|(id, _, _)| *id).collect();
        let weights: Vec<f64> = sent.iter().map(|(_, _, weight)| *weight).collect();
        let rows: Vec<ArrayView1<'_, f32>> = sent.iter().map(|(_, row, _)| row.view()).collect();
        let models = ndarray::stack(ndarray::Axis(0), &rows).map_err(|error| error.to_string())?;
        let honest: Vec<bool> =
            ids.iter().map(|id| self.settings.honest.binary_search(id).is_ok()).collect();
        let neighbours = Neighbourhood {
            node: victim,
            ids: &ids,
            models: models.view(),
            weights: &weights,
            own_weight,
            honest: Some(&honest).filter(|_| rule.needs().oracle).map(Vec::as_slice),
            loss: None,
        };
        let byzantine = tolerated(&**rule, ids.len(), self.settings.byzantine);
        let mut memory = Memory::default();
        let mut rng = stream(self.settings.seed, Purpose::Aggregation, round, NodeId(0));
        let mut context = self.context(round, byzantine, &ids, &mut memory, &mut rng);
        let mixed = rule.mix(own, &neighbours, &mut context);
        mixed.map(|mixed| mixed.model).map_err(|error| error.to_string())
    }

    fn context<'a>(
        &self,
        round: Round,
        byzantine: usize,
        senders: &'a [NodeId],
        memory: &'a mut Memory,
        rng: &'a mut dyn rand::Rng,
    ) -> Context<'a> {
        let rounds_total = self.settings.rounds;
        Context {
            round,
            rounds_total,
            byzantine,
            senders,
            samples: None,
            previous: None,
            trusted: None,
            head: None,
            memory,
            rng,
        }
    }
}

/// What everybody has in a round: what the identities would say, and what the honest say.
struct Scene {
    round: Round,
    own: BTreeMap<NodeId, Shared>,
    honest: BTreeMap<NodeId, Shared>,
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
type Lies = BTreeMap<(NodeId, NodeId), Option<Shared>>;

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

/// Whether a peer has nobody to talk to in `round`, so that there is nothing of it to be heard.
fn meets_nobody(meetings: Option<&dyn Meetings>, round: Round, node: NodeId) -> bool {
    meetings.is_some_and(|meetings| meetings.graph(round).degree(node) == 0)
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

fn rows(vectors: &BTreeMap<NodeId, Shared>, columns: usize) -> Array2<f32> {
    if vectors.is_empty() { Array2::zeros((0, columns)) } else { stack(vectors) }
}

impl Machine for MeshAdversary {
    fn step(&mut self, event: Event) -> Result<Vec<Action>, ProtocolError> {
        let nodes: Vec<NodeId> = self.inner.keys().copied().collect();
        let mut out = Vec::new();
        match event {
            Event::Start => {
                for node in nodes {
                    out.extend(self.step_inner(node, Event::Start)?);
                }
            }
            // It goes on by itself.
            Event::Proceed => {}
            Event::Received { to, .. } => out.extend(self.step_inner(to, event)?),
            Event::Expired { timer } => out.extend(self.step_inner(timer.node, event)?),
            Event::Garbled { .. } => {}
            Event::Lost { node } => {
                for identity in nodes {
                    out.extend(self.step_inner(identity, Event::Lost { node })?);
                }
                self.lost.insert(node);
            }
            Event::Tapped { from, message } => {
                let round = message.round();
                if round > self.crafted && self.settings.honest.binary_search(&from).is_ok() {
                    let vector = message.vector().cloned();
                    self.held.entry(round).or_default().heard.entry(from).or_insert(vector);
                }
            }
        }
        out.extend(self.let_go()?);
        Ok(out)
    }

    fn awaits(&self) -> Vec<NodeId> {
        let mut awaited: BTreeSet<NodeId> =
            self.inner.values().flat_map(|machine| machine.awaits()).collect();
        if self.reads_along()
            && let Some((round, held)) = self.held.first_key_value()
        {
            let meetings = self.settings.meetings.as_deref();
            let silent = self.settings.honest.iter().filter(|node| {
                !held.heard.contains_key(node) && !meets_nobody(meetings, *round, **node)
            });
            awaited.extend(silent);
        }
        let can_be_lost =
            |node: &NodeId| !self.inner.contains_key(node) && !self.lost.contains(node);
        awaited.into_iter().filter(can_be_lost).collect()
    }

    fn closed(&self) -> Round {
        let inner = self.inner.values().map(|machine| machine.closed()).min();
        inner.unwrap_or(Round(0)).min(self.crafted)
    }

    fn state(&self) -> MachineState {
        let states = self.inner.iter().map(|(&node, machine)| (node, machine.state()));
        let states: BTreeMap<NodeId, MachineState> = states.collect();
        let round = states.values().map(|state| state.round).min().unwrap_or(Round(0));
        let inner = states.into_iter().map(|(node, state)| (node, (state.round.0, state.bytes)));
        MachineState::encode(round, &State { memory: self.memory.clone(), inner: inner.collect() })
    }

    fn restore(&mut self, state: &MachineState) -> Result<(), ProtocolError> {
        let decoded: State = state.decode()?;
        for (node, (round, bytes)) in decoded.inner {
            if let Some(machine) = self.inner.get_mut(&node) {
                machine.restore(&MachineState { round: Round(round), bytes })?;
            }
        }
        self.memory = decoded.memory;
        self.crafted = state.round;
        Ok(())
    }
}
