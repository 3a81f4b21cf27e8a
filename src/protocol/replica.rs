//! The replica: one of several servers that do the same work, so that some of them may fall.
//!
//! A round: collect the workers' shares, agree on them with the other replicas (the echo), run the
//! rule, meet the others' models in the middle (the contraction), send the model to every worker.
//! Echo and contraction can each be left out; with neither, and alone, it is a server that need
//! not ask. A replica that is lost, or absent in a round, is left out in that round.

mod open;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::open::{Open, Stage};
use super::aggregation::{Aggregation, AggregationSettings, Remembered};
use super::agreement::Accept;
use super::collection::{Collection, model_or_nothing};
use super::early::Early;
use super::follower::refused;
use super::participation::Participation;
use super::server::restored_model;
use super::{
    Action, Event, Machine, MachineState, Message, Outcome, ProtocolError, Reason, RoundRecord,
    SenderRecord,
};
use crate::node::{NodeId, Roster, Round};
use crate::vector::{Digest, Shared, as_slice};

/// What a replica is told before the first round.
#[derive(Debug, Clone)]
pub struct ReplicaSettings {
    /// Its own identity.
    pub node: NodeId,
    /// Everybody who shares with the replicas.
    pub workers: Roster,
    /// The other replicas, ascending.
    pub others: Vec<NodeId>,
    /// How many replicas must hold the same share for it to count, if they compare.
    pub echo: Option<usize>,
    /// How many replicas' models the median needs, if they meet in the middle.
    pub contract: Option<usize>,
    /// How rows become a step; the same for all replicas.
    pub aggregation: AggregationSettings,
    /// Whom the replicas work with in a round, if not with everybody.
    pub participation: Option<Participation>,
    /// The model before the first round.
    pub initial: Shared,
}

/// The replica's machine.
#[derive(Debug)]
pub struct Replica {
    settings: ReplicaSettings,
    closed: Round,
    model: Shared,
    aggregation: Aggregation,
    collection: Collection,
    early: Early,
    lost: BTreeSet<NodeId>,
    open: Option<Open>,
}

/// The part of a replica that a checkpoint keeps.
#[derive(Serialize, Deserialize)]
struct State {
    model: Vec<f32>,
    remembered: Remembered,
    lost_workers: BTreeSet<NodeId>,
    silent: BTreeSet<NodeId>,
    lost: BTreeSet<NodeId>,
}

impl Replica {
    /// A replica before the first round.
    pub fn new(settings: ReplicaSettings) -> Self {
        Replica {
            closed: Round(0),
            model: Arc::clone(&settings.initial),
            aggregation: Aggregation::new(settings.aggregation.clone()),
            collection: Collection::new(settings.workers.clone(), settings.initial.len())
                .from_drawn(settings.participation),
            early: Early::default(),
            lost: BTreeSet::new(),
            open: None,
            settings,
        }
    }

    /// Opens the round, asks after those who had nothing in the last one, and takes in what came
    /// early.
    fn begin(&mut self) -> Vec<Action> {
        let round = self.closed.next();
        if self.open.is_some() {
            return Vec::new();
        }
        if round.0 > self.settings.aggregation.rounds {
            return vec![Action::Finish];
        }
        self.collection.open(round);
        self.open = Some(Open::new(round, &self.settings, self.lost.clone()));
        let mut actions = self.collection.roll_call(self.settings.node);
        for (from, message) in self.early.due(round) {
            actions.extend(self.hear(from, message));
        }
        actions.extend(self.advance());
        actions
    }

    /// Takes what somebody says, now or when its round comes.
    fn hear(&mut self, from: NodeId, message: Message) -> Vec<Action> {
        let (taken, mut actions) = self.take(from, message);
        if let Err(reason) = taken {
            actions.push(self.collection.refuse(from, reason));
        }
        actions
    }

    fn take(&mut self, from: NodeId, message: Message) -> (Result<(), Reason>, Vec<Action>) {
        let is_worker = self.settings.workers.contains(from);
        let is_replica = self.settings.others.binary_search(&from).is_ok();
        let refuse = |reason| (Err(reason), Vec::new());
        if !is_worker && !is_replica {
            return refuse(Reason::Stranger);
        }
        let shares = matches!(message, Message::Share { .. });
        if is_worker && !shares && !matches!(message, Message::Absent { .. })
            || is_replica && shares
        {
            return refuse(Reason::WrongKind);
        }
        if self.lost.contains(&from) || self.collection.lost().contains(&from) {
            return refuse(Reason::Lost);
        }
        let round = message.round();
        if is_worker && !shares && self.collection.rests(round, from) {
            // Nobody waits for that word, so it may come when its round is over.
            return (Ok(()), Vec::new());
        }
        let current = self.open.as_ref().map_or(self.closed, |open| open.round);
        if round > current {
            let rounds = self.settings.aggregation.rounds;
            return (self.early.keep(current, rounds, from, message), Vec::new());
        }
        let Some(open) = self.open.as_mut().filter(|open| open.round == round) else {
            return refuse(Reason::OtherRound { got: round });
        };
        if is_worker {
            return (self.collection.take(from, message), Vec::new());
        }
        open.take(from, message, &mut self.collection)
    }

    /// Goes through the stages of the round as far as it can.
    fn advance(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        let echoes = self.settings.echo.is_some();
        while let Some(open) = self.open.as_mut() {
            if !open.awaited(&self.collection).is_empty() {
                break;
            }
            match open.stage {
                Stage::Shares if echoes => {
                    actions.extend(open.echo.claim(&self.collection, &open.out));
                    open.stage = Stage::Claims;
                }
                Stage::Claims => {
                    actions.extend(open.echo.agree(&mut self.collection, &open.out));
                    open.stage = Stage::Copies;
                }
                Stage::Copies => {
                    actions.extend(open.echo.settle(&open.out));
                    open.stage = Stage::Settling;
                }
                Stage::Shares | Stage::Settling => actions.extend(self.aggregate()),
                Stage::Models => actions.extend(self.close()),
            }
        }
        actions
    }

    /// Runs the rule on the rows, and tells the other replicas if they are to meet in the middle.
    fn aggregate(&mut self) -> Vec<Action> {
        let open = self.open.as_mut().expect("a round is open");
        let aggregated = match open.too_few() {
            Some(reason) => Err(reason),
            None => self.aggregation.aggregate(open.round, &self.collection.rows()),
        };
        let step = aggregated.as_ref().ok().map(|aggregated| {
            let moved = self.aggregation.moved(&self.model, &aggregated.direction);
            let digest = Digest::of(as_slice(&moved));
            (moved, digest)
        });
        open.weights = aggregated.map(|aggregated| aggregated.weights);
        open.stage = Stage::Models;
        if self.settings.contract.is_none() {
            open.models.extend(step.map(|step| (self.settings.node, step)));
            return Vec::new();
        }
        let message = model_or_nothing(open.round, step.as_ref().map(|(model, _)| model));
        open.models.extend(step.map(|step| (self.settings.node, step)));
        let there = self.settings.others.iter().filter(|other| !open.out.contains(other));
        there
            .map(|&to| Action::Send { from: self.settings.node, to, message: message.clone() })
            .collect()
    }

    /// Sends the round's model to the workers, or that there is none, and records.
    fn close(&mut self) -> Vec<Action> {
        let open = self.open.take().expect("a round is open");
        let (chosen, weights) = match self.settings.contract {
            Some(needed) => {
                let replicas = self.settings.others.len() + 1;
                let chosen = Accept::Median { needed }.choose(&open.models, replicas);
                (chosen, open.weights.clone().unwrap_or_default())
            }
            None => match &open.weights {
                Ok(weights) => (Ok(open.models[&self.settings.node].0.clone()), weights.clone()),
                Err(reason) => (Err(reason.clone()), BTreeMap::new()),
            },
        };
        let (told, skipped) = match chosen {
            Ok(model) => (Some(model), None),
            Err(reason) => (None, Some(reason)),
        };
        if let Some(model) = &told {
            self.model = Arc::clone(model);
        }
        self.closed = open.round;
        let mut actions = self.collection.tell(self.settings.node, told.as_ref());
        actions.push(Action::Record(RoundRecord {
            node: self.settings.node,
            round: open.round,
            model: Arc::clone(&self.model),
            digest: Digest::of(as_slice(&self.model)),
            own: None,
            senders: self.senders(&open, &weights),
            skipped,
            aggregate: None,
            timed_out: open.timed_out || self.collection.timed_out(),
            block: None,
        }));
        actions
    }

    /// What became of every worker, and of the replicas of which something was refused.
    fn senders(&self, open: &Open, weights: &BTreeMap<NodeId, f32>) -> Vec<SenderRecord> {
        let mut senders = self.collection.records(weights);
        for &other in &self.settings.others {
            let refusals = self.collection.refusals(other);
            let outcome = match (self.lost.contains(&other), open.out.contains(&other)) {
                (true, _) => Outcome::Lost,
                (false, true) => Outcome::Absent,
                (false, false) => Outcome::Shared,
            };
            senders.extend((refusals > 0).then(|| refused(other, outcome, refusals)));
        }
        senders
    }

    fn garbled(&mut self, from: NodeId, reason: Reason) -> Vec<Action> {
        let mut actions = Vec::new();
        self.collection.garbled(from, &reason);
        let is_replica = self.settings.others.binary_search(&from).is_ok();
        if let Some(open) = self.open.as_mut().filter(|_| is_replica && reason.ends_turn()) {
            actions.extend(open.garbled(from));
        }
        actions.push(self.collection.refuse(from, reason));
        actions
    }

    fn give_up(&mut self, node: NodeId) -> Vec<Action> {
        self.collection.give_up(node);
        if self.settings.others.binary_search(&node).is_err() {
            return Vec::new();
        }
        self.lost.insert(node);
        let Some(open) = &mut self.open else { return Vec::new() };
        open.timed_out = true;
        open.leave(node)
    }
}

impl Machine for Replica {
    fn step(&mut self, event: Event) -> Result<Vec<Action>, ProtocolError> {
        let mut actions = match event {
            Event::Start | Event::Proceed => return Ok(self.begin()),
            Event::Received { from, message, .. } => self.hear(from, message),
            Event::Garbled { from, reason } => self.garbled(from, reason),
            Event::Lost { node } => self.give_up(node),
            other => return Err(ProtocolError::unexpected("a replica", &other)),
        };
        actions.extend(self.advance());
        Ok(actions)
    }

    fn awaits(&self) -> Vec<NodeId> {
        self.open.as_ref().map_or_else(Vec::new, |open| open.awaited(&self.collection))
    }

    fn closed(&self) -> Round {
        self.closed
    }

    fn state(&self) -> MachineState {
        let state = State {
            model: as_slice(&self.model).to_vec(),
            remembered: self.aggregation.remembered().clone(),
            lost_workers: self.collection.lost().clone(),
            silent: self.collection.absent(),
            lost: self.lost.clone(),
        };
        MachineState::encode(self.closed, &state)
    }

    fn restore(&mut self, state: &MachineState) -> Result<(), ProtocolError> {
        let decoded: State = state.decode()?;
        self.model = restored_model(decoded.model, self.settings.initial.len())?;
        self.aggregation.restore(decoded.remembered);
        self.collection.restore(decoded.lost_workers, decoded.silent);
        self.lost = decoded.lost;
        self.closed = state.round;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
