//! What the votes of a sitting want done, and the judgement that they ask for.

use super::super::encoding;
use super::super::study::Look;
use super::super::voting::{VIEWS_MAX, Wish};
use super::{End, Sitting};
use crate::ledger::block::{Block, Listed};
use crate::node::NodeId;
use crate::protocol::consensus::{Ballot, Decision, Input};
use crate::protocol::{Action, Message, Reason, Timer};

impl Sitting {
    /// Does what the votes want.
    pub(super) fn fulfil(&mut self, wishes: Vec<Wish>) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut asked = false;
        for wish in wishes {
            match wish {
                Wish::Tell(ballot) => actions.extend(self.tell(&ballot)),
                Wish::Wait(name, milliseconds) => {
                    let timer = Timer { node: self.node, round: self.round, name };
                    actions.push(Action::Wait { timer, milliseconds });
                }
                Wish::Judge(proposal) => {
                    self.questions.push(proposal);
                    asked = true;
                }
                Wish::Decided(decision) => {
                    asked = true;
                    self.decide(decision);
                }
                Wish::Refuse(member, what) => {
                    actions.push(self.collection.refuse(member, Reason::Malformed(what)));
                }
            }
        }
        if asked {
            actions.extend(self.answer());
        }
        if self.end.is_none() && self.voting.is_exhausted() {
            self.give_up(format!("the committee came to no decision in {VIEWS_MAX} views"));
        }
        actions
    }

    fn tell(&self, ballot: &Ballot) -> Vec<Action> {
        let ballot = encoding::ballot(ballot);
        let say = |&to: &NodeId| {
            let message = Message::Ballot { round: self.round, ballot: ballot.clone() };
            Action::Send { from: self.node, to, message }
        };
        self.others.iter().filter(|other| !self.out.contains(other)).map(say).collect()
    }

    fn decide(&mut self, decision: Decision) {
        self.end = Some(match Block::decode(decision.payload.as_bytes()) {
            Some(block) => End::Decided { decision, block, studied: false },
            None => End::GivenUp("what the committee decided is no block".to_owned()),
        });
    }

    /// Answers what was asked, as far as the rows are here, and asks for those that are not.
    pub(super) fn answer(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        if let Some(End::Decided { block, studied: false, .. }) = &self.end {
            let block = block.clone();
            let known = block.list.is_empty() || self.study.step(&block).is_some();
            let is_open = !known
                && match self.study.redo(&block) {
                    Look::Missing(missing) => self.ask(&missing, &mut actions),
                    Look::Good | Look::Bad => false,
                };
            if let Some(End::Decided { studied, .. }) = &mut self.end {
                *studied = !is_open;
            }
            return actions;
        }
        let mut answers = Vec::new();
        for proposal in std::mem::take(&mut self.questions) {
            let look = match Block::decode(proposal.payload.as_bytes()) {
                Some(block) if block.hash() == proposal.value => {
                    self.study.look(&block, &self.echo)
                }
                _ => Look::Bad,
            };
            let acceptable = match look {
                Look::Good => true,
                Look::Bad => false,
                Look::Missing(missing) => {
                    if self.ask(&missing, &mut actions) {
                        self.questions.push(proposal);
                        continue;
                    }
                    false
                }
            };
            answers.push(Input::Judged { proposal, acceptable });
        }
        if !answers.is_empty() {
            let wishes = self.voting.give(answers, &self.out);
            actions.extend(self.fulfil(wishes));
        }
        actions
    }

    /// Asks for shares that are not here; whether all of them may still come.
    fn ask(&mut self, missing: &[Listed], actions: &mut Vec<Action>) -> bool {
        missing.iter().all(|listed| {
            if self.study.is_wanted(listed) {
                return true;
            }
            if !self.tried.insert((listed.sender, listed.digest)) {
                return false;
            }
            let mut from = self.echo.claimers(listed.sender, listed.digest);
            let all = self.others.iter().filter(|other| !from.contains(other)).copied();
            let all: Vec<NodeId> = all.collect();
            from.extend(all);
            from.retain(|other| *other != self.node && !self.out.contains(other));
            let asked = self.study.want(listed, from);
            actions.extend(asked.map(|to| self.fetch(to, listed.sender)));
            asked.is_some()
        })
    }
}
