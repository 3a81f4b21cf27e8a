//! Random draws of one image, made of integer bits and plain arithmetic only.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};

/// The random numbers of one image, or of one block of labels.
pub(super) struct Draws(ChaCha8Rng);

impl Draws {
    /// The stream that these numbers name.
    pub(super) fn new(name: [u64; 4]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("byzlab 2026 digits data set v1");
        for part in name {
            hasher.update(&part.to_le_bytes());
        }
        Draws(ChaCha8Rng::from_seed(*hasher.finalize().as_bytes()))
    }

    /// Evenly between the two, in steps of 2⁻²⁴ of the way.
    pub(super) fn between(&mut self, [low, high]: [f32; 2]) -> f32 {
        low + (high - low) * ((self.0.next_u32() >> 8) as f32 / (1 << 24) as f32)
    }

    /// True with this probability.
    pub(super) fn chance(&mut self, probability: f32) -> bool {
        self.between([0.0, 1.0]) < probability
    }

    /// One of `0 .. count`; the bias of at most `count / 2³²` is of no account here.
    pub(super) fn below(&mut self, count: usize) -> usize {
        ((u64::from(self.0.next_u32()) * count as u64) >> 32) as usize
    }

    /// Nearly normal with mean 0 and standard deviation 1, and never beyond 3.46: the sum of the
    /// four bytes of a word.
    pub(super) fn bell(&mut self) -> f32 {
        let sum: u32 = self.0.next_u32().to_le_bytes().into_iter().map(u32::from).sum();
        (sum as f32 - BYTES_MEAN) / BYTES_DEVIATION
    }
}

/// Mean of the sum of four even bytes, `4 · 255 / 2`.
const BYTES_MEAN: f32 = 510.0;

/// Its standard deviation, `√(4 · (256² − 1) / 12)`.
const BYTES_DEVIATION: f32 = 147.800_77;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_name_changes_the_stream() {
        let first = |name| Draws::new(name).0.next_u64();
        let base = [1, 2, 3, 4];
        assert_eq!(first(base), first(base));
        for part in 0..4 {
            let mut other = base;
            other[part] += 1;
            assert_ne!(first(base), first(other));
        }
    }

    #[test]
    fn the_bell_has_mean_zero_and_deviation_one() {
        let mut draws = Draws::new([1, 2, 3, 4]);
        let drawn: Vec<f64> = (0..100_000).map(|_| f64::from(draws.bell())).collect();
        let mean = drawn.iter().sum::<f64>() / 1e5;
        let variance = drawn.iter().map(|value| value * value).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.015 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
        assert!(drawn.iter().all(|value| value.abs() < 3.46));
    }

    #[test]
    fn even_draws_fill_their_range() {
        let mut draws = Draws::new([1, 2, 3, 4]);
        let drawn: Vec<f32> = (0..10_000).map(|_| draws.between([-1.0, 3.0])).collect();
        assert!(drawn.iter().all(|value| (-1.0..3.0).contains(value)));
        assert!(drawn.iter().any(|&value| value < -0.99));
        assert!(drawn.iter().any(|&value| value > 2.99));
        let mut counts = [0; 3];
        (0..9_000).for_each(|_| counts[draws.below(3)] += 1);
        assert!(counts.iter().all(|count| (2_800..3_200).contains(count)), "{counts:?}");
    }
}
