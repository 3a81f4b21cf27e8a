//! Ballots and decisions as bytes. What depends on who was first, the members that signed, takes
//! the same room whoever they are, so that both runtimes count the same bytes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ledger::block::{Certificate, Signed};
use crate::ledger::keys::Signature;
use crate::ledger::vote::Statement;
use crate::node::NodeId;
use crate::protocol::consensus::{Ballot, Payload, Quorum};
use crate::vector::Digest;

/// A certificate with numbers of fixed width.
#[derive(Serialize, Deserialize)]
struct Signers {
    view: [u8; 4],
    signatures: Vec<([u8; 4], Signature)>,
}

impl Signers {
    fn of(certificate: &Certificate) -> Self {
        let signed = |signed: &Signed| (signed.member.0.to_le_bytes(), signed.signature);
        Signers {
            view: certificate.view.to_le_bytes(),
            signatures: certificate.signatures.iter().map(signed).collect(),
        }
    }

    /// In the order in which they stand: what is out of order must be refused, not mended.
    fn certificate(self) -> Certificate {
        let signed = |(member, signature): ([u8; 4], Signature)| Signed {
            member: NodeId(u32::from_le_bytes(member)),
            signature,
        };
        Certificate {
            view: u32::from_le_bytes(self.view),
            signatures: self.signatures.into_iter().map(signed).collect(),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct EncodedBallot {
    member: NodeId,
    statement: Statement,
    signature: Signature,
    payload: Option<Payload>,
    quorum: Option<(Digest, Signers)>,
}

/// A ballot as bytes.
pub fn ballot(ballot: &Ballot) -> Arc<[u8]> {
    let quorum = |quorum: &Quorum| (quorum.value, Signers::of(&quorum.certificate));
    encode(&EncodedBallot {
        member: ballot.member,
        statement: ballot.statement,
        signature: ballot.signature,
        payload: ballot.payload.clone(),
        quorum: ballot.quorum.as_ref().map(quorum),
    })
}

/// The ballot that these bytes are, if they are one.
pub fn read_ballot(bytes: &[u8]) -> Option<Ballot> {
    let EncodedBallot { member, statement, signature, payload, quorum } = decode(bytes)?;
    let quorum =
        quorum.map(|(value, signers)| Quorum { value, certificate: signers.certificate() });
    Some(Ballot { member, statement, signature, payload, quorum })
}

/// A block, itself encoded, and its certificate as bytes.
pub fn decided(block: &Payload, certificate: &Certificate) -> Arc<[u8]> {
    encode(&(block, Signers::of(certificate)))
}

/// The block and the certificate that these bytes are, if they are that.
pub fn read_decided(bytes: &[u8]) -> Option<(Payload, Certificate)> {
    let (block, signers): (Payload, Signers) = decode(bytes)?;
    Some((block, signers.certificate()))
}

fn encode<T: Serialize>(value: &T) -> Arc<[u8]> {
    postcard::to_allocvec(value).expect("plain data encodes").into()
}

fn decode<T: for<'de> Deserialize<'de>>(bytes: &[u8]) -> Option<T> {
    let (value, rest) = postcard::take_from_bytes(bytes).ok()?;
    rest.is_empty().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::keys::Keyring;
    use crate::node::Round;

    fn certificate(members: [u32; 3]) -> Certificate {
        let sign = |node| {
            let keys = Keyring::derive("run", NodeId(node), &[]);
            let statement = Statement::precommit(Round(3), 0, Digest::of_bytes(b"block"));
            let signature = statement.sign(&Digest::of_bytes(b"chain"), &keys);
            Signed { member: NodeId(node), signature }
        };
        Certificate::new(0, members.map(sign).to_vec())
    }

    #[test]
    fn who_signed_does_not_change_the_length() {
        let block = Payload::from(vec![7; 90]);
        let few = decided(&block, &certificate([1, 2, 3]));
        let many = decided(&block, &certificate([1, 200, 70_000]));
        assert_eq!(few.len(), many.len());
        assert_eq!(read_decided(&many), Some((block, certificate([1, 200, 70_000]))));
        assert_eq!(read_decided(&many[1..]), None);
        assert_eq!(read_decided(&[]), None);
    }

    #[test]
    fn ballots_come_back_whole() {
        let keys = Keyring::derive("run", NodeId(2), &[]);
        let value = Digest::of_bytes(b"block");
        let statement = Statement::precommit(Round(3), 1, value);
        let quorum = Quorum { value, certificate: certificate([0, 1, 2]) };
        let vote = Ballot::vote(NodeId(2), statement, &Digest::of_bytes(b"chain"), &keys);
        let vote = vote.with(Some(quorum));
        let bytes = ballot(&vote);
        assert_eq!(read_ballot(&bytes), Some(vote));
        assert_eq!(read_ballot(&[&bytes[..], &[0]].concat()), None);
        for end in 0..bytes.len() {
            assert_eq!(read_ballot(&bytes[..end]), None);
        }
    }
}
