//! The forger: what a captured member of a committee does to the ballots that it makes.
//!
//! When it proposes, it proposes a block over an aggregate that no rows come to; where it tells
//! people different things, two such blocks to two halves, each of which is told that it votes for
//! what it was shown. Elsewhere its votes are good for one half, and nil for the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::consensus::{Ballot, Payload};
use super::member::encoding;
use crate::ledger::block::Block;
use crate::ledger::genesis::Genesis;
use crate::ledger::keys::{Keyring, Signer};
use crate::ledger::vote::{Content, Statement};
use crate::node::{NodeId, Round};
use crate::vector::Digest;

/// A captured member's pen.
#[derive(Debug)]
pub struct Forger {
    node: NodeId,
    chain: Digest,
    keys: Keyring,
    round: Round,
    /// What it shows in place of its own proposals of the round, to each half.
    forged: BTreeMap<Digest, [Payload; 2]>,
}

impl Forger {
    /// The pen of `node` in a run whose ledger begins like this.
    pub fn new(node: NodeId, genesis: &Genesis) -> Self {
        let keys = Keyring::derive(&genesis.run, node, &[]);
        let (chain, round) = (genesis.hash(), Round(0));
        Forger { node, chain, keys, round, forged: BTreeMap::new() }
    }

    /// The ballot that is sent in place of this one. `half` is who is told, where not all are told
    /// the same.
    pub fn forge(&mut self, bytes: &Arc<[u8]>, half: Option<usize>) -> Arc<[u8]> {
        let forged = encoding::read_ballot(bytes)
            .filter(|ballot| ballot.member == self.node)
            .and_then(|ballot| self.forged(&ballot, half));
        forged.map_or_else(|| Arc::clone(bytes), |ballot| encoding::ballot(&ballot))
    }

    fn forged(&mut self, ballot: &Ballot, half: Option<usize>) -> Option<Ballot> {
        let Statement { height, view, content } = ballot.statement;
        if height > self.round {
            self.round = height;
            self.forged.clear();
        }
        if let (Content::Proposal { value, valid: None, .. }, Some(payload)) =
            (content, &ballot.payload)
        {
            let block = Block::decode(payload.as_bytes())?;
            self.forged.entry(value).or_insert_with(|| [lie(&block, 0), lie(&block, 1)]);
        }
        let value = ballot.statement.value()?;
        let Some(shown) = self.forged.get(&value) else {
            // Others' proposals: votes that differ are all that there is to lie with.
            return (half == Some(1)).then(|| self.nil(ballot));
        };
        let payload = shown[half.unwrap_or(0)].clone();
        let value = Block::decode(payload.as_bytes())?.hash();
        let content = match content {
            Content::Proposal { valid, .. } => {
                Content::Proposal { value, valid, payload: Digest::of_bytes(payload.as_bytes()) }
            }
            Content::Prevote(_) => Content::Prevote(Some(value)),
            Content::Precommit(_) => Content::Precommit(Some(value)),
        };
        let payload = matches!(content, Content::Proposal { .. }).then_some(payload);
        Some(Ballot { payload, ..self.signed(Statement { height, view, content }) })
    }

    fn nil(&self, ballot: &Ballot) -> Ballot {
        let content = match ballot.statement.content {
            Content::Prevote(_) => Content::Prevote(None),
            Content::Precommit(_) => Content::Precommit(None),
            Content::Proposal { .. } => return ballot.clone(),
        };
        self.signed(Statement { content, ..ballot.statement })
    }

    fn signed(&self, statement: Statement) -> Ballot {
        Ballot::vote(self.node, statement, &self.chain, &self.keys as &dyn Signer)
    }
}

/// The block with an aggregate and a model that nobody can come to, another for each half.
fn lie(block: &Block, half: usize) -> Payload {
    let wrong = |what: &str| Digest::of_bytes(format!("{what} {half} {}", block.hash()).as_bytes());
    let lie = Block { aggregate: wrong("aggregate"), model: Some(wrong("model")), ..block.clone() };
    lie.encode().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::chain::Chain;
    use crate::protocol::consensus::{Proposal, Seat, Timeouts};

    #[test]
    fn two_halves_are_shown_two_blocks_and_votes_for_them() {
        let nodes: Vec<NodeId> = (0..4).map(NodeId).collect();
        let genesis = Genesis::uniform("run", &nodes, 4);
        let chain = Chain::new(genesis.clone()).unwrap();
        let block = chain.draft(Vec::new(), Digest::of(&[1.0]), Some(Digest::of(&[2.0])));
        let members = chain.committee();
        let node = members[1];
        let keys = Arc::new(Keyring::derive("run", node, &nodes));
        let (id, height, timeouts) = (*chain.id(), Round(1), Timeouts::default());
        let seat = Seat { node, chain: id, height, members, keys, timeouts };
        let mine = Proposal { value: block.hash(), payload: block.encode().into() };
        let told = encoding::ballot(&Ballot::proposal(&seat, 0, &mine, None));
        let mut forger = Forger::new(node, &genesis);
        let mut read =
            |bytes: &Arc<[u8]>, half| encoding::read_ballot(&forger.forge(bytes, half)).unwrap();
        let one = read(&told, Some(0));
        let other = read(&told, Some(1));
        assert_ne!(one.statement.value(), other.statement.value());
        for lie in [&one, &other] {
            assert_ne!(lie.statement.value(), Some(block.hash()));
            assert!(lie.statement.signed_by(node, &id, &lie.signature, seat.keys.as_ref()));
            let shown = Block::decode(lie.proposed().unwrap().payload.as_bytes()).unwrap();
            assert_eq!(Some(shown.hash()), lie.statement.value());
        }
        let statement = Statement::prevote(height, 0, block.hash());
        let vote = encoding::ballot(&Ballot::vote(node, statement, &id, seat.keys.as_ref()));
        assert_eq!(read(&vote, Some(1)).statement.value(), other.statement.value());
        assert_eq!(read(&vote, None).statement.value(), one.statement.value());
        let others = Statement::prevote(height, 0, Digest::of_bytes(b"theirs"));
        let vote = encoding::ballot(&Ballot::vote(node, others, &id, seat.keys.as_ref()));
        assert_eq!(read(&vote, Some(1)).statement.value(), None);
        assert_eq!(read(&vote, Some(0)).statement, others);
    }
}
