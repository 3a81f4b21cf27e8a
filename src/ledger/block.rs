//! What one round comes to, and the signatures that stand beside it.

use serde::{Deserialize, Serialize};

use super::draw::quorum;
use super::hex;
use super::keys::{Signature, Verifier};
use super::merkle::{self, Hash};
use super::vote::Statement;
use crate::node::{NodeId, Round};
use crate::vector::Digest;

/// An update that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// Whose it is.
    pub sender: NodeId,
    /// The digest of all that it shared: its vector, loss and sample count.
    #[serde(with = "hex")]
    pub digest: Digest,
}

impl Listed {
    /// Its leaf in the tree over a block's updates.
    pub fn leaf(&self) -> Hash {
        let mut entry = [0; 36];
        entry[..4].copy_from_slice(&self.sender.0.to_le_bytes());
        entry[4..].copy_from_slice(self.digest.as_bytes());
        Hash::leaf(&entry)
    }
}

/// What a committee agrees on in one round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// The hash of the block before, or of the genesis.
    #[serde(with = "hex")]
    pub parent: Digest,
    /// The round, later than that of the block before.
    pub round: Round,
    /// The updates that count, in ascending order of sender.
    pub list: Vec<Listed>,
    /// The digest of their aggregate.
    #[serde(with = "hex")]
    pub aggregate: Digest,
    /// The digest of the model after the round, if it is agreed on as well.
    #[serde(with = "hex::optional")]
    pub model: Option<Digest>,
    /// Who was drawn, in the order of proposing.
    pub committee: Vec<NodeId>,
}

/// A block with the root of its list in place of the list: all that its hash covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// As in the block.
    #[serde(with = "hex")]
    pub parent: Digest,
    /// As in the block.
    pub round: Round,
    /// How many updates count.
    pub updates: u64,
    /// The root of the Merkle tree over them.
    pub updates_root: Hash,
    /// As in the block.
    #[serde(with = "hex")]
    pub aggregate: Digest,
    /// As in the block.
    #[serde(with = "hex::optional")]
    pub model: Option<Digest>,
    /// As in the block.
    pub committee: Vec<NodeId>,
}

impl Header {
    /// The hash of the block.
    pub fn hash(&self) -> Digest {
        let mut hasher = blake3::Hasher::new_derive_key("byzlab 2026 ledger block v1");
        hasher.update(self.parent.as_bytes());
        hasher.update(&self.round.0.to_le_bytes());
        hasher.update(&self.updates.to_le_bytes());
        hasher.update(self.updates_root.as_bytes());
        hasher.update(self.aggregate.as_bytes());
        hasher.update(&[u8::from(self.model.is_some())]);
        hasher.update(self.model.unwrap_or(Digest::from_bytes([0; 32])).as_bytes());
        hasher.update(&(self.committee.len() as u64).to_le_bytes());
        for member in &self.committee {
            hasher.update(&member.0.to_le_bytes());
        }
        Digest::from_bytes(*hasher.finalize().as_bytes())
    }

    /// Its block's leaf in the tree over all blocks.
    pub fn leaf(&self) -> Hash {
        Hash::leaf(self.hash().as_bytes())
    }
}

impl Block {
    /// The block with the root of its list in place of the list.
    pub fn header(&self) -> Header {
        Header {
            parent: self.parent,
            round: self.round,
            updates: self.list.len() as u64,
            updates_root: self.updates_root(),
            aggregate: self.aggregate,
            model: self.model,
            committee: self.committee.clone(),
        }
    }

    /// The hash over parent, round, list, aggregate, model and committee; what is agreed on.
    pub fn hash(&self) -> Digest {
        self.header().hash()
    }

    /// The root of the Merkle tree over the list.
    pub fn updates_root(&self) -> Hash {
        merkle::root(&self.leaves())
    }

    /// The leaves of that tree.
    pub fn leaves(&self) -> Vec<Hash> {
        self.list.iter().map(Listed::leaf).collect()
    }

    /// The block as bytes, to travel as the payload of a proposal.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("plain data encodes")
    }

    /// A block out of a payload, if it is one and nothing follows it.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (block, rest) = postcard::take_from_bytes(bytes).ok()?;
        rest.is_empty().then_some(block)
    }
}

/// One member's signature under a vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// Who signed.
    pub member: NodeId,
    /// What it put under its vote.
    pub signature: Signature,
}

/// The precommits of 2f+1 members of one view, in ascending order of member. No more than that:
/// a signature too many could be taken away unseen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// The view in which the value was decided, from 0.
    pub view: u32,
    /// The signatures.
    pub signatures: Vec<Signed>,
}

/// Why a certificate does not certify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateFault {
    /// Too few or too many signatures.
    #[error("the certificate has {got} signatures; a committee of {size} needs {needed}")]
    Count {
        /// How many there are.
        got: usize,
        /// How many there must be.
        needed: usize,
        /// How many sit on the committee.
        size: usize,
    },
    /// A member signs twice, or they are out of order.
    #[error("the certificate lists member {second} after {first}; each signs once, in order")]
    Order {
        /// The one in front.
        first: NodeId,
        /// The one behind it.
        second: NodeId,
    },
    /// A stranger signs.
    #[error("the certificate is signed by {member}, who is not on the committee")]
    Stranger {
        /// Who.
        member: NodeId,
    },
    /// A signature is wrong.
    #[error("the signature of member {member} is not under a vote of view {view} for this block")]
    Signature {
        /// Whose.
        member: NodeId,
        /// The view that the certificate names.
        view: u32,
    },
}

impl Certificate {
    /// Puts signatures in order.
    pub fn new(view: u32, mut signatures: Vec<Signed>) -> Self {
        signatures.sort_by_key(|signed| signed.member);
        Certificate { view, signatures }
    }

    /// Holds it against the committee: 2f+1 distinct members have signed `statement`.
    pub fn check(
        &self,
        statement: &Statement,
        chain: &Digest,
        committee: &[NodeId],
        keys: &dyn Verifier,
    ) -> Result<(), CertificateFault> {
        self.check_signers(committee)?;
        let bytes = statement.bytes(chain);
        let wrong = self
            .signatures
            .iter()
            .find(|signed| !keys.verify(signed.member, &bytes, &signed.signature));
        match wrong {
            None => Ok(()),
            Some(Signed { member, .. }) => {
                Err(CertificateFault::Signature { member: *member, view: self.view })
            }
        }
    }

    fn check_signers(&self, committee: &[NodeId]) -> Result<(), CertificateFault> {
        let (got, needed) = (self.signatures.len(), quorum(committee.len()));
        if got != needed {
            return Err(CertificateFault::Count { got, needed, size: committee.len() });
        }
        for pair in self.signatures.windows(2) {
            let (first, second) = (pair[0].member, pair[1].member);
            if first >= second {
                return Err(CertificateFault::Order { first, second });
            }
        }
        let stranger = self.signatures.iter().find(|signed| !committee.contains(&signed.member));
        match stranger {
            None => Ok(()),
            Some(Signed { member, .. }) => Err(CertificateFault::Stranger { member: *member }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::keys::Keyring;

    fn block() -> Block {
        let digest = Digest::of_bytes(b"x");
        Block {
            parent: digest,
            round: Round(1),
            list: vec![Listed { sender: NodeId(4), digest }, Listed { sender: NodeId(6), digest }],
            aggregate: digest,
            model: None,
            committee: (0..4).map(NodeId).collect(),
        }
    }

    #[test]
    fn every_part_changes_the_hash() {
        let other = Digest::of_bytes(b"y");
        let changed = |change: &dyn Fn(&mut Block)| {
            let mut block = block();
            change(&mut block);
            block.hash()
        };
        let hashes = [
            block().hash(),
            changed(&|one| one.parent = other),
            changed(&|one| one.round = Round(2)),
            changed(&|one| one.list[0].digest = other),
            changed(&|one| one.list[0].sender = NodeId(3)),
            changed(&|one| one.list.swap(0, 1)),
            changed(&|one| one.list.truncate(1)),
            changed(&|one| one.aggregate = other),
            changed(&|one| one.model = Some(Digest::from_bytes([0; 32]))),
            changed(&|one| one.committee.swap(0, 1)),
            changed(&|one| one.committee.truncate(1)),
        ];
        for (at, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..at].contains(hash), "{at}");
        }
    }

    #[test]
    fn a_payload_is_a_block_and_nothing_more() {
        let bytes = block().encode();
        assert_eq!(Block::decode(&bytes), Some(block()));
        assert_eq!(Block::decode(&bytes[1..]), None);
        assert_eq!(Block::decode(&[&bytes[..], &[0]].concat()), None);
    }

    #[test]
    fn certificates_need_enough_distinct_members() {
        use CertificateFault as Fault;

        let committee: Vec<NodeId> = [3, 1, 2, 0].map(NodeId).to_vec();
        let (chain, value) = (Digest::of_bytes(b"run"), block().hash());
        let keys = Keyring::derive("run", NodeId(0), &committee);
        let statement = Statement::precommit(Round(1), 2, value);
        let signed = |node| {
            let keys = Keyring::derive("run", NodeId(node), &committee);
            Signed { member: NodeId(node), signature: statement.sign(&chain, &keys) }
        };
        let check = |signers: &[u32]| {
            let certificate =
                Certificate::new(2, signers.iter().map(|node| signed(*node)).collect());
            certificate.check(&statement, &chain, &committee, &keys)
        };
        assert_eq!(check(&[3, 0, 1]), Ok(()));
        assert_eq!(check(&[3, 0]), Err(Fault::Count { got: 2, needed: 3, size: 4 }));
        assert_eq!(check(&[3, 0, 1, 2]), Err(Fault::Count { got: 4, needed: 3, size: 4 }));
        let twice = Fault::Order { first: NodeId(3), second: NodeId(3) };
        assert_eq!(check(&[3, 0, 3]), Err(twice));
        assert_eq!(check(&[3, 0, 7]), Err(Fault::Stranger { member: NodeId(7) }));
        let mut forged = Certificate::new(2, vec![signed(0), signed(1), signed(2)]);
        forged.signatures[1].signature = forged.signatures[0].signature;
        let wrong = Fault::Signature { member: NodeId(1), view: 2 };
        assert_eq!(forged.check(&statement, &chain, &committee, &keys), Err(wrong));
    }
}
