//! What members send each other: a signed statement, and what makes it believable.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Seat;
use crate::ledger::block::{Certificate, CertificateFault};
use crate::ledger::hex;
use crate::ledger::keys::{Signature, Signer};
use crate::ledger::vote::{Content, Statement};
use crate::node::{NodeId, Round};
use crate::vector::Digest;

/// What a proposal carries besides its value. Opaque here: the caller judges it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<u8>", into = "Vec<u8>")]
pub struct Payload(Arc<Vec<u8>>);

impl From<Vec<u8>> for Payload {
    fn from(bytes: Vec<u8>) -> Self {
        Payload(Arc::new(bytes))
    }
}

impl From<Payload> for Vec<u8> {
    fn from(payload: Payload) -> Self {
        payload.0.as_ref().clone()
    }
}

impl Payload {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    fn digest(&self) -> Digest {
        Digest::of_bytes(&self.0)
    }
}

/// A value and what comes with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The value to agree on: the hash of a block.
    #[serde(with = "hex")]
    pub value: Digest,
    /// What others need to judge it: the block.
    pub payload: Payload,
}

/// The prevotes of 2f+1 members for one value in one view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quorum {
    /// The value.
    #[serde(with = "hex")]
    pub value: Digest,
    /// The view and the signatures, in ascending order of member.
    pub certificate: Certificate,
}

impl Quorum {
    /// Whether so many members of this height's committee have signed it.
    pub(super) fn holds(&self, seat: &Seat) -> bool {
        let statement = Statement::prevote(seat.height, self.certificate.view, self.value);
        self.certificate.check(&statement, &seat.chain, &seat.members, seat.keys.as_ref()).is_ok()
    }
}

/// A signed statement on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ballot {
    /// Who made it, which need not be who sends it.
    pub member: NodeId,
    /// What is said.
    pub statement: Statement,
    /// The maker's signature under the statement.
    pub signature: Signature,
    /// With proposals, and only with them: what is proposed. The statement holds its digest.
    pub payload: Option<Payload>,
    /// The prevotes that justify it. Not signed: they speak for themselves.
    pub quorum: Option<Quorum>,
}

/// Why a ballot is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It belongs to another height.
    #[error("it is about height {got}, and this is {expected}")]
    Height {
        /// The height of this machine.
        expected: Round,
        /// The height of the ballot.
        got: Round,
    },
    /// Its maker is not on the committee.
    #[error("its maker is not on the committee")]
    Stranger,
    /// Somebody proposes out of turn.
    #[error("it is a proposal for a view in which {proposer} proposes")]
    Turn {
        /// Whose turn it is.
        proposer: NodeId,
    },
    /// A proposal without what is proposed, with something else, or a vote with a payload.
    #[error("its payload is not what it says")]
    Payload,
    /// Its maker has not signed it.
    #[error("its signature is wrong")]
    Signature,
    /// A decision's certificate does not certify.
    #[error(transparent)]
    Certificate(CertificateFault),
}

impl Ballot {
    /// Signs a vote.
    pub fn vote(member: NodeId, statement: Statement, chain: &Digest, keys: &dyn Signer) -> Self {
        let signature = statement.sign(chain, keys);
        Ballot { member, statement, signature, payload: None, quorum: None }
    }

    /// Signs a proposal; `valid` is the view in which it got 2f+1 prevotes before.
    pub fn proposal(seat: &Seat, view: u32, proposal: &Proposal, valid: Option<u32>) -> Self {
        let Proposal { value, payload } = proposal;
        let content = Content::Proposal { value: *value, valid, payload: payload.digest() };
        let statement = Statement { height: seat.height, view, content };
        let vote = Ballot::vote(seat.node, statement, &seat.chain, seat.keys.as_ref());
        Ballot { payload: Some(payload.clone()), ..vote }
    }

    /// The same with the prevotes that justify it.
    #[must_use]
    pub fn with(self, quorum: Option<Quorum>) -> Self {
        Ballot { quorum, ..self }
    }

    /// What is proposed, if something is.
    pub fn proposed(&self) -> Option<Proposal> {
        Some(Proposal { value: self.statement.value()?, payload: self.payload.clone()? })
    }

    /// All that can be seen without a signature.
    pub(super) fn check_form(&self, seat: &Seat) -> Result<(), Unfit> {
        let Statement { height, view, content } = self.statement;
        if height != seat.height {
            return Err(Unfit::Height { expected: seat.height, got: height });
        }
        if !seat.members.contains(&self.member) {
            return Err(Unfit::Stranger);
        }
        let expected = match content {
            Content::Proposal { payload, .. } => Some(payload),
            Content::Prevote(_) | Content::Precommit(_) => None,
        };
        let proposer = seat.proposer(view);
        if expected.is_some() && proposer != self.member {
            return Err(Unfit::Turn { proposer });
        }
        if self.payload.as_ref().map(Payload::digest) != expected {
            return Err(Unfit::Payload);
        }
        Ok(())
    }

    pub(super) fn is_signed(&self, seat: &Seat) -> bool {
        self.statement.signed_by(self.member, &seat.chain, &self.signature, seat.keys.as_ref())
    }
}
