//! Sets of parts up to what makes no difference: of interchangeable parts the first ones fall.

use super::Set;
use crate::node::NodeId;

/// How many of each kind fall.
pub(super) type Counts = Vec<usize>;

/// The parts by kind: each group of interchangeable parts is one, every other part is its own.
pub(super) struct Kinds {
    kinds: Vec<Vec<NodeId>>,
}

impl Kinds {
    /// Kinds in the order of their most valuable parts.
    pub(super) fn new(parts: &[NodeId], interchangeable: &[Set]) -> Self {
        let mut kinds: Vec<Vec<NodeId>> = Vec::new();
        for &part in parts {
            if kinds.iter().any(|kind| kind.contains(&part)) {
                continue;
            }
            let group = interchangeable.iter().find(|group| group.contains(&part));
            let mut kind = match group {
                Some(group) => group.iter().filter(|node| parts.contains(node)).copied().collect(),
                None => vec![part],
            };
            kind.sort_unstable();
            kinds.push(kind);
        }
        Kinds { kinds }
    }

    /// How many kinds there are.
    pub(super) fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Nothing has fallen.
    pub(super) fn none(&self) -> Counts {
        vec![0; self.kinds.len()]
    }

    /// The parts that fall, ascending.
    pub(super) fn set(&self, counts: &Counts) -> Set {
        let fallen = self.kinds.iter().zip(counts).flat_map(|(kind, &count)| &kind[..count]);
        let mut set: Set = fallen.copied().collect();
        set.sort_unstable();
        set
    }

    /// One of each kind, with all that it stands for.
    pub(super) fn singles(&self) -> impl Iterator<Item = (Counts, &[NodeId])> {
        self.kinds.iter().enumerate().map(|(index, kind)| {
            let mut counts = self.none();
            counts[index] = 1;
            (counts, kind.as_slice())
        })
    }

    /// The sets with one part more, each with that part, the most valuable first.
    pub(super) fn extensions(&self, counts: &Counts) -> Vec<(NodeId, Counts)> {
        let more = |(index, kind): (usize, &Vec<NodeId>)| {
            let part = *kind.get(counts[index])?;
            let mut larger = counts.clone();
            larger[index] += 1;
            Some((part, larger))
        };
        self.kinds.iter().enumerate().filter_map(more).collect()
    }

    /// How many sets of this size there are, at most `usize::MAX`.
    pub(super) fn sets_of(&self, size: usize) -> usize {
        // The coefficients of the product over kinds of 1 + x + ... + x^parts.
        let mut ways = vec![0usize; size + 1];
        ways[0] = 1;
        for kind in &self.kinds {
            for total in (0..=size).rev() {
                let fewer = (1..=kind.len().min(total)).map(|count| ways[total - count]);
                ways[total] = fewer.fold(ways[total], usize::saturating_add);
            }
        }
        ways[size]
    }

    /// All sets of this size.
    pub(super) fn all_of(&self, size: usize) -> Vec<Counts> {
        let mut all = Vec::new();
        self.fill(&mut Vec::new(), size, &mut all);
        all
    }

    fn fill(&self, begun: &mut Counts, left: usize, all: &mut Vec<Counts>) {
        let Some(kind) = self.kinds.get(begun.len()) else {
            if left == 0 {
                all.push(begun.clone());
            }
            return;
        };
        let room: usize = self.kinds[begun.len() + 1..].iter().map(Vec::len).sum();
        for count in (left.saturating_sub(room)..=kind.len().min(left)).rev() {
            begun.push(count);
            self.fill(begun, left - count, all);
            begun.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(ids: &[u32]) -> Vec<NodeId> {
        ids.iter().copied().map(NodeId).collect()
    }

    #[test]
    fn sets_of_two_kinds_by_hand() {
        let kinds = Kinds::new(&nodes(&[7, 8, 9, 1, 2]), &[nodes(&[7, 8, 9])]);
        assert_eq!(kinds.len(), 3);
        assert_eq!([0, 1, 2, 3, 4, 5, 6].map(|size| kinds.sets_of(size)), [1, 3, 4, 4, 3, 1, 0]);
        for size in 0..=6 {
            assert_eq!(kinds.all_of(size).len(), kinds.sets_of(size), "{size}");
        }
        let pairs: Vec<Set> = kinds.all_of(2).iter().map(|set| kinds.set(set)).collect();
        let expected = [&[7, 8][..], &[1, 7], &[2, 7], &[1, 2]].map(nodes);
        assert_eq!(pairs, expected);
        let more = kinds.extensions(&vec![3, 0, 1]);
        assert_eq!(more, [(NodeId(1), vec![3, 1, 1])]);
    }

    #[test]
    fn large_numbers_do_not_overflow() {
        let many: Vec<NodeId> = (0..1000).map(NodeId).collect();
        assert_eq!(Kinds::new(&many, &[]).sets_of(500), usize::MAX);
        assert_eq!(Kinds::new(&many, &[]).sets_of(2), 499_500);
    }
}
