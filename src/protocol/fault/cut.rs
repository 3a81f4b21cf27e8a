//! A cut: for some rounds some workers hear nothing of all others, nor are they heard.

use std::collections::BTreeSet;

use rand::seq::SliceRandom;

use crate::node::{NodeId, Round};
use crate::seed::{Purpose, run_stream};

/// Who is cut off, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    from: Round,
    until: Round,
    off: BTreeSet<NodeId>,
}

impl Cut {
    /// The `count` workers with the lowest numbers, from one round until another, both included.
    pub fn first(count: usize, from: Round, until: Round) -> Self {
        Cut { from, until, off: (0..count as u32).map(NodeId).collect() }
    }

    /// `count` of so many `workers`, drawn from the seed.
    pub fn drawn(seed: u64, workers: usize, count: usize, from: Round, until: Round) -> Self {
        let mut order: Vec<NodeId> = (0..workers as u32).map(NodeId).collect();
        order.shuffle(&mut run_stream(seed, Purpose::Cut));
        Cut { from, until, off: order.into_iter().take(count).collect() }
    }

    /// Whether the network is apart in `round`.
    pub fn is_open(&self, round: Round) -> bool {
        (self.from..=self.until).contains(&round)
    }

    /// Whether `node` is on the side that is cut off in `round`.
    pub fn cuts_off(&self, round: Round, node: NodeId) -> bool {
        self.is_open(round) && self.off.contains(&node)
    }

    /// Whether the cut runs between two nodes in `round`.
    pub fn severs(&self, round: Round, one: NodeId, other: NodeId) -> bool {
        self.cuts_off(round, one) != self.cuts_off(round, other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_runs_between_two_sides_and_heals() {
        let cut = Cut::first(2, Round(3), Round(4));
        let severed = |round, one, other| cut.severs(Round(round), NodeId(one), NodeId(other));
        assert!(!severed(2, 1, 2) && severed(3, 1, 2) && severed(4, 2, 1) && !severed(5, 1, 2));
        assert!(!severed(3, 0, 1) && !severed(3, 2, 9), "each side stays whole");
        let open = |round: &u32| cut.is_open(Round(*round));
        assert_eq!((1..9).filter(open).collect::<Vec<u32>>(), [3, 4]);
    }

    #[test]
    fn a_drawn_side_has_its_size_and_depends_on_the_seed() {
        let off = |seed| {
            let cut = Cut::drawn(seed, 50, 20, Round(1), Round(1));
            (0..50).filter(|&node| cut.cuts_off(Round(1), NodeId(node))).collect::<Vec<u32>>()
        };
        assert_eq!(off(1).len(), 20);
        assert_eq!(off(1), off(1));
        assert_ne!(off(1), off(2));
        assert_ne!(off(1), (0..20).collect::<Vec<u32>>());
    }
}
