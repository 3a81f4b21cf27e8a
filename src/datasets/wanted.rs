//! Which records of a stream are wanted, and where each goes.

/// Rows of a result by the record that they come from. Records are asked for in ascending order.
pub(super) struct Wanted {
    /// Record and row, ascending.
    pairs: Vec<(usize, usize)>,
    next: usize,
}

impl Wanted {
    /// Row `k` is record `indices[k]`; one record may be several rows.
    pub(super) fn new(indices: &[usize]) -> Self {
        let mut pairs: Vec<(usize, usize)> = indices.iter().copied().zip(0..).collect();
        pairs.sort_unstable();
        Wanted { pairs, next: 0 }
    }

    /// The rows that are `record`, which comes after all that were asked for before.
    pub(super) fn rows_of(&mut self, record: usize) -> impl Iterator<Item = usize> {
        let first = self.next;
        let others = self.pairs[first..].iter().take_while(|(index, _)| *index == record);
        self.next += others.count();
        self.pairs[first..self.next].iter().map(|&(_, row)| row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_comes_with_its_record() {
        let mut wanted = Wanted::new(&[4, 0, 4, 2]);
        let found: Vec<Vec<usize>> =
            (0..6).map(|record| wanted.rows_of(record).collect()).collect();
        assert_eq!(found, [vec![1], vec![], vec![3], vec![], vec![0, 2], vec![]]);
        assert_eq!(Wanted::new(&[]).rows_of(0).count(), 0);
    }
}
