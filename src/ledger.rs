//! The ledger: what a committee agreed on in every round, so that nobody can change it unseen.
//!
//! A round's [`block::Block`] names its parent, the updates that counted, the digest of their
//! aggregate and the committee that agreed; the [`block::Certificate`] beside it holds the signed
//! precommits of 2f+1 of its 3f+1 members. The certificate is not part of the block, since who
//! signed first depends on arrival. The next committee is drawn from the hash of the last block
//! ([`draw`]), so a captured committee cannot choose its successor, but through what it lists.
//!
//! Two structures stand on the blocks. The chain of hashes orders them; the Merkle tree
//! ([`merkle`]) over their hashes, and one over the updates of each, prove to somebody who holds
//! nothing but a [`chain::Head`] that an update counted, or that a ledger has only grown
//! ([`proof`]).
//!
//! What it does not do: hashes and signatures say who agreed on what, not that it was good. A
//! committee with more than a third of liars can be stalled, with two thirds it signs anything,
//! and a weak rule's poisoned aggregate is signed by an honest one.

pub mod block;
pub mod chain;
pub mod draw;
pub mod file;
pub mod genesis;
pub mod hex;
pub mod keys;
pub mod merkle;
pub mod proof;
pub mod vote;
