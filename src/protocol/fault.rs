//! Planned faults: who is absent, cut off or flooded in which round, and who is not drawn for it,
//! all from the seed before anybody trains.
//!
//! Every fault ends in one of three things. A node is absent, and says so; an edge between peers
//! is missing from a round's [`meetings`](super::meetings); or a word to a flooded node is lost,
//! and its receiver is told so in its place ([`lossy`]). Nobody ever waits for what is lost.

pub mod cut;
pub mod flood;
pub mod lossy;

use std::sync::Arc;

use rand::RngExt;

use self::cut::Cut;
use self::flood::Flood;
use super::participation::Participation;
use crate::node::{NodeId, Round};
use crate::seed::{Purpose, stream};

/// The faults that a node of a run plans for.
#[derive(Debug, Clone, PartialEq)]
pub struct Faults {
    /// The run's seed.
    pub seed: u64,
    /// The probability that a node has nothing to share in a round, `0..1`.
    pub absences: f64,
    /// Who is cut off from the servers, where there are servers.
    pub cut: Option<Arc<Cut>>,
    /// The flood that keeps the server's question from one worker, where a server asks.
    pub unasked: Option<Flood>,
    /// Who takes part in a round, where not everybody does.
    pub participation: Option<Participation>,
}

impl Faults {
    /// A run in which nothing goes wrong.
    pub fn none(seed: u64) -> Self {
        Faults { seed, absences: 0.0, cut: None, unasked: None, participation: None }
    }

    /// Whether `node` is to be absent in `round`. Every runtime draws the same answer.
    pub fn absent(&self, round: Round, node: NodeId) -> bool {
        !self.takes_part(round, node)
            || self.draws_absence(round, node)
            || self.cut_off(round, node)
            || self.unasked.as_ref().is_some_and(|flood| flood.unasked(round, node))
    }

    /// Whether `node` is one of those whom the servers work with in `round`.
    pub fn takes_part(&self, round: Round, node: NodeId) -> bool {
        self.participation.is_none_or(|participation| participation.draws(round, node))
    }

    /// The last round before `round` in which one of `nodes` took part, or round 0.
    pub fn last_part(&self, round: Round, nodes: &[NodeId]) -> Round {
        match &self.participation {
            Some(participation) => participation.last_before(round, nodes),
            None => round.previous(),
        }
    }

    /// How many take part in a round, of so many.
    pub fn participants(&self, all: usize) -> usize {
        self.participation.map_or(all, |participation| participation.count as usize)
    }

    /// How many of these take part in `round`.
    pub fn count(&self, round: Round, nodes: &[NodeId]) -> usize {
        nodes.iter().filter(|node| self.takes_part(round, **node)).count()
    }

    /// Whether `node` hears nothing from its servers in `round`.
    pub fn cut_off(&self, round: Round, node: NodeId) -> bool {
        self.cut.as_ref().is_some_and(|cut| cut.cuts_off(round, node))
    }

    fn draws_absence(&self, round: Round, node: NodeId) -> bool {
        self.absences > 0.0
            && stream(self.seed, Purpose::Absence, round, node).random::<f64>() < self.absences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absences_have_the_planned_rate_and_are_repeatable() {
        let faults = Faults { absences: 0.25, ..Faults::none(3) };
        let draws: Vec<bool> = (0..4000)
            .map(|index| faults.absent(Round(index / 40 + 1), NodeId(index % 40)))
            .collect();
        let again: Vec<bool> = (0..4000)
            .map(|index| faults.absent(Round(index / 40 + 1), NodeId(index % 40)))
            .collect();
        let absent = draws.iter().filter(|absent| **absent).count();
        assert!((900..1100).contains(&absent), "{absent} of 4000");
        assert_eq!(draws, again);
        assert!(!Faults::none(3).absent(Round(1), NodeId(1)));
    }

    #[test]
    fn who_is_cut_off_or_not_asked_is_absent_for_as_long() {
        let cut = Arc::new(Cut::first(2, Round(2), Round(3)));
        let flood = Flood { seed: 1, node: NodeId(4), requests: 9, capacity: 0, from: Round(3) };
        let faults = Faults { cut: Some(cut), unasked: Some(flood), ..Faults::none(1) };
        let absent = |round| -> Vec<u32> {
            (0..6).filter(|&node| faults.absent(Round(round), NodeId(node))).collect()
        };
        assert_eq!([absent(1), absent(2)], [vec![], vec![0, 1]]);
        assert_eq!([absent(3), absent(4)], [vec![0, 1, 4], vec![4]]);
        assert!(!faults.cut_off(Round(3), NodeId(4)), "it hears, but is not asked");
    }
}
