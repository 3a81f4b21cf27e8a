//! The bridge: combines the updates of regions and sends every region the model.
//!
//! A round: collect the regions' shares, run the rule between regions, send the model. Where
//! regions check, each is also sent a copy of what the others have shared, before the model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::aggregation::{Aggregation, AggregationSettings, Remembered};
use super::collection::{Collection, Contribution};
use super::early::Early;
use super::server::restored_model;
use super::{Action, Event, Machine, MachineState, Message, ProtocolError, Reason, RoundRecord};
use crate::node::{NodeId, Roster, Round};
use crate::vector::{Digest, Shared, as_slice};

/// What a bridge is told before the first round.
#[derive(Debug, Clone)]
pub struct BridgeSettings {
    /// Its own identity.
    pub node: NodeId,
    /// The regions.
    pub regions: Roster,
    /// Whether each region is sent copies of what the others have shared.
    pub copies: bool,
    /// How the regions' updates become a step; the same for all bridges.
    pub aggregation: AggregationSettings,
    /// The model before the first round.
    pub initial: Shared,
}

/// The bridge's machine.
#[derive(Debug)]
pub struct Bridge {
    settings: BridgeSettings,
    closed: Round,
    model: Shared,
    aggregation: Aggregation,
    collection: Collection,
    early: Early,
    is_open: bool,
}

/// The part of a bridge that a checkpoint keeps.
#[derive(Serialize, Deserialize)]
struct State {
    model: Vec<f32>,
    remembered: Remembered,
    lost: BTreeSet<NodeId>,
    silent: BTreeSet<NodeId>,
}

impl Bridge {
    /// A bridge before the first round.
    pub fn new(settings: BridgeSettings) -> Self {
        Bridge {
            closed: Round(0),
            model: Arc::clone(&settings.initial),
            aggregation: Aggregation::new(settings.aggregation.clone()),
            collection: Collection::new(settings.regions.clone(), settings.initial.len()),
            early: Early::default(),
            is_open: false,
            settings,
        }
    }

    /// Opens the round, asks after the regions that had nothing in the last one, and takes in what
    /// came early.
    fn begin(&mut self) -> Vec<Action> {
        let round = self.closed.next();
        if self.is_open {
            return Vec::new();
        }
        if round.0 > self.settings.aggregation.rounds {
            return vec![Action::Finish];
        }
        self.is_open = true;
        self.collection.open(round);
        let mut actions = self.collection.roll_call(self.settings.node);
        for (from, message) in self.early.due(round) {
            actions.extend(self.hear(from, message));
        }
        actions.extend(self.close_if_complete());
        actions
    }

    /// Takes what a region says, now or when its round comes.
    fn hear(&mut self, from: NodeId, message: Message) -> Option<Action> {
        let reason = self.take(from, message).err()?;
        Some(self.collection.refuse(from, reason))
    }

    fn take(&mut self, from: NodeId, message: Message) -> Result<(), Reason> {
        if !self.settings.regions.contains(from) {
            return Err(Reason::Stranger);
        }
        if self.collection.lost().contains(&from) {
            return Err(Reason::Lost);
        }
        if !matches!(message, Message::Share { .. } | Message::Absent { .. }) {
            return Err(Reason::WrongKind);
        }
        let round = message.round();
        let current = if self.is_open { self.closed.next() } else { self.closed };
        if round > current {
            let rounds = self.settings.aggregation.rounds;
            return self.early.keep(current, rounds, from, message);
        }
        if !self.is_open {
            return Err(Reason::OtherRound { got: round });
        }
        self.collection.take(from, message)
    }

    /// Takes the step that the regions' updates come to, once all are there.
    fn close_if_complete(&mut self) -> Vec<Action> {
        if !self.is_open || !self.collection.is_complete() {
            return Vec::new();
        }
        let node = self.settings.node;
        let round = self.closed.next();
        let aggregated = self.aggregation.aggregate(round, &self.collection.rows());
        let (weights, skipped) = match aggregated {
            Ok(aggregated) => {
                self.model = self.aggregation.moved(&self.model, &aggregated.direction);
                (aggregated.weights, None)
            }
            Err(reason) => (BTreeMap::new(), Some(reason)),
        };
        let mut actions = if self.settings.copies { self.copies(round) } else { Vec::new() };
        let told = Some(&self.model).filter(|_| skipped.is_none());
        actions.extend(self.collection.tell(node, told));
        self.closed = round;
        self.is_open = false;
        actions.push(Action::Record(RoundRecord {
            node,
            round,
            model: Arc::clone(&self.model),
            digest: Digest::of(as_slice(&self.model)),
            own: None,
            senders: self.collection.records(&weights),
            skipped,
            aggregate: None,
            timed_out: self.collection.timed_out(),
            block: None,
        }));
        actions
    }

    /// To every region, what each of the others has shared.
    fn copies(&self, round: Round) -> Vec<Action> {
        let shared = self.collection.contributions();
        let lost = self.collection.lost();
        let there = self.settings.regions.ids().iter().filter(|region| !lost.contains(region));
        let to_one = |&to: &NodeId| {
            let others = shared.iter().filter(move |&(&sender, _)| sender != to);
            others.map(move |(&sender, share)| {
                let Contribution { update, loss, samples } = share.clone();
                let message = Message::Copy { round, sender, update, loss, samples };
                Action::Send { from: self.settings.node, to, message }
            })
        };
        there.flat_map(to_one).collect()
    }
}

impl Machine for Bridge {
    fn step(&mut self, event: Event) -> Result<Vec<Action>, ProtocolError> {
        let mut actions = Vec::new();
        match event {
            Event::Start | Event::Proceed => return Ok(self.begin()),
            Event::Received { from, message, .. } => actions.extend(self.hear(from, message)),
            Event::Garbled { from, reason } => {
                self.collection.garbled(from, &reason);
                actions.push(self.collection.refuse(from, reason));
            }
            Event::Lost { node } => self.collection.give_up(node),
            other => return Err(ProtocolError::unexpected("a bridge", &other)),
        }
        actions.extend(self.close_if_complete());
        Ok(actions)
    }

    fn awaits(&self) -> Vec<NodeId> {
        if self.is_open { self.collection.awaited() } else { Vec::new() }
    }

    fn closed(&self) -> Round {
        self.closed
    }

    fn state(&self) -> MachineState {
        let state = State {
            model: as_slice(&self.model).to_vec(),
            remembered: self.aggregation.remembered().clone(),
            lost: self.collection.lost().clone(),
            silent: self.collection.absent(),
        };
        MachineState::encode(self.closed, &state)
    }

    fn restore(&mut self, state: &MachineState) -> Result<(), ProtocolError> {
        let decoded: State = state.decode()?;
        self.model = restored_model(decoded.model, self.settings.initial.len())?;
        self.aggregation.restore(decoded.remembered);
        self.collection.restore(decoded.lost, decoded.silent);
        self.closed = state.round;
        Ok(())
    }
}
