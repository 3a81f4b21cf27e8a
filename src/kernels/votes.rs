//! Votes: which way the rows go in each column.

use ndarray::{Array1, ArrayView2};
use pulp::{Arch, Simd, WithSimd};

use super::blocks;

/// Columns that one thread takes at a time: long enough for memory to stream.
const BLOCK: usize = 8192;

/// For each column the rows above zero less those below; NaN has no vote.
pub fn votes(updates: ArrayView2<'_, f32>) -> Array1<i64> {
    let updates = updates.as_standard_layout();
    let columns = updates.ncols();
    let flat = updates.as_slice().expect("standard layout is contiguous");
    let mut votes = vec![0; columns];
    blocks::for_each(&mut votes, BLOCK, blocks::shared(flat.len()), |block, votes| {
        Arch::new().dispatch(Count { flat, columns, start: block * BLOCK, votes });
    });
    Array1::from(votes)
}

/// Counts in one block of columns.
struct Count<'a> {
    flat: &'a [f32],
    columns: usize,
    start: usize,
    votes: &'a mut [i64],
}

impl WithSimd for Count<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        let mut counts = vec![0i32; self.votes.len()];
        for row in self.flat.chunks(self.columns) {
            for (count, &value) in counts.iter_mut().zip(&row[self.start..]) {
                *count += i32::from(value > 0.0) - i32::from(value < 0.0);
            }
        }
        for (votes, &count) in self.votes.iter_mut().zip(&counts) {
            *votes = i64::from(count);
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;

    #[test]
    fn by_hand_and_on_any_number_of_threads() {
        let rows = array![[9.0, -1e30, 0.0], [-0.1, 2.0, f32::NAN], [-0.2, 3.0, 1.0]];
        assert_eq!(votes(rows.view()), array![-1, 1, 1]);
        assert_eq!(votes(Array2::zeros((0, 2)).view()), array![0, 0]);
        let rows =
            Array2::from_shape_fn((40, 20_000), |(row, column)| (row * column % 7) as f32 - 3.0);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        assert_eq!(pool.install(|| votes(rows.view())), votes(rows.view()));
        assert_eq!(votes(rows.view())[7], -40);
    }
}
