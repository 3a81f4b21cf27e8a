//! One memory cell that keeps a uniform draw from a stream of identities that may be biased.

use super::ranking::Row;
use crate::node::NodeId;

/// Keeps the identity of the smallest rank that it was ever offered.
///
/// Reference: Broder, Charikar, Frieze, Mitzenmacher, Min-wise independent permutations, STOC
/// 1998; as a sampler: Bortnikov et al., PODC 2008.
#[derive(Debug, Clone)]
pub struct MinWise {
    row: Row,
    best: Option<(u64, NodeId)>,
}

impl MinWise {
    /// An empty cell with an order of its own.
    pub fn new(row: Row) -> Self {
        MinWise { row, best: None }
    }

    /// Shows it `ids`; repeats change nothing.
    pub fn offer(&mut self, ids: &[NodeId]) {
        for &id in ids {
            let rank = self.row.rank(id);
            if self.best.is_none_or(|(best, _)| rank < best) {
                self.best = Some((rank, id));
            }
        }
    }

    /// Empties it, because whom it holds no longer answers. It keeps its order.
    pub fn invalidate(&mut self) {
        self.best = None;
    }

    /// Whom it holds.
    pub fn sample(&self) -> Option<NodeId> {
        self.best.map(|(_, id)| id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_rank_stays_until_it_is_gone() {
        let mut cell = MinWise::new(Row::listed(0, vec![2, 0, 1]));
        assert_eq!(cell.sample(), None);
        cell.offer(&[0, 2, 0, 0].map(NodeId));
        assert_eq!(cell.sample(), Some(NodeId(2)));
        cell.offer(&[NodeId(0)]);
        assert_eq!(cell.sample(), Some(NodeId(2)));
        cell.offer(&[NodeId(1)]);
        assert_eq!(cell.sample(), Some(NodeId(1)));
        cell.invalidate();
        cell.offer(&[NodeId(0)]);
        assert_eq!(cell.sample(), Some(NodeId(0)));
    }
}
