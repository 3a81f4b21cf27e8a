//! Who takes part in a round, where a server works with a few of its workers at a time.
//!
//! In every round exactly `count` of the workers are drawn, without replacement and from the seed
//! alone: those who a keyed permutation of all workers puts on its first places. Everybody can
//! tell in a few operations whether anybody is drawn, so nothing is kept and nobody has to be
//! told. The draw looks at nobody's honesty: a round may draw more of the corrupted than the rule
//! was told to expect, and is not drawn again.
//!
//! The permutation is a Feistel network of eight rounds on the smallest even number of bits that
//! holds all workers; a place beyond them is walked on until it is one of theirs.
//!
//! Reference: McMahan et al., Communication-Efficient Learning of Deep Networks from
//! Decentralized Data, AISTATS 2017 (a random set of clients in each round); Black and Rogaway,
//! Ciphers with Arbitrary Finite Domains, CT-RSA 2002 (the permutation).

use std::collections::BTreeSet;

use rand::Rng;

use crate::node::{NodeId, Round};
use crate::seed::{Purpose, stream};

/// The rounds of the Feistel network.
const PASSES: usize = 8;

/// How many of how many workers take part in each round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Participation {
    /// The run's seed.
    pub seed: u64,
    /// How many workers there are.
    pub workers: u32,
    /// How many of them are drawn in each round.
    pub count: u32,
}

impl Participation {
    /// Whether `node` is drawn for `round`.
    pub fn draws(&self, round: Round, node: NodeId) -> bool {
        node.0 < self.workers
            && Permutation::of(self.seed, round, self.workers).place(node.0) < self.count
    }

    /// Everybody who is drawn for `round`.
    pub fn drawn(&self, round: Round) -> BTreeSet<NodeId> {
        let permutation = Permutation::of(self.seed, round, self.workers);
        let drawn = |node: &u32| permutation.place(*node) < self.count;
        (0..self.workers).filter(drawn).map(NodeId).collect()
    }

    /// The last round before `round` that draws one of `nodes`, or round 0.
    pub fn last_before(&self, round: Round, nodes: &[NodeId]) -> Round {
        let draws = |earlier: &Round| nodes.iter().any(|&node| self.draws(*earlier, node));
        (1..round.0).rev().map(Round).find(draws).unwrap_or(Round(0))
    }
}

/// A keyed permutation of the numbers below `size`.
struct Permutation {
    keys: [u64; PASSES],
    bits: u32,
    size: u32,
}

impl Permutation {
    fn of(seed: u64, round: Round, size: u32) -> Self {
        let mut rng = stream(seed, Purpose::Participation, round, NodeId(0));
        let keys = std::array::from_fn(|_| rng.next_u64());
        // Half of the bits that the largest number needs, rounded up.
        let bits = u32::BITS - size.saturating_sub(1).leading_zeros();
        Permutation { keys, bits: bits.div_ceil(2).max(1), size }
    }

    /// Where `number`, which is below the size, comes to stand.
    fn place(&self, number: u32) -> u32 {
        let mut place = self.encrypt(u64::from(number));
        while place >= u64::from(self.size) {
            place = self.encrypt(place);
        }
        place as u32
    }

    fn encrypt(&self, number: u64) -> u64 {
        let mask = (1u64 << self.bits) - 1;
        let (mut left, mut right) = (number >> self.bits, number & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mixed(key ^ right) & mask));
        }
        left << self.bits | right
    }
}

/// The finaliser of `SplitMix64`: every bit of the input changes every bit of the output.
fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn participation(workers: u32, count: u32) -> Participation {
        Participation { seed: 3, workers, count }
    }

    #[test]
    fn so_many_are_drawn_in_every_round_and_no_others() {
        for (workers, count) in [(1, 1), (2, 1), (10, 3), (16, 16), (17, 5), (1000, 10)] {
            let participation = participation(workers, count);
            for round in (1..=50).map(Round) {
                let drawn = participation.drawn(round);
                assert_eq!(drawn.len(), count as usize, "{workers} {count} {round}");
                let alike = |node: u32| {
                    participation.draws(round, NodeId(node)) == drawn.contains(&NodeId(node))
                };
                assert!((0..workers + 3).all(alike));
            }
        }
    }

    #[test]
    fn everybody_and_every_pair_is_drawn_as_often() {
        let participation = participation(10, 3);
        let rounds = 9000;
        let (mut alone, mut pairs) = ([0u32; 10], [[0u32; 10]; 10]);
        for round in (1..=rounds).map(Round) {
            let drawn: Vec<usize> =
                participation.drawn(round).iter().map(|node| node.index()).collect();
            for &one in &drawn {
                alone[one] += 1;
                for &other in &drawn {
                    pairs[one][other] += 1;
                }
            }
        }
        // 3/10 of 9000 with a standard deviation of 43; 3/10 · 2/9 of 9000 with one of 24.
        assert!(alone.iter().all(|count| (2500..2900).contains(count)), "{alone:?}");
        for (one, row) in pairs.iter().enumerate() {
            for (other, count) in row.iter().enumerate().filter(|(other, _)| *other != one) {
                assert!((490..710).contains(count), "{one} with {other}: {count}");
            }
        }
    }

    #[test]
    fn the_last_round_of_a_node_is_found() {
        let participation = participation(10, 3);
        let node = NodeId(4);
        let rounds: Vec<Round> =
            (1..60).map(Round).filter(|round| participation.draws(*round, node)).collect();
        assert_eq!(participation.last_before(rounds[0], &[node]), Round(0));
        for pair in rounds.windows(2) {
            assert_eq!(participation.last_before(pair[1], &[node]), pair[0]);
            assert_eq!(participation.last_before(pair[0].next(), &[node]), pair[0]);
        }
    }

    #[test]
    fn another_seed_draws_others() {
        let other = Participation { seed: 4, ..participation(100, 10) };
        assert_ne!(other.drawn(Round(1)), participation(100, 10).drawn(Round(1)));
        assert_ne!(other.drawn(Round(1)), other.drawn(Round(2)));
    }
}
