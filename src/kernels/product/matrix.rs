//! Matrices whose rows or columns are contiguous.

use ndarray::{ArrayView2, CowArray, Ix2};

/// A matrix to read. One of the strides is 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Matrix<'a> {
    pub(super) values: &'a [f32],
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) row_stride: usize,
    pub(super) column_stride: usize,
}

/// The matrix itself where its rows or its columns are contiguous, else a copy.
pub(super) fn contiguous(matrix: ArrayView2<'_, f32>) -> CowArray<'_, f32, Ix2> {
    if matrix.is_standard_layout() || matrix.t().is_standard_layout() {
        return matrix.into();
    }
    matrix.as_standard_layout().into_owned().into()
}

impl<'a> Matrix<'a> {
    /// What `contiguous` gave.
    pub(super) fn of(matrix: &'a CowArray<'_, f32, Ix2>) -> Self {
        let (rows, columns) = matrix.dim();
        let values = matrix.as_slice_memory_order().expect("one side is contiguous");
        if matrix.is_standard_layout() {
            Matrix { values, rows, columns, row_stride: columns, column_stride: 1 }
        } else {
            Matrix { values, rows, columns, row_stride: 1, column_stride: rows }
        }
    }

    pub(super) fn transposed(self) -> Self {
        let Matrix { values, rows, columns, row_stride, column_stride } = self;
        Matrix {
            values,
            rows: columns,
            columns: rows,
            row_stride: column_stride,
            column_stride: row_stride,
        }
    }
}

/// Where a product is written to. One of the strides is 1.
#[derive(Debug)]
pub(super) struct Target<'a> {
    pub(super) values: &'a mut [f32],
    pub(super) row_stride: usize,
    pub(super) column_stride: usize,
}

impl Target<'_> {
    pub(super) fn transposed(self) -> Self {
        let Target { values, row_stride, column_stride } = self;
        Target { values, row_stride: column_stride, column_stride: row_stride }
    }
}
