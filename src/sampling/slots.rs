//! The view of BASALT: slots that each keep the identity of the smallest rank in an order of
//! their own, and count how often they met it.

use super::ranking::Row;
use crate::node::NodeId;

/// One entry of the view.
#[derive(Debug, Clone)]
pub struct Slot {
    row: Row,
    peer: NodeId,
    rank: u64,
    hits: u64,
}

impl Slot {
    fn new(row: Row, peer: NodeId) -> Self {
        Slot { rank: row.rank(peer), row, peer, hits: 1 }
    }

    /// What tells its order from others.
    pub fn key(&self) -> u64 {
        self.row.key()
    }

    /// Whom it holds.
    pub fn peer(&self) -> NodeId {
        self.peer
    }

    /// How often it was told of this peer or picked it; 1 when it is new.
    pub fn hits(&self) -> u64 {
        self.hits
    }

    fn consider(&mut self, id: NodeId) {
        if id == self.peer {
            self.hits += 1;
            return;
        }
        let rank = self.row.rank(id);
        if rank < self.rank {
            (self.peer, self.rank, self.hits) = (id, rank, 1);
        }
    }
}

/// A view.
#[derive(Debug, Clone)]
pub struct Slots(Vec<Slot>);

impl Slots {
    /// A slot for each order, all of them holding `me`.
    pub fn new(me: NodeId, rows: impl Iterator<Item = Row>) -> Self {
        Slots(rows.map(|row| Slot::new(row, me)).collect())
    }

    /// The slots in order.
    pub fn as_slice(&self) -> &[Slot] {
        &self.0
    }

    /// The peer of each slot.
    pub fn peers(&self) -> Vec<NodeId> {
        self.0.iter().map(Slot::peer).collect()
    }

    /// Shows `ids` to every slot, in order; repeats count.
    pub fn consider(&mut self, ids: &[NodeId]) {
        for slot in &mut self.0 {
            for id in ids {
                slot.consider(*id);
            }
        }
    }

    /// Gives out the peer of a slot and lets the slot start over in the order `row`, from that
    /// peer and `ids`. `place` counts round and round.
    pub fn renew(&mut self, place: u64, row: Row, ids: &[NodeId]) -> Option<NodeId> {
        let place = place.checked_rem(self.0.len() as u64)? as usize;
        let peer = self.0[place].peer;
        self.0[place] = Slot::new(row, peer);
        for id in ids {
            self.0[place].consider(*id);
        }
        Some(peer)
    }

    /// The peer that was met least, the first of several; this meeting counts.
    pub fn pick(&mut self) -> Option<NodeId> {
        let slot = self.0.iter_mut().min_by_key(|slot| slot.hits)?;
        slot.hits += 1;
        Some(slot.peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(slots: &Slots) -> Vec<(u32, u64)> {
        slots.as_slice().iter().map(|slot| (slot.peer().0, slot.hits())).collect()
    }

    /// The first slot likes 1 best, then 2, 0; the second 0, then 1, 2.
    #[test]
    fn by_hand() {
        let rows = [vec![2, 0, 1], vec![0, 1, 2]];
        let rows = rows.into_iter().enumerate().map(|(key, row)| Row::listed(key as u64, row));
        let mut slots = Slots::new(NodeId(2), rows);
        assert_eq!(state(&slots), [(2, 1), (2, 1)]);
        slots.consider(&[0, 1, 1].map(NodeId));
        assert_eq!(state(&slots), [(1, 2), (0, 1)]);
        assert_eq!(slots.pick(), Some(NodeId(0)));
        // Both were met twice now: the first of them.
        assert_eq!(slots.pick(), Some(NodeId(1)));
        assert_eq!(state(&slots), [(1, 3), (0, 2)]);
        // The third place is the first slot again; its old peer is the one to beat, and is met.
        let row = Row::listed(7, vec![1, 2, 0]);
        assert_eq!(slots.renew(2, row, &[1, 0].map(NodeId)), Some(NodeId(1)));
        assert_eq!(state(&slots), [(0, 1), (0, 2)]);
        assert_eq!(slots.as_slice()[0].key(), 7);
    }
}
