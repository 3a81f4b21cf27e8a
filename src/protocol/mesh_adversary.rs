//! The adversary of a system without a coordinator: honest machines inside, whose words it
//! replaces.
//!
//! Each corrupted identity has the machine that an honest node would have. What that machine says
//! in a round is held back until the adversary knows what its knowledge level promises; then the
//! vectors are replaced by crafted ones and everything goes out. So the adversary keeps to the
//! protocol of any system without knowing it, and can tell every receiver another lie.

mod defence;
mod lies;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::lies::Scene;
use super::fault::Faults;
use super::meetings::Meetings;
use super::{Action, Event, Machine, MachineState, Message, ProtocolError};
use crate::aggregators::Aggregator;
use crate::attacks::{Attack, Knowledge};
use crate::memory::Memory;
use crate::node::{NodeId, Round};
use crate::peer_rules::PeerRule;
use crate::vector::Shared;

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
    /// How many identities there are in all.
    pub participants: usize,
    /// Those that are corrupted, by this and other adversaries.
    pub corrupted: Vec<NodeId>,
    /// The planned absences, and who takes part in which round.
    pub faults: Faults,
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
        // Its machines may be done before it has said their last words.
        let silent = self.held.values().all(|held| held.words.is_empty());
        if silent && self.finished.len() == self.inner.len() {
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
}

/// Whether a peer has nobody to talk to in `round`, so that there is nothing of it to be heard.
fn meets_nobody(meetings: Option<&dyn Meetings>, round: Round, node: NodeId) -> bool {
    meetings.is_some_and(|meetings| meetings.graph(round).degree(node) == 0)
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
            // It goes on by itself, and what is garbled is nothing that anybody can reply to.
            Event::Proceed | Event::Garbled { .. } => {}
            Event::Received { to, .. } => out.extend(self.step_inner(to, event)?),
            Event::Expired { timer } => out.extend(self.step_inner(timer.node, event)?),
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
