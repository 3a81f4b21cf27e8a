//! Proofs against a head, for those who do not hold the ledger.

use serde::{Deserialize, Serialize};

use super::block::{Block, Header, Listed};
use super::chain::Head;
use super::merkle::{self, Hash};
use crate::node::{NodeId, Round};

/// That a block is under a head, and one update in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inclusion {
    /// The head it is proven against; whoever verifies it must know this head from elsewhere.
    pub head: Head,
    /// The block without its list.
    pub header: Header,
    /// The block's place among all blocks, from 0.
    pub index: u64,
    /// The siblings of the block's leaf, from the leaf to the root.
    pub path: Vec<Hash>,
    /// The update, if one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed: Option<ListedProof>,
}

/// That an update is under a block's root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedProof {
    /// Which update.
    pub update: Listed,
    /// Its place in the list, from 0.
    pub index: u64,
    /// The siblings of its leaf, from the leaf to the root.
    pub path: Vec<Hash>,
}

/// That a ledger has only grown between two heads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consistency {
    /// The earlier head.
    pub from: Head,
    /// The later one.
    pub to: Head,
    /// The nodes of both trees that show it.
    pub path: Vec<Hash>,
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofFault {
    /// It was made against another head.
    #[error("the proof is about the head {got}, and the known one is {known}")]
    Head {
        /// What the verifier knows.
        known: Box<Head>,
        /// What the proof names.
        got: Box<Head>,
    },
    /// The path of the block leads elsewhere.
    #[error("the path of the block of round {round} does not lead to the root")]
    Block {
        /// Which block.
        round: Round,
    },
    /// The path of the update leads elsewhere.
    #[error("the path of sender {sender}'s update does not lead to the root of its block")]
    Update {
        /// Whose update.
        sender: NodeId,
    },
    /// The later ledger does not begin with the earlier one.
    #[error("the ledger of {to} blocks is not shown to begin with that of {from}")]
    Growth {
        /// The earlier height.
        from: Round,
        /// The later one.
        to: Round,
    },
}

impl ListedProof {
    /// The proof for the update of `sender`, if the block lists one.
    pub fn of(block: &Block, sender: NodeId) -> Option<Self> {
        let index = block.list.iter().position(|listed| listed.sender == sender)?;
        let path = merkle::inclusion(&block.leaves(), index);
        Some(ListedProof { update: block.list[index], index: index as u64, path })
    }
}

impl Inclusion {
    /// Whether it proves, to somebody who knows this head, what it says.
    pub fn verify(&self, known: &Head) -> Result<(), ProofFault> {
        if self.head != *known {
            return Err(ProofFault::Head { known: Box::new(*known), got: Box::new(self.head) });
        }
        let (round, size) = (self.header.round, u64::from(known.height.0));
        let leaf = self.header.leaf();
        if !merkle::verify_inclusion(leaf, self.index, size, &self.path, known.root) {
            return Err(ProofFault::Block { round });
        }
        match &self.listed {
            Some(listed) if !listed.leads_to(&self.header) => {
                Err(ProofFault::Update { sender: listed.update.sender })
            }
            _ => Ok(()),
        }
    }

    /// Its hashes in bytes: the price of the two paths.
    pub fn path_bytes(&self) -> usize {
        32 * (self.path.len() + self.listed.as_ref().map_or(0, |listed| listed.path.len()))
    }
}

impl ListedProof {
    fn leads_to(&self, header: &Header) -> bool {
        let (leaf, root) = (self.update.leaf(), header.updates_root);
        merkle::verify_inclusion(leaf, self.index, header.updates, &self.path, root)
    }
}

impl Consistency {
    /// Whether it proves, to somebody who knows the earlier head, that the later one grew from it.
    pub fn verify(&self, known: &Head) -> Result<(), ProofFault> {
        if self.from != *known {
            return Err(ProofFault::Head { known: Box::new(*known), got: Box::new(self.from) });
        }
        let sized = |head: &Head| (u64::from(head.height.0), head.root);
        if merkle::verify_consistency(sized(&self.from), sized(&self.to), &self.path) {
            return Ok(());
        }
        Err(ProofFault::Growth { from: self.from.height, to: self.to.height })
    }
}
