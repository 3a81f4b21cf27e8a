//! What a member has heard, by view. Bounded: every sender has one slot of each kind in a view,
//! and views far from the present one are not kept.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::ballot::{Ballot, Proposal, Quorum};
use crate::ledger::block::{Certificate, Signed};
use crate::ledger::keys::Signature;
use crate::ledger::vote::{Content, Evidence, Kind, Statement};
use crate::node::NodeId;
use crate::vector::Digest;

/// How many views ahead are kept. Beyond, only who has got how far is remembered.
const AHEAD: u32 = 16;

/// How many past views are kept whole. Of older ones, only quorums are.
const BEHIND: u32 = 64;

/// Whether ballots of `view` are kept by one who is at `now`.
pub(super) fn in_reach(view: u32, now: u32) -> bool {
    now.saturating_sub(BEHIND) <= view && view <= now.saturating_add(AHEAD)
}

/// Everything heard in one height.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Log {
    views: BTreeMap<u32, View>,
    /// The latest view in which each member has spoken, kept or not.
    furthest: BTreeMap<NodeId, u32>,
}

/// What was heard in one view, and which rules have fired that fire once.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct View {
    /// The proposal that came first; the one that rules for prevotes look at.
    pub(super) first: Option<Heard>,
    /// A later one for a value that has a quorum: its maker has lied, and 2f+1 have not.
    wanted: Option<Heard>,
    pub(super) prevotes: Votes,
    pub(super) precommits: Votes,
    /// 2f+1 prevotes for one value.
    pub(super) quorum: Option<Quorum>,
    pub(super) prevote_timer: bool,
    pub(super) precommit_timer: bool,
    /// Whether the quorum has been acted on.
    pub(super) quorum_seen: bool,
    accused: BTreeSet<(NodeId, Kind)>,
}

/// A proposal and what is known about it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Heard {
    pub(super) ballot: Ballot,
    verdict: Verdict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Verdict {
    Unasked,
    Asked,
    Known(bool),
}

/// The first vote of each member.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Votes(BTreeMap<NodeId, (Statement, Signature)>);

impl Votes {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// How many are for this value, or nil.
    pub(super) fn count(&self, value: Option<Digest>) -> usize {
        self.0.values().filter(|(statement, _)| statement.value() == value).count()
    }

    /// Whether all of them are for this value.
    pub(super) fn agree_on(&self, value: Digest) -> bool {
        self.count(Some(value)) == self.len()
    }

    /// The value that has `needed` votes, with as many signatures and no more.
    pub(super) fn decided(&self, needed: usize) -> Option<(Digest, Certificate)> {
        if self.0.len() < needed {
            return None;
        }
        let mut values = self.0.values().filter_map(|(statement, _)| statement.value());
        let value = values.find(|value| self.count(Some(*value)) >= needed)?;
        let signed = |(member, (_, signature)): (&NodeId, &(Statement, Signature))| Signed {
            member: *member,
            signature: *signature,
        };
        let for_it = self.0.iter().filter(|(_, vote)| vote.0.value() == Some(value));
        let view = self.0.values().next()?.0.view;
        Some((value, Certificate::new(view, for_it.take(needed).map(signed).collect())))
    }
}

impl View {
    fn heard(&mut self) -> impl Iterator<Item = &mut Heard> {
        self.first.iter_mut().chain(self.wanted.iter_mut())
    }

    fn votes(&mut self, kind: Kind) -> Option<&mut Votes> {
        match kind {
            Kind::Proposal => None,
            Kind::Prevote => Some(&mut self.prevotes),
            Kind::Precommit => Some(&mut self.precommits),
        }
    }

    /// What `member` said first.
    fn slot(&self, member: NodeId, kind: Kind) -> Option<(Statement, Signature)> {
        match kind {
            Kind::Proposal => {
                let heard = self.first.as_ref().filter(|heard| heard.ballot.member == member);
                heard.map(|heard| (heard.ballot.statement, heard.ballot.signature))
            }
            Kind::Prevote => self.prevotes.0.get(&member).copied(),
            Kind::Precommit => self.precommits.0.get(&member).copied(),
        }
    }

    /// Whether anybody was shown something else than `value`, or nothing.
    pub(super) fn is_divided(&self, value: Digest) -> bool {
        let lied = self.accused.iter().any(|(_, kind)| *kind == Kind::Proposal);
        lied || !self.prevotes.agree_on(value)
    }

    /// Keeps a second proposal if its value has a quorum and no usable one is here.
    fn keep_wanted(&mut self, ballot: Ballot, needed: usize) {
        let value = ballot.statement.value();
        let by_prevotes = self.quorum.as_ref().map(|quorum| quorum.value);
        let by_precommits = || self.precommits.decided(needed).map(|(value, _)| value);
        let wanted = value.is_some() && (value == by_prevotes || value == by_precommits());
        let room = self.wanted.as_ref().is_none_or(|heard| {
            heard.verdict == Verdict::Known(false) || heard.ballot.statement.value() != value
        });
        if wanted && room {
            self.wanted = Some(Heard { ballot, verdict: Verdict::Unasked });
        }
    }
}

impl Log {
    /// What was heard in a view; nothing, at first.
    pub(super) fn view(&mut self, view: u32) -> &mut View {
        self.views.entry(view).or_default()
    }

    /// All views of which something is kept.
    pub(super) fn views(&self) -> impl Iterator<Item = &View> {
        self.views.values()
    }

    /// The value with 2f+1 prevotes in a view.
    pub(super) fn quorum_of(&self, view: u32) -> Option<&Quorum> {
        self.views.get(&view)?.quorum.as_ref()
    }

    /// Remembers how far a member has got.
    pub(super) fn note(&mut self, member: NodeId, view: u32) {
        let furthest = self.furthest.entry(member).or_default();
        *furthest = view.max(*furthest);
    }

    /// The latest view that so many members have got to, or beyond.
    pub(super) fn reached_by(&self, members: usize) -> Option<u32> {
        let mut views: Vec<u32> = self.furthest.values().copied().collect();
        views.sort_unstable_by(|a, b| b.cmp(a));
        views.get(members.checked_sub(1)?).copied()
    }

    /// Whether `member` has said something of this kind in a view.
    pub(super) fn has_said(&self, member: NodeId, view: u32, kind: Kind) -> bool {
        self.views.get(&view).is_some_and(|heard| heard.slot(member, kind).is_some())
    }

    /// Whether exactly this statement is here already.
    pub(super) fn holds(&self, ballot: &Ballot) -> bool {
        let statement = &ballot.statement;
        let Some(view) = self.views.get(&statement.view) else { return false };
        let first = view.slot(ballot.member, statement.kind());
        let wanted = view.wanted.as_ref().map(|heard| heard.ballot.statement);
        first.map(|(statement, _)| statement) == Some(*statement) || wanted == Some(*statement)
    }

    /// Takes in a signed ballot. The first of its kind counts; another that differs is evidence.
    pub(super) fn record(&mut self, ballot: Ballot, needed: usize) -> Option<Evidence> {
        let (member, statement, signature) = (ballot.member, ballot.statement, ballot.signature);
        let kind = statement.kind();
        let view = self.view(statement.view);
        if let Some(first) = view.slot(member, kind) {
            if kind == Kind::Proposal {
                view.keep_wanted(ballot, needed);
            }
            let second = (statement, signature);
            let news = first.0 != statement && view.accused.insert((member, kind));
            return news.then_some(Evidence { member, first, second });
        }
        match view.votes(kind) {
            Some(votes) => drop(votes.0.insert(member, (statement, signature))),
            None => view.first = Some(Heard { ballot, verdict: Verdict::Unasked }),
        }
        if kind == Kind::Prevote && view.quorum.is_none() {
            let decided = view.prevotes.decided(needed);
            view.quorum = decided.map(|(value, certificate)| Quorum { value, certificate });
        }
        None
    }

    /// Records an answer, in every view that has this proposal.
    pub(super) fn judged(&mut self, proposal: &Proposal, acceptable: bool) {
        for heard in self.views.values_mut().flat_map(View::heard) {
            if heard.verdict != Verdict::Known(true)
                && heard.ballot.proposed().as_ref() == Some(proposal)
            {
                heard.verdict = Verdict::Known(acceptable);
            }
        }
    }

    /// Whether the first proposal of a view is acceptable; asks, by `ask`, if nobody has.
    pub(super) fn verdict(&mut self, view: u32, ask: &mut Vec<Proposal>) -> Option<bool> {
        let known = self.known_verdicts();
        known_or_ask(self.view(view).first.as_mut()?, &known, ask)
    }

    /// The acceptable proposal of `value` in a view; asks about those that nobody has judged.
    pub(super) fn accepted(
        &mut self,
        view: u32,
        value: Digest,
        ask: &mut Vec<Proposal>,
    ) -> Option<Ballot> {
        let known = self.known_verdicts();
        let of_value = |heard: &&mut Heard| heard.ballot.statement.value() == Some(value);
        for heard in self.views.get_mut(&view)?.heard().filter(of_value) {
            if known_or_ask(heard, &known, ask) == Some(true) {
                return Some(heard.ballot.clone());
            }
        }
        None
    }

    /// What has been said about proposals, by value and digest of the payload.
    fn known_verdicts(&self) -> Vec<(Content, Verdict)> {
        let heard = self.views.values().flat_map(|view| view.first.iter().chain(&view.wanted));
        let asked = heard.filter(|heard| heard.verdict != Verdict::Unasked);
        asked.map(|heard| (timeless(heard.ballot.statement.content), heard.verdict)).collect()
    }

    /// Asks again what has not been answered.
    pub(super) fn forget_questions(&mut self) {
        for heard in self.views.values_mut().flat_map(View::heard) {
            if heard.verdict == Verdict::Asked {
                heard.verdict = Verdict::Unasked;
            }
        }
    }

    /// Forgets what a member at `now` has no use for. `kept` is the view of its valid value.
    pub(super) fn prune(&mut self, now: u32, kept: Option<u32>) {
        let oldest = now.saturating_sub(BEHIND);
        self.views.retain(|view, heard| {
            if *view >= oldest || Some(*view) == kept {
                return true;
            }
            let quorum = heard.quorum.take();
            *heard = View { quorum, ..View::default() };
            heard.quorum.is_some()
        });
    }
}

/// A proposal's content without the view in which its value became valid, which does not matter
/// to whoever judges it.
fn timeless(content: Content) -> Content {
    match content {
        Content::Proposal { value, payload, .. } => {
            Content::Proposal { value, valid: None, payload }
        }
        vote => vote,
    }
}

fn known_or_ask(
    heard: &mut Heard,
    known: &[(Content, Verdict)],
    ask: &mut Vec<Proposal>,
) -> Option<bool> {
    if heard.verdict == Verdict::Unasked {
        let content = timeless(heard.ballot.statement.content);
        let same = known.iter().find(|(other, _)| *other == content);
        heard.verdict = same.map_or(Verdict::Asked, |(_, verdict)| *verdict);
        if same.is_none() {
            ask.extend(heard.ballot.proposed());
        }
    }
    match heard.verdict {
        Verdict::Known(acceptable) => Some(acceptable),
        Verdict::Unasked | Verdict::Asked => None,
    }
}
