//! Merkle trees as certificate transparency has them: roots, inclusion and consistency.
//!
//! A leaf is `SHA-256(0x00 ‖ entry)`, an inner node `SHA-256(0x01 ‖ left ‖ right)`, and a tree of n
//! leaves splits at the largest power of two below n. The two prefixes keep an inner node from
//! being passed off as an entry. A proof for one of n entries is at most `⌈log2 n⌉` hashes of 32
//! bytes.
//!
//! Reference: Laurie, Langley, Kasper, Certificate Transparency, RFC 6962, 2013, section 2.1;
//! the verification follows RFC 9162, section 2.1.3 and 2.1.4.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::hex::{self, Octets};

/// The hash of a node or of a whole tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hash(#[serde(with = "hex")] [u8; 32]);

impl Octets for [u8; 32] {
    fn octets(&self) -> &[u8] {
        self
    }

    fn from_octets(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok()
    }
}

impl Hash {
    /// The hash of an entry.
    pub fn leaf(entry: &[u8]) -> Self {
        Hash(Sha256::new_with_prefix([0]).chain_update(entry).finalize().into())
    }

    /// The hash of what stands above two nodes.
    pub fn node(left: Hash, right: Hash) -> Self {
        let joined = Sha256::new_with_prefix([1]).chain_update(left.0).chain_update(right.0);
        Hash(joined.finalize().into())
    }

    /// The root of a tree without entries.
    pub fn empty() -> Self {
        Hash(Sha256::digest([]).into())
    }

    /// The hash that 64 hexadecimal digits spell.
    pub fn from_hex(text: &str) -> Option<Self> {
        hex::decode(text).map(Hash)
    }

    /// The raw bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The root over leaves in this order.
pub fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::empty(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            Hash::node(root(left), root(right))
        }
    }
}

/// The largest power of two below `count`, which is at least 2.
fn split(count: usize) -> usize {
    1 << (count - 1).ilog2()
}

/// The proof that leaf `index` is one of `leaves`: its siblings, from the leaf to the root.
///
/// # Panics
/// If there is no such leaf.
pub fn inclusion(leaves: &[Hash], index: usize) -> Vec<Hash> {
    assert!(index < leaves.len(), "leaf {index} of {}", leaves.len());
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut path, sibling) = if index < left.len() {
        (inclusion(left, index), root(right))
    } else {
        (inclusion(right, index - left.len()), root(left))
    };
    path.push(sibling);
    path
}

/// Whether `path` proves that `leaf` is number `index` of the `size` leaves under `root`.
pub fn verify_inclusion(leaf: Hash, index: u64, size: u64, path: &[Hash], root: Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last) = (index, size - 1);
    let mut hash = leaf;
    for sibling in path {
        if last == 0 {
            return false;
        }
        if at % 2 == 1 || at == last {
            hash = Hash::node(*sibling, hash);
            climb_past_lone_nodes(&mut at, &mut last);
        } else {
            hash = Hash::node(hash, *sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == root
}

/// A node without a sibling, at the right edge, is its own parent.
fn climb_past_lone_nodes(at: &mut u64, last: &mut u64) {
    while at.is_multiple_of(2) && *at != 0 {
        *at >>= 1;
        *last >>= 1;
    }
}

/// The proof that the first `old` of these leaves, at least one, are how the tree began.
///
/// # Panics
/// If `old` is 0 or more than there are.
pub fn consistency(leaves: &[Hash], old: usize) -> Vec<Hash> {
    assert!(0 < old && old <= leaves.len(), "{old} of {} leaves", leaves.len());
    subproof(leaves, old, true)
}

/// The RFC's SUBPROOF: `known` says whether the verifier has the root of these leaves already.
fn subproof(leaves: &[Hash], old: usize, known: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if known { Vec::new() } else { vec![root(leaves)] };
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut path, sibling) = if old <= left.len() {
        (subproof(left, old, known), root(right))
    } else {
        (subproof(right, old - left.len(), false), root(left))
    };
    path.push(sibling);
    path
}

/// Whether `path` proves that the tree of `old` leaves under `old_root` is how the tree of `new`
/// leaves under `new_root` began. Two trees of one size are consistent if they are equal.
pub fn verify_consistency(
    (old, old_root): (u64, Hash),
    (new, new_root): (u64, Hash),
    path: &[Hash],
) -> bool {
    if old == 0 || old > new {
        return false;
    }
    if old == new {
        return path.is_empty() && old_root == new_root;
    }
    // A complete old tree is a node of the new one, and the proof starts with it.
    let start: &[Hash] = if old.is_power_of_two() { &[old_root] } else { &[] };
    let mut nodes = start.iter().chain(path).copied();
    let (mut at, mut last) = (old - 1, new - 1);
    while at % 2 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let Some(first) = nodes.next() else { return false };
    let (mut old_hash, mut new_hash) = (first, first);
    for node in nodes {
        if last == 0 {
            return false;
        }
        if at % 2 == 1 || at == last {
            old_hash = Hash::node(node, old_hash);
            new_hash = Hash::node(node, new_hash);
            climb_past_lone_nodes(&mut at, &mut last);
        } else {
            new_hash = Hash::node(new_hash, node);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && old_hash == old_root && new_hash == new_root
}

/// The root of a tree that grows, in the logarithm of its size: the roots of its complete
/// subtrees, the largest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peaks {
    size: u64,
    peaks: Vec<Hash>,
}

impl Peaks {
    /// Adds a leaf at the end.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for _ in 0..self.size.trailing_ones() {
            let left = self.peaks.pop().expect("one peak for every bit of the size");
            hash = Hash::node(left, hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// The root over all leaves so far.
    pub fn root(&self) -> Hash {
        let join = |right, left: &Hash| Hash::node(*left, right);
        match self.peaks.split_last() {
            None => Hash::empty(),
            Some((last, higher)) => higher.iter().rev().fold(*last, join),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The entries, roots and paths that the project certificate-transparency tests with.
    const ENTRIES: [&[u8]; 8] = [
        b"",
        &[0x00],
        &[0x10],
        &[0x20, 0x21],
        &[0x30, 0x31],
        &[0x40, 0x41, 0x42, 0x43],
        &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    fn hash(text: &str) -> Hash {
        Hash::from_hex(text).unwrap()
    }

    fn leaves(count: usize) -> Vec<Hash> {
        (0..count).map(|leaf| Hash::leaf(&leaf.to_le_bytes())).collect()
    }

    #[test]
    fn roots_are_the_published_ones() {
        let leaves: Vec<Hash> = ENTRIES.iter().map(|entry| Hash::leaf(entry)).collect();
        let mut peaks = Peaks::default();
        for (count, expected) in ROOTS.iter().enumerate() {
            assert_eq!(root(&leaves[..count]), hash(expected), "{count} entries");
            assert_eq!(peaks.root(), hash(expected), "{count} entries, one by one");
            leaves.get(count).inspect(|leaf| peaks.push(**leaf));
        }
    }

    #[test]
    fn paths_are_the_published_ones() {
        let leaves: Vec<Hash> = ENTRIES.iter().map(|entry| Hash::leaf(entry)).collect();
        let first = [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ];
        assert_eq!(inclusion(&leaves, 0), first.map(hash));
        // Six entries of which two are known: the pair beside them, and the pair above.
        let grown = [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        ];
        assert_eq!(consistency(&leaves[..6], 2), grown.map(hash));
    }

    #[test]
    fn every_leaf_of_every_size_is_proven_and_nothing_else() {
        for size in 1..=64 {
            let leaves = leaves(size);
            let root = root(&leaves);
            for index in 0..size {
                let path = inclusion(&leaves, index);
                assert!(path.len() <= size.next_power_of_two().ilog2() as usize);
                let proves = |leaf: Hash, at: usize, path: &[Hash]| {
                    verify_inclusion(leaf, at as u64, size as u64, path, root)
                };
                assert!(proves(leaves[index], index, &path), "{index} of {size}");
                assert!(!proves(leaves[(index + 1) % size], index, &path) || size == 1);
                assert!(!proves(leaves[index], (index + 1) % size, &path) || size == 1);
                assert!(!proves(leaves[index], index + size, &path));
                assert!(!proves(leaves[index], index, &[&path[..], &[root]].concat()));
                for at in 0..path.len() {
                    let mut broken = path.clone();
                    broken[at] = Hash::empty();
                    assert!(!proves(leaves[index], index, &broken));
                    broken.remove(at);
                    assert!(!proves(leaves[index], index, &broken));
                }
            }
        }
    }

    #[test]
    fn every_beginning_of_every_size_is_proven_and_nothing_else() {
        let all = leaves(64);
        for new in 1..=64 {
            let new_root = root(&all[..new]);
            for old in 1..=new {
                let old_root = root(&all[..old]);
                let path = consistency(&all[..new], old);
                let proves = |old: usize, old_root, new: usize, path: &[Hash]| {
                    verify_consistency((old as u64, old_root), (new as u64, new_root), path)
                };
                assert!(proves(old, old_root, new, &path), "{old} of {new}");
                assert!(!proves(old, Hash::empty(), new, &path));
                assert!(!proves(old, old_root, new, &[&path[..], &[old_root]].concat()));
                assert!(old == new || !proves(old, old_root, old, &path) || path.is_empty());
                for at in 0..path.len() {
                    let mut broken = path.clone();
                    broken[at] = Hash::empty();
                    assert!(!proves(old, old_root, new, &broken));
                    broken.remove(at);
                    assert!(!proves(old, old_root, new, &broken));
                }
            }
            assert!(!verify_consistency((0, Hash::empty()), (new as u64, new_root), &[]));
            assert!(!verify_consistency((new as u64 + 1, new_root), (new as u64, new_root), &[]));
        }
    }
}
