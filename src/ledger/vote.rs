//! What committee members sign: proposals, prevotes and precommits of one height.
//!
//! The signed bytes have a fixed order and a tag in front, so that a signature means one thing:
//! tag, chain (32 bytes), height (4), view (4), kind (1), then what the kind holds, numbers in
//! little-endian order. The chain is the hash of the [genesis](super::genesis), so no vote counts
//! in another run.

use serde::{Deserialize, Serialize};

use super::hex;
use super::keys::{Signature, Signer, Verifier};
use crate::node::{NodeId, Round};
use crate::vector::Digest;

/// In front of everything that is signed.
const TAG: &[u8] = b"byzlab 2026 consensus statement v1\0";

/// The kinds of statements; a member makes one of each in a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The view's proposer names a value.
    Proposal,
    /// A member would accept the value, or none.
    Prevote,
    /// A member has seen 2f+1 prevotes for the value, or gives the view up.
    Precommit,
}

/// What a statement says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// A value and the digest of what came with it.
    Proposal {
        /// The hash of the block.
        #[serde(with = "hex")]
        value: Digest,
        /// The view in which 2f+1 prevotes made it valid; `None` for a fresh value.
        valid: Option<u32>,
        /// The digest of the payload.
        #[serde(with = "hex")]
        payload: Digest,
    },
    /// A vote in the first round of voting; `None` is nil.
    Prevote(#[serde(with = "hex::optional")] Option<Digest>),
    /// A vote in the second; `None` is nil.
    Precommit(#[serde(with = "hex::optional")] Option<Digest>),
}

/// What one member says in one view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The height: the round of the block in question.
    pub height: Round,
    /// The view, from 0.
    pub view: u32,
    /// What is said.
    pub content: Content,
}

impl Statement {
    /// A precommit for a value, as certificates hold them.
    pub fn precommit(height: Round, view: u32, value: Digest) -> Self {
        Statement { height, view, content: Content::Precommit(Some(value)) }
    }

    /// A prevote for a value, as quorums hold them.
    pub fn prevote(height: Round, view: u32, value: Digest) -> Self {
        Statement { height, view, content: Content::Prevote(Some(value)) }
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self.content {
            Content::Proposal { .. } => Kind::Proposal,
            Content::Prevote(_) => Kind::Prevote,
            Content::Precommit(_) => Kind::Precommit,
        }
    }

    /// The value it names; `None` is nil.
    pub fn value(&self) -> Option<Digest> {
        match self.content {
            Content::Proposal { value, .. } => Some(value),
            Content::Prevote(value) | Content::Precommit(value) => value,
        }
    }

    /// The bytes that are signed.
    pub fn bytes(&self, chain: &Digest) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(TAG.len() + 32 + 4 + 4 + 1 + 32 + 5 + 32);
        bytes.extend(TAG);
        bytes.extend(chain.as_bytes());
        bytes.extend(self.height.0.to_le_bytes());
        bytes.extend(self.view.to_le_bytes());
        bytes.push(match self.kind() {
            Kind::Proposal => 0,
            Kind::Prevote => 1,
            Kind::Precommit => 2,
        });
        // A nil vote ends here, so its length tells it from a vote for any value.
        bytes.extend(self.value().iter().flat_map(Digest::as_bytes));
        if let Content::Proposal { valid, payload, .. } = self.content {
            bytes.push(u8::from(valid.is_some()));
            bytes.extend(valid.unwrap_or(0).to_le_bytes());
            bytes.extend(payload.as_bytes());
        }
        bytes
    }

    /// Signs it with the keys of its maker.
    pub fn sign(&self, chain: &Digest, keys: &dyn Signer) -> Signature {
        keys.sign(&self.bytes(chain))
    }

    /// Whether `member` has signed it.
    pub fn signed_by(
        &self,
        member: NodeId,
        chain: &Digest,
        signature: &Signature,
        keys: &dyn Verifier,
    ) -> bool {
        keys.verify(member, &self.bytes(chain), signature)
    }
}

/// Two different statements of one member that exclude each other, signed by it: it has lied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Who made both.
    pub member: NodeId,
    /// What came first, and its signature.
    pub first: (Statement, Signature),
    /// What came second.
    pub second: (Statement, Signature),
}

impl Evidence {
    /// Whether it proves what it says: both are signed, and no honest member makes both.
    pub fn holds(&self, chain: &Digest, keys: &dyn Verifier) -> bool {
        let (first, second) = (&self.first.0, &self.second.0);
        let slot = |statement: &Statement| (statement.height, statement.view, statement.kind());
        slot(first) == slot(second)
            && first != second
            && first.signed_by(self.member, chain, &self.first.1, keys)
            && second.signed_by(self.member, chain, &self.second.1, keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::keys::Keyring;

    fn statements() -> Vec<Statement> {
        let (value, payload) = (Digest::of_bytes(b"v"), Digest::of_bytes(b"p"));
        let mut contents = Vec::new();
        for value in [Some(value), Some(payload), None] {
            contents.extend([Content::Prevote(value), Content::Precommit(value)]);
        }
        for valid in [None, Some(0), Some(1)] {
            contents.push(Content::Proposal { value, valid, payload });
            contents.push(Content::Proposal { value: payload, valid, payload });
            contents.push(Content::Proposal { value, valid, payload: value });
        }
        let slots = [(1, 0), (0, 1), (1, 1)];
        let at = |(height, view)| {
            contents.iter().map(move |content| Statement {
                height: Round(height),
                view,
                content: *content,
            })
        };
        slots.into_iter().flat_map(at).collect()
    }

    #[test]
    fn no_two_statements_sign_the_same_bytes() {
        let chain = Digest::of_bytes(b"run");
        let mut signed: Vec<Vec<u8>> = statements().iter().map(|one| one.bytes(&chain)).collect();
        signed.extend(statements().iter().map(|one| one.bytes(&Digest::of_bytes(b"other"))));
        let count = signed.len();
        signed.sort();
        signed.dedup();
        assert_eq!(signed.len(), count);
    }

    #[test]
    fn evidence_needs_two_signed_statements_of_one_slot() {
        let chain = Digest::of_bytes(b"run");
        let keys = Keyring::derive("run", NodeId(2), &[NodeId(1), NodeId(2)]);
        let signed = |statement: Statement| (statement, statement.sign(&chain, &keys));
        let yes = signed(Statement::prevote(Round(1), 0, Digest::of_bytes(b"v")));
        let no = signed(Statement { content: Content::Prevote(None), ..yes.0 });
        let later = signed(Statement { view: 1, ..no.0 });
        let evidence = Evidence { member: NodeId(2), first: yes, second: no };
        assert!(evidence.holds(&chain, &keys));
        assert!(!Evidence { member: NodeId(1), ..evidence }.holds(&chain, &keys));
        assert!(!Evidence { second: later, ..evidence }.holds(&chain, &keys));
        assert!(!Evidence { second: yes, ..evidence }.holds(&chain, &keys));
        assert!(!Evidence { second: (no.0, yes.1), ..evidence }.holds(&chain, &keys));
    }
}
