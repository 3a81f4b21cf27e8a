//! The server of a central system: collects a round's updates, aggregates, moves the model.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use ndarray::Array1;
use serde::{Deserialize, Serialize};

use super::aggregation::{Aggregation, AggregationSettings, Remembered};
use super::collection::Collection;
use super::participation::Participation;
use super::worker::Trainer;
use super::{Action, Event, Machine, MachineState, Message, ProtocolError, Reason, RoundRecord};
use crate::aggregators::Aggregator;
use crate::node::{NodeId, Roster, Round};
use crate::training::{Descent, WorkerState};
use crate::vector::{Digest, Shared, as_slice};

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
    /// How an aggregate moves the model.
    pub descent: Descent<f32>,
    /// The run's seed.
    pub seed: u64,
    /// Where the model's last layer stands.
    pub head: Range<usize>,
    /// The model before the first round.
    pub initial: Shared,
    /// What the server trains on itself, where the rule trusts that.
    pub trusted: Option<Trainer>,
    /// Whom it works with in a round, if not with everybody.
    pub participation: Option<Participation>,
}

/// The server's machine.
#[derive(Debug)]
pub struct Server {
    node: NodeId,
    rounds: u32,
    model: Shared,
    closed: Round,
    aggregation: Aggregation,
    collection: Collection,
    trusted: Option<Trainer>,
    training: WorkerState,
}

/// The part of a server that a checkpoint keeps.
#[derive(Serialize, Deserialize)]
struct State {
    model: Vec<f32>,
    remembered: Remembered,
    lost: BTreeSet<NodeId>,
    training: WorkerState,
}

impl Server {
    /// A server before the first round.
    pub fn new(settings: ServerSettings) -> Self {
        let ServerSettings { node, roster, rounds, initial, .. } = settings;
        Server {
            node,
            rounds,
            closed: Round(0),
            aggregation: Aggregation::new(AggregationSettings {
                rule: settings.rule,
                byzantine: settings.byzantine,
                rounds,
                descent: settings.descent,
                seed: settings.seed,
                node,
                head: settings.head,
            }),
            collection: Collection::new(roster, initial.len()).from_drawn(settings.participation),
            model: initial,
            trusted: settings.trusted,
            training: WorkerState::default(),
        }
    }

    /// Asks everybody who is still there to train, or ends the run.
    fn begin_round(&mut self) -> Vec<Action> {
        let round = self.closed.next();
        self.collection.open(round);
        if round.0 > self.rounds {
            return vec![Action::Finish];
        }
        let mut asked = self.collection.awaited();
        if asked.is_empty() {
            // All who are drawn are gone. Anybody else says that it has nothing, and that is that.
            asked.extend(self.collection.anybody());
        }
        asked
            .into_iter()
            .map(|to| Action::Send {
                from: self.node,
                to,
                message: Message::Train { round, model: Arc::clone(&self.model) },
            })
            .collect()
    }

    /// Closes the round once everybody has answered, and begins the next.
    fn close_if_complete(&mut self) -> Vec<Action> {
        if self.closed.0 >= self.rounds || !self.collection.is_complete() {
            return Vec::new();
        }
        let round = self.closed.next();
        let trusted = self.train(round);
        let rows = self.collection.rows();
        let (aggregated, skipped) = match self.aggregation.aggregate_beside(round, &rows, trusted) {
            Ok(aggregated) => (Some(aggregated), None),
            Err(reason) => (None, Some(reason)),
        };
        let (weights, aggregate) = match aggregated {
            Some(aggregated) => {
                self.model = self.aggregation.moved(&self.model, &aggregated.direction);
                (aggregated.weights, Some(aggregated.vector))
            }
            None => (BTreeMap::new(), None),
        };
        self.closed = round;
        let record = RoundRecord {
            node: self.node,
            round,
            model: Arc::clone(&self.model),
            digest: Digest::of(as_slice(&self.model)),
            own: None,
            senders: self.collection.records(&weights),
            skipped,
            timed_out: self.collection.timed_out(),
            aggregate,
            block: None,
        };
        let mut actions = vec![Action::Record(record)];
        actions.extend(self.begin_round());
        actions
    }

    /// The server's own update of a round, if it holds data that the rule trusts.
    fn train(&mut self, round: Round) -> Option<Shared> {
        let trainer = self.trusted.as_ref()?;
        let (update, after) = trainer.train(round, &self.model, &self.training);
        self.training = after;
        Some(update.vector)
    }

    /// Counts a refusal, and closes the round if that was the last answer.
    fn answered(&mut self, from: NodeId, taken: Result<(), Reason>) -> Vec<Action> {
        let refused = taken.err().map(|reason| self.collection.refuse(from, reason));
        let mut actions: Vec<Action> = refused.into_iter().collect();
        actions.extend(self.close_if_complete());
        actions
    }
}

impl Machine for Server {
    fn step(&mut self, event: Event) -> Result<Vec<Action>, ProtocolError> {
        match event {
            Event::Start => Ok(self.begin_round()),
            Event::Lost { node } => {
                self.collection.give_up(node);
                Ok(self.close_if_complete())
            }
            Event::Received { from, message, .. } => {
                let taken = self.collection.take(from, message);
                Ok(self.answered(from, taken))
            }
            Event::Garbled { from, reason } => {
                self.collection.garbled(from, &reason);
                Ok(self.answered(from, Err(reason)))
            }
            other => Err(ProtocolError::unexpected("a server", &other)),
        }
    }

    fn state(&self) -> MachineState {
        let state = State {
            model: as_slice(&self.model).to_vec(),
            remembered: self.aggregation.remembered().clone(),
            lost: self.collection.lost().clone(),
            training: self.training.clone(),
        };
        MachineState::encode(self.closed, &state)
    }

    fn restore(&mut self, state: &MachineState) -> Result<(), ProtocolError> {
        let decoded: State = state.decode()?;
        self.model = restored_model(decoded.model, self.model.len())?;
        self.aggregation.restore(decoded.remembered);
        self.collection.restore(decoded.lost, BTreeSet::new());
        self.training = decoded.training;
        self.closed = state.round;
        Ok(())
    }
}

/// The model of a checkpoint, if it has as many values as this run's.
pub(super) fn restored_model(model: Vec<f32>, values: usize) -> Result<Shared, ProtocolError> {
    if model.len() == values {
        return Ok(Arc::new(Array1::from(model)));
    }
    Err(ProtocolError::State {
        message: format!(
            "the checkpoint's model has {} values, this run's has {values}",
            model.len()
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregators::CATALOG;
    use crate::protocol::Outcome;

    fn settings(workers: usize, rounds: u32) -> ServerSettings {
        ServerSettings {
            node: NodeId(workers as u32),
            roster: Roster::of_workers(workers),
            rule: CATALOG.build_default("mean").unwrap().value,
            byzantine: 0,
            rounds,
            descent: Descent::plain(0.5),
            seed: 1,
            head: 0..2,
            initial: Arc::new(Array1::from(vec![1.0, 1.0])),
            trusted: None,
            participation: None,
        }
    }

    fn server(workers: usize, rounds: u32) -> Server {
        Server::new(settings(workers, rounds))
    }

    fn asked_in(actions: &[Action]) -> Vec<NodeId> {
        let sent = actions.iter().filter_map(|action| match action {
            Action::Send { to, message: Message::Train { .. }, .. } => Some(*to),
            _ => None,
        });
        sent.collect()
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

    #[test]
    fn only_those_who_are_drawn_are_asked_and_a_round_without_any_is_skipped() {
        let participation = Participation { seed: 1, workers: 3, count: 1 };
        let mut server =
            Server::new(ServerSettings { participation: Some(participation), ..settings(3, 4) });
        let drawn = |round: u32| participation.drawn(Round(round)).into_iter().next().unwrap();
        let actions = server.step(Event::Start).unwrap();
        assert_eq!(asked_in(&actions), [drawn(1)]);
        let actions = server.step(share(drawn(1).0, 1, &[2.0, 2.0])).unwrap();
        assert_eq!(as_slice(&record(&actions).model), [0.0, 0.0]);
        assert_eq!(record(&actions).count(Outcome::NotDrawn), 2);
        assert_eq!(asked_in(&actions), [drawn(2)]);
        let actions = server.step(Event::Lost { node: drawn(2) }).unwrap();
        assert_eq!(record(&actions).skipped.as_deref(), Some("mean got no updates"));
        // From then on a round that draws it alone asks another, who has nothing.
        let mut asked = asked_in(&actions);
        for round in 3..=4 {
            let [node] = asked[..] else { panic!("{asked:?}") };
            assert_ne!(node, drawn(2));
            let message = Message::Absent { round: Round(round) };
            let event = Event::Received { from: node, to: NodeId(3), message };
            let actions = server.step(event).unwrap();
            assert_eq!(record(&actions).round, Round(round));
            asked = asked_in(&actions);
        }
    }
}
