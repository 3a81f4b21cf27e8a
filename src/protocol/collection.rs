//! A round's collection: who has answered with what, and what was refused.
//!
//! Whoever aggregates has one: a server, a replica, a region, a bridge. The first answer of an
//! identity in a round counts. A share that is not admitted is an answer too: its sender has had
//! its turn. Who was given up on stays lost in all later rounds.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::admission::measure;
use super::participation::Participation;
use super::{Action, Message, Outcome, Reason, Refusal, SenderRecord};
use crate::node::{NodeId, Roster, Round};
use crate::vector::{Digest, Shared, as_slice, norm};

/// What a share holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Contribution {
    /// The update.
    pub update: Shared,
    /// The declared mean training loss.
    pub loss: f32,
    /// The declared number of samples.
    pub samples: u64,
}

impl Contribution {
    /// The digest of all of it: two shares have the same one if every bit of them is the same.
    pub fn digest(&self) -> Digest {
        let mut bytes = Digest::of(as_slice(&self.update)).as_bytes().to_vec();
        bytes.extend(self.loss.to_le_bytes());
        bytes.extend(self.samples.to_le_bytes());
        Digest::of_bytes(&bytes)
    }
}

/// The rows that a rule is given, in ascending order of sender.
#[derive(Debug, Clone)]
pub struct Rows {
    /// Who sent each row.
    pub senders: Vec<NodeId>,
    /// How many samples each sender declares.
    pub samples: Vec<u64>,
    /// One update per row, all of one length: the very vectors that came, so that nothing is copied
    /// unless the rule needs them in one piece.
    pub updates: Vec<Shared>,
}

impl Rows {
    /// The rows of these contributions.
    pub fn of(contributions: &BTreeMap<NodeId, Contribution>) -> Self {
        Rows {
            senders: contributions.keys().copied().collect(),
            samples: contributions.values().map(|row| row.samples).collect(),
            updates: contributions.values().map(|row| Arc::clone(&row.update)).collect(),
        }
    }
}

/// What an identity has answered.
#[derive(Debug)]
enum Answer {
    /// With the norm of the update.
    Shared(Contribution, f64),
    NotDrawn,
    Absent,
    Refused,
    Lost,
}

impl Answer {
    fn outcome(&self) -> Outcome {
        match self {
            Answer::Shared(..) => Outcome::Shared,
            Answer::NotDrawn => Outcome::NotDrawn,
            Answer::Absent => Outcome::Absent,
            Answer::Refused => Outcome::Refused,
            Answer::Lost => Outcome::Lost,
        }
    }
}

/// The answers of one round.
#[derive(Debug)]
pub struct Collection {
    roster: Roster,
    participation: Option<Participation>,
    values: usize,
    round: Round,
    answers: BTreeMap<NodeId, Answer>,
    refusals: BTreeMap<NodeId, u32>,
    lost: BTreeSet<NodeId>,
    silent: BTreeSet<NodeId>,
    timed_out: bool,
}

impl Collection {
    /// A collection of updates with so many `values`, from everybody on the roster, before the
    /// first round.
    pub fn new(roster: Roster, values: usize) -> Self {
        Collection {
            roster,
            participation: None,
            values,
            round: Round(0),
            answers: BTreeMap::new(),
            refusals: BTreeMap::new(),
            lost: BTreeSet::new(),
            silent: BTreeSet::new(),
            timed_out: false,
        }
    }

    /// The same from those alone who are drawn for a round, where not everybody takes part.
    #[must_use]
    pub fn from_drawn(self, participation: Option<Participation>) -> Self {
        Collection { participation, ..self }
    }

    /// Begins a round: only the lost have answered, and nobody waits for those who are not drawn.
    pub fn open(&mut self, round: Round) {
        let before = std::mem::take(&mut self.answers);
        if !before.is_empty() {
            self.silent = nothing_from(&before);
        }
        self.round = round;
        self.answers = self.lost.iter().map(|&node| (node, Answer::Lost)).collect();
        if let Some(participation) = &self.participation {
            let drawn = participation.drawn(round);
            let rests = self.roster.ids().iter().filter(|node| !drawn.contains(node));
            for &node in rests {
                self.answers.entry(node).or_insert(Answer::NotDrawn);
            }
        }
        self.refusals.clear();
        self.timed_out = false;
    }

    /// The round that is collected.
    pub fn round(&self) -> Round {
        self.round
    }

    /// How many values an update has.
    pub fn values(&self) -> usize {
        self.values
    }

    /// Everybody who is expected to share.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// Whether `node` is not drawn for `round`.
    pub fn rests(&self, round: Round, node: NodeId) -> bool {
        self.participation.is_some_and(|participation| !participation.draws(round, node))
    }

    /// Those who were given up on.
    pub fn lost(&self) -> &BTreeSet<NodeId> {
        &self.lost
    }

    /// Those who said in the round before that they had nothing, as far as they are not lost.
    ///
    /// A worker that has crashed speaks when it is spoken to. Others wait for models only, so
    /// these are asked in the new round, lest everybody waits for them.
    pub fn silent(&self) -> BTreeSet<NodeId> {
        self.silent.iter().filter(|node| !self.answers.contains_key(node)).copied().collect()
    }

    /// Asks those who had nothing in the round before, in the name of `node`.
    pub fn roll_call(&self, node: NodeId) -> Vec<Action> {
        let ask = |to: NodeId| {
            let message = Message::Fetch { round: self.round, sender: to };
            Action::Send { from: node, to, message }
        };
        self.silent().into_iter().map(ask).collect()
    }

    /// Tells everybody who is not lost the round's model, or that there is none, in the name of
    /// `node`.
    pub fn tell(&self, node: NodeId, model: Option<&Shared>) -> Vec<Action> {
        let message = model_or_nothing(self.round, model);
        let there = self.roster.ids().iter().filter(|id| !self.lost.contains(id));
        there.map(|&to| Action::Send { from: node, to, message: message.clone() }).collect()
    }

    /// Those to be asked again after the round that is complete: what a checkpoint keeps.
    pub fn absent(&self) -> BTreeSet<NodeId> {
        nothing_from(&self.answers)
    }

    /// Takes up what an earlier process has learnt of the roster.
    pub fn restore(&mut self, lost: BTreeSet<NodeId>, silent: BTreeSet<NodeId>) {
        self.lost = lost;
        self.silent = silent;
        self.answers.clear();
    }

    /// Takes an answer, or says why not.
    pub fn take(&mut self, from: NodeId, message: Message) -> Result<(), Reason> {
        if !self.roster.contains(from) {
            return Err(Reason::Stranger);
        }
        if self.lost.contains(&from) {
            return Err(Reason::Lost);
        }
        if message.round() != self.round {
            return Err(Reason::OtherRound { got: message.round() });
        }
        match (self.answers.get(&from), &message) {
            (None, _) => {}
            // Who is not asked may say that it has nothing.
            (Some(Answer::NotDrawn), Message::Absent { .. }) => return Ok(()),
            (Some(Answer::NotDrawn), _) => return Err(Reason::NotDrawn),
            (Some(_), _) => return Err(Reason::Twice),
        }
        match message {
            Message::Absent { .. } => {
                self.answers.insert(from, Answer::Absent);
                Ok(())
            }
            Message::Share { update, loss, samples, .. } => {
                let measured = self.measure(from, &update);
                let answer = match measured {
                    Ok(norm) => Answer::Shared(Contribution { update, loss, samples }, norm),
                    Err(_) => Answer::Refused,
                };
                self.answers.insert(from, answer);
                measured.map(|_| ())
            }
            _ => Err(Reason::WrongKind),
        }
    }

    /// The norm of an update that is admitted. Colluders often send one vector, which is held once
    /// where nothing was sent over a line, and next to each other.
    fn measure(&self, from: NodeId, update: &Shared) -> Result<f64, Reason> {
        match self.answers.range(..from).next_back() {
            Some((_, Answer::Shared(before, norm))) if Arc::ptr_eq(&before.update, update) => {
                Ok(*norm)
            }
            _ => measure(as_slice(update), self.values),
        }
    }

    /// Notes that what an identity sent could not be read; its turn is over if the reason says so.
    pub fn garbled(&mut self, from: NodeId, reason: &Reason) {
        if self.roster.contains(from) && reason.ends_turn() {
            self.answers.entry(from).or_insert(Answer::Refused);
        }
    }

    /// Gives an identity up; its answer counts if it came before.
    pub fn give_up(&mut self, node: NodeId) {
        if self.roster.contains(node) {
            self.lost.insert(node);
            self.timed_out = true;
            self.answers.entry(node).or_insert(Answer::Lost);
        }
    }

    /// Counts a refusal against its sender, who need not be on the roster.
    pub fn refuse(&mut self, from: NodeId, reason: Reason) -> Action {
        *self.refusals.entry(from).or_default() += 1;
        Action::Refuse(Refusal { from, round: self.round, reason })
    }

    /// How many messages of a node were refused in this round.
    pub fn refusals(&self, node: NodeId) -> u32 {
        self.refusals.get(&node).copied().unwrap_or(0)
    }

    /// Whether everybody has answered.
    pub fn is_complete(&self) -> bool {
        self.answers.len() >= self.roster.len()
    }

    /// Those who have not answered yet.
    pub fn awaited(&self) -> Vec<NodeId> {
        let silent = self.roster.ids().iter().filter(|node| !self.answers.contains_key(node));
        silent.copied().collect()
    }

    /// The first who was never given up on, drawn or not.
    pub fn anybody(&self) -> Option<NodeId> {
        self.roster.ids().iter().find(|node| !self.lost.contains(node)).copied()
    }

    /// Whether somebody was given up on in this round.
    pub fn timed_out(&self) -> bool {
        self.timed_out
    }

    /// What an identity has shared.
    pub fn contribution(&self, node: NodeId) -> Option<&Contribution> {
        match self.answers.get(&node) {
            Some(Answer::Shared(contribution, _)) => Some(contribution),
            _ => None,
        }
    }

    /// Puts a contribution in the place of what an identity has answered, or takes its row out.
    pub fn replace(&mut self, node: NodeId, contribution: Option<Contribution>) {
        match contribution {
            Some(contribution) => {
                let norm = norm(as_slice(&contribution.update));
                self.answers.insert(node, Answer::Shared(contribution, norm));
            }
            None if self.contribution(node).is_some() => {
                self.answers.insert(node, Answer::Refused);
            }
            None => {}
        }
    }

    /// All contributions, ascending.
    pub fn contributions(&self) -> BTreeMap<NodeId, Contribution> {
        let shared = |&node: &NodeId| Some((node, self.contribution(node)?.clone()));
        self.answers.keys().filter_map(shared).collect()
    }

    /// The rows that came.
    pub fn rows(&self) -> Rows {
        Rows::of(&self.contributions())
    }

    /// What became of everybody who has answered, given each row's weight where the rule has one.
    pub fn records(&self, weights: &BTreeMap<NodeId, f32>) -> Vec<SenderRecord> {
        let record = |(&node, answer): (&NodeId, &Answer)| {
            let shared = match answer {
                Answer::Shared(contribution, norm) => Some((contribution, *norm)),
                _ => None,
            };
            SenderRecord {
                node,
                outcome: answer.outcome(),
                loss: shared.map(|(contribution, _)| contribution.loss),
                norm: shared.map(|(_, norm)| norm),
                weight: weights.get(&node).copied(),
                refusals: self.refusals(node),
            }
        };
        self.answers.iter().map(record).collect()
    }
}

/// Those of whom nothing came that they were asked for, or could have been.
fn nothing_from(answers: &BTreeMap<NodeId, Answer>) -> BTreeSet<NodeId> {
    let nothing = |answer: &Answer| matches!(answer, Answer::Absent | Answer::NotDrawn);
    answers.iter().filter(|(_, answer)| nothing(answer)).map(|(&node, _)| node).collect()
}

/// The word of whoever serves workers: the round's model, or that there is none.
pub fn model_or_nothing(round: Round, model: Option<&Shared>) -> Message {
    match model {
        Some(model) => Message::Model { round, model: Arc::clone(model), degree: 0 },
        None => Message::Absent { round },
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array1;

    use super::*;

    fn share(round: u32, values: &[f32]) -> Message {
        let update = Arc::new(Array1::from(values.to_vec()));
        Message::Share { round: Round(round), update, loss: 1.0, samples: 5 }
    }

    fn open(workers: usize) -> Collection {
        let mut collection = Collection::new(Roster::of_workers(workers), 2);
        collection.open(Round(1));
        collection
    }

    #[test]
    fn rows_stand_in_order_of_sender_whoever_came_first() {
        let mut collection = open(3);
        collection.take(NodeId(2), share(1, &[3.0, 4.0])).unwrap();
        assert_eq!(collection.awaited(), [NodeId(0), NodeId(1)]);
        collection.take(NodeId(0), share(1, &[1.0, 2.0])).unwrap();
        collection.take(NodeId(1), Message::Absent { round: Round(1) }).unwrap();
        assert!(collection.is_complete());
        let rows = collection.rows();
        assert_eq!(rows.senders, [NodeId(0), NodeId(2)]);
        let updates: Vec<&[f32]> = rows.updates.iter().map(|row| as_slice(row)).collect();
        assert_eq!(updates, [[1.0, 2.0], [3.0, 4.0]]);
        assert_eq!(rows.samples, [5, 5]);
    }

    #[test]
    fn every_row_has_its_norm_whether_it_is_held_once_or_replaced() {
        let mut collection = open(4);
        let twice = share(1, &[3.0, 4.0]);
        collection.take(NodeId(1), twice.clone()).unwrap();
        collection.take(NodeId(2), twice).unwrap();
        collection.take(NodeId(3), share(1, &[0.0, 2.0])).unwrap();
        let other = collection.contribution(NodeId(3)).cloned();
        let norms = |collection: &Collection| -> Vec<Option<f64>> {
            let records = collection.records(&BTreeMap::new());
            records.iter().map(|record| record.norm).collect()
        };
        assert_eq!(norms(&collection), [Some(5.0), Some(5.0), Some(2.0)]);
        collection.replace(NodeId(1), other);
        assert_eq!(norms(&collection), [Some(2.0), Some(5.0), Some(2.0)]);
    }

    #[test]
    fn who_is_not_drawn_is_neither_awaited_nor_heard() {
        let participation = Participation { seed: 1, workers: 5, count: 2 };
        let collection = Collection::new(Roster::of_workers(5), 2);
        let mut collection = collection.from_drawn(Some(participation));
        for round in 1..=6 {
            collection.open(Round(round));
            let drawn: Vec<NodeId> = participation.drawn(Round(round)).into_iter().collect();
            assert_eq!(collection.awaited(), drawn);
            for node in (0..5).map(NodeId).filter(|node| !drawn.contains(node)) {
                let shared = collection.take(node, share(round, &[1.0, 2.0]));
                assert_eq!(shared, Err(Reason::NotDrawn));
                let absent = Message::Absent { round: Round(round) };
                assert_eq!(collection.take(node, absent), Ok(()));
                // What replicas agree on cannot make it take part either.
                collection.replace(node, None);
            }
            for &node in &drawn {
                collection.take(node, share(round, &[1.0, 2.0])).unwrap();
            }
            assert!(collection.is_complete());
            assert_eq!(collection.rows().senders, drawn);
            let outcomes = collection.records(&BTreeMap::new());
            let rest = outcomes.iter().filter(|sender| sender.outcome == Outcome::NotDrawn);
            assert_eq!(rest.count(), 3);
        }
    }

    #[test]
    fn who_had_nothing_is_asked_in_the_next_round_unless_it_is_lost() {
        let mut collection = open(2);
        collection.take(NodeId(0), Message::Absent { round: Round(1) }).unwrap();
        collection.take(NodeId(1), Message::Absent { round: Round(1) }).unwrap();
        collection.give_up(NodeId(1));
        assert!(collection.timed_out());
        collection.open(Round(2));
        assert_eq!(collection.silent(), BTreeSet::from([NodeId(0)]));
        assert_eq!(collection.awaited(), [NodeId(0)]);
        assert_eq!(collection.take(NodeId(1), share(2, &[0.0, 0.0])), Err(Reason::Lost));
    }

    #[test]
    fn a_digest_covers_all_that_a_rule_may_read() {
        let of = |values: [f32; 2], loss: f32, samples: u64| {
            Contribution { update: Arc::new(Array1::from(values.to_vec())), loss, samples }.digest()
        };
        let one = of([1.0, 2.0], 0.5, 7);
        assert_eq!(one, of([1.0, 2.0], 0.5, 7));
        assert_ne!(one, of([1.0, 2.5], 0.5, 7));
        assert_ne!(one, of([1.0, 2.0], 0.25, 7));
        assert_ne!(one, of([1.0, 2.0], 0.5, 8));
    }

    #[test]
    fn a_row_that_is_taken_out_was_refused_and_one_put_in_was_shared() {
        let mut collection = open(2);
        collection.take(NodeId(0), share(1, &[1.0, 2.0])).unwrap();
        collection.take(NodeId(1), Message::Absent { round: Round(1) }).unwrap();
        let copy = collection.contribution(NodeId(0)).cloned();
        collection.replace(NodeId(0), None);
        collection.replace(NodeId(1), copy);
        let outcomes: Vec<Outcome> =
            collection.records(&BTreeMap::new()).iter().map(|record| record.outcome).collect();
        assert_eq!(outcomes, [Outcome::Refused, Outcome::Shared]);
    }
}
