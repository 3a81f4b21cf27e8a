//! Schedules by hand: locks, forks, partitions, and what is refused.

use std::collections::BTreeMap;

use byzlab::ledger::vote::{Content, Statement};
use byzlab::node::{NodeId, Round};
use byzlab::protocol::consensus::{Ballot, Consensus, Input, Output, Proposal, Timer, Unfit, Wait};
use byzlab::vector::Digest;

use super::network::{Keys, Network, Weather, acceptable, proposal, seat};

/// A member of four and the ballots that it sends, driven by hand. It judges at once.
struct Hand {
    machine: Consensus,
    sent: Vec<Ballot>,
    decided: Option<Digest>,
    refused: Vec<Unfit>,
    accused: Vec<NodeId>,
}

impl Hand {
    fn new(index: usize) -> Self {
        let machine = Consensus::new(seat(index, 4, Keys::Real));
        let (sent, refused, accused) = (Vec::new(), Vec::new(), Vec::new());
        let mut hand = Hand { machine, sent, decided: None, refused, accused };
        hand.step(Input::Mine(proposal(&format!("good {index}"))));
        hand.step(Input::Start);
        hand
    }

    fn step(&mut self, input: Input) {
        for output in self.machine.step(input) {
            match output {
                Output::Broadcast(ballot) => self.sent.push(ballot),
                Output::Judge(proposal) => {
                    let acceptable = acceptable(&proposal);
                    self.step(Input::Judged { proposal, acceptable });
                }
                Output::Decided(decision) => self.decided = Some(decision.value),
                Output::Refused { reason, .. } => self.refused.push(reason),
                Output::Evidence(evidence) => self.accused.push(evidence.member),
                Output::Wait(..) => {}
            }
        }
    }

    fn hear(&mut self, ballots: impl IntoIterator<Item = Ballot>) {
        ballots.into_iter().for_each(|ballot| self.step(Input::Heard(ballot)));
    }

    fn expire(&mut self, wait: Wait, view: u32) {
        self.step(Input::Expired(Timer { wait, view }));
    }

    /// What it has said last in this kind of vote.
    fn said(&self) -> Content {
        self.sent.last().unwrap().statement.content
    }
}

fn vote(index: usize, view: u32, content: Content) -> Ballot {
    let seat = seat(index, 4, Keys::Real);
    let statement = Statement { height: seat.height, view, content };
    Ballot::vote(seat.node, statement, &seat.chain, seat.keys.as_ref())
}

fn prevotes(of: &[usize], view: u32, value: Option<Digest>) -> Vec<Ballot> {
    of.iter().map(|index| vote(*index, view, Content::Prevote(value))).collect()
}

fn precommits(of: &[usize], view: u32, value: Option<Digest>) -> Vec<Ballot> {
    of.iter().map(|index| vote(*index, view, Content::Precommit(value))).collect()
}

fn proposed(index: usize, view: u32, what: &Proposal, valid: Option<u32>) -> Ballot {
    Ballot::proposal(&seat(index, 4, Keys::Real), view, what, valid)
}

/// Member 3 sees 2f+1 prevotes for the value of view 0 and locks it; nothing else comes.
fn locked() -> (Hand, Proposal) {
    let mut hand = Hand::new(3);
    let first = proposal("good 0");
    hand.hear([proposed(0, 0, &first, None)]);
    assert_eq!(hand.said(), Content::Prevote(Some(first.value)));
    hand.hear(prevotes(&[0, 1], 0, Some(first.value)));
    assert_eq!(hand.said(), Content::Precommit(Some(first.value)));
    assert_eq!(hand.machine.locked(), Some((first.value, 0)));
    hand.hear(precommits(&[0, 1], 0, None));
    hand.expire(Wait::Precommit, 0);
    assert_eq!(hand.machine.view(), 1);
    (hand, first)
}

#[test]
fn a_locked_member_prevotes_nil_on_a_fresh_value() {
    let (mut hand, first) = locked();
    hand.hear([proposed(1, 1, &proposal("good 1"), None)]);
    assert_eq!(hand.said(), Content::Prevote(None));
    // Not even a quorum for nil takes the lock away.
    hand.hear(prevotes(&[0, 1], 1, None));
    assert_eq!(hand.said(), Content::Precommit(None));
    assert_eq!(hand.machine.locked(), Some((first.value, 0)));
}

#[test]
fn a_locked_member_prevotes_its_value_when_it_comes_back() {
    let (mut hand, first) = locked();
    hand.hear([proposed(1, 1, &first, None)]);
    assert_eq!(hand.said(), Content::Prevote(Some(first.value)));
}

#[test]
fn a_newer_quorum_unlocks_and_a_claim_without_one_does_not() {
    let (mut hand, _) = locked();
    let second = proposal("good 1");
    // Views 1 and 2 pass; in view 1 the others, whom it did not hear, have agreed on another.
    hand.expire(Wait::Propose, 1);
    hand.hear(precommits(&[0, 1, 2], 1, None));
    hand.expire(Wait::Precommit, 1);
    assert_eq!(hand.machine.view(), 2);
    let sent = hand.sent.len();
    let claim = proposed(2, 2, &second, Some(1));
    hand.hear([claim.clone()]);
    assert_eq!(hand.sent.len(), sent, "no prevote without the quorum");
    hand.hear(prevotes(&[0, 1, 2], 1, Some(second.value)));
    assert_eq!(hand.said(), Content::Prevote(Some(second.value)));
    // Or the proposal carries the quorum.
    let (mut hand, _) = locked();
    hand.expire(Wait::Propose, 1);
    hand.hear(precommits(&[0, 1, 2], 1, None));
    hand.expire(Wait::Precommit, 1);
    let mut others = Hand::new(0);
    others.hear(prevotes(&[1, 2, 3], 1, Some(second.value)));
    others.hear([proposed(1, 1, &second, None)]);
    let carried = others.sent.iter().find_map(|ballot| ballot.quorum.clone());
    hand.hear([claim.with(Some(carried.unwrap()))]);
    assert_eq!(hand.said(), Content::Prevote(Some(second.value)));
}

#[test]
fn a_quorum_of_the_lock_s_own_past_does_not_unlock() {
    let (mut hand, first) = locked();
    // In view 1 it locks another value, by a quorum that it sees itself.
    hand.expire(Wait::Propose, 1);
    hand.hear(precommits(&[0, 1, 2], 1, None));
    hand.expire(Wait::Precommit, 1);
    let second = proposal("good 2");
    let claim = proposed(2, 2, &second, Some(1));
    hand.hear(prevotes(&[0, 1, 2], 1, Some(second.value)));
    hand.hear([claim]);
    hand.hear(prevotes(&[0, 2], 2, Some(second.value)));
    assert_eq!(hand.machine.locked(), Some((second.value, 2)));
    hand.hear(precommits(&[0, 1, 2], 2, None));
    hand.expire(Wait::Precommit, 2);
    // In view 3 it proposes itself: what became valid last. In view 4 the old one is refused.
    let own = hand.sent.iter().rev().find(|ballot| ballot.payload.is_some()).unwrap();
    assert_eq!(own.proposed(), Some(second));
    assert!(own.quorum.is_some());
    hand.hear(precommits(&[0, 1, 2], 3, None));
    hand.expire(Wait::Precommit, 3);
    hand.hear([proposed(0, 4, &first, Some(0))]);
    assert_eq!(hand.said(), Content::Prevote(None));
}

#[test]
fn late_precommits_of_an_earlier_view_decide() {
    let (mut hand, first) = locked();
    hand.expire(Wait::Propose, 1);
    hand.hear([vote(2, 0, Content::Precommit(Some(first.value)))]);
    assert_eq!(hand.decided, None);
    // The first votes of 0 and 1 were nil and count as such, so the lock alone is not enough.
    hand.hear(precommits(&[0, 1], 0, Some(first.value)));
    assert_eq!(hand.decided, None);
    assert_eq!(hand.accused, [NodeId(0), NodeId(1)]);
    let mut other = Hand::new(3);
    other.hear(precommits(&[0, 1, 2], 0, Some(first.value)));
    assert_eq!(other.decided, None, "nobody has told it what the value is");
    other.expire(Wait::Propose, 0);
    other.expire(Wait::Precommit, 0);
    other.hear([proposed(0, 0, &first, None)]);
    assert_eq!(other.decided, Some(first.value));
}

#[test]
fn f_plus_one_in_a_later_view_pull_a_member_along() {
    let mut hand = Hand::new(3);
    hand.hear(prevotes(&[1], 5, None));
    assert_eq!(hand.machine.view(), 0);
    hand.hear(precommits(&[2], 5, None));
    assert_eq!(hand.machine.view(), 5);
    // Far beyond what is kept as well.
    hand.hear(prevotes(&[1], 70_000, None));
    assert_eq!(hand.machine.view(), 5);
    hand.hear(prevotes(&[2], 60_000, None));
    assert_eq!(hand.machine.view(), 60_000);
}

#[test]
fn half_of_four_can_fork_the_height() {
    // Members 1 and 2 lie: they show each honest one a world in which all agree with it.
    let (one, other) = (proposal("good 0"), proposal("good 1"));
    let fork = |index: usize, what: &Proposal| {
        let mut hand = Hand::new(index);
        hand.expire(Wait::Propose, 0);
        hand.hear(precommits(&[1, 2], 0, None));
        hand.expire(Wait::Precommit, 0);
        hand.hear([proposed(1, 1, what, None)]);
        hand.hear(prevotes(&[1, 2], 1, Some(what.value)));
        hand.hear(precommits(&[1, 2], 1, Some(what.value)));
        hand.decided
    };
    // Member 0 proposes in view 0, so it is its own proposal that dies there.
    assert_eq!(fork(3, &one), Some(one.value));
    assert_eq!(fork(0, &other), Some(other.value));
}

#[test]
fn a_partition_in_halves_decides_nothing_until_it_heals() {
    let weather = Weather { partition: (2_000, [0, 1].into()), ..Weather::calm() };
    let mut network = Network::new(4, Keys::Real, weather, BTreeMap::new(), 1);
    network.run(1_999);
    assert_eq!(network.decisions().len(), 0);
    network.run(6_000);
    assert_eq!(network.decisions().len(), 4);
    assert!(network.agreed().is_some());
}

#[test]
fn what_is_acceptable_is_decided_however_bad_it_is() {
    // The machine agrees on a value, not on its quality: this one is what a weak rule makes of
    // updates of which some are poisoned, and everybody recomputes it.
    let poisoned = proposal("good aggregate of poisoned updates");
    let mut hand = Hand::new(3);
    hand.hear([proposed(0, 0, &poisoned, None)]);
    hand.hear(prevotes(&[0, 1], 0, Some(poisoned.value)));
    hand.hear(precommits(&[0, 1], 0, Some(poisoned.value)));
    assert_eq!(hand.decided, Some(poisoned.value));
    // What is not acceptable is not decided, whoever votes for it.
    let bad = proposal("bad");
    let mut hand = Hand::new(3);
    hand.hear([proposed(0, 0, &bad, None)]);
    assert_eq!(hand.said(), Content::Prevote(None));
    hand.hear(prevotes(&[0, 1, 2], 0, Some(bad.value)));
    hand.hear(precommits(&[0, 1, 2], 0, Some(bad.value)));
    assert_eq!((hand.decided, hand.machine.locked()), (None, None));
}

#[test]
fn a_proposer_without_a_value_proposes_when_it_has_one() {
    let mut machine = Consensus::new(seat(0, 4, Keys::Real));
    let outputs = machine.step(Input::Start);
    assert!(matches!(outputs[..], [Output::Wait(Timer { wait: Wait::Propose, view: 0 }, 30)]));
    let outputs = machine.step(Input::Mine(proposal("good 0")));
    let proposals = outputs
        .iter()
        .filter(|output| matches!(output, Output::Broadcast(ballot) if ballot.payload.is_some()));
    assert_eq!(proposals.count(), 1);
    assert!(machine.step(Input::Mine(proposal("good again"))).is_empty());
}

#[test]
fn the_right_value_with_the_wrong_payload_harms_nobody_for_long() {
    // The proposer sends member 3 garbage under the value that it sends the others in order.
    let first = proposal("good 0");
    let broken = Proposal { payload: b"garbage".to_vec().into(), ..first.clone() };
    let mut hand = Hand::new(3);
    hand.hear([proposed(0, 0, &broken, None)]);
    assert_eq!(hand.said(), Content::Prevote(None));
    hand.hear(prevotes(&[0, 1, 2], 0, Some(first.value)));
    hand.hear(precommits(&[0, 1, 2], 0, Some(first.value)));
    assert_eq!(hand.decided, None);
    hand.hear([proposed(0, 0, &first, None)]);
    assert_eq!(hand.decided, Some(first.value));
    assert_eq!(hand.accused, [NodeId(0)]);
}

#[test]
fn what_does_not_belong_here_is_refused() {
    let mut hand = Hand::new(3);
    let value = Some(proposal("good 0").value);
    let good = vote(1, 0, Content::Prevote(value));
    let mut later = good.clone();
    later.statement.height = Round(9);
    let mut stranger = good.clone();
    stranger.member = NodeId(9);
    let mut impostor = good.clone();
    impostor.member = NodeId(2);
    let mut altered = good.clone();
    altered.statement.content = Content::Prevote(None);
    let mut loaded = good.clone();
    loaded.payload = Some(b"more".to_vec().into());
    let mut swapped = proposed(0, 0, &proposal("good 0"), None);
    swapped.payload = Some(b"good 1".to_vec().into());
    let out_of_turn = proposed(1, 0, &proposal("good 1"), None);
    hand.hear([later, stranger, impostor, altered, loaded, swapped, out_of_turn]);
    let height = Unfit::Height { expected: Round(8), got: Round(9) };
    let turn = Unfit::Turn { proposer: NodeId(0) };
    let (signature, payload) = (Unfit::Signature, Unfit::Payload);
    let expected = [height, Unfit::Stranger, signature, signature, payload, payload, turn];
    assert_eq!(hand.refused, expected);
    hand.hear([good.clone(), good]);
    assert_eq!(hand.refused.len(), expected.len());
    assert!(hand.accused.is_empty());
}

#[test]
fn a_liar_cannot_fill_the_memory_of_others() {
    let mut hand = Hand::new(3);
    let size = |hand: &Hand| postcard::to_allocvec(hand.machine.state()).unwrap().len();
    for view in 0..2_000 {
        hand.hear(prevotes(&[1], view, None));
        hand.hear(prevotes(&[1], view, Some(Digest::of_bytes(&view.to_le_bytes()))));
    }
    assert!(size(&hand) < 10_000, "{} bytes", size(&hand));
    // Nor do thousands of views that end in nothing, with all members in them.
    for view in 0..2_000 {
        hand.expire(Wait::Propose, view);
        hand.hear(prevotes(&[0, 1, 2], view, None));
        hand.hear(precommits(&[0, 1, 2], view, None));
        hand.expire(Wait::Precommit, view);
    }
    assert_eq!(hand.machine.view(), 2_000);
    assert!(size(&hand) < 100_000, "{} bytes", size(&hand));
}
