//! Random draws from lists of identities.

use rand::{Rng, RngExt};

use crate::node::NodeId;

/// `count` draws from `ids`, each from all of them; none from an empty list.
pub(super) fn repeated(ids: &[NodeId], count: usize, rng: &mut dyn Rng) -> Vec<NodeId> {
    if ids.is_empty() {
        return Vec::new();
    }
    (0..count).map(|_| ids[rng.random_range(0..ids.len() as u32) as usize]).collect()
}

/// One of `ids`, unless there is none.
pub(super) fn one(ids: &[NodeId], rng: &mut dyn Rng) -> Option<NodeId> {
    repeated(ids, 1, rng).pop()
}

/// Up to `count` of `ids` at different places of the list, in random order.
pub(super) fn without_repeats(ids: &[NodeId], count: usize, rng: &mut dyn Rng) -> Vec<NodeId> {
    let places = rand::seq::index::sample(rng, ids.len(), count.min(ids.len()));
    places.into_iter().map(|place| ids[place]).collect()
}

/// Each identity once, ascending.
pub(super) fn distinct(mut ids: Vec<NodeId>) -> Vec<NodeId> {
    ids.sort_unstable();
    ids.dedup();
    ids
}
