//! Updates that an adversary has read.

use std::sync::OnceLock;

use ndarray::{Array2, ArrayView2};

use crate::vector::stack_slices;

/// Updates of one length, one row each, where they stand: they are copied into one piece when an
/// attack first asks for that, if it ever does.
#[derive(Debug)]
pub struct Heard<'a> {
    rows: Vec<&'a [f32]>,
    columns: usize,
    /// All of them, where they came in one piece.
    piece: Option<&'a [f32]>,
    /// All of them, copied.
    copied: OnceLock<Array2<f32>>,
}

impl<'a> Heard<'a> {
    /// Rows that stand anywhere, each so long.
    ///
    /// # Panics
    /// If one is not.
    pub fn apart(rows: Vec<&'a [f32]>, columns: usize) -> Self {
        assert!(rows.iter().all(|row| row.len() == columns), "rows of different lengths");
        Heard { rows, columns, piece: None, copied: OnceLock::new() }
    }

    /// The rows.
    pub fn rows(&self) -> &[&'a [f32]] {
        &self.rows
    }

    /// The rows as a matrix.
    pub fn in_one_piece(&self) -> ArrayView2<'_, f32> {
        let shape = (self.rows.len(), self.columns);
        if let Some(piece) = self.piece {
            return ArrayView2::from_shape(shape, piece).expect("one piece has all rows");
        }
        let copy = || match self.rows.is_empty() {
            true => Array2::zeros(shape),
            false => stack_slices(&self.rows),
        };
        self.copied.get_or_init(copy).view()
    }
}

/// Rows that are in one piece already.
///
/// # Panics
/// If a row is not contiguous in memory.
impl<'a> From<ArrayView2<'a, f32>> for Heard<'a> {
    fn from(piece: ArrayView2<'a, f32>) -> Self {
        let flat = piece.to_slice().expect("rows in standard layout");
        let columns = piece.ncols();
        let rows = (0..piece.nrows()).map(|row| &flat[row * columns..(row + 1) * columns]);
        let (rows, copied) = (rows.collect(), OnceLock::new());
        Heard { rows, columns, piece: Some(flat), copied }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn rows_are_the_same_in_one_piece_and_apart() {
        let piece = array![[1.0, 2.0], [3.0, 4.0]];
        let apart = Heard::apart(vec![&[1.0, 2.0], &[3.0, 4.0]], 2);
        let heard = Heard::from(piece.view());
        assert_eq!(apart.rows(), heard.rows());
        assert_eq!(apart.in_one_piece(), piece);
        assert_eq!(heard.in_one_piece().as_ptr(), piece.as_ptr(), "it is not copied");
        assert_eq!(Heard::apart(Vec::new(), 5).in_one_piece().dim(), (0, 5));
    }
}
