//! Random orders of identities, which nobody can bend who does not know their key.
//!
//! A slot or sampler that keeps the identity of the smallest rank in an order of its own keeps a
//! uniform draw from all *distinct* identities that it ever saw, however often one was repeated.

use std::fmt::{self, Debug};

use rand::Rng;

use crate::node::NodeId;

/// Gives orders, one at a time.
pub trait Ranking: Debug + Send {
    /// An order that is unrelated to all others; `rng` is the node's.
    fn next(&mut self, rng: &mut dyn Rng) -> Row;
}

/// Orders by a keyed hash.
///
/// The rank of `id` under a 64-bit key is the eight bytes at position `8 · id` of the output of
/// keyed BLAKE3. So the ranks of low identities can be had many at a time and be remembered.
#[derive(Debug, Clone)]
pub struct KeyedHash {
    remembered: usize,
}

impl KeyedHash {
    /// Orders that remember the ranks of the identities below `remembered`, which takes eight
    /// bytes for each of them and each order, and hash anew for all others. The ranks are the
    /// same for any `remembered`.
    pub fn remembering(remembered: usize) -> Self {
        KeyedHash { remembered }
    }
}

impl Ranking for KeyedHash {
    fn next(&mut self, rng: &mut dyn Rng) -> Row {
        let key = rng.next_u64();
        let mut bytes = vec![0; 8 * self.remembered];
        output(key).fill(&mut bytes);
        let ranks = bytes
            .chunks_exact(8)
            .map(|rank| u64::from_le_bytes(rank.try_into().expect("chunks of eight")));
        Row { key, known: ranks.collect(), beyond: hashed }
    }
}

/// Where the ranks under `key` are read from.
fn output(key: u64) -> blake3::OutputReader {
    let mut whole = *b"........byzlab peer sampling v1.";
    whole[..8].copy_from_slice(&key.to_le_bytes());
    blake3::Hasher::new_keyed(&whole).finalize_xof()
}

fn hashed(key: u64, id: NodeId) -> u64 {
    let mut rank = [0; 8];
    let mut output = output(key);
    output.set_position(8 * u64::from(id.0));
    output.fill(&mut rank);
    u64::from_le_bytes(rank)
}

/// One order of all identities.
#[derive(Clone)]
pub struct Row {
    key: u64,
    known: Vec<u64>,
    beyond: fn(u64, NodeId) -> u64,
}

impl Row {
    /// An order that is written down: `ranks[id]`, all others come last. `key` is a name for it.
    pub fn listed(key: u64, ranks: Vec<u64>) -> Self {
        Row { key, known: ranks, beyond: |_, _| u64::MAX }
    }

    /// What tells this order from others.
    pub fn key(&self) -> u64 {
        self.key
    }

    /// The rank of `id`; smaller wins.
    pub fn rank(&self, id: NodeId) -> u64 {
        match self.known.get(id.index()) {
            Some(rank) => *rank,
            None => (self.beyond)(self.key, id),
        }
    }
}

impl Debug for Row {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Row").field("key", &self.key).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, run_stream};

    #[test]
    fn what_is_remembered_changes_no_rank() {
        let row = |remembered| {
            KeyedHash::remembering(remembered).next(&mut run_stream(1, Purpose::Sampling))
        };
        let (some, all) = (row(3), row(100));
        for id in (0..110).chain([u32::MAX]).map(NodeId) {
            assert_eq!(some.rank(id), all.rank(id), "{id}");
        }
    }

    /// Each of ten identities is first in about a tenth of the orders: 1000 ± 6 deviations.
    #[test]
    fn every_identity_is_first_equally_often() {
        let mut rng = run_stream(3, Purpose::Sampling);
        let mut first = [0; 10];
        for _ in 0..10_000 {
            let row = KeyedHash::remembering(10).next(&mut rng);
            first[(0..10).min_by_key(|id| row.rank(NodeId(*id))).unwrap() as usize] += 1;
        }
        assert!(first.iter().all(|count| (820..1180).contains(count)), "{first:?}");
    }
}
