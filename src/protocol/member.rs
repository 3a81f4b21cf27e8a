//! The member: a worker that, in some rounds, sits on the committee that decides what counts.
//!
//! A round: take the local steps, send the update to the committee that the ledger draws; on it,
//! collect, compare and vote (`sitting`); in the end every member sends everybody the decided
//! block with its certificate, and the model to those who were not on the committee. Everybody
//! checks 2f + 1 signatures of the members that were drawn, and the model against the block, and
//! goes on from there.
//!
//! A round is over for a node when every member that is there has said its last word, so that what
//! one of them has decided reaches all. Nobody is absent in one role alone: who has nothing to
//! share in a round does not sit on its committee either, and says so to all.
//!
//! Where a committee cannot decide, the round ends without a block, and the next committee is
//! drawn for the next round from the same parent. With at most f liars that cannot fork the
//! ledger as long as nobody is taken for lost who is there. What is left to a liar is this: it may
//! be the only one who holds a certificate when all others give up, and show it to some.

pub mod encoding;
mod machine;
mod open;
mod settling;
mod sitting;
mod study;
mod voting;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use self::open::{Open, certified};
use self::sitting::{Sitting, copy};
use self::study::Ground;
use self::words::Words;
use super::aggregation::AggregationSettings;
use super::collection::{Contribution, model_or_nothing};
use super::consensus::{Seat, Timeouts};
use super::early::Early;
use super::fault::Faults;
use super::worker::Trainer;
use super::{Action, Message, Outcome, Own, Reason, Refusal, RoundRecord};
use crate::ledger::chain::Chain;
use crate::ledger::genesis::Genesis;
use crate::ledger::keys::Keyring;
use crate::node::{NodeId, Roster, Round};
use crate::training::WorkerState;
use crate::vector::{Digest, Shared, as_slice};

/// What a member is told before the first round.
#[derive(Debug, Clone)]
pub struct MemberSettings {
    /// Its data and how it trains.
    pub trainer: Trainer,
    /// The planned absences.
    pub faults: Faults,
    /// All workers, each of which may be drawn.
    pub roster: Roster,
    /// How the ledger begins.
    pub genesis: Genesis,
    /// How long a committee waits for whom, in milliseconds.
    pub timeouts: Timeouts,
    /// How rows become a step; the same for all.
    pub aggregation: AggregationSettings,
    /// The model before the first round.
    pub initial: Shared,
}

/// The member's machine.
#[derive(Debug)]
pub struct Member {
    settings: MemberSettings,
    closed: Round,
    model: Shared,
    /// The aggregate that led to the model, and what the model moved along.
    previous: Option<Shared>,
    direction: Option<Shared>,
    chain: Chain,
    worker: WorkerState,
    open: Option<Open>,
    early: Early,
    lost: BTreeSet<NodeId>,
    /// The shares that it claimed in the last round, for a member that still asks.
    claimed: BTreeMap<NodeId, Contribution>,
}

impl Member {
    /// A member before its first round.
    ///
    /// # Panics
    /// If no ledger can begin like this: plans are checked before.
    pub fn new(settings: MemberSettings) -> Self {
        let chain = Chain::new(settings.genesis.clone()).expect("the genesis was checked");
        Member {
            closed: Round(0),
            model: Arc::clone(&settings.initial),
            previous: None,
            direction: None,
            chain,
            worker: WorkerState::default(),
            open: None,
            early: Early::default(),
            lost: BTreeSet::new(),
            claimed: BTreeMap::new(),
            settings,
        }
    }

    fn node(&self) -> NodeId {
        self.settings.trainer.node
    }

    fn rounds(&self) -> u32 {
        self.settings.aggregation.rounds
    }

    /// All other workers that are not lost.
    fn others(&self) -> impl Iterator<Item = NodeId> + '_ {
        let there = |node: &NodeId| *node != self.node() && !self.lost.contains(node);
        self.settings.roster.ids().iter().copied().filter(there)
    }

    fn say(&self, to: NodeId, message: Message) -> Action {
        Action::Send { from: self.node(), to, message }
    }

    /// Trains, tells the committee, takes its seat, and takes in what came early.
    fn begin(&mut self) -> Vec<Action> {
        if self.open.is_some() {
            return Vec::new();
        }
        let round = self.closed.next();
        if round.0 > self.rounds() {
            return vec![Action::Finish];
        }
        let committee = self.chain.committee_in(round);
        let (own, message) = self.train(round);
        let node = self.node();
        let sits = committee.contains(&node) && own.outcome == Outcome::Shared;
        let mut actions = self.speak(&committee, &message);
        let mut sitting = sits.then(|| self.sit(round, &committee));
        if let Some(sitting) = sitting.as_mut().filter(|_| committee.len() > 1) {
            // Its own share is admitted like any other.
            if let (Err(reason), _) = sitting.take(node, message) {
                actions.push(sitting.collection.refuse(node, reason));
            }
        }
        if sits {
            actions.extend(self.roll_call(round, &committee));
        }
        let mut members: Vec<NodeId> =
            committee.iter().filter(|member| **member != node).copied().collect();
        members.sort_unstable();
        self.open = Some(Open {
            round,
            committee,
            own,
            sitting,
            told: false,
            words: Words::new(members, &self.lost),
            found: None,
            model: None,
            refusals: BTreeMap::new(),
            timed_out: false,
        });
        for (from, message) in self.early.due(round) {
            actions.extend(self.hear(from, message));
        }
        actions.extend(self.advance());
        actions
    }

    /// What comes of the round's own steps, and what is said of it.
    fn train(&mut self, round: Round) -> (Own, Message) {
        let Trainer { node, shard, .. } = &self.settings.trainer;
        if self.settings.faults.absent(round, *node) {
            return (Own { outcome: Outcome::Absent, loss: None }, Message::Absent { round });
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

    /// Sends the update to the committee, or tells everybody that there is none.
    fn speak(&self, committee: &[NodeId], message: &Message) -> Vec<Action> {
        let is_absent = matches!(message, Message::Absent { .. });
        let told = self.others().filter(|node| is_absent || committee.contains(node));
        let mut actions: Vec<Action> = told.map(|to| self.say(to, message.clone())).collect();
        if !is_absent && committee == [self.node()] {
            // Alone on the committee, it is sent its update like everybody's: whoever speaks for
            // this node in its place says its word on it.
            actions.push(self.say(self.node(), message.clone()));
        }
        actions
    }

    fn sit(&self, round: Round, committee: &[NodeId]) -> Sitting {
        let run = &self.settings.genesis.run;
        let seat = Seat {
            node: self.node(),
            chain: *self.chain.id(),
            height: round,
            members: committee.to_vec(),
            keys: Arc::new(Keyring::derive(run, self.node(), committee)),
            timeouts: self.settings.timeouts,
        };
        let ground = Ground {
            round,
            chain: self.chain.clone(),
            model: Arc::clone(&self.model),
            previous: self.previous.clone(),
            direction: self.direction.clone(),
            aggregation: self.settings.aggregation.clone(),
        };
        Sitting::new(seat, self.settings.roster.clone(), ground, &self.lost)
    }

    /// Asks those who do not sit whether they are there: a worker that has crashed speaks when it
    /// is spoken to, and only the committee is sent anything as long as a round is open.
    fn roll_call(&self, round: Round, committee: &[NodeId]) -> Vec<Action> {
        if round == Round(1) {
            return Vec::new();
        }
        let asked = self.others().filter(|node| !committee.contains(node));
        asked.map(|to| self.say(to, Message::Fetch { round, sender: to })).collect()
    }

    /// Takes what somebody says, now or when its round comes.
    fn hear(&mut self, from: NodeId, message: Message) -> Vec<Action> {
        let (taken, mut actions) = self.take(from, message);
        if let Err(reason) = taken {
            actions.push(self.refuse(from, reason));
        }
        actions
    }

    fn take(&mut self, from: NodeId, message: Message) -> (Result<(), Reason>, Vec<Action>) {
        let done = |result| (result, Vec::new());
        if !self.settings.roster.contains(from) {
            return done(Err(Reason::Stranger));
        }
        if self.lost.contains(&from) {
            return done(Err(Reason::Lost));
        }
        let round = message.round();
        let sits = |open: &Open| open.round == round && open.sitting.is_some();
        // A roll call: what there is to say is said unasked.
        if matches!(message, Message::Fetch { sender, .. } if sender == self.node())
            && round > self.closed
            && !self.open.as_ref().is_some_and(sits)
        {
            return done(Ok(()));
        }
        let current = self.open.as_ref().map_or(self.closed, |open| open.round);
        if round > current {
            return done(self.early.keep(current, self.rounds(), from, message));
        }
        match &self.open {
            Some(open) if open.round == round => self.take_in_round(from, message),
            _ if round == self.closed => (Ok(()), self.take_late(from, &message)),
            _ => done(Err(Reason::OtherRound { got: round })),
        }
    }

    /// Takes what belongs to the last round. A share may still be asked for; words that were not
    /// waited for are of no use, and whoever said them could not know.
    fn take_late(&self, from: NodeId, message: &Message) -> Vec<Action> {
        let Message::Fetch { round, sender } = message else { return Vec::new() };
        let row = self.claimed.get(sender);
        row.map(|row| copy(self.node(), from, *round, *sender, row)).into_iter().collect()
    }

    fn take_in_round(
        &mut self,
        from: NodeId,
        message: Message,
    ) -> (Result<(), Reason>, Vec<Action>) {
        let open = self.open.as_mut().expect("the message is of the open round");
        match message {
            Message::Block { block, .. } => self.take_block(from, &block),
            Message::Model { model, .. } => (open.take_model(from, model), Vec::new()),
            Message::Absent { .. } => {
                open.words.leave(from);
                match &mut open.sitting {
                    Some(sitting) => sitting.take(from, message),
                    None => (Ok(()), Vec::new()),
                }
            }
            other => match &mut open.sitting {
                Some(sitting) => sitting.take(from, other),
                // Who does not sit this time was still sent what its seat is to be sent.
                None if open.committee.contains(&self.settings.trainer.node) => {
                    (Ok(()), Vec::new())
                }
                None => (Err(Reason::WrongKind), Vec::new()),
            },
        }
    }

    /// Takes the last word of a member: what it says was decided, or that it knows of nothing.
    fn take_block(&mut self, from: NodeId, bytes: &[u8]) -> (Result<(), Reason>, Vec<Action>) {
        let done = |result| (result, Vec::new());
        let open = self.open.as_mut().expect("the message is of the open round");
        if !open.words.expects(from) {
            return done(Err(Reason::WrongKind));
        }
        if open.words.has_ended(from) {
            return done(Err(Reason::Twice));
        }
        open.words.last(from);
        if bytes.is_empty() {
            return done(Ok(()));
        }
        let (decision, block) = match certified(&self.chain, open.round, bytes) {
            Ok(found) => found,
            Err(what) => return done(Err(Reason::Malformed(what))),
        };
        if open.found.as_ref().is_some_and(|(found, _)| found.value != decision.value) {
            let what = "a certified block beside another: more than a third of a committee lies";
            return done(Err(Reason::Malformed(what.to_owned())));
        }
        open.found.get_or_insert_with(|| (decision.clone(), block.clone()));
        // Others have decided without hearing what this member holds: they do not count it in.
        if open.sitting.as_ref().is_some_and(|sitting| !sitting.votes() && !sitting.is_over()) {
            open.sitting = None;
        }
        if let Some(sitting) = &mut open.sitting {
            return (Ok(()), sitting.learn(decision, block));
        }
        open.words.block(from, !block.list.is_empty());
        done(Ok(()))
    }

    fn refuse(&mut self, from: NodeId, reason: Reason) -> Action {
        match &mut self.open {
            Some(Open { sitting: Some(sitting), .. }) => sitting.collection.refuse(from, reason),
            Some(open) => {
                *open.refusals.entry(from).or_default() += 1;
                Action::Refuse(Refusal { from, round: open.round, reason })
            }
            None => Action::Refuse(Refusal { from, round: self.closed, reason }),
        }
    }

    /// Goes on as far as it can: through the sitting, to its last word, to the end of the round.
    fn advance(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        let Some(open) = &mut self.open else { return actions };
        if let Some(sitting) = &mut open.sitting {
            actions.extend(sitting.advance());
            if !sitting.is_over() && !sitting.collects() && open.words.are_complete() {
                actions.extend(sitting.hurry());
                if sitting.decided().is_none() {
                    sitting.give_up("all other members gave the round up".to_owned());
                }
            }
            if sitting.is_over() && !open.told {
                open.told = true;
                if let Some((decision, block)) = sitting.decided() {
                    open.found.get_or_insert_with(|| (decision.clone(), block.clone()));
                }
                actions.extend(self.tell());
            }
        }
        actions.extend(self.close_if_complete());
        actions
    }

    /// The last word: the block and its certificate, and the model for those who did not sit; or
    /// that there is none.
    fn tell(&self) -> Vec<Action> {
        let open = self.open.as_ref().expect("a round is open");
        let round = open.round;
        let sitting = open.sitting.as_ref().expect("who tells has a seat");
        let block: Arc<[u8]> = match &open.found {
            Some((decision, _)) => encoding::decided(&decision.payload, &decision.certificate),
            None => Arc::new([]),
        };
        let sat = |node: &NodeId| open.committee.contains(node) && !sitting.out.contains(node);
        let step = sitting.step();
        let mut actions = Vec::new();
        for to in self.others() {
            actions.push(self.say(to, Message::Block { round, block: Arc::clone(&block) }));
            if open.found.as_ref().is_some_and(|(_, block)| !block.list.is_empty()) && !sat(&to) {
                let model = model_or_nothing(round, step.map(|step| &step.model));
                actions.push(self.say(to, model));
            }
        }
        actions
    }

    /// Takes the block into the ledger and goes on from its model, once everybody has spoken.
    fn close_if_complete(&mut self) -> Option<Action> {
        let is_over = |open: &mut Open| {
            let sat = open.sitting.as_ref().is_none_or(|sitting| sitting.is_over() && open.told);
            sat && open.words.awaited().is_empty()
        };
        let open = self.open.take_if(is_over)?;
        let (line, skipped) = self.settle(&open);
        self.closed = open.round;
        let record = RoundRecord {
            node: self.node(),
            round: open.round,
            model: Arc::clone(&self.model),
            digest: Digest::of(as_slice(&self.model)),
            own: Some(open.own),
            senders: open.senders(),
            skipped,
            aggregate: None,
            timed_out: open.timed_out || open.sitting.as_ref().is_some_and(Sitting::timed_out),
            block: line,
        };
        self.claimed = open.sitting.map_or_else(BTreeMap::new, Sitting::into_claimed);
        Some(Action::Record(record))
    }

    fn garbled(&mut self, from: NodeId, reason: Reason) -> Vec<Action> {
        let mut actions = Vec::new();
        if let Some(open) = self.open.as_mut().filter(|_| reason.ends_turn()) {
            // Which of its words it was cannot be told: a member is done with the round.
            let is_member = open.words.expects(from);
            open.words.leave(from);
            if let Some(sitting) = &mut open.sitting {
                sitting.collection.garbled(from, &reason);
                if is_member {
                    actions.extend(sitting.leave(from));
                }
            }
        }
        actions.push(self.refuse(from, reason));
        actions
    }

    fn give_up(&mut self, node: NodeId) -> Vec<Action> {
        if !self.settings.roster.contains(node) || !self.lost.insert(node) {
            return Vec::new();
        }
        let Some(open) = &mut self.open else { return Vec::new() };
        open.timed_out = true;
        let is_member = open.words.expects(node);
        open.words.leave(node);
        let Some(sitting) = &mut open.sitting else { return Vec::new() };
        sitting.collection.give_up(node);
        if is_member { sitting.leave(node) } else { Vec::new() }
    }
}
