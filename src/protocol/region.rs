//! The region: a server with workers of its own, which meets other regions over bridges.
//!
//! A round: collect the workers' shares, run the rule, send what comes of it to every bridge as
//! one share, wait for the bridges' models, send the one that is believed to the workers. A region
//! that checks also tells the others the digest of its share, and takes a bridge's model only if
//! it is what the shares of all regions come to. Where no bridge is believed the region takes its
//! own step, and its record says so.

mod open;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use self::open::{Open, Verdict};
use super::aggregation::{Aggregation, AggregationSettings, Remembered};
use super::collection::{Collection, Contribution};
use super::early::Early;
use super::server::restored_model;
use super::{
    Action, Claims, Event, Machine, MachineState, Message, ProtocolError, Reason, RoundRecord,
};
use crate::node::{NodeId, Roster, Round};
use crate::vector::{Digest, Shared, as_slice};

/// What a region is told before the first round.
#[derive(Debug, Clone)]
pub struct RegionSettings {
    /// Its own identity.
    pub node: NodeId,
    /// Its workers.
    pub workers: Roster,
    /// The bridges, ascending.
    pub bridges: Vec<NodeId>,
    /// The other regions, ascending, if regions check what bridges say; else nobody.
    pub others: Vec<NodeId>,
    /// How its workers' updates become one.
    pub aggregation: AggregationSettings,
    /// How a bridge makes a step of the regions' updates, if regions check that.
    pub between: Option<AggregationSettings>,
    /// The model before the first round.
    pub initial: Shared,
}

/// The region's machine.
#[derive(Debug)]
pub struct Region {
    settings: RegionSettings,
    closed: Round,
    model: Shared,
    aggregation: Aggregation,
    between: Option<Aggregation>,
    collection: Collection,
    early: Early,
    lost: BTreeSet<NodeId>,
    open: Option<Open>,
}

/// The part of a region that a checkpoint keeps.
#[derive(Serialize, Deserialize)]
struct State {
    model: Vec<f32>,
    remembered: Remembered,
    between: Option<Remembered>,
    lost_workers: BTreeSet<NodeId>,
    silent: BTreeSet<NodeId>,
    lost: BTreeSet<NodeId>,
}

impl Region {
    /// A region before the first round.
    pub fn new(settings: RegionSettings) -> Self {
        Region {
            closed: Round(0),
            model: Arc::clone(&settings.initial),
            aggregation: Aggregation::new(settings.aggregation.clone()),
            between: settings.between.clone().map(Aggregation::new),
            collection: Collection::new(settings.workers.clone(), settings.initial.len()),
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
        self.open = Some(Open::new(round));
        let mut actions = self.collection.roll_call(self.settings.node);
        for (from, message) in self.early.due(round) {
            actions.extend(self.hear(from, message));
        }
        actions.extend(self.advance());
        actions
    }

    /// Takes what somebody says, now or when its round comes.
    fn hear(&mut self, from: NodeId, message: Message) -> Option<Action> {
        let reason = self.take(from, message).err()?;
        Some(self.collection.refuse(from, reason))
    }

    fn take(&mut self, from: NodeId, message: Message) -> Result<(), Reason> {
        let is_worker = self.settings.workers.contains(from);
        let is_bridge = self.settings.bridges.contains(&from);
        if !is_worker && !is_bridge && !self.settings.others.contains(&from) {
            return Err(Reason::Stranger);
        }
        if self.lost.contains(&from) || self.collection.lost().contains(&from) {
            return Err(Reason::Lost);
        }
        let may = match message {
            Message::Absent { .. } => true,
            Message::Share { .. } => is_worker,
            Message::Model { .. } => is_bridge,
            Message::Copy { .. } => is_bridge && self.between.is_some(),
            Message::Claims { .. } => !is_worker && !is_bridge,
            // A bridge asks after those who had nothing before; what there is comes unasked.
            Message::Fetch { .. } if is_bridge => return Ok(()),
            _ => false,
        };
        if !may {
            return Err(Reason::WrongKind);
        }
        let round = message.round();
        let current = self.open.as_ref().map_or(self.closed, |open| open.round);
        if round > current {
            let rounds = self.settings.aggregation.rounds;
            return self.early.keep(current, rounds, from, message);
        }
        let values = self.settings.initial.len();
        let Some(open) = self.open.as_mut().filter(|open| open.round == round) else {
            return Err(Reason::OtherRound { got: round });
        };
        match (is_worker, is_bridge) {
            (true, _) => self.collection.take(from, message),
            (_, true) => open.take_from_bridge(from, message, values),
            _ => open.take_from_region(from, &message),
        }
    }

    /// Shares with the bridges once the workers have spoken, and closes the round once the bridges
    /// have.
    fn advance(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        let Some(open) = &self.open else { return actions };
        if open.own.is_none() && self.collection.is_complete() {
            actions.extend(self.share());
        }
        let ready = self.open.as_ref().is_some_and(|open| open.own.is_some());
        if ready && self.awaits().is_empty() {
            actions.extend(self.close());
        }
        actions
    }

    /// Runs the rule and tells the bridges what comes of it, and the regions its digest.
    fn share(&mut self) -> Vec<Action> {
        let round = self.collection.round();
        let aggregated = self.aggregation.aggregate(round, &self.collection.rows());
        let open = self.open.as_mut().expect("a round is open");
        let own = aggregated.map(|aggregated| {
            open.weights = aggregated.weights;
            open.direction = Some(aggregated.direction);
            summed_up(aggregated.vector, &self.collection.contributions())
        });
        let message = match &own {
            Ok(Contribution { update, loss, samples }) => {
                Message::Share { round, update: Arc::clone(update), loss: *loss, samples: *samples }
            }
            Err(_) => Message::Absent { round },
        };
        let node = self.settings.node;
        let claims: Claims = vec![(node, own.as_ref().ok().map(Contribution::digest))];
        open.own = Some(own);
        let claims = Message::Claims { round, claims: Arc::new(claims) };
        let to_bridges = self.settings.bridges.iter().map(|&bridge| (bridge, message.clone()));
        let to_regions = self.settings.others.iter().map(|&region| (region, claims.clone()));
        to_bridges
            .chain(to_regions)
            .filter(|(to, _)| !self.lost.contains(to))
            .map(|(to, message)| Action::Send { from: node, to, message })
            .collect()
    }

    /// Goes on from the model that is believed, or else from its own step.
    fn close(&mut self) -> Vec<Action> {
        let open = self.open.take().expect("a round is open");
        let own = open.own.as_ref().expect("the workers have spoken");
        let verdict = match &mut self.between {
            Some(between) => open.checked(&self.settings, between, &self.model),
            None => open.trusted(self.settings.bridges.len()),
        };
        let (told, skipped) = match (verdict, own) {
            (Verdict::Believed(model), _) => (Some(model), None),
            (Verdict::Nothing(reason), _) => (None, Some(reason)),
            (Verdict::Unbelieved(reason), Ok(own)) => {
                let direction = open.direction.as_ref().unwrap_or(&own.update);
                let alone = self.aggregation.moved(&self.model, direction);
                (Some(alone), Some(format!("no bridge was believed: {reason}")))
            }
            (Verdict::Unbelieved(_), Err(refusal)) => (None, Some(refusal.clone())),
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
            senders: self.collection.records(&open.weights),
            skipped,
            aggregate: None,
            timed_out: open.timed_out || self.collection.timed_out(),
            block: None,
        }));
        actions
    }

    fn garbled(&mut self, from: NodeId, reason: Reason) -> Action {
        self.collection.garbled(from, &reason);
        if let Some(open) = self.open.as_mut().filter(|_| reason.ends_turn()) {
            if self.settings.bridges.contains(&from) {
                open.garbled_by_bridge(from);
            } else if self.settings.others.contains(&from) {
                open.garbled_by_region(from);
            }
        }
        self.collection.refuse(from, reason)
    }

    fn give_up(&mut self, node: NodeId) {
        self.collection.give_up(node);
        if self.settings.bridges.contains(&node) || self.settings.others.contains(&node) {
            self.lost.insert(node);
            if let Some(open) = &mut self.open {
                open.timed_out = true;
            }
        }
    }
}

/// A region's aggregate as one share: with the mean of the declared losses and the sum of the
/// declared samples.
fn summed_up(update: Shared, shares: &BTreeMap<NodeId, Contribution>) -> Contribution {
    let losses: f64 = shares.values().map(|share| f64::from(share.loss)).sum();
    let samples = shares.values().fold(0u64, |sum, share| sum.saturating_add(share.samples));
    Contribution { update, loss: (losses / shares.len().max(1) as f64) as f32, samples }
}

impl Machine for Region {
    fn step(&mut self, event: Event) -> Result<Vec<Action>, ProtocolError> {
        let mut actions = Vec::new();
        match event {
            Event::Start | Event::Proceed => return Ok(self.begin()),
            Event::Received { from, message, .. } => actions.extend(self.hear(from, message)),
            Event::Garbled { from, reason } => actions.push(self.garbled(from, reason)),
            Event::Lost { node } => self.give_up(node),
            other => return Err(ProtocolError::unexpected("a region", &other)),
        }
        actions.extend(self.advance());
        Ok(actions)
    }

    fn awaits(&self) -> Vec<NodeId> {
        let Some(open) = &self.open else { return Vec::new() };
        if open.own.is_none() {
            return self.collection.awaited();
        }
        let bridges = self.settings.bridges.iter().filter(|node| !open.has_word_of(**node));
        let regions = self.settings.others.iter().filter(|node| !open.has_claim_of(**node));
        bridges.chain(regions).filter(|node| !self.lost.contains(node)).copied().collect()
    }

    fn closed(&self) -> Round {
        self.closed
    }

    fn state(&self) -> MachineState {
        let state = State {
            model: as_slice(&self.model).to_vec(),
            remembered: self.aggregation.remembered().clone(),
            between: self.between.as_ref().map(|between| between.remembered().clone()),
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
        if let (Some(between), Some(remembered)) = (&mut self.between, decoded.between) {
            between.restore(remembered);
        }
        self.collection.restore(decoded.lost_workers, decoded.silent);
        self.lost = decoded.lost;
        self.closed = state.round;
        Ok(())
    }
}
