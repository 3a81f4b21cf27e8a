//! The server of a central system: collects a round's updates, aggregates, moves the model.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use ndarray::Array1;
use serde::{Deserialize, Serialize};

use super::admission::admit;
use super::{
    Action, Event, Machine, MachineState, Message, Outcome, ProtocolError, Reason, Refusal,
    RoundRecord, SenderRecord,
};
use crate::aggregators::{Aggregate, Aggregator, Context};
use crate::memory::Memory;
use crate::node::{NodeId, Roster, Round};
use crate::seed::{Purpose, stream};
use crate::vector::{Digest, Shared, as_slice, norm, stack};

/// What a server is told before the first round.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// The server's own identity.
    pub node: NodeId,
    /// Who is expected to share in every round.
    pub roster: Roster,
    /// The rule, with its pre-aggregators.
    pub rule: Arc<dyn Aggregator>,
    /// The declared number of byzantine senders; it stays when rows are missing.
    pub byzantine: usize,
    /// How many rounds there are.
    pub rounds: u32,
    /// What the aggregate is multiplied with before it is subtracted.
    pub learning_rate: f32,
    /// The run's seed.
    pub seed: u64,
    /// Where the model's last layer stands.
    pub head: Range<usize>,
    /// The model before the first round.
    pub initial: Shared,
}

/// The server's machine.
#[derive(Debug)]
pub struct Server {
    settings: ServerSettings,
    model: Shared,
    closed: Round,
    previous: Option<Vec<f32>>,
    memory: Memory,
    lost: BTreeSet<NodeId>,
    timed_out: bool,
    answers: BTreeMap<NodeId, Answer>,
    refusals: BTreeMap<NodeId, u32>,
}

/// What an identity answered in the open round.
#[derive(Debug)]
enum Answer {
    Shared { update: Shared, loss: f32, samples: u64 },
    Absent,
    Refused,
    Lost,
}

/// The part of a server that a checkpoint keeps.
#[derive(Serialize, Deserialize)]
struct State {
    model: Vec<f32>,
    previous: Option<Vec<f32>>,
    memory: Memory,
    lost: Vec<NodeId>,
}

impl Server {
    /// A server before the first round.
    pub fn new(settings: ServerSettings) -> Self {
        Server {
            model: Arc::clone(&settings.initial),
            settings,
            closed: Round(0),
            previous: None,
            memory: Memory::default(),
            lost: BTreeSet::new(),
            timed_out: false,
            answers: BTreeMap::new(),
            refusals: BTreeMap::new(),
        }
    }

    fn open(&self) -> Round {
        self.closed.next()
    }

    /// Asks everybody who is still there to train, or ends the run.
    fn begin_round(&mut self) -> Vec<Action> {
        let round = self.open();
        if round.0 > self.settings.rounds {
            return vec![Action::Finish];
        }
        self.answers = self.lost.iter().map(|&node| (node, Answer::Lost)).collect();
        self.refusals.clear();
        self.timed_out = false;
        let asked = self.settings.roster.ids().iter().filter(|node| !self.lost.contains(node));
        asked
            .map(|&to| Action::Send {
                from: self.settings.node,
                to,
                message: Message::Train { round, model: Arc::clone(&self.model) },
            })
            .collect()
    }

    /// Takes an answer, or says why not. A share that is not admitted is an answer too: its
    /// sender has had its turn.
    fn take(&mut self, from: NodeId, message: Message) -> Result<(), Reason> {
        if !self.settings.roster.contains(from) {
            return Err(Reason::Stranger);
        }
        if self.lost.contains(&from) {
            return Err(Reason::Lost);
        }
        if message.round() != self.open() {
            return Err(Reason::OtherRound { got: message.round() });
        }
        if self.answers.contains_key(&from) {
            return Err(Reason::Twice);
        }
        match message {
            Message::Absent { .. } => {
                self.answers.insert(from, Answer::Absent);
                Ok(())
            }
            Message::Share { update, loss, samples, .. } => {
                let admitted = admit(as_slice(&update), self.model.len());
                let answer = match admitted {
                    Ok(()) => Answer::Shared { update, loss, samples },
                    Err(_) => Answer::Refused,
                };
                self.answers.insert(from, answer);
                admitted
            }
            _ => Err(Reason::WrongKind),
        }
    }

    /// Closes the round once everybody has answered, and begins the next.
    fn close_if_complete(&mut self) -> Vec<Action> {
        if self.answers.len() < self.settings.roster.len() {
            return Vec::new();
        }
        let answers = std::mem::take(&mut self.answers);
        let (weights, skipped) = match self.aggregate(&answers) {
            Ok((aggregate, senders)) => (self.move_model(aggregate, &senders), None),
            Err(reason) => (BTreeMap::new(), Some(reason)),
        };
        self.closed = self.open();
        let record = RoundRecord {
            node: self.settings.node,
            round: self.closed,
            model: Arc::clone(&self.model),
            digest: Digest::of(as_slice(&self.model)),
            own: None,
            senders: self.sender_records(&answers, &weights),
            skipped,
            timed_out: self.timed_out,
        };
        let mut actions = vec![Action::Record(record)];
        actions.extend(self.begin_round());
        actions
    }

    /// Runs the rule on the rows that came, in sender order.
    fn aggregate(
        &mut self,
        answers: &BTreeMap<NodeId, Answer>,
    ) -> Result<(Aggregate, Vec<NodeId>), String> {
        let mut rows = BTreeMap::new();
        let mut samples = Vec::new();
        for (&node, answer) in answers {
            if let Answer::Shared { update, samples: count, .. } = answer {
                rows.insert(node, Arc::clone(update));
                samples.push(*count);
            }
        }
        let senders: Vec<NodeId> = rows.keys().copied().collect();
        let round = self.open();
        let mut context = Context {
            round,
            rounds_total: self.settings.rounds,
            byzantine: self.settings.byzantine,
            senders: &senders,
            samples: Some(&samples),
            previous: self.previous.as_deref().map(Into::into),
            trusted: None,
            head: Some(self.settings.head.clone()),
            memory: &mut self.memory,
            rng: &mut stream(self.settings.seed, Purpose::Aggregation, round, self.settings.node),
        };
        let updates = stack(&rows);
        match self.settings.rule.aggregate(updates.view(), &mut context) {
            Ok(aggregate) => Ok((aggregate, senders)),
            Err(refusal) => Err(refusal.to_string()),
        }
    }

    /// `model <- model - learning_rate * aggregate`; returns each sender's weight.
    fn move_model(&mut self, aggregate: Aggregate, senders: &[NodeId]) -> BTreeMap<NodeId, f32> {
        let rate = self.settings.learning_rate;
        let steps = as_slice(&self.model).iter().zip(as_slice(&aggregate.vector));
        let moved: Vec<f32> = steps.map(|(value, step)| value - rate * step).collect();
        self.model = Arc::new(Array1::from(moved));
        self.previous = Some(as_slice(&aggregate.vector).to_vec());
        let weights = aggregate.weights.into_iter().flatten();
        senders.iter().copied().zip(weights).collect()
    }

    fn sender_records(
        &self,
        answers: &BTreeMap<NodeId, Answer>,
        weights: &BTreeMap<NodeId, f32>,
    ) -> Vec<SenderRecord> {
        let record = |(&node, answer): (&NodeId, &Answer)| {
            let (outcome, shared) = match answer {
                Answer::Shared { update, loss, .. } => (Outcome::Shared, Some((update, *loss))),
                Answer::Absent => (Outcome::Absent, None),
                Answer::Refused => (Outcome::Refused, None),
                Answer::Lost => (Outcome::Lost, None),
            };
            SenderRecord {
                node,
                outcome,
                loss: shared.map(|(_, loss)| loss),
                norm: shared.map(|(update, _)| norm(as_slice(update))),
                weight: weights.get(&node).copied(),
                refusals: self.refusals.get(&node).copied().unwrap_or(0),
            }
        };
        answers.iter().map(record).collect()
    }

    /// Counts a refusal, and closes the round if that was the last answer.
    fn answered(&mut self, from: NodeId, taken: Result<(), Reason>) -> Vec<Action> {
        let round = self.open();
        let mut actions = Vec::new();
        if let Err(reason) = taken {
            *self.refusals.entry(from).or_default() += 1;
            actions.push(Action::Refuse(Refusal { from, round, reason }));
        }
        actions.extend(self.close_if_complete());
        actions
    }

    fn give_up(&mut self, node: NodeId) {
        self.lost.insert(node);
        self.timed_out = true;
        self.answers.entry(node).or_insert(Answer::Lost);
    }
}

impl Machine for Server {
    fn step(&mut self, event: Event) -> Result<Vec<Action>, ProtocolError> {
        match event {
            Event::Start => Ok(self.begin_round()),
            Event::Lost { node } => {
                self.give_up(node);
                Ok(self.close_if_complete())
            }
            Event::Received { from, message, .. } => {
                let taken = self.take(from, message);
                Ok(self.answered(from, taken))
            }
            Event::Garbled { from, reason } => {
                if self.settings.roster.contains(from) && reason.ends_turn() {
                    self.answers.entry(from).or_insert(Answer::Refused);
                }
                Ok(self.answered(from, Err(reason)))
            }
            other => Err(ProtocolError::unexpected("a server", &other)),
        }
    }

    fn state(&self) -> MachineState {
        let state = State {
            model: as_slice(&self.model).to_vec(),
            previous: self.previous.clone(),
            memory: self.memory.clone(),
            lost: self.lost.iter().copied().collect(),
        };
        MachineState::encode(self.closed, &state)
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
        self.model = Arc::new(Array1::from(decoded.model));
        self.previous = decoded.previous;
        self.memory = decoded.memory;
        self.lost = decoded.lost.into_iter().collect();
        self.closed = state.round;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregators::CATALOG;

    fn server(workers: usize, rounds: u32) -> Server {
        Server::new(ServerSettings {
            node: NodeId(workers as u32),
            roster: Roster::of_workers(workers),
            rule: CATALOG.build_default("mean").unwrap().value,
            byzantine: 0,
            rounds,
            learning_rate: 0.5,
            seed: 1,
            head: 0..2,
            initial: Arc::new(Array1::from(vec![1.0, 1.0])),
        })
    }

    fn share(from: u32, round: u32, values: &[f32]) -> Event {
        Event::Received {
            from: NodeId(from),
            to: NodeId(2),
            message: Message::Share {
                round: Round(round),
                update: Arc::new(Array1::from(values.to_vec())),
                loss: 1.0,
                samples: 5,
            },
        }
    }

    fn record(actions: &[Action]) -> &RoundRecord {
        let found = actions.iter().find_map(|action| match action {
            Action::Record(record) => Some(record),
            _ => None,
        });
        found.expect("the round closes")
    }

    fn reasons(actions: &[Action]) -> Vec<Reason> {
        let refused = actions.iter().filter_map(|action| match action {
            Action::Refuse(refusal) => Some(refusal.reason.clone()),
            _ => None,
        });
        refused.collect()
    }

    #[test]
    fn a_round_closes_on_content_and_the_next_begins() {
        let mut server = server(2, 2);
        assert_eq!(server.step(Event::Start).unwrap().len(), 2);
        assert!(server.step(share(1, 1, &[4.0, 0.0])).unwrap().is_empty());
        let actions = server.step(share(0, 1, &[0.0, 2.0])).unwrap();
        let record = record(&actions);
        // The mean is (2, 1), half of it is subtracted.
        assert_eq!(as_slice(&record.model), [0.0, 0.5]);
        assert_eq!(record.count(Outcome::Shared), 2);
        assert_eq!(record.senders[1].norm, Some(4.0));
        assert_eq!(record.senders[1].weight, Some(0.5));
        let sent = actions.iter().filter(|action| matches!(action, Action::Send { .. }));
        assert_eq!(sent.count(), 2);
    }

    #[test]
    fn what_is_not_admitted_is_counted_and_the_run_goes_on() {
        let mut server = server(2, 1);
        server.step(Event::Start).unwrap();
        let refused = |server: &mut Server, event| reasons(&server.step(event).unwrap());
        assert_eq!(refused(&mut server, share(7, 1, &[0.0, 0.0])), [Reason::Stranger]);
        assert_eq!(
            refused(&mut server, share(0, 9, &[0.0, 0.0])),
            [Reason::OtherRound { got: Round(9) }]
        );
        assert_eq!(
            refused(&mut server, share(0, 1, &[0.0, f32::NAN])),
            [Reason::NotFinite { position: 1 }]
        );
        // Its turn is over: a better answer comes too late.
        assert_eq!(refused(&mut server, share(0, 1, &[0.0, 0.0])), [Reason::Twice]);
        let actions = server.step(share(1, 1, &[2.0, 2.0])).unwrap();
        let record = record(&actions);
        assert_eq!(record.count(Outcome::Refused), 1);
        assert_eq!(record.senders[0].refusals, 3);
        assert_eq!(as_slice(&record.model), [0.0, 0.0]);
        assert!(matches!(actions.last(), Some(Action::Finish)));
    }

    #[test]
    fn only_what_was_to_be_an_answer_ends_the_turn() {
        let mut server = server(2, 1);
        server.step(Event::Start).unwrap();
        let garbled = |reason: Reason| Event::Garbled { from: NodeId(0), reason };
        let denied = Reason::Denied("the wiretap".to_owned());
        assert!(!denied.ends_turn());
        server.step(garbled(denied)).unwrap();
        assert!(server.step(share(1, 1, &[0.0, 0.0])).unwrap().is_empty());
        let malformed = Reason::Malformed("an empty chunk".to_owned());
        assert!(malformed.ends_turn());
        let actions = server.step(garbled(malformed)).unwrap();
        assert_eq!(record(&actions).senders[0].refusals, 2);
        assert_eq!(record(&actions).count(Outcome::Refused), 1);
    }

    #[test]
    fn a_round_that_nobody_shares_in_is_skipped_with_the_reason() {
        let mut server = server(1, 1);
        server.step(Event::Start).unwrap();
        let absent = Event::Received {
            from: NodeId(0),
            to: NodeId(1),
            message: Message::Absent { round: Round(1) },
        };
        let actions = server.step(absent).unwrap();
        let record = record(&actions);
        assert_eq!(record.skipped.as_deref(), Some("mean got no updates"));
        assert_eq!(as_slice(&record.model), [1.0, 1.0]);
    }

    #[test]
    fn who_stays_away_is_absent_from_then_on() {
        let mut server = server(2, 2);
        server.step(Event::Start).unwrap();
        server.step(share(0, 1, &[0.0, 0.0])).unwrap();
        let actions = server.step(Event::Lost { node: NodeId(1) }).unwrap();
        assert!(record(&actions).timed_out);
        let asked: Vec<NodeId> = actions
            .iter()
            .filter_map(|action| match action {
                Action::Send { to, .. } => Some(*to),
                _ => None,
            })
            .collect();
        assert_eq!(asked, [NodeId(0)]);
        let actions = server.step(share(0, 2, &[0.0, 0.0])).unwrap();
        assert!(!record(&actions).timed_out);
        assert_eq!(record(&actions).count(Outcome::Lost), 1);
    }

    #[test]
    fn a_restored_server_goes_on_with_the_same_bits() {
        let mut first = server(1, 3);
        first.step(Event::Start).unwrap();
        first.step(share(0, 1, &[0.1, 0.7])).unwrap();
        let mut second = server(1, 3);
        second.restore(&first.state()).unwrap();
        second.step(Event::Start).unwrap();
        let one = first.step(share(0, 2, &[0.3, 0.2])).unwrap();
        let two = second.step(share(0, 2, &[0.3, 0.2])).unwrap();
        assert_eq!(record(&one).digest, record(&two).digest);
        assert_eq!(record(&two).round, Round(2));
    }
}
