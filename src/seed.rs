//! Named random streams.
//!
//! There is no shared generator: each use of randomness has a stream of its own, keyed by
//! hashing (seed, purpose, round, node). So the order in which nodes are simulated, the number
//! of threads, a resumed run or another attack cannot shift anybody's draws.

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

use crate::node::{NodeId, Round};

/// What a stream is drawn for. The discriminants are part of every result: never renumber them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Purpose {
    /// Which samples each node holds.
    Partition = 1,
    /// The initial model.
    Initial = 2,
    /// Which samples a worker takes in a round.
    Batch = 3,
    /// Which identities are corrupted.
    Placement = 4,
    /// How a corrupted node's data are poisoned.
    Poison = 5,
    /// What an attack draws.
    Attack = 6,
    /// What an aggregation rule draws.
    Aggregation = 7,
    /// Who is absent in a round by plan.
    Absence = 8,
    /// What peer samplers draw, and their attackers.
    Sampling = 9,
    /// Which samples a peer judges its neighbours' models by.
    Screening = 10,
    /// Which edges a random topology has.
    Topology = 11,
    /// Which messages to a flooded node are lost.
    Flood = 12,
    /// Which workers a partition of the network cuts off.
    Cut = 13,
    /// Which values a worker's dropout leaves out in a round.
    Dropout = 14,
    /// In which order a worker takes its samples in an epoch; the epoch stands for the round.
    Epoch = 15,
    /// Which training samples are held out to judge by.
    Validation = 16,
    /// Which samples judge, of a data set that does not say.
    Split = 17,
    /// Which workers take part in a round.
    Participation = 18,
}

/// The stream of `purpose` for one round and one node.
///
/// Purposes that know no round or node use round 0 and node 0.
pub fn stream(seed: u64, purpose: Purpose, round: Round, node: NodeId) -> ChaCha8Rng {
    let mut hasher = blake3::Hasher::new_derive_key("byzlab 2026 random stream v1");
    hasher.update(&seed.to_le_bytes());
    hasher.update(&(purpose as u32).to_le_bytes());
    hasher.update(&round.0.to_le_bytes());
    hasher.update(&node.0.to_le_bytes());
    ChaCha8Rng::from_seed(*hasher.finalize().as_bytes())
}

/// The stream of a purpose that is drawn once for the whole run.
pub fn run_stream(seed: u64, purpose: Purpose) -> ChaCha8Rng {
    stream(seed, purpose, Round(0), NodeId(0))
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    fn every_part_of_the_key_changes_the_stream() {
        let first = |seed, purpose, round, node| {
            stream(seed, purpose, Round(round), NodeId(node)).next_u64()
        };
        let base = first(1, Purpose::Batch, 1, 1);
        assert_eq!(base, first(1, Purpose::Batch, 1, 1));
        assert_ne!(base, first(2, Purpose::Batch, 1, 1));
        assert_ne!(base, first(1, Purpose::Attack, 1, 1));
        assert_ne!(base, first(1, Purpose::Batch, 2, 1));
        assert_ne!(base, first(1, Purpose::Batch, 1, 2));
    }

    #[test]
    fn the_first_draw_is_pinned() {
        assert_eq!(run_stream(1, Purpose::Partition).next_u64(), PINNED);
    }

    const PINNED: u64 = 13_725_827_109_467_941_555;
}
