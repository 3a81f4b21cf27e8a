//! Cliques: groups in which everybody talks to everybody, which several topologies join.

use std::ops::Range;

/// All edges among the nodes of a range.
pub(super) fn clique(members: Range<usize>) -> impl Iterator<Item = (usize, usize)> {
    let last = members.end;
    members.flat_map(move |from| (from + 1..last).map(move |to| (from, to)))
}

/// All edges among the first half of the nodes, and among the rest; the rest holds one more where
/// the nodes are odd in number.
pub(super) fn two_cliques(nodes: usize) -> impl Iterator<Item = (usize, usize)> {
    clique(0..nodes / 2).chain(clique(nodes / 2..nodes))
}
