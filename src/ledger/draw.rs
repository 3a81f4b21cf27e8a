//! Who sits on a round's committee, drawn from the hash of the block before.
//!
//! The hash is stretched to as many uniform numbers as are needed, so everybody who has the
//! parent draws the same committee, and nobody knows it before the parent is agreed on. Members
//! are drawn without replacement, each with a probability proportional to its weight among those
//! that are left: weight 1 (`uniform`) or its stake (`stake`). The order of drawing is kept: it
//! is the order in which members propose.
//!
//! Fails where the maker of a block can try several: a proposer that leaves out one update or
//! another chooses among as many next committees as it can make acceptable lists.

use serde::{Deserialize, Serialize};

use super::genesis::Member;
use crate::node::{NodeId, Round};
use crate::vector::Digest;

/// How likely a member is to be drawn.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Draw {
    /// All alike (default).
    #[default]
    Uniform,
    /// In proportion to its stake; one without a stake never.
    Stake,
}

/// Why no committee can be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DrawError {
    /// The size does not tell how many liars are tolerated.
    #[error(
        "a committee of {size} is not 3f+1: {below} tolerate {} liars and {above} tolerate {}; \
         choose one of them",
        (below - 1) / 3,
        (above - 1) / 3
    )]
    Size {
        /// What was asked for.
        size: usize,
        /// The nearest size below that is 3f+1, at least 1.
        below: usize,
        /// The nearest above.
        above: usize,
    },
    /// Too few can be drawn.
    #[error(
        "a committee of {size} cannot be drawn from {eligible} eligible members of {members}; \
         make it smaller"
    )]
    TooFew {
        /// What was asked for.
        size: usize,
        /// How many have a weight above 0.
        eligible: usize,
        /// How many there are.
        members: usize,
    },
}

/// The number of liars that a committee of `size` tolerates: f of 3f+1.
pub fn tolerated(size: usize) -> usize {
    size.saturating_sub(1) / 3
}

/// The number of votes that decides in a committee of `size`: 2f+1 of 3f+1.
pub fn quorum(size: usize) -> usize {
    size - tolerated(size)
}

impl Draw {
    fn weight(self, member: &Member) -> u64 {
        match self {
            Draw::Uniform => 1,
            Draw::Stake => member.stake,
        }
    }

    /// Refuses a size that is not 3f+1 and one that these members cannot fill.
    pub fn admits(self, members: &[Member], size: usize) -> Result<(), DrawError> {
        if size % 3 != 1 {
            let below = (size.saturating_sub(1) / 3 * 3) + 1;
            return Err(DrawError::Size { size, below, above: below + 3 });
        }
        let eligible = members.iter().filter(|member| self.weight(member) > 0).count();
        if size > eligible {
            return Err(DrawError::TooFew { size, eligible, members: members.len() });
        }
        Ok(())
    }

    /// The committee of `round`, in the order of drawing, from the hash of the block before.
    pub fn committee(
        self,
        parent: &Digest,
        round: Round,
        members: &[Member],
        size: usize,
    ) -> Result<Vec<NodeId>, DrawError> {
        self.admits(members, size)?;
        let mut numbers = Numbers::new(parent, round);
        let mut left: Vec<(NodeId, u64)> =
            members.iter().map(|member| (member.node, self.weight(member))).collect();
        let drawn = (0..size).map(|_| {
            let total = left.iter().map(|(_, weight)| u128::from(*weight)).sum();
            let at = holder(&left, numbers.below(total));
            left.remove(at).0
        });
        Ok(drawn.collect())
    }
}

/// Who holds a ticket, if everybody has as many as its weight, in order.
fn holder(left: &[(NodeId, u64)], ticket: u128) -> usize {
    let mut passed = 0;
    let found = left.iter().position(|(_, weight)| {
        passed += u128::from(*weight);
        ticket < passed
    });
    found.expect("the ticket is below the sum of all weights")
}

/// Uniform numbers out of a hash.
struct Numbers(blake3::OutputReader);

impl Numbers {
    fn new(parent: &Digest, round: Round) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("byzlab 2026 committee draw v1");
        hasher.update(parent.as_bytes());
        hasher.update(&round.0.to_le_bytes());
        Numbers(hasher.finalize_xof())
    }

    /// A number from 0 up to, and without, `bound`; exactly uniform, by rejection.
    fn below(&mut self, bound: u128) -> u128 {
        let mask = u128::MAX >> (bound - 1).leading_zeros().min(127);
        loop {
            let mut bytes = [0; 16];
            self.0.fill(&mut bytes);
            let number = u128::from_le_bytes(bytes) & mask;
            if number < bound {
                return number;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(stakes: &[u64]) -> Vec<Member> {
        let member =
            |(node, stake): (usize, &u64)| Member { node: NodeId(node as u32), stake: *stake };
        stakes.iter().enumerate().map(member).collect()
    }

    fn drawn(draw: Draw, stakes: &[u64], size: usize, round: u32) -> Vec<u32> {
        let parent = Digest::of_bytes(b"parent");
        let committee = draw.committee(&parent, Round(round), &members(stakes), size).unwrap();
        committee.into_iter().map(|node| node.0).collect()
    }

    #[test]
    fn everybody_is_drawn_alike_and_once() {
        let mut seats = [0u32; 10];
        for round in 0..5000 {
            let mut committee = drawn(Draw::Uniform, &[1; 10], 4, round);
            for node in &committee {
                seats[*node as usize] += 1;
            }
            committee.sort_unstable();
            committee.dedup();
            assert_eq!(committee.len(), 4);
        }
        // 2000 expected, with a standard deviation of 35.
        assert!(seats.iter().all(|count| (1825..2175).contains(count)), "{seats:?}");
    }

    #[test]
    fn stake_weighs() {
        let mut seats = [0u32; 3];
        for round in 0..6000 {
            seats[drawn(Draw::Stake, &[1, 0, 3], 1, round)[0] as usize] += 1;
        }
        // A quarter of 6000, with a standard deviation of 34.
        assert!((1330..1670).contains(&seats[0]), "{seats:?}");
        assert_eq!(seats[1], 0);
        let huge = drawn(Draw::Stake, &[u64::MAX; 4], 4, 1);
        assert_eq!(huge.len(), 4);
    }

    #[test]
    fn the_parent_and_the_round_decide() {
        let draw = |parent: &[u8], round| {
            let parent = Digest::of_bytes(parent);
            Draw::Uniform.committee(&parent, Round(round), &members(&[1; 100]), 31).unwrap()
        };
        assert_eq!(draw(b"a", 1), draw(b"a", 1));
        assert_ne!(draw(b"a", 1), draw(b"b", 1));
        assert_ne!(draw(b"a", 1), draw(b"a", 2));
    }

    #[test]
    fn sizes_are_refused_with_the_numbers() {
        let refused = |draw: Draw, stakes: &[u64], size| {
            draw.admits(&members(stakes), size).unwrap_err().to_string()
        };
        assert_eq!(
            refused(Draw::Uniform, &[1; 10], 6),
            "a committee of 6 is not 3f+1: 4 tolerate 1 liars and 7 tolerate 2; choose one of them"
        );
        assert!(refused(Draw::Uniform, &[1; 10], 0).contains("1 tolerate 0 liars and 4"));
        assert_eq!(
            refused(Draw::Uniform, &[1; 5], 7),
            "a committee of 7 cannot be drawn from 5 eligible members of 5; make it smaller"
        );
        assert!(refused(Draw::Stake, &[1, 1, 1, 0], 4).contains("3 eligible members of 4"));
        assert_eq!(Draw::Uniform.admits(&members(&[1; 4]), 4), Ok(()));
    }

    #[test]
    fn quorums_by_hand() {
        let numbers = |size| (tolerated(size), quorum(size));
        assert_eq!([1, 4, 7, 10].map(numbers), [(0, 1), (1, 3), (2, 5), (3, 7)]);
    }
}
