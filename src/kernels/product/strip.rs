//! A strip of a matrix: a few registers wide, along the whole inner dimension.

use super::matrix::Matrix;
use super::turn::turn;

/// Columns of the right side, as many as registers are wide, one row of them for each step along
/// the inner dimension.
///
/// What stands beyond the last of the columns is of no meaning: no sum that is kept depends on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strip<'a> {
    /// The rows that are read where they stand, and from one to the next.
    in_place: &'a [f32],
    stride: usize,
    /// How many these are.
    whole: usize,
    /// The rows behind them, a width each.
    copied: &'a [f32],
}

impl<'a> Strip<'a> {
    /// The columns `first..first + columns`, copied to `room` where they are not contiguous.
    #[inline(always)]
    pub(super) fn cut(
        matrix: Matrix<'a>,
        first: usize,
        columns: usize,
        width: usize,
        room: &'a mut Vec<f32>,
    ) -> Self {
        let rows = matrix.rows;
        if matrix.column_stride != 1 {
            let room = at_least(room, rows * width);
            turn(&matrix.values[first * rows..(first + columns) * rows], rows, width, room);
            return Strip { in_place: room, stride: width, whole: rows, copied: &[] };
        }
        // A register that is read across the end of a row holds values of the next: none follows
        // the last rows.
        let stride = matrix.row_stride;
        let in_place = matrix.values.get(first..).unwrap_or_default();
        let whole = if in_place.len() < width {
            0
        } else {
            rows.min((in_place.len() - width) / stride + 1)
        };
        let room = at_least(room, (rows - whole) * width);
        for (row, to) in (whole..rows).zip(room.chunks_exact_mut(width)) {
            to[..columns].copy_from_slice(&in_place[row * stride..][..columns]);
        }
        Strip { in_place, stride, whole, copied: room }
    }

    /// How many rows are read where they stand.
    pub(super) fn in_place(self) -> usize {
        self.whole
    }

    /// One of these rows.
    #[inline(always)]
    pub(super) fn row_in_place(self, step: usize, width: usize) -> &'a [f32] {
        &self.in_place[step * self.stride..][..width]
    }

    /// Any row.
    #[inline(always)]
    pub(super) fn row(self, step: usize, width: usize) -> &'a [f32] {
        if step < self.whole {
            self.row_in_place(step, width)
        } else {
            &self.copied[(step - self.whole) * width..][..width]
        }
    }
}

/// The first `length` values of `room`, whatever they are.
fn at_least(room: &mut Vec<f32>, length: usize) -> &mut [f32] {
    if room.len() < length {
        room.resize(length, 0.0);
    }
    &mut room[..length]
}
