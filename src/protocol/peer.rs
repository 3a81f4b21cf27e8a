//! The peer of a system without a server: trains its own model, and mixes it with those of its
//! neighbours.
//!
//! A round: take the local steps, send the model to every neighbour, wait until each has sent its
//! own or is absent, mix. Neighbours can be a few rounds ahead; what they send early waits.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};

use super::admission::admit;
use super::fault::Faults;
use super::meetings::Meetings;
use super::worker::Trainer;
use super::{
    Action, Event, Machine, MachineState, Message, Outcome, Own, ProtocolError, Reason, Refusal,
    RoundRecord, SenderRecord,
};
use crate::aggregators::{AggregateError, Context};
use crate::graph::metropolis_weight;
use crate::memory::Memory;
use crate::node::{NodeId, Round};
use crate::peer_rules::{Mixed, Neighbourhood, PeerRule};
use crate::seed::{Purpose, stream};
use crate::training::WorkerState;
use crate::vector::{Digest, Shared, as_slice, first_not_finite, norm};

/// How many messages of one neighbour may be early. How many rounds does not matter: two who are
/// kept from meeting for long may be far apart when they meet again.
const EARLY_MAX: usize = 64;

/// What a peer is told before the first round.
#[derive(Debug, Clone)]
pub struct PeerSettings {
    /// Its data and how it trains.
    pub trainer: Trainer,
    /// Whom it meets.
    pub meetings: Arc<dyn Meetings>,
    /// How it mixes.
    pub rule: Arc<dyn PeerRule>,
    /// How many liars it is told to expect among its neighbours, at most; where the rule cannot
    /// stand so many among so few, it expects as many as the rule can.
    pub byzantine: usize,
    /// How many rounds there are.
    pub rounds: u32,
    /// The planned absences.
    pub faults: Faults,
    /// Where the model's last layer stands.
    pub head: Range<usize>,
    /// The model before the first round.
    pub initial: Shared,
    /// The honest nodes, for a rule that is an oracle.
    pub honest: Option<Arc<BTreeSet<NodeId>>>,
}

/// The peer's machine.
#[derive(Debug)]
pub struct Peer {
    settings: PeerSettings,
    closed: Round,
    state: State,
    open: Option<Open>,
    early: BTreeMap<(Round, NodeId), Message>,
    lost: BTreeSet<NodeId>,
}

/// The part of a peer that a checkpoint keeps.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct State {
    model: Vec<f32>,
    worker: WorkerState,
    memory: Memory,
}

/// The round that a peer is in.
#[derive(Debug)]
struct Open {
    round: Round,
    neighbours: Vec<NodeId>,
    /// Its model after its own steps.
    half: Shared,
    own: Own,
    heard: BTreeMap<NodeId, Heard>,
    refusals: BTreeMap<NodeId, u32>,
    timed_out: bool,
}

#[derive(Debug)]
enum Heard {
    Model { model: Shared, degree: u32 },
    Absent,
    Refused,
    Lost,
}

impl Heard {
    fn outcome(&self) -> Outcome {
        match self {
            Heard::Model { .. } => Outcome::Shared,
            Heard::Absent => Outcome::Absent,
            Heard::Refused => Outcome::Refused,
            Heard::Lost => Outcome::Lost,
        }
    }
}

impl Peer {
    /// A peer before its first round.
    pub fn new(settings: PeerSettings) -> Self {
        let model = as_slice(&settings.initial).to_vec();
        Peer {
            settings,
            closed: Round(0),
            state: State { model, worker: WorkerState::default(), memory: Memory::default() },
            open: None,
            early: BTreeMap::new(),
            lost: BTreeSet::new(),
        }
    }

    fn node(&self) -> NodeId {
        self.settings.trainer.node
    }

    /// Trains, tells the neighbours, and takes in what they said early.
    fn begin(&mut self) -> Vec<Action> {
        let round = self.closed.next();
        if round.0 > self.settings.rounds {
            return vec![Action::Finish];
        }
        let node = self.node();
        let neighbours = self.settings.meetings.graph(round).neighbours(node).to_vec();
        let (half, own, message) = self.train(round, neighbours.len());
        let mut actions: Vec<Action> = neighbours
            .iter()
            .map(|&to| Action::Send { from: node, to, message: message.clone() })
            .collect();
        let lost = neighbours.iter().filter(|neighbour| self.lost.contains(neighbour));
        let heard = lost.map(|&neighbour| (neighbour, Heard::Lost)).collect();
        let refusals = BTreeMap::new();
        self.open = Some(Open { round, neighbours, half, own, heard, refusals, timed_out: false });
        let later = self.early.split_off(&(round.next(), NodeId(0)));
        for ((_, from), message) in std::mem::replace(&mut self.early, later) {
            actions.extend(self.hear(from, message));
        }
        actions.extend(self.close_if_complete());
        actions
    }

    /// The model after the round's own steps, and what is said of it.
    fn train(&mut self, round: Round, degree: usize) -> (Shared, Own, Message) {
        let model: Shared = Arc::new(Array1::from(self.state.model.clone()));
        if self.settings.faults.absent(round, self.node()) {
            let own = Own { outcome: Outcome::Absent, loss: None };
            return (model, own, Message::Absent { round });
        }
        let (update, after) = self.settings.trainer.train(round, &model, &self.state.worker);
        let rate = self.settings.trainer.training.learning_rate;
        let steps = as_slice(&model).iter().zip(as_slice(&update.vector));
        let half: Shared = Arc::new(steps.map(|(value, step)| value - rate * step).collect());
        if !update.is_finite() || first_not_finite(as_slice(&half)).is_some() {
            // It tells nobody, and holds what its steps came to: no server has another for it.
            let own = Own { outcome: Outcome::Absent, loss: None };
            return (half, own, Message::Absent { round });
        }
        self.state.worker = after;
        let own = Own { outcome: Outcome::Shared, loss: Some(update.loss) };
        let message = Message::Model { round, model: Arc::clone(&half), degree: degree as u32 };
        (half, own, message)
    }

    /// Takes what a neighbour says, now or when its round comes.
    fn hear(&mut self, from: NodeId, message: Message) -> Vec<Action> {
        match self.take(from, message) {
            Ok(()) => Vec::new(),
            Err(reason) => self.refuse(from, reason),
        }
    }

    fn take(&mut self, from: NodeId, message: Message) -> Result<(), Reason> {
        let round = message.round();
        if self.lost.contains(&from) {
            return Err(Reason::Lost);
        }
        let current = self.open.as_ref().map_or(self.closed, |open| open.round);
        if round > current {
            return self.keep_for_later(from, message);
        }
        let Some(open) = self.open.as_mut().filter(|open| open.round == round) else {
            return Err(Reason::OtherRound { got: round });
        };
        if open.neighbours.binary_search(&from).is_err() {
            return Err(Reason::Stranger);
        }
        if open.heard.contains_key(&from) {
            return Err(Reason::Twice);
        }
        let heard = match message {
            Message::Absent { .. } => Heard::Absent,
            Message::Model { model, degree, .. } => {
                let admitted = admit(as_slice(&model), open.half.len());
                if let Err(reason) = admitted {
                    open.heard.insert(from, Heard::Refused);
                    return Err(reason);
                }
                Heard::Model { model, degree }
            }
            _ => return Err(Reason::WrongKind),
        };
        open.heard.insert(from, heard);
        Ok(())
    }

    fn keep_for_later(&mut self, from: NodeId, message: Message) -> Result<(), Reason> {
        let round = message.round();
        let waiting = self.early.keys().filter(|(_, sender)| *sender == from).count();
        if round.0 > self.settings.rounds || waiting >= EARLY_MAX {
            return Err(Reason::OtherRound { got: round });
        }
        if !self.settings.meetings.graph(round).contains(self.node(), from) {
            return Err(Reason::Stranger);
        }
        if self.early.contains_key(&(round, from)) {
            return Err(Reason::Twice);
        }
        self.early.insert((round, from), message);
        Ok(())
    }

    fn refuse(&mut self, from: NodeId, reason: Reason) -> Vec<Action> {
        let round = self.open.as_ref().map_or(self.closed, |open| open.round);
        if let Some(open) = &mut self.open {
            *open.refusals.entry(from).or_default() += 1;
        }
        vec![Action::Refuse(Refusal { from, round, reason })]
    }

    /// Mixes once everybody has been heard, and says what the round came to.
    fn close_if_complete(&mut self) -> Vec<Action> {
        let complete = self.open.as_ref().filter(|open| open.heard.len() >= open.neighbours.len());
        if complete.is_none() {
            return Vec::new();
        }
        let open = self.open.take().expect("checked above");
        let (model, accepted, skipped) = match self.mix(&open) {
            Ok(Mixed { model, accepted }) => (Arc::new(model), accepted, None),
            Err(refusal) => (Arc::clone(&open.half), None, Some(refusal.to_string())),
        };
        self.closed = open.round;
        self.state.model = as_slice(&model).to_vec();
        vec![Action::Record(RoundRecord {
            node: self.node(),
            round: open.round,
            digest: Digest::of(as_slice(&model)),
            model,
            own: Some(open.own),
            senders: sender_records(&open, accepted.as_deref()),
            skipped,
            aggregate: None,
            timed_out: open.timed_out,
            block: None,
        })]
    }

    /// The node's model mixed with what came, in node order.
    fn mix(&mut self, open: &Open) -> Result<Mixed, AggregateError> {
        let alone = Mixed { model: (*open.half).clone(), accepted: None };
        if open.own.outcome == Outcome::Absent {
            return Ok(alone);
        }
        let mut ids = Vec::new();
        let mut flat = Vec::new();
        let mut weights = Vec::new();
        for (&from, heard) in &open.heard {
            if let Heard::Model { model, degree } = heard {
                ids.push(from);
                flat.extend_from_slice(as_slice(model));
                weights.push(metropolis_weight(open.neighbours.len(), *degree as usize));
            }
        }
        if ids.is_empty() {
            return Ok(alone);
        }
        let models = Array2::from_shape_vec((ids.len(), open.half.len()), flat)
            .expect("admission has checked every length");
        let honest: Option<Vec<bool>> = self
            .settings
            .honest
            .as_ref()
            .map(|honest| ids.iter().map(|id| honest.contains(id)).collect());
        let PeerSettings { trainer, rule, rounds, head, .. } = &self.settings;
        let loss = |parameters: ndarray::ArrayView1<'_, f32>| trainer.loss(open.round, parameters);
        let needs = rule.needs();
        let neighbourhood = Neighbourhood {
            node: trainer.node,
            ids: &ids,
            models: models.view(),
            weights: &weights,
            own_weight: 1.0 - weights.iter().sum::<f64>(),
            honest: honest.as_deref().filter(|_| needs.oracle),
            loss: if needs.loss { Some(&loss) } else { None },
        };
        let byzantine = tolerated(&**rule, open.neighbours.len(), self.settings.byzantine);
        let mut context = Context {
            round: open.round,
            rounds_total: *rounds,
            byzantine,
            senders: &ids,
            samples: None,
            previous: None,
            trusted: None,
            head: Some(head.clone()),
            memory: &mut self.state.memory,
            rng: &mut stream(trainer.seed, Purpose::Aggregation, open.round, trainer.node),
        };
        rule.mix(open.half.view(), &neighbourhood, &mut context)
    }
}

/// How many liars a peer with so many neighbours expects: as many as it is told to, or as the rule
/// can stand among so few.
pub fn tolerated(rule: &dyn PeerRule, neighbours: usize, byzantine: usize) -> usize {
    let stands = |liars: &usize| rule.admits(neighbours, *liars).is_ok();
    (0..=byzantine.min(neighbours)).rev().find(stands).unwrap_or(0)
}

fn sender_records(open: &Open, accepted: Option<&[bool]>) -> Vec<SenderRecord> {
    let mut accepted = accepted.into_iter().flatten();
    let record = |(&node, heard): (&NodeId, &Heard)| {
        let model = match heard {
            Heard::Model { model, .. } => Some(model),
            _ => None,
        };
        SenderRecord {
            node,
            outcome: heard.outcome(),
            loss: None,
            norm: model.map(|model| norm(as_slice(model))),
            weight: model.and_then(|_| accepted.next()).map(|&kept| f32::from(u8::from(kept))),
            refusals: open.refusals.get(&node).copied().unwrap_or(0),
        }
    };
    open.heard.iter().map(record).collect()
}

impl Machine for Peer {
    fn step(&mut self, event: Event) -> Result<Vec<Action>, ProtocolError> {
        match event {
            Event::Start | Event::Proceed => Ok(self.begin()),
            Event::Received { from, message, .. } => {
                let mut actions = self.hear(from, message);
                actions.extend(self.close_if_complete());
                Ok(actions)
            }
            Event::Garbled { from, reason } => {
                if let Some(open) = &mut self.open
                    && reason.ends_turn()
                    && open.neighbours.binary_search(&from).is_ok()
                {
                    open.heard.entry(from).or_insert(Heard::Refused);
                }
                let mut actions = self.refuse(from, reason);
                actions.extend(self.close_if_complete());
                Ok(actions)
            }
            Event::Lost { node } => {
                self.lost.insert(node);
                if let Some(open) = &mut self.open
                    && open.neighbours.binary_search(&node).is_ok()
                {
                    open.heard.entry(node).or_insert(Heard::Lost);
                    open.timed_out = true;
                }
                Ok(self.close_if_complete())
            }
            other => Err(ProtocolError::unexpected("a peer", &other)),
        }
    }

    fn awaits(&self) -> Vec<NodeId> {
        let Some(open) = &self.open else { return Vec::new() };
        let silent = open.neighbours.iter().filter(|node| !open.heard.contains_key(node));
        silent.copied().collect()
    }

    fn closed(&self) -> Round {
        self.closed
    }

    fn state(&self) -> MachineState {
        MachineState::encode(self.closed, &self.state)
    }

    fn restore(&mut self, state: &MachineState) -> Result<(), ProtocolError> {
        let decoded: State = state.decode()?;
        if decoded.model.len() != self.settings.initial.len() {
            return Err(ProtocolError::State {
                message: format!(
                    "the checkpoint's model has {} values, this run's has {}",
                    decoded.model.len(),
                    self.settings.initial.len()
                ),
            });
        }
        self.state = decoded;
        self.closed = state.round;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::Graph;
    use crate::peer_rules::CATALOG;
    use crate::protocol::meetings::Always;
    use crate::protocol::worker::tests::trainer;

    #[test]
    fn a_neighbour_may_be_far_ahead_but_not_say_much() {
        let mut peer = Peer::new(PeerSettings {
            trainer: trainer(3),
            meetings: Arc::new(Always(Arc::new(Graph::from_edges(5, [(3, 4)]).unwrap()))),
            rule: CATALOG.build_default("metropolis_hastings").unwrap().value,
            byzantine: 0,
            rounds: 1000,
            faults: Faults::none(1),
            head: 0..6,
            initial: Arc::new(Array1::zeros(6)),
            honest: None,
        });
        peer.step(Event::Start).unwrap();
        let mut refused = |round| {
            let message = Message::Absent { round: Round(round) };
            let event = Event::Received { from: NodeId(4), to: NodeId(3), message };
            matches!(peer.step(event).unwrap()[..], [Action::Refuse(_)])
        };
        assert!((901..901 + EARLY_MAX as u32).all(|round| !refused(round)));
        assert!(refused(2) && refused(1001));
    }
}
