//! Random draws of one image, made of integer bits and plain arithmetic only.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};

/// The random numbers of one image, or of one block of labels.
pub(super) struct Draws(ChaCha8Rng);

impl Draws {
    /// The stream named by `parts`.
    pub(super) fn new(parts: [u64; 4]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("byzlab 2026 digits data set v1");
        for part in parts {
            hasher.update(&part.to_le_bytes());
        }
        Draws(ChaCha8Rng::from_seed(*hasher.finalize().as_bytes()))
    }

    /// Evenly from `[low, high)`, in steps of 2⁻²⁴ of the way.
    pub(super) fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * ((self.0.next_u32() >> 8) as f32 / (1 << 24) as f32)
    }

    /// True once in `1 / probability` times.
    pub(super) fn chance(&mut self, probability: f32) -> bool {
        self.between(0.0, 1.0) < probability
    }

    /// One of `0 .. count`; the bias of at most `count / 2³²` is of no account here.
    pub(super) fn below(&mut self, count: usize) -> usize {
        ((u64::from(self.0.next_u32()) * count as u64) >> 32) as usize
    }

    /// Bell-shaped with mean 0 and standard deviation 1, never beyond 3.5: the sum of the four
    /// bytes of a word.
    pub(super) fn bell(&mut self) -> f32 {
        let sum: u32 = self.0.next_u32().to_le_bytes().into_iter().map(u32::from).sum();
        (sum as f32 - BYTES_MEAN) / BYTES_DEVIATION
    }
}

/// Mean of the sum of four even bytes, `4 · 255 / 2`.
const BYTES_MEAN: f32 = 510.0;

/// Its standard deviation, `√(4 · (256² − 1) / 12)`.
const BYTES_DEVIATION: f32 = 147.800_77;
