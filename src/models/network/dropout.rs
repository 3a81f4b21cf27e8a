//! Dropout: values that are left out of a step at random.
//!
//! As PyTorch does it, what stays is multiplied by `1 / (1 - rate)` while training, and scoring
//! leaves everything in. Reference: Srivastava et al., Dropout, JMLR 2014.

use ndarray::Array2;
use rand::{Rng, RngExt};

use super::Float;

/// Leaves out each value with probability `rate`, in `0..1`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Dropout {
    pub(super) rate: f64,
    /// Values of a sample, in and out.
    pub(super) values: usize,
}

impl Dropout {
    /// What each value is multiplied with is drawn: 1 stays, 0 is left out.
    pub(super) fn draw(&self, samples: usize, rng: &mut dyn Rng) -> Vec<u8> {
        (0..samples * self.values)
            .map(|_| u8::from(f64::from(rng.random::<f32>()) >= self.rate))
            .collect()
    }

    /// Applies what was drawn, to values on the way up and to their deltas on the way down.
    pub(super) fn apply<F: Float>(&self, stays: &[u8], values: &mut Array2<F>) {
        let scale = F::nearest(1.0 / (1.0 - self.rate));
        for (value, &stays) in values.iter_mut().zip(stays) {
            *value = if stays == 1 { *value * scale } else { F::zero() };
        }
    }
}
