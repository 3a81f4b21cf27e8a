//! How fast memory can be read: what every rule is held against.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

use super::stopwatch::least_seconds;

/// Numbers that are read: 512 MB, more than caches hold.
const LENGTH: usize = 1 << 27;

/// Numbers that one thread reads at a time, as `STREAMS` streams.
const BLOCK: usize = 1 << 20;

/// Places that are read at once: one alone does not fill the lines to memory.
const STREAMS: usize = 4;

/// Registers of each stream that are added in one step.
const STEP: usize = 4;

/// Bytes that the measurement needs.
pub(super) const BYTES: usize = LENGTH * size_of::<f32>();

/// Gigabytes (10^9 bytes) that the current pool's threads read in a second, at best.
pub(super) fn memory_gb_per_second(budget: f64) -> f64 {
    let numbers = vec![1.0f32; LENGTH];
    let read = |()| {
        let sums = numbers.par_chunks(BLOCK).map(|block| Arch::new().dispatch(Sum(block)));
        Ok::<f32, std::convert::Infallible>(sums.sum())
    };
    let Ok(seconds) = least_seconds(budget, || (), read);
    BYTES as f64 / seconds / 1e9
}

/// Adds up numbers, for no reason but that they must be read.
struct Sum<'a>(&'a [f32]);

impl WithSimd for Sum<'_> {
    type Output = f32;

    #[allow(clippy::inline_always, reason = "what is inlined is compiled for the processor")]
    #[allow(clippy::needless_range_loop, reason = "all streams advance together")]
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let numbers = S::as_simd_f32s(self.0).0;
        let length = numbers.len() / STREAMS;
        let streams: [&[[S::f32s; STEP]]; STREAMS] = std::array::from_fn(|stream| {
            numbers[stream * length..(stream + 1) * length].as_chunks::<STEP>().0
        });
        let mut sums = [[simd.splat_f32s(0.0); STEP]; STREAMS];
        for step in 0..length / STEP {
            for stream in 0..STREAMS {
                for part in 0..STEP {
                    let number = streams[stream][step][part];
                    sums[stream][part] = simd.add_f32s(sums[stream][part], number);
                }
            }
        }
        sums.as_flattened().iter().map(|&sum| simd.reduce_sum_f32s(sum)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_read() {
        let numbers = vec![1.0; BLOCK];
        assert_eq!(Arch::new().dispatch(Sum(&numbers)), BLOCK as f32);
    }
}
