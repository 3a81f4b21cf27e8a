//! One member's part in one round's committee: collect, compare, vote.
//!
//! Shares are collected as by a replica and compared by the echo; then the members agree on a
//! block over what counts. Who is absent in the round is not waited for. With more than f members
//! away there are not 2f + 1 to decide, and the round is given up.

mod wishes;

use std::collections::{BTreeMap, BTreeSet};

use super::encoding;
use super::study::{Ground, Step, Study};
use super::voting::Voting;
use crate::ledger::block::Block;
use crate::ledger::draw::{quorum, tolerated};
use crate::node::{NodeId, Roster, Round};
use crate::protocol::admission::admit;
use crate::protocol::collection::{Collection, Contribution};
use crate::protocol::consensus::{Ballot, Decision, Input, Proposal, Seat};
use crate::protocol::echo::Echo;
use crate::protocol::{Action, Message, Reason};
use crate::vector::{Digest, as_slice};

/// A member's seat in a round.
#[derive(Debug)]
pub(super) struct Sitting {
    node: NodeId,
    round: Round,
    others: Vec<NodeId>,
    quorum: usize,
    pub(super) collection: Collection,
    echo: Echo,
    study: Study,
    voting: Voting,
    stage: Stage,
    /// The other members that are lost or absent in the round.
    pub(super) out: BTreeSet<NodeId>,
    /// What was claimed to be held, and is given to those who ask.
    claimed: BTreeMap<NodeId, Contribution>,
    served: BTreeSet<(NodeId, NodeId)>,
    questions: Vec<Proposal>,
    tried: BTreeSet<(NodeId, Digest)>,
    end: Option<End>,
}

/// What a sitting waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// The workers' shares.
    Shares,
    /// The others' claims.
    Claims,
    /// Copies of shares that others hold.
    Copies,
    /// Others who wait for copies.
    Settling,
    /// A decision.
    Voting,
}

/// What a sitting came to.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one of them")]
enum End {
    /// This was decided, and its rows are looked at.
    Decided {
        decision: Decision,
        block: Block,
        /// Whether it is known what its rows come to, or that nobody can tell.
        studied: bool,
    },
    /// Nothing was, for this reason.
    GivenUp(String),
}

impl Sitting {
    /// A seat that nothing was said from. `others` are all other members, ascending; `lost` is
    /// everybody who was given up on before.
    pub(super) fn new(seat: Seat, roster: Roster, ground: Ground, lost: &BTreeSet<NodeId>) -> Self {
        let (node, round, size) = (seat.node, seat.height, seat.members.len());
        let mut others: Vec<NodeId> =
            seat.members.iter().filter(|member| **member != node).copied().collect();
        others.sort_unstable();
        let mut collection = Collection::new(roster, ground.model.len());
        collection.restore(lost.clone(), BTreeSet::new());
        collection.open(round);
        Sitting {
            node,
            round,
            quorum: quorum(size),
            collection,
            echo: Echo::new(node, round, others.clone(), quorum(size)),
            study: Study::new(ground, tolerated(size)),
            voting: Voting::new(seat, others.clone()),
            stage: Stage::Shares,
            out: others.iter().filter(|other| lost.contains(other)).copied().collect(),
            others,
            claimed: BTreeMap::new(),
            served: BTreeSet::new(),
            questions: Vec::new(),
            tried: BTreeSet::new(),
            end: None,
        }
    }

    /// Whether somebody's share is still to come.
    pub(super) fn collects(&self) -> bool {
        self.stage == Stage::Shares && !self.collection.is_complete()
    }

    /// Whether the members have compared what they hold, and vote.
    pub(super) fn votes(&self) -> bool {
        self.stage == Stage::Voting
    }

    /// Whether it has ended and nothing is missing.
    pub(super) fn is_over(&self) -> bool {
        matches!(self.end, Some(End::Decided { studied: true, .. } | End::GivenUp(_)))
    }

    /// What was decided, if something was.
    pub(super) fn decided(&self) -> Option<(&Decision, &Block)> {
        match &self.end {
            Some(End::Decided { decision, block, .. }) => Some((decision, block)),
            _ => None,
        }
    }

    /// What the decided rows came to, if they are here.
    pub(super) fn step(&self) -> Option<&Step> {
        self.study.step(self.decided()?.1)
    }

    /// Why nothing was decided, or why what was decided is empty.
    pub(super) fn reason(&self) -> Option<&str> {
        match &self.end {
            Some(End::GivenUp(reason)) => Some(reason),
            _ => self.study.refusal(),
        }
    }

    /// Whether a clock decided on something.
    pub(super) fn timed_out(&self) -> bool {
        self.voting.timed_out || self.collection.timed_out()
    }

    /// What was claimed, for those who ask after the round.
    pub(super) fn into_claimed(self) -> BTreeMap<NodeId, Contribution> {
        self.claimed
    }

    /// Whom it waits for.
    pub(super) fn awaited(&self) -> Vec<NodeId> {
        match (self.stage, &self.end) {
            (_, Some(_)) => self.study.asked(),
            (Stage::Shares, _) => self.collection.awaited(),
            (Stage::Claims, _) => self.echo.unclaimed(&self.out),
            (Stage::Copies, _) => self.echo.asked(),
            (Stage::Settling, _) => self.echo.unsettled(&self.out),
            (Stage::Voting, _) => {
                let mut silent = self.voting.silent(&self.out);
                silent.extend(self.study.asked());
                silent
            }
        }
    }

    /// Takes what another member, or a worker, says in this round.
    pub(super) fn take(
        &mut self,
        from: NodeId,
        message: Message,
    ) -> (Result<(), Reason>, Vec<Action>) {
        let done = |result| (result, Vec::new());
        if matches!(message, Message::Share { .. } | Message::Absent { .. }) {
            let is_absent = matches!(message, Message::Absent { .. });
            let taken = self.collection.take(from, message);
            if is_absent && taken.is_ok() && self.others.binary_search(&from).is_ok() {
                return (taken, self.leave(from));
            }
            return done(taken);
        }
        if self.others.binary_search(&from).is_err() {
            return done(Err(Reason::WrongKind));
        }
        if let Message::Fetch { sender, .. } = message {
            return match self.serve(from, sender) {
                Ok(copy) => (Ok(()), vec![copy]),
                Err(reason) => done(Err(reason)),
            };
        }
        // Who is out is no longer listened to.
        if self.out.contains(&from) {
            return done(Ok(()));
        }
        match message {
            Message::Claims { claims, .. } => {
                done(self.echo.take_claims(from, &claims, &self.collection))
            }
            Message::Settled { .. } => done(self.echo.take_settled(from)),
            Message::Copy { sender, update, loss, samples, .. } => {
                self.take_copy(from, sender, Contribution { update, loss, samples })
            }
            Message::Ballot { ballot, .. } => match encoding::read_ballot(&ballot) {
                Some(ballot) => (Ok(()), self.hear(ballot)),
                None => done(Err(Reason::Malformed("bytes that are no ballot".to_owned()))),
            },
            _ => done(Err(Reason::WrongKind)),
        }
    }

    /// Gives a share as it was claimed; nobody can ask before it has seen the claims.
    fn serve(&mut self, from: NodeId, sender: NodeId) -> Result<Action, Reason> {
        let nothing = || Reason::Denied(format!("nothing is held of node {sender}"));
        let row = self.claimed.get(&sender).ok_or_else(nothing)?;
        if !self.served.insert((from, sender)) {
            return Err(Reason::Twice);
        }
        Ok(copy(self.node, from, self.round, sender, row))
    }

    fn take_copy(
        &mut self,
        from: NodeId,
        sender: NodeId,
        row: Contribution,
    ) -> (Result<(), Reason>, Vec<Action>) {
        if self.stage < Stage::Voting {
            let (taken, asked) =
                self.echo.take_copy(from, sender, row, &mut self.collection, &self.out);
            return (taken, asked.into_iter().collect());
        }
        if let Err(reason) = admit(as_slice(&row.update), self.study.values()) {
            return (Err(reason), Vec::new());
        }
        match self.study.take_copy(from, sender, row) {
            None => (Err(Reason::WrongKind), Vec::new()),
            Some((true, _)) => (Ok(()), self.answer()),
            Some((false, next)) => {
                let what = format!("a copy of node {sender}'s share that is not what was claimed");
                let mut actions: Vec<Action> =
                    next.map(|to| self.fetch(to, sender)).into_iter().collect();
                actions.extend(self.answer());
                (Err(Reason::Malformed(what)), actions)
            }
        }
    }

    fn fetch(&self, to: NodeId, sender: NodeId) -> Action {
        Action::Send { from: self.node, to, message: Message::Fetch { round: self.round, sender } }
    }

    fn hear(&mut self, ballot: Ballot) -> Vec<Action> {
        let wishes = self.voting.hear(ballot, &self.out);
        self.fulfil(wishes)
    }

    /// Takes another member's decision, which has been checked.
    pub(super) fn learn(&mut self, decision: Decision, block: Block) -> Vec<Action> {
        match self.end {
            None => {
                let wishes = self.voting.learn(decision, &self.out);
                self.fulfil(wishes)
            }
            // Given up too early: somebody has decided.
            Some(End::GivenUp(_)) => {
                self.end = Some(End::Decided { decision, block, studied: false });
                self.answer()
            }
            Some(End::Decided { .. }) => Vec::new(),
        }
    }

    /// A wait is over.
    pub(super) fn expire(&mut self, name: u64) -> Vec<Action> {
        let wishes = self.voting.expire(name, &self.out);
        self.fulfil(wishes)
    }

    /// Nothing more will come from the others: what waits for this member's votes is let go.
    pub(super) fn hurry(&mut self) -> Vec<Action> {
        let wishes = self.voting.hurry(&self.out);
        self.fulfil(wishes)
    }

    /// Goes on without a member.
    pub(super) fn leave(&mut self, node: NodeId) -> Vec<Action> {
        self.out.insert(node);
        let mut actions = self.echo.ask_others(&self.out);
        let asked = self.study.leave(node);
        actions.extend(asked.into_iter().map(|(sender, to)| self.fetch(to, sender)));
        if self.votes() {
            let wishes = self.voting.give(Vec::new(), &self.out);
            actions.extend(self.fulfil(wishes));
            actions.extend(self.answer());
        }
        actions
    }

    /// Gives the round up, unless something is decided.
    pub(super) fn give_up(&mut self, reason: String) {
        self.end.get_or_insert(End::GivenUp(reason));
    }

    /// Goes through the stages as far as it can.
    pub(super) fn advance(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        while self.end.is_none() {
            let there = self.others.len() + 1 - self.out.len();
            if there < self.quorum && (self.stage > Stage::Shares || self.collection.is_complete())
            {
                let (size, quorum) = (self.others.len() + 1, self.quorum);
                self.give_up(format!(
                    "{there} of {size} members of the committee are there, and {quorum} must agree"
                ));
                break;
            }
            if self.stage == Stage::Voting || !self.awaited().is_empty() {
                break;
            }
            actions.extend(self.next_stage());
        }
        actions
    }

    fn next_stage(&mut self) -> Vec<Action> {
        match self.stage {
            Stage::Shares => {
                self.claimed = self.collection.contributions();
                for (&sender, row) in &self.claimed {
                    self.study.keep(sender, row.clone());
                }
                self.stage = Stage::Claims;
                self.echo.claim(&self.collection, &self.out)
            }
            Stage::Claims => {
                self.stage = Stage::Copies;
                self.echo.agree(&mut self.collection, &self.out)
            }
            Stage::Copies => {
                self.stage = Stage::Settling;
                self.echo.settle(&self.out)
            }
            Stage::Settling | Stage::Voting => {
                self.stage = Stage::Voting;
                let block = self.study.conclude(&self.collection, &self.echo);
                let mine = Proposal { value: block.hash(), payload: block.encode().into() };
                let wishes = self.voting.give(vec![Input::Mine(mine), Input::Start], &self.out);
                self.fulfil(wishes)
            }
        }
    }
}

/// A share as its sender gave it, on its way from `node` to `to`.
pub(super) fn copy(
    node: NodeId,
    to: NodeId,
    round: Round,
    sender: NodeId,
    row: &Contribution,
) -> Action {
    let Contribution { update, loss, samples } = row.clone();
    let message = Message::Copy { round, sender, update, loss, samples };
    Action::Send { from: node, to, message }
}
