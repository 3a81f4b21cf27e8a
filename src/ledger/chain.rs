//! The chain of blocks: what may come next, and what has come so far in one [`Head`].

use std::fmt;

use serde::{Deserialize, Serialize};

use super::block::{Block, Certificate, CertificateFault, Header, Listed};
use super::genesis::{Genesis, GenesisError};
use super::hex;
use super::keys::RunKeys;
use super::merkle::{self, Hash, Peaks};
use super::proof::{Consistency, Inclusion, ListedProof};
use super::vote::Statement;
use crate::node::{NodeId, Round};
use crate::vector::Digest;

/// All that must be remembered of a ledger to find any change in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// How many blocks there are.
    pub height: Round,
    /// The hash of the last, or of the genesis.
    #[serde(with = "hex")]
    pub block: Digest,
    /// The root of the Merkle tree over the hashes of all blocks.
    pub root: Hash,
}

impl fmt::Display for Head {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "round {}, block {}, root {}", self.height, self.block, self.root)
    }
}

/// One line of a ledger: a block, what its committee signed, and what follows from them, so that
/// any tool can read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What was agreed on.
    pub block: Block,
    /// Its hash.
    #[serde(with = "hex")]
    pub hash: Digest,
    /// The root of the Merkle tree over its updates.
    pub updates_root: Hash,
    /// The root of the Merkle tree over all blocks up to this one.
    pub root: Hash,
    /// Who agreed.
    pub certificate: Certificate,
}

/// Why a block does not come next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A round is here twice, or after a later one.
    #[error("it is the block of round {got}, and one of round {expected} or later comes next")]
    Round {
        /// The first that can come next.
        expected: Round,
        /// What is here.
        got: Round,
    },
    /// It follows another block.
    #[error("its parent is {got}, and the block before it has the hash {expected}")]
    Parent {
        /// The hash of the last block.
        expected: Digest,
        /// What it names.
        got: Digest,
    },
    /// Others were drawn.
    #[error("its committee is {got:?}, and the hash of its parent draws {expected:?}")]
    Committee {
        /// Who was drawn.
        expected: Vec<u32>,
        /// Who is named.
        got: Vec<u32>,
    },
    /// The list has no order.
    #[error("it lists sender {second} after {first}; each counts once, in ascending order")]
    List {
        /// The one in front.
        first: NodeId,
        /// The one behind it.
        second: NodeId,
    },
    /// Too few have signed it.
    #[error(transparent)]
    Certificate(#[from] CertificateFault),
    /// What is written beside the block does not follow from it.
    #[error("its {what} is written as {got} and comes out as {expected}")]
    Derived {
        /// Which value.
        what: &'static str,
        /// What comes out.
        expected: String,
        /// What is written.
        got: String,
    },
}

/// A ledger that is checked block by block. It keeps hashes alone, 68 bytes for each block;
/// lists and signatures are in the file.
///
/// A round whose committee came to no decision has no block: the next one names a later round, and
/// was agreed on by the committee that this round draws from the same parent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Chain {
    genesis: Genesis,
    #[serde(with = "hex")]
    id: Digest,
    #[serde(with = "hex")]
    tip: Digest,
    rounds: Vec<Round>,
    hashes: Vec<Digest>,
    leaves: Vec<Hash>,
    peaks: Peaks,
}

impl Chain {
    /// A ledger without blocks.
    pub fn new(genesis: Genesis) -> Result<Self, GenesisError> {
        genesis.check()?;
        let id = genesis.hash();
        let (rounds, hashes, leaves) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Chain { genesis, id, tip: id, rounds, hashes, leaves, peaks: Peaks::default() })
    }

    /// What it began with.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The hash of the genesis, under which all votes are signed.
    pub fn id(&self) -> &Digest {
        &self.id
    }

    /// What to remember of it.
    pub fn head(&self) -> Head {
        Head { height: self.height(), block: self.tip, root: self.peaks.root() }
    }

    /// What there was to remember after `height` blocks, if there are as many.
    pub fn head_at(&self, height: Round) -> Option<Head> {
        let leaves = self.leaves.get(..height.0 as usize)?;
        let block = if height.0 == 0 { self.id } else { self.hashes[height.0 as usize - 1] };
        Some(Head { height, block, root: merkle::root(leaves) })
    }

    /// How many blocks there are; the number of rounds that came to one.
    pub fn height(&self) -> Round {
        Round(self.hashes.len() as u32)
    }

    /// The round of the last block; 0 if there is none.
    pub fn round(&self) -> Round {
        self.rounds.last().copied().unwrap_or(Round(0))
    }

    /// How many blocks there were after `round`.
    pub fn height_in(&self, round: Round) -> Round {
        Round(self.rounds.partition_point(|of| *of <= round) as u32)
    }

    /// The committee that the last block draws for `round`, in the order in which its members
    /// propose.
    pub fn committee_in(&self, round: Round) -> Vec<NodeId> {
        let drawn = self.genesis.committee_after(&self.tip, round);
        drawn.expect("the genesis admits its committees")
    }

    /// The committee of the round after the last block.
    pub fn committee(&self) -> Vec<NodeId> {
        self.committee_in(self.round().next())
    }

    /// The block of the round after the last one with these updates, put in order of sender.
    pub fn draft(&self, list: Vec<Listed>, aggregate: Digest, model: Option<Digest>) -> Block {
        self.draft_in(self.round().next(), list, aggregate, model)
    }

    /// The block of `round` that would come next with these updates, put in order of sender.
    pub fn draft_in(
        &self,
        round: Round,
        mut list: Vec<Listed>,
        aggregate: Digest,
        model: Option<Digest>,
    ) -> Block {
        list.sort_unstable();
        let committee = self.committee_in(round);
        Block { parent: self.tip, round, list, aggregate, model, committee }
    }

    /// Whether `block` may come next, but for its signatures and for what only those know who
    /// have the updates: a member checks this and recomputes the aggregate before it prevotes.
    pub fn check(&self, block: &Block) -> Result<(), Fault> {
        let expected = self.round().next();
        if block.round < expected {
            return Err(Fault::Round { expected, got: block.round });
        }
        if block.parent != self.tip {
            return Err(Fault::Parent { expected: self.tip, got: block.parent });
        }
        let drawn = self.committee_in(block.round);
        if block.committee != drawn {
            let plain = |nodes: &[NodeId]| nodes.iter().map(|node| node.0).collect();
            let (expected, got) = (plain(&drawn), plain(&block.committee));
            return Err(Fault::Committee { expected, got });
        }
        for pair in block.list.windows(2) {
            let (first, second) = (pair[0].sender, pair[1].sender);
            if first >= second {
                return Err(Fault::List { first, second });
            }
        }
        Ok(())
    }

    /// Checks a block and its certificate, takes them in and returns the line to write.
    pub fn append(&mut self, block: Block, certificate: Certificate) -> Result<Entry, Fault> {
        self.check(&block)?;
        let header = block.header();
        let hash = header.hash();
        let statement = Statement::precommit(block.round, certificate.view, hash);
        certificate.check(&statement, &self.id, &block.committee, &RunKeys(&self.genesis.run))?;
        self.take(&header, hash);
        let (updates_root, root) = (header.updates_root, self.peaks.root());
        Ok(Entry { block, hash, updates_root, root, certificate })
    }

    fn take(&mut self, header: &Header, hash: Digest) {
        let leaf = header.leaf();
        self.tip = hash;
        self.rounds.push(header.round);
        self.hashes.push(hash);
        self.leaves.push(leaf);
        self.peaks.push(leaf);
    }

    /// The same for a line that was read: what is written beside the block must follow from it.
    pub fn append_entry(&mut self, entry: &Entry) -> Result<(), Fault> {
        let again = self.append(entry.block.clone(), entry.certificate.clone())?;
        let pairs = [
            ("hash", again.hash.to_string(), entry.hash.to_string()),
            ("updates_root", again.updates_root.to_string(), entry.updates_root.to_string()),
            ("root", again.root.to_string(), entry.root.to_string()),
        ];
        match pairs.into_iter().find(|(_, expected, got)| expected != got) {
            None => Ok(()),
            Some((what, expected, got)) => Err(Fault::Derived { what, expected, got }),
        }
    }

    /// The proof that a block of this ledger, and one sender's update in it, are under its head.
    /// `None` if the block is not in it or does not list the sender.
    pub fn prove(&self, block: &Block, sender: Option<NodeId>) -> Option<Inclusion> {
        let header = block.header();
        let index = self.rounds.binary_search(&block.round).ok()?;
        if self.hashes[index] != header.hash() {
            return None;
        }
        let listed = match sender {
            None => None,
            Some(sender) => Some(ListedProof::of(block, sender)?),
        };
        let path = merkle::inclusion(&self.leaves, index);
        Some(Inclusion { head: self.head(), header, index: index as u64, path, listed })
    }

    /// The proof that the first `from` blocks, at least one, are how the first `to` began.
    pub fn prove_growth(&self, from: Round, to: Round) -> Option<Consistency> {
        if from.0 == 0 || from > to {
            return None;
        }
        let (from, to) = (self.head_at(from)?, self.head_at(to)?);
        let leaves = &self.leaves[..to.height.0 as usize];
        let path = merkle::consistency(leaves, from.height.0 as usize);
        Some(Consistency { from, to, path })
    }
}
