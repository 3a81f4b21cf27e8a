//! Members that do not follow the protocol. Each has an honest machine behind it, so that it
//! knows where the others are, and twists what that wants to say, separately for each listener.

use byzlab::ledger::vote::{Content, Statement};
use byzlab::protocol::consensus::{Ballot, Seat};
use byzlab::vector::Digest;
use rand::RngExt;
use rand::rngs::ChaCha8Rng;

use super::network::proposal;

/// How a member lies.
#[derive(Debug, Clone)]
pub(super) enum Liar {
    /// It says nothing.
    Silent,
    /// It proposes what nobody accepts.
    BadProposer,
    /// It proposes one value to even members and another to odd ones.
    TwoProposals,
    /// It votes for a value that nobody proposed, and for it where others vote nil.
    FalseVoter,
    /// It votes as it should to even members, and nil to odd ones.
    TwoVotes,
    /// Any of these for each listener and message, and it says things twice and leaves some out.
    Anything,
    /// It supports whatever is proposed, to one member alone, and is silent to all others.
    Divider(usize),
    /// It does the same in even views, so that one member may decide alone, and supports the next
    /// value before everybody in odd ones.
    Turncoat(usize),
}

impl Liar {
    /// What it would propose.
    pub(super) fn proposes(&self, index: usize) -> String {
        match self {
            Liar::BadProposer => format!("poison {index}"),
            _ => format!("good {index}"),
        }
    }

    /// What it sends to `to` in place of `ballot`.
    pub(super) fn say(
        &mut self,
        seat: &Seat,
        ballot: &Ballot,
        to: usize,
        rng: &mut ChaCha8Rng,
    ) -> Vec<Ballot> {
        let is_proposal = ballot.payload.is_some();
        // It has nothing to win by passing on what others have said.
        if ballot.member != seat.node {
            return Vec::new();
        }
        match self {
            Liar::Silent => Vec::new(),
            Liar::TwoProposals if is_proposal && to % 2 == 1 => vec![other_proposal(seat, ballot)],
            Liar::FalseVoter if !is_proposal => vec![vote(seat, ballot, Some(unheard_of()))],
            Liar::TwoVotes if !is_proposal && to % 2 == 1 => vec![vote(seat, ballot, None)],
            Liar::Divider(favoured) if !is_proposal && to != *favoured => Vec::new(),
            Liar::Turncoat(favoured)
                if !is_proposal && to != *favoured && ballot.statement.view.is_multiple_of(2) =>
            {
                Vec::new()
            }
            Liar::Turncoat(_) if is_proposal && rng.random_bool(0.3) => {
                vec![false_claim(seat, ballot)]
            }
            Liar::Turncoat(_) if is_proposal && ballot.statement.view > 0 => {
                vec![other_proposal(seat, ballot)]
            }
            Liar::Anything => anything(seat, ballot, rng),
            _ => vec![ballot.clone()],
        }
    }
}

fn unheard_of() -> Digest {
    Digest::of_bytes(b"nobody proposed this")
}

/// The same vote for something else.
fn vote(seat: &Seat, ballot: &Ballot, value: Option<Digest>) -> Ballot {
    let content = match ballot.statement.content {
        Content::Precommit(_) => Content::Precommit(value),
        _ => Content::Prevote(value),
    };
    let statement = Statement { content, ..ballot.statement };
    Ballot::vote(seat.node, statement, &seat.chain, seat.keys.as_ref())
}

/// Another value, which is acceptable as well.
fn other_proposal(seat: &Seat, ballot: &Ballot) -> Ballot {
    Ballot::proposal(seat, ballot.statement.view, &proposal("good other"), None)
}

/// Another value that is said to have had 2f+1 prevotes in the view before.
fn false_claim(seat: &Seat, ballot: &Ballot) -> Ballot {
    let view = ballot.statement.view;
    Ballot::proposal(seat, view, &proposal("good other"), view.checked_sub(1))
}

/// The right value with something else in it.
fn broken_proposal(seat: &Seat, ballot: &Ballot) -> Ballot {
    let mut broken = ballot.proposed().unwrap();
    broken.payload = b"garbage".to_vec().into();
    Ballot::proposal(seat, ballot.statement.view, &broken, None)
}

fn anything(seat: &Seat, ballot: &Ballot, rng: &mut ChaCha8Rng) -> Vec<Ballot> {
    let is_proposal = ballot.payload.is_some();
    let twisted = |choice: u32| match (choice, is_proposal) {
        (0, true) => other_proposal(seat, ballot),
        (1, true) => broken_proposal(seat, ballot),
        (2, true) => false_claim(seat, ballot),
        (0, false) => vote(seat, ballot, None),
        (1, false) => vote(seat, ballot, Some(unheard_of())),
        (2, false) => vote(seat, ballot, Some(proposal("good other").value)),
        _ => ballot.clone(),
    };
    let sent = rng.random_range(0..3);
    (0..sent).map(|_| twisted(rng.random_range(0..5))).collect()
}
