//! The one matrix product that all layers are built on.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};

use super::Float;

/// What a product does with what stands where it is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Onto {
    /// It is replaced.
    Nothing,
    /// It is added to.
    Before,
}

/// `into = left · right`, or `into = into + left · right`, of any strides.
///
/// Each element has the same bits whatever other rows `left` and columns `right` have.
///
/// # Panics
/// If the shapes do not fit.
pub fn product<F: Float>(
    left: ArrayView2<'_, F>,
    right: ArrayView2<'_, F>,
    onto: Onto,
    mut into: ArrayViewMut2<'_, F>,
) {
    let before = if onto == Onto::Before { F::one() } else { F::zero() };
    general_mat_mul(F::one(), &left, &right, before, &mut into);
}
