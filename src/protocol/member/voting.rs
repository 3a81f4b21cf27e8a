//! The votes of one sitting: the consensus machine between its committee and its clock.
//!
//! In a round in which nothing goes wrong, everybody says the same whoever was faster, so that both
//! runtimes count the same bytes. Two things see to that. A precommit, or a decision, that comes
//! before this member's own precommit waits until that is said. And a wait ends as soon as nothing
//! more can come: when everybody who is there has voted, or the proposer is not there. Clocks are
//! left for those who are silent; a wait that a clock ended is noted.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::ledger::vote::{Kind, Statement};
use crate::node::NodeId;
use crate::protocol::consensus::{
    Ballot, Consensus, Decision, Input, Output, Proposal, Seat, Timer, Wait,
};

/// After so many views without a decision a member gives the round up.
pub(super) const VIEWS_MAX: u32 = 4;

/// The name of the wait for one's own precommit.
const HELD: u64 = 3 << 32;

/// The votes of one member in one round.
#[derive(Debug)]
pub(super) struct Voting {
    consensus: Consensus,
    others: Vec<NodeId>,
    said: BTreeMap<(u32, Kind), BTreeSet<NodeId>>,
    early: Vec<Early>,
    waits: Vec<Timer>,
    holding: bool,
    /// Whether a clock ended a wait that mattered.
    pub(super) timed_out: bool,
}

/// What waits for this member's own precommit.
#[derive(Debug)]
enum Early {
    Ballot(Ballot),
    Decision(Decision),
}

/// What the votes want done.
#[derive(Debug)]
pub(super) enum Wish {
    /// Send this ballot to the other members.
    Tell(Ballot),
    /// Give this name back after so many milliseconds.
    Wait(u64, u64),
    /// Say whether this may be decided.
    Judge(Proposal),
    /// This is decided.
    Decided(Decision),
    /// This member has said what is refused.
    Refuse(NodeId, String),
}

impl Voting {
    /// A vote that has not begun. `others` are all other members, ascending.
    pub(super) fn new(seat: Seat, others: Vec<NodeId>) -> Self {
        Voting {
            consensus: Consensus::new(seat),
            others,
            said: BTreeMap::new(),
            early: Vec::new(),
            waits: Vec::new(),
            holding: false,
            timed_out: false,
        }
    }

    /// Whether it was given up.
    pub(super) fn is_exhausted(&self) -> bool {
        self.consensus.view() >= VIEWS_MAX && self.consensus.decision().is_none()
    }

    /// Those who have not precommitted in the present view.
    pub(super) fn silent(&self, out: &BTreeSet<NodeId>) -> Vec<NodeId> {
        let key = (self.consensus.view(), Kind::Precommit);
        let spoken = |node: &NodeId| self.said.get(&key).is_some_and(|said| said.contains(node));
        let silent = self.others.iter().filter(|node| !out.contains(node) && !spoken(node));
        silent.copied().collect()
    }

    /// Takes what comes from outside.
    pub(super) fn hear(&mut self, ballot: Ballot, out: &BTreeSet<NodeId>) -> Vec<Wish> {
        self.take(Early::Ballot(ballot), out)
    }

    /// Takes another member's decision, whose payload is what its value names.
    pub(super) fn learn(&mut self, decision: Decision, out: &BTreeSet<NodeId>) -> Vec<Wish> {
        self.take(Early::Decision(decision), out)
    }

    fn take(&mut self, early: Early, out: &BTreeSet<NodeId>) -> Vec<Wish> {
        if self.may_pass(&early) {
            return self.give(vec![early.into()], out);
        }
        self.early.push(early);
        if self.holding || self.consensus.decision().is_some() {
            return Vec::new();
        }
        self.holding = true;
        let timeouts = &self.consensus.seat().timeouts;
        vec![Wish::Wait(HELD, timeouts.propose.saturating_add(timeouts.prevote))]
    }

    /// Gives these to the machine, and then all that follows from it.
    pub(super) fn give(&mut self, inputs: Vec<Input>, out: &BTreeSet<NodeId>) -> Vec<Wish> {
        let mut wishes = Vec::new();
        let mut inputs = VecDeque::from(inputs);
        let mut set = Vec::new();
        loop {
            let Some(input) = inputs.pop_front() else {
                inputs.extend(self.over(out).into_iter().map(Input::Expired));
                inputs.extend(self.released());
                if inputs.is_empty() {
                    break;
                }
                continue;
            };
            let heard = match &input {
                Input::Heard(ballot) => Some((ballot.member, ballot.statement)),
                _ => None,
            };
            let outputs = self.consensus.step(input);
            let refused = outputs.iter().any(|output| matches!(output, Output::Refused { .. }));
            if let Some((member, statement)) = heard.filter(|_| !refused) {
                self.note(member, &statement);
            }
            for output in outputs {
                match output {
                    Output::Broadcast(ballot) => {
                        self.note(ballot.member, &ballot.statement);
                        wishes.push(Wish::Tell(ballot));
                    }
                    Output::Wait(timer, milliseconds) => {
                        self.waits.push(timer);
                        set.push((timer, milliseconds));
                    }
                    Output::Judge(proposal) => wishes.push(Wish::Judge(proposal)),
                    Output::Decided(decision) => wishes.push(Wish::Decided(decision)),
                    Output::Evidence(evidence) => {
                        let kind = evidence.first.0.kind();
                        let what = format!("two different statements of one kind ({kind:?})");
                        wishes.push(Wish::Refuse(evidence.member, what));
                    }
                    Output::Refused { member, reason } => {
                        wishes.push(Wish::Refuse(member, reason.to_string()));
                    }
                }
            }
        }
        let still = set.into_iter().filter(|(timer, _)| self.waits.contains(timer));
        wishes.extend(still.map(|(timer, milliseconds)| Wish::Wait(name(timer), milliseconds)));
        wishes
    }

    fn note(&mut self, member: NodeId, statement: &Statement) {
        self.said.entry((statement.view, statement.kind())).or_default().insert(member);
    }

    /// Takes out the waits that nothing can come of any more. Those of other views are void.
    fn over(&mut self, out: &BTreeSet<NodeId>) -> Vec<Timer> {
        let view = self.consensus.view();
        if self.consensus.decision().is_some() {
            self.waits.clear();
        }
        self.waits.retain(|timer| timer.view == view);
        let seat = self.consensus.seat();
        let own = seat.node;
        let there = |node: &NodeId| *node == own || !out.contains(node);
        let all_said = |kind| {
            let said = self.said.get(&(view, kind));
            let mut members = seat.members.iter().filter(|node| there(node));
            members.all(|node| said.is_some_and(|said| said.contains(node)))
        };
        let is_over = |timer: &Timer| match timer.wait {
            Wait::Propose => !there(&seat.proposer(view)),
            Wait::Prevote => all_said(Kind::Prevote),
            Wait::Precommit => all_said(Kind::Precommit),
        };
        let (over, left) = self.waits.iter().partition(|timer| is_over(timer));
        self.waits = left;
        over
    }

    /// Whether this member's own precommit is said already, or not to come.
    fn may_pass(&self, early: &Early) -> bool {
        let now = self.consensus.view();
        let view = match early {
            Early::Ballot(ballot) if ballot.statement.kind() != Kind::Precommit => return true,
            Early::Ballot(ballot) => ballot.statement.view,
            Early::Decision(decision) => decision.certificate.view,
        };
        let own = self.consensus.seat().node;
        // Those of a later view are for one that this member may still come to by itself. That
        // others have got there shows in their prevotes, which come before.
        view < now || self.said.get(&(view, Kind::Precommit)).is_some_and(|of| of.contains(&own))
    }

    fn released(&mut self) -> Vec<Input> {
        let early = std::mem::take(&mut self.early);
        let (pass, stay) = early.into_iter().partition(|early| self.may_pass(early));
        self.early = stay;
        let pass: Vec<Early> = pass;
        pass.into_iter().map(Input::from).collect()
    }

    /// Lets go of what waits for this member's own precommit.
    pub(super) fn hurry(&mut self, out: &BTreeSet<NodeId>) -> Vec<Wish> {
        let early = self.early.drain(..).map(Input::from).collect();
        self.give(early, out)
    }

    /// The clock has run out on a wait.
    pub(super) fn expire(&mut self, expired: u64, out: &BTreeSet<NodeId>) -> Vec<Wish> {
        if expired == HELD {
            self.holding = false;
            self.timed_out |= !self.early.is_empty() && self.consensus.decision().is_none();
            return self.hurry(out);
        }
        let Some(at) = self.waits.iter().position(|timer| name(*timer) == expired) else {
            return Vec::new();
        };
        let timer = self.waits.remove(at);
        self.timed_out = true;
        self.give(vec![Input::Expired(timer)], out)
    }
}

impl From<Early> for Input {
    fn from(early: Early) -> Self {
        match early {
            Early::Ballot(ballot) => Input::Heard(ballot),
            Early::Decision(decision) => Input::Learnt(decision),
        }
    }
}

fn name(timer: Timer) -> u64 {
    (timer.wait as u64) << 32 | u64::from(timer.view)
}
