//! Keys and signatures: Ed25519, with keys that follow from the run.
//!
//! This is a lab. A node's secret key is a keyed hash of (run, node), so that a simulated run and
//! one of many processes have the same keys without exchanging any, and so that anybody who knows
//! the run's name can compute every public key, and every secret one as well. The signatures are
//! therefore real in form, size and cost, and prove nothing to somebody outside the lab.
//!
//! Reference: Bernstein, Duif, Lange, Schwabe, Yang, High-speed high-security signatures,
//! CHES 2011; verified strictly (small-order keys and malleable signatures are refused).

use std::collections::BTreeMap;
use std::fmt;

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

use super::hex::{self, Octets};
use crate::node::NodeId;

/// 64 bytes under which somebody has put a message.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Signature(#[serde(with = "hex")] [u8; 64]);

impl Octets for [u8; 64] {
    fn octets(&self) -> &[u8] {
        self
    }

    fn from_octets(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok()
    }
}

impl Signature {
    /// A signature that came from elsewhere; whether it is one shows when it is verified.
    pub fn from_bytes(bytes: [u8; 64]) -> Self {
        Signature(bytes)
    }

    /// The bytes, for the wire.
    pub fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}…", hex::encode(&self.0[..8]))
    }
}

/// What one node signs with.
#[derive(Clone)]
pub struct SecretKey(SigningKey);

impl SecretKey {
    /// The key of `node` in the run of this name.
    pub fn derive(run: &str, node: NodeId) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("byzlab 2026 signing key v1");
        hasher.update(&(run.len() as u64).to_le_bytes());
        hasher.update(run.as_bytes());
        hasher.update(&node.0.to_le_bytes());
        SecretKey(SigningKey::from_bytes(hasher.finalize().as_bytes()))
    }

    /// What others verify with.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.0.sign(message).to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    /// The public half alone.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SecretKey of {:?}", self.public())
    }
}

/// What anybody verifies a node's signatures with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// The key of `node` in the run of this name.
    pub fn derive(run: &str, node: NodeId) -> Self {
        SecretKey::derive(run, node).public()
    }

    /// Whether the holder of the secret half has signed this message.
    pub fn verifies(&self, message: &[u8], signature: &Signature) -> bool {
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        self.0.verify_strict(message, &signature).is_ok()
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0.as_bytes()))
    }
}

/// Who judges what others have signed.
pub trait Verifier: fmt::Debug + Send + Sync {
    /// Whether `node` has signed this message; `false` for strangers.
    fn verify(&self, node: NodeId, message: &[u8], signature: &Signature) -> bool;
}

/// Who signs for a node as well. [`Keyring`] is the one that counts; a simulation of very many
/// messages may bring a cheaper one.
pub trait Signer: Verifier {
    /// Signs for the node whose keys these are.
    fn sign(&self, message: &[u8]) -> Signature;
}

/// A node's secret key and the public keys of those it listens to.
#[derive(Debug, Clone)]
pub struct Keyring {
    own: SecretKey,
    public: BTreeMap<NodeId, PublicKey>,
}

impl Keyring {
    /// The keys of `node` and of all `members` in the run of this name.
    pub fn derive(run: &str, node: NodeId, members: &[NodeId]) -> Self {
        let key = |member: &NodeId| (*member, PublicKey::derive(run, *member));
        Keyring { own: SecretKey::derive(run, node), public: members.iter().map(key).collect() }
    }
}

impl Verifier for Keyring {
    fn verify(&self, node: NodeId, message: &[u8], signature: &Signature) -> bool {
        self.public.get(&node).is_some_and(|key| key.verifies(message, signature))
    }
}

impl Signer for Keyring {
    fn sign(&self, message: &[u8]) -> Signature {
        self.own.sign(message)
    }
}

/// The public keys of the run of this name, each derived when it is asked for.
#[derive(Debug, Clone, Copy)]
pub struct RunKeys<'a>(pub &'a str);

impl Verifier for RunKeys<'_> {
    fn verify(&self, node: NodeId, message: &[u8], signature: &Signature) -> bool {
        PublicKey::derive(self.0, node).verifies(message, signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_name_changes_the_key() {
        let key = |run, node| PublicKey::derive(run, NodeId(node));
        assert_eq!(key("run", 1), key("run", 1));
        assert_ne!(key("run", 1), key("run", 2));
        assert_ne!(key("run", 1), key("run2", 1));
    }

    #[test]
    fn a_signature_holds_for_one_node_and_one_message() {
        let members = [NodeId(0), NodeId(1)];
        let ring = Keyring::derive("run", NodeId(1), &members);
        let signature = ring.sign(b"yes");
        assert!(ring.verify(NodeId(1), b"yes", &signature));
        assert!(!ring.verify(NodeId(1), b"no", &signature));
        assert!(!ring.verify(NodeId(0), b"yes", &signature));
        assert!(!ring.verify(NodeId(2), b"yes", &signature));
        let mut bytes = *signature.as_bytes();
        bytes[63] ^= 1;
        assert!(!ring.verify(NodeId(1), b"yes", &Signature::from_bytes(bytes)));
    }

    #[test]
    fn secrets_are_not_printed() {
        let key = SecretKey::derive("run", NodeId(3));
        let shown = format!("{key:?}");
        assert!(!shown.contains(&hex::encode(key.0.as_bytes())), "{shown}");
    }
}
