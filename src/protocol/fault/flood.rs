//! A flood: one node is sent more requests than it can take in, and loses what it should hear.

use rand::RngExt;

use crate::node::{NodeId, Round};
use crate::seed::{Purpose, stream};

/// Requests beyond a node's capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flood {
    /// The run's seed.
    pub seed: u64,
    /// The node that is flooded.
    pub node: NodeId,
    /// Requests in each round.
    pub requests: u64,
    /// Messages of any kind that the node can take in in a round.
    pub capacity: u64,
    /// The first round of the flood.
    pub from: Round,
}

impl Flood {
    /// Whether what `sender` says to the flooded node in `round` is lost, where so many `regular`
    /// messages are sent to it beside the flood.
    ///
    /// Each gets through with probability `capacity / (requests + regular)`, independently.
    pub fn drops(&self, round: Round, sender: NodeId, regular: usize) -> bool {
        let all = self.requests.saturating_add(regular as u64);
        if round < self.from || self.capacity >= all {
            return false;
        }
        let through = self.capacity as f64 / all as f64;
        stream(self.seed, Purpose::Flood, round, sender).random::<f64>() >= through
    }

    /// Whether `node` is flooded and does not hear the one question that its server asks it in
    /// `round`.
    pub(super) fn unasked(&self, round: Round, node: NodeId) -> bool {
        node == self.node && self.drops(round, node, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOOD: Flood =
        Flood { seed: 5, node: NodeId(0), requests: 990, capacity: 250, from: Round(2) };

    #[test]
    fn as_much_gets_through_as_there_is_room() {
        let lost = (2..202)
            .flat_map(|round| (1..11).map(move |sender| (Round(round), NodeId(sender))))
            .filter(|&(round, sender)| FLOOD.drops(round, sender, 10))
            .count();
        assert!((1430..1570).contains(&lost), "{lost} of 2000, 1500 are expected");
        assert!((1..11).all(|sender| !FLOOD.drops(Round(1), NodeId(sender), 10)), "not yet");
    }

    #[test]
    fn nothing_is_lost_where_all_of_it_fits_and_all_where_there_is_no_room() {
        let drops = |capacity| {
            let flood = Flood { capacity, ..FLOOD };
            (1..101).filter(|&sender| flood.drops(Round(2), NodeId(sender), 10)).count()
        };
        assert_eq!([drops(0), drops(1000), drops(u64::MAX)], [100, 0, 0]);
        assert!((0..100).contains(&drops(999)));
        let endless = Flood { requests: u64::MAX, ..FLOOD };
        assert!(endless.drops(Round(2), NodeId(1), 10));
    }
}
