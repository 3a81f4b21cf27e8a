//! The rules of a view, numbered as in descriptions of the protocol: what a member does once it
//! has heard enough. They are tried after every input until none fires.

use super::ballot::{Ballot, Proposal};
use super::log::{Log, View, in_reach};
use super::timer::{Timer, Wait};
use super::{Consensus, Decision, Output, Step};
use crate::ledger::vote::{Content, Statement};
use crate::vector::Digest;

impl Consensus {
    pub(super) fn apply_rules(&mut self) {
        while self.state.started && self.state.decision.is_none() && self.apply_one() {}
    }

    /// Fires the first rule that can fire, if any.
    fn apply_one(&mut self) -> bool {
        self.decide_if_possible()
            || self.prevote_on_proposal()
            || self.act_on_quorum()
            || self.precommit_nil()
            || self.wait_for_prevotes()
            || self.wait_for_precommits()
            || self.catch_up()
    }

    /// Begins a view.
    pub(super) fn start(&mut self, view: u32) {
        if let Some(before) = view.checked_sub(1) {
            self.abstain(before);
        }
        self.state.view = view;
        self.state.step = Step::Propose;
        let kept = self.state.valid.map(|(_, view)| view);
        self.state.log.prune(view, kept);
        let sent = |ballot: &Ballot| in_reach(ballot.statement.view, view);
        self.state.sent.retain(sent);
        if !self.propose_if_due() {
            self.wait(Wait::Propose);
        }
    }

    /// Proposes if it is this member's turn and it has something to propose: what is valid
    /// already, else its own.
    pub(super) fn propose_if_due(&mut self) -> bool {
        let view = self.state.view;
        let due = self.state.started
            && self.state.step == Step::Propose
            && self.seat.proposer(view) == self.seat.node
            && self.state.log.view(view).first.is_none();
        let Some((proposal, valid)) = due.then(|| self.proposable()).flatten() else {
            return false;
        };
        let quorum = valid.and_then(|valid| self.state.log.quorum_of(valid)).cloned();
        self.broadcast(Ballot::proposal(&self.seat, view, &proposal, valid).with(quorum));
        // Nobody needs to tell a member that what it proposes is acceptable to it.
        self.state.log.judged(&proposal, true);
        true
    }

    fn proposable(&mut self) -> Option<(Proposal, Option<u32>)> {
        let Some((value, view)) = self.state.valid else {
            return Some((self.state.mine.clone()?, None));
        };
        // It was acceptable when it became valid, so there is nothing to ask.
        let ballot = self.state.log.accepted(view, value, &mut Vec::new())?;
        Some((ballot.proposed()?, Some(view)))
    }

    /// Sends a ballot of this member's own, and hears it.
    fn broadcast(&mut self, ballot: Ballot) {
        self.state.sent.push(ballot.clone());
        self.outputs.push(Output::Broadcast(ballot.clone()));
        self.record(ballot);
    }

    fn vote(&mut self, view: u32, content: Content) {
        let quorum = match content {
            Content::Precommit(Some(_)) => self.state.log.quorum_of(view).cloned(),
            _ => None,
        };
        let statement = Statement { height: self.seat.height, view, content };
        let (chain, keys) = (&self.seat.chain, self.seat.keys.as_ref());
        let ballot = Ballot::vote(self.seat.node, statement, chain, keys).with(quorum);
        self.broadcast(ballot);
    }

    /// Says nil in a view that this member has left or skipped, where it has said nothing. A liar
    /// may have shown its votes to this member alone; the others are still there and need 2f+1.
    fn abstain(&mut self, view: u32) {
        for content in [Content::Prevote(None), Content::Precommit(None)] {
            let kind = Statement { height: self.seat.height, view, content }.kind();
            if !self.state.log.has_said(self.seat.node, view, kind) {
                self.vote(view, content);
            }
        }
    }

    fn prevote(&mut self, value: Option<Digest>) {
        self.state.step = Step::Prevote;
        self.vote(self.state.view, Content::Prevote(value));
    }

    fn precommit(&mut self, value: Option<Digest>) {
        self.state.step = Step::Precommit;
        self.vote(self.state.view, Content::Precommit(value));
    }

    /// Rules 1 and 2: a fresh proposal, or one that had 2f+1 prevotes in an earlier view.
    fn prevote_on_proposal(&mut self) -> bool {
        let view = self.state.view;
        if self.state.step != Step::Propose {
            return false;
        }
        let first = self.state.log.view(view).first.as_ref();
        let Some(content) = first.map(|heard| heard.ballot.statement.content) else { return false };
        let Content::Proposal { value, valid, .. } = content else { return false };
        let free = match (valid, self.state.locked) {
            (Some(valid), _) if !self.was_valid(value, valid) => return false,
            (_, None) => true,
            (None, Some((locked, _))) => locked == value,
            (Some(valid), Some((locked, since))) => since <= valid || locked == value,
        };
        let Some(acceptable) = self.judge(|log, ask| log.verdict(view, ask)) else { return false };
        self.prevote((free && acceptable).then_some(value));
        true
    }

    fn was_valid(&self, value: Digest, view: u32) -> bool {
        let quorum = self.state.log.quorum_of(view);
        view < self.state.view && quorum.is_some_and(|quorum| quorum.value == value)
    }

    /// Looks something up that may raise questions, and asks them.
    fn judge<T>(&mut self, look: impl FnOnce(&mut Log, &mut Vec<Proposal>) -> T) -> T {
        let mut questions = Vec::new();
        let found = look(&mut self.state.log, &mut questions);
        self.outputs.extend(questions.into_iter().map(Output::Judge));
        found
    }

    /// Rule 4, once in a view: 2f+1 prevotes for an acceptable value lock it, unless the member
    /// has given the view up; the value is valid in either case.
    fn act_on_quorum(&mut self) -> bool {
        let view = self.state.view;
        if self.state.step == Step::Propose || self.state.log.view(view).quorum_seen {
            return false;
        }
        let Some(quorum) = self.state.log.quorum_of(view).cloned() else { return false };
        let value = quorum.value;
        let Some(ballot) = self.judge(|log, ask| log.accepted(view, value, ask)) else {
            return false;
        };
        self.state.log.view(view).quorum_seen = true;
        self.state.valid = Some((value, view));
        if self.state.step == Step::Prevote {
            self.state.locked = Some((value, view));
            self.precommit(Some(value));
            if self.state.log.view(view).is_divided(value) {
                self.outputs.push(Output::Broadcast(ballot.with(Some(quorum))));
            }
        }
        true
    }

    /// Rule 5: 2f+1 prevotes for nil.
    fn precommit_nil(&mut self) -> bool {
        let view = self.state.view;
        let nil = self.state.log.view(view).prevotes.count(None) >= self.seat.quorum();
        if self.state.step != Step::Prevote || !nil {
            return false;
        }
        self.precommit(None);
        true
    }

    /// Rule 3, once in a view: 2f+1 prevotes that do not agree yet.
    fn wait_for_prevotes(&mut self) -> bool {
        let (needed, at_prevote) = (self.seat.quorum(), self.state.step == Step::Prevote);
        let heard = self.state.log.view(self.state.view);
        let enough = heard.prevotes.len() >= needed || heard.quorum.is_some();
        if !at_prevote || !enough || heard.prevote_timer {
            return false;
        }
        heard.prevote_timer = true;
        self.wait(Wait::Prevote);
        true
    }

    /// Rule 6, once in a view: 2f+1 precommits that do not agree yet.
    fn wait_for_precommits(&mut self) -> bool {
        let needed = self.seat.quorum();
        let heard = self.state.log.view(self.state.view);
        if heard.precommits.len() < needed || heard.precommit_timer {
            return false;
        }
        heard.precommit_timer = true;
        self.wait(Wait::Precommit);
        true
    }

    /// Rule 7, in any view: 2f+1 precommits for an acceptable value decide it.
    fn decide_if_possible(&mut self) -> bool {
        let needed = self.seat.quorum();
        let decided = |heard: &View| heard.precommits.decided(needed);
        let all: Vec<_> = self.state.log.views().filter_map(decided).collect();
        for (value, certificate) in all {
            let view = certificate.view;
            let ballot = self.judge(|log, ask| log.accepted(view, value, ask));
            if let Some(payload) = ballot.and_then(|ballot| ballot.payload) {
                self.decide(Decision { value, certificate, payload });
                return true;
            }
        }
        false
    }

    /// Rule 8: f+1 members have got to a later view, so an honest one has.
    fn catch_up(&mut self) -> bool {
        let reached = self.state.log.reached_by(self.seat.one_honest());
        let Some(view) = reached.filter(|view| *view > self.state.view) else { return false };
        self.start(view);
        true
    }

    /// The waits: for a proposal, for prevotes that agree, for precommits that agree.
    pub(super) fn expire(&mut self, timer: Timer) {
        if timer.view != self.state.view || !self.state.started {
            return;
        }
        match (timer.wait, self.state.step) {
            (Wait::Propose, Step::Propose) => self.prevote(None),
            (Wait::Prevote, Step::Prevote) => self.precommit(None),
            (Wait::Precommit, _) => self.start(timer.view.saturating_add(1)),
            (Wait::Propose | Wait::Prevote, _) => {}
        }
    }
}
