//! The one matrix product that all layers are built on.

use ndarray::{ArrayView2, ArrayViewMut2};

use super::Float;
pub use crate::kernels::product::Onto;

/// `into = left · right`, or `into = into + left · right`, of any strides.
///
/// Each element has the same bits whatever other rows `left` and columns `right` have, and on every
/// processor.
///
/// # Panics
/// If the shapes do not fit.
pub fn product<F: Float>(
    left: ArrayView2<'_, F>,
    right: ArrayView2<'_, F>,
    onto: Onto,
    into: ArrayViewMut2<'_, F>,
) {
    F::product(left, right, onto, into);
}
