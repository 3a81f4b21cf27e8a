//! A dense layer: every output is a weighted sum of all inputs, and a bias.
//!
//! The layout is PyTorch's: first the weight, row-major `[outputs, inputs]`, then the bias.
//! Products are strided, so nothing is ever transposed in memory.

use std::ops::Range;

use ndarray::{Array2, ArrayView2, ArrayViewMut2};

use super::Float;
use super::product::{Onto, product};

/// A layer's sizes, and where it starts in the flat vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dense {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) start: usize,
}

impl Dense {
    /// Where weight and bias stand.
    pub(super) fn range(&self) -> Range<usize> {
        self.start..self.bias_start() + self.outputs
    }

    fn bias_start(&self) -> usize {
        self.start + self.inputs * self.outputs
    }

    /// The weight, shape `[outputs, inputs]`.
    pub(super) fn weight<'a, F>(&self, flat: &'a [F]) -> ArrayView2<'a, F> {
        ArrayView2::from_shape((self.outputs, self.inputs), &flat[self.start..self.bias_start()])
            .expect("a weight has outputs times inputs elements")
    }

    pub(super) fn bias<'a, F>(&self, flat: &'a [F]) -> &'a [F] {
        &flat[self.bias_start()..self.range().end]
    }

    /// The places of weight and bias in a gradient.
    pub(super) fn split<'a, F>(&self, flat: &'a mut [F]) -> (ArrayViewMut2<'a, F>, &'a mut [F]) {
        let (weight, bias) = flat[self.range()].split_at_mut(self.inputs * self.outputs);
        let weight = ArrayViewMut2::from_shape((self.outputs, self.inputs), weight)
            .expect("a weight has outputs times inputs elements");
        (weight, bias)
    }

    /// `inputs · weightᵀ + bias`.
    pub(super) fn forward<F: Float>(
        &self,
        parameters: &[F],
        inputs: ArrayView2<'_, F>,
    ) -> Array2<F> {
        let bias = self.bias(parameters);
        let mut flat = Vec::with_capacity(inputs.nrows() * self.outputs);
        for _ in 0..inputs.nrows() {
            flat.extend_from_slice(bias);
        }
        let mut outputs = Array2::from_shape_vec((inputs.nrows(), self.outputs), flat)
            .expect("one bias for each row");
        product(inputs, self.weight(parameters).t(), Onto::Before, outputs.view_mut());
        outputs
    }

    /// Writes this layer's part of the gradient: `deltaᵀ · inputs`, and the sums over `delta`.
    pub(super) fn gradient<F: Float>(
        &self,
        delta: &Array2<F>,
        inputs: ArrayView2<'_, F>,
        gradient: &mut [F],
    ) {
        let (weight, bias) = self.split(gradient);
        product(delta.t(), inputs, Onto::Nothing, weight);
        bias.fill(F::zero());
        add_rows(delta.view(), bias);
    }

    /// `delta · weight`: how the loss moves with this layer's inputs.
    pub(super) fn back<F: Float>(&self, parameters: &[F], delta: &Array2<F>) -> Array2<F> {
        let mut below = Array2::zeros((delta.nrows(), self.inputs));
        product(delta.view(), self.weight(parameters), Onto::Nothing, below.view_mut());
        below
    }
}

/// Adds every row to `sums`, in order.
pub(super) fn add_rows<F: Float>(rows: ArrayView2<'_, F>, sums: &mut [F]) {
    for row in rows.rows() {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += value;
        }
    }
}
