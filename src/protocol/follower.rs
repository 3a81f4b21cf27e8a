//! The follower: a worker of a system whose servers do not ask, because they may fall.
//!
//! A round: take the local steps from the model after the round before, send the update to every
//! source, wait until each has sent a model or has none, and go on from the one that is believed.
//! Where none can be believed the model stays as it was, and the record says why. Who is cut off
//! from its sources goes by none of what they send; once that is over it trains one round from its
//! old model, and catches up with the others at the end of that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::admission::admit;
use super::agreement::{Accept, Models};
use super::early::Early;
use super::fault::Faults;
use super::server::restored_model;
use super::worker::Trainer;
use super::{
    Action, Event, Machine, MachineState, Message, Outcome, Own, ProtocolError, Reason, Refusal,
    RoundRecord, SenderRecord,
};
use crate::node::{NodeId, Round};
use crate::training::WorkerState;
use crate::vector::{Digest, Shared, as_slice};

/// What a follower is told before the first round.
#[derive(Debug, Clone)]
pub struct FollowerSettings {
    /// Its data and how it trains.
    pub trainer: Trainer,
    /// The planned absences.
    pub faults: Faults,
    /// Who is sent its updates and sends models, ascending.
    pub sources: Vec<NodeId>,
    /// Which of their models it believes.
    pub accept: Accept,
    /// How many rounds there are.
    pub rounds: u32,
    /// The model before the first round.
    pub initial: Shared,
}

/// The follower's machine.
#[derive(Debug)]
pub struct Follower {
    settings: FollowerSettings,
    closed: Round,
    model: Shared,
    worker: WorkerState,
    open: Option<Open>,
    early: Early,
    lost: BTreeSet<NodeId>,
}

/// The part of a follower that a checkpoint keeps.
#[derive(Serialize, Deserialize)]
struct State {
    model: Vec<f32>,
    worker: WorkerState,
    lost: BTreeSet<NodeId>,
}

/// The round that a follower is in.
#[derive(Debug)]
struct Open {
    round: Round,
    own: Own,
    heard: BTreeMap<NodeId, Heard>,
    refusals: BTreeMap<NodeId, u32>,
    timed_out: bool,
}

#[derive(Debug)]
enum Heard {
    Model(Shared),
    Absent,
    Refused,
    Lost,
}

impl Heard {
    fn outcome(&self) -> Outcome {
        match self {
            Heard::Model(_) => Outcome::Shared,
            Heard::Absent => Outcome::Absent,
            Heard::Refused => Outcome::Refused,
            Heard::Lost => Outcome::Lost,
        }
    }
}

impl Follower {
    /// A follower before its first round.
    pub fn new(settings: FollowerSettings) -> Self {
        Follower {
            model: Arc::clone(&settings.initial),
            settings,
            closed: Round(0),
            worker: WorkerState::default(),
            open: None,
            early: Early::default(),
            lost: BTreeSet::new(),
        }
    }

    fn node(&self) -> NodeId {
        self.settings.trainer.node
    }

    /// Trains, tells the sources, and takes in what they said early.
    fn begin(&mut self) -> Vec<Action> {
        if self.open.is_some() {
            return Vec::new();
        }
        let round = self.closed.next();
        if round.0 > self.settings.rounds {
            return vec![Action::Finish];
        }
        let (own, message) = self.train(round);
        let node = self.node();
        let there = self.settings.sources.iter().filter(|source| !self.lost.contains(source));
        let mut actions: Vec<Action> =
            there.map(|&to| Action::Send { from: node, to, message: message.clone() }).collect();
        let heard = self.lost.iter().map(|&source| (source, Heard::Lost)).collect();
        let refusals = BTreeMap::new();
        self.open = Some(Open { round, own, heard, refusals, timed_out: false });
        for (from, message) in self.early.due(round) {
            actions.extend(self.hear(from, message));
        }
        actions.extend(self.close_if_complete());
        actions
    }

    /// What comes of the round's own steps, and what is said of it.
    fn train(&mut self, round: Round) -> (Own, Message) {
        let Trainer { node, shard, .. } = &self.settings.trainer;
        if self.settings.faults.absent(round, *node) {
            let outcome = match self.settings.faults.takes_part(round, *node) {
                true => Outcome::Absent,
                false => Outcome::NotDrawn,
            };
            return (Own { outcome, loss: None }, Message::Absent { round });
        }
        let samples = shard.len() as u64;
        let (update, after) = self.settings.trainer.train(round, &self.model, &self.worker);
        if !update.is_finite() {
            return (Own { outcome: Outcome::Absent, loss: None }, Message::Absent { round });
        }
        self.worker = after;
        let own = Own { outcome: Outcome::Shared, loss: Some(update.loss) };
        (own, Message::Share { round, update: update.vector, loss: update.loss, samples })
    }

    /// Takes what a source says, now or when its round comes.
    fn hear(&mut self, from: NodeId, message: Message) -> Option<Action> {
        let reason = self.take(from, message).err()?;
        Some(self.refuse(from, reason))
    }

    fn take(&mut self, from: NodeId, message: Message) -> Result<(), Reason> {
        if self.settings.sources.binary_search(&from).is_err() {
            return Err(Reason::Stranger);
        }
        if self.lost.contains(&from) {
            return Err(Reason::Lost);
        }
        // A source asks after those who had nothing before; what there is comes unasked.
        if matches!(message, Message::Fetch { .. }) {
            return Ok(());
        }
        let round = message.round();
        let current = self.open.as_ref().map_or(self.closed, |open| open.round);
        if round > current {
            return self.early.keep(current, self.settings.rounds, from, message);
        }
        let Some(open) = self.open.as_mut().filter(|open| open.round == round) else {
            return Err(Reason::OtherRound { got: round });
        };
        if open.heard.contains_key(&from) {
            return Err(Reason::Twice);
        }
        let (heard, admitted) = match message {
            Message::Absent { .. } => (Heard::Absent, Ok(())),
            Message::Model { model, .. } => match admit(as_slice(&model), self.model.len()) {
                Ok(()) => (Heard::Model(model), Ok(())),
                Err(reason) => (Heard::Refused, Err(reason)),
            },
            _ => return Err(Reason::WrongKind),
        };
        open.heard.insert(from, heard);
        admitted
    }

    fn refuse(&mut self, from: NodeId, reason: Reason) -> Action {
        let round = self.open.as_ref().map_or(self.closed, |open| open.round);
        if let Some(open) = &mut self.open {
            *open.refusals.entry(from).or_default() += 1;
        }
        Action::Refuse(Refusal { from, round, reason })
    }

    /// Goes on from the model that is believed, once every source has spoken.
    fn close_if_complete(&mut self) -> Option<Action> {
        let sources = self.settings.sources.len();
        let mut open = self.open.take_if(|open| open.heard.len() >= sources)?;
        if self.settings.faults.cut_off(open.round, self.node()) {
            // What was sent does not reach it.
            open.heard.values_mut().for_each(|heard| *heard = Heard::Absent);
        }
        let models: Models = open
            .heard
            .iter()
            .filter_map(|(&source, heard)| match heard {
                Heard::Model(model) => {
                    Some((source, (Arc::clone(model), Digest::of(as_slice(model)))))
                }
                _ => None,
            })
            .collect();
        let skipped = match self.settings.accept.choose(&models, sources) {
            Ok(model) => {
                self.model = model;
                None
            }
            Err(reason) => Some(reason),
        };
        self.closed = open.round;
        Some(Action::Record(RoundRecord {
            node: self.node(),
            round: open.round,
            model: Arc::clone(&self.model),
            digest: Digest::of(as_slice(&self.model)),
            own: Some(open.own),
            senders: refused_sources(&open),
            skipped,
            aggregate: None,
            timed_out: open.timed_out,
            block: None,
        }))
    }
}

/// The sources of which something was refused. The others do not share, so they are not listed.
fn refused_sources(open: &Open) -> Vec<SenderRecord> {
    let record = |(&source, &refusals): (&NodeId, &u32)| {
        let outcome = open.heard.get(&source)?.outcome();
        Some(refused(source, outcome, refusals))
    };
    open.refusals.iter().filter_map(record).collect()
}

/// The record of a node that does not share, of which something was refused.
pub(super) fn refused(node: NodeId, outcome: Outcome, refusals: u32) -> SenderRecord {
    SenderRecord { node, outcome, loss: None, norm: None, weight: None, refusals }
}

impl Machine for Follower {
    fn step(&mut self, event: Event) -> Result<Vec<Action>, ProtocolError> {
        let mut actions = Vec::new();
        match event {
            Event::Start | Event::Proceed => return Ok(self.begin()),
            Event::Received { from, message, .. } => actions.extend(self.hear(from, message)),
            Event::Garbled { from, reason } => {
                let is_source = self.settings.sources.binary_search(&from).is_ok();
                if let Some(open) = self.open.as_mut().filter(|_| is_source && reason.ends_turn()) {
                    open.heard.entry(from).or_insert(Heard::Refused);
                }
                actions.push(self.refuse(from, reason));
            }
            Event::Lost { node } => {
                if self.settings.sources.binary_search(&node).is_ok() {
                    self.lost.insert(node);
                    if let Some(open) = &mut self.open {
                        open.heard.entry(node).or_insert(Heard::Lost);
                        open.timed_out = true;
                    }
                }
            }
            other => return Err(ProtocolError::unexpected("a follower", &other)),
        }
        actions.extend(self.close_if_complete());
        Ok(actions)
    }

    fn awaits(&self) -> Vec<NodeId> {
        let Some(open) = &self.open else { return Vec::new() };
        let silent = self.settings.sources.iter().filter(|node| !open.heard.contains_key(node));
        silent.copied().collect()
    }

    fn closed(&self) -> Round {
        self.closed
    }

    fn state(&self) -> MachineState {
        let state = State {
            model: as_slice(&self.model).to_vec(),
            worker: self.worker.clone(),
            lost: self.lost.clone(),
        };
        MachineState::encode(self.closed, &state)
    }

    fn restore(&mut self, state: &MachineState) -> Result<(), ProtocolError> {
        let decoded: State = state.decode()?;
        self.model = restored_model(decoded.model, self.settings.initial.len())?;
        self.worker = decoded.worker;
        self.lost = decoded.lost;
        self.closed = state.round;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array1;

    use super::*;
    use crate::protocol::worker::tests::trainer;

    fn follower(sources: &[u32], accept: Accept) -> Follower {
        Follower::new(FollowerSettings {
            trainer: trainer(3),
            faults: Faults::none(1),
            sources: sources.iter().copied().map(NodeId).collect(),
            accept,
            rounds: 2,
            initial: Arc::new(Array1::from_elem(6, 0.5)),
        })
    }

    fn say(from: u32, message: Message) -> Event {
        Event::Received { from: NodeId(from), to: NodeId(3), message }
    }

    fn model(round: u32, value: f32) -> Message {
        let model = Arc::new(Array1::from_elem(6, value));
        Message::Model { round: Round(round), model, degree: 0 }
    }

    fn record(actions: &[Action]) -> &RoundRecord {
        match actions {
            [.., Action::Record(record)] => record,
            other => panic!("a record was expected, not {other:?}"),
        }
    }

    #[test]
    fn it_shares_with_every_source_and_follows_those_who_agree() {
        let mut follower = follower(&[7, 8, 9], Accept::Matching { needed: 2 });
        let sent = follower.step(Event::Start).unwrap();
        assert_eq!(sent.len(), 3);
        assert!(follower.step(say(7, model(1, 9.0))).unwrap().is_empty());
        assert_eq!(follower.awaits(), [NodeId(8), NodeId(9)]);
        follower.step(say(8, model(1, 1.0))).unwrap();
        let actions = follower.step(say(9, model(1, 1.0))).unwrap();
        let record = record(&actions);
        assert_eq!((record.model[0], &record.skipped), (1.0, &None));
        assert!(record.own.unwrap().loss.is_some() && record.senders.is_empty());
    }

    #[test]
    fn where_nothing_can_be_believed_the_model_stays() {
        let mut follower = follower(&[7, 8], Accept::Matching { needed: 2 });
        follower.step(Event::Start).unwrap();
        follower.step(say(7, model(1, 9.0))).unwrap();
        let actions = follower.step(say(8, Message::Absent { round: Round(1) })).unwrap();
        let record = record(&actions);
        assert_eq!(record.model[0], 0.5);
        let reason = "2 equal models are needed; 1 of 2 came, 1 of them equal";
        assert_eq!(record.skipped.as_deref(), Some(reason));
    }

    #[test]
    fn words_of_the_next_round_wait_and_questions_are_no_answers() {
        let mut follower = follower(&[7], Accept::Matching { needed: 1 });
        follower.step(Event::Start).unwrap();
        assert!(follower.step(say(7, model(2, 4.0))).unwrap().is_empty());
        let fetch = Message::Fetch { round: Round(2), sender: NodeId(3) };
        assert!(follower.step(say(7, fetch)).unwrap().is_empty());
        record(&follower.step(say(7, model(1, 2.0))).unwrap());
        let actions = follower.step(Event::Proceed).unwrap();
        assert_eq!((record(&actions).round, record(&actions).model[0]), (Round(2), 4.0));
        assert!(matches!(follower.step(Event::Proceed).unwrap()[..], [Action::Finish]));
    }

    #[test]
    fn what_is_no_model_is_refused_and_counted() {
        let mut follower = follower(&[7], Accept::Matching { needed: 1 });
        follower.step(Event::Start).unwrap();
        let stranger = follower.step(say(5, model(1, 1.0))).unwrap();
        assert!(matches!(&stranger[..], [Action::Refuse(no)] if no.reason == Reason::Stranger));
        let actions = follower.step(say(7, model(1, f32::NAN))).unwrap();
        let record = record(&actions);
        assert_eq!(record.senders[0].outcome, Outcome::Refused);
        assert_eq!((record.refusals(), record.model[0]), (1, 0.5));
    }

    #[test]
    fn a_lost_source_is_left_out_from_then_on() {
        let mut follower = follower(&[7, 8], Accept::Matching { needed: 1 });
        follower.step(Event::Start).unwrap();
        follower.step(say(8, model(1, 2.0))).unwrap();
        let actions = follower.step(Event::Lost { node: NodeId(7) }).unwrap();
        assert!(record(&actions).timed_out);
        assert_eq!(follower.step(Event::Proceed).unwrap().len(), 1);
        let actions = follower.step(say(8, model(2, 3.0))).unwrap();
        assert_eq!((record(&actions).model[0], record(&actions).timed_out), (3.0, false));
    }

    #[test]
    fn a_restored_follower_goes_on_with_the_same_bits() {
        let mut first = follower(&[7], Accept::Matching { needed: 1 });
        first.step(Event::Start).unwrap();
        first.step(say(7, model(1, 2.0))).unwrap();
        let mut second = follower(&[7], Accept::Matching { needed: 1 });
        second.restore(&first.state()).unwrap();
        let share = |actions: Vec<Action>| match &actions[..] {
            [Action::Send { message, .. }] => message.clone(),
            other => panic!("one word was expected, not {other:?}"),
        };
        let one = share(first.step(Event::Proceed).unwrap());
        assert_eq!(one, share(second.step(Event::Start).unwrap()));
    }
}
