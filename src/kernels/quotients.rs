//! Dividing by a small whole number, to the last bit and without a division.

use pulp::Simd;

/// The lanes of a register from which this is faster than dividing. Processors with narrower ones
/// may have no fused operations.
const LANES: usize = 4;

/// What is divided by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Divisor<F> {
    count: F,
    negative: F,
    inverse: F,
}

impl<F> Divisor<F> {
    /// A whole number below 2^20 and its inverse.
    #[inline(always)]
    pub(crate) fn new<S: Simd<f64s = F>>(simd: S, count: f64, inverse: f64) -> Self {
        Divisor {
            count: simd.splat_f64s(count),
            negative: simd.splat_f64s(-count),
            inverse: simd.splat_f64s(inverse),
        }
    }
}

/// The quotients as division rounds them, of sums that are not tiny.
///
/// The product with the inverse is at most two units in the last place off, so that what it leaves
/// of the sum, a multiple of that unit, is exact. After the correction quotients are rounded once,
/// from a number that is off by 2^-52 of a unit, and no quotient by a whole number below 2^20 comes
/// closer than 2^-21 of a unit to where rounding turns (Markstein, Computation of elementary
/// functions on the IBM RISC System/6000 processor, 1990).
#[inline(always)]
pub(crate) fn quotients<S: Simd>(simd: S, sums: S::f64s, divisor: Divisor<S::f64s>) -> S::f64s {
    if S::F64_LANES < LANES {
        return simd.div_f64s(sums, divisor.count);
    }
    let near = simd.mul_f64s(sums, divisor.inverse);
    let rest = simd.mul_add_f64s(near, divisor.negative, sums);
    let corrected = simd.mul_add_f64s(rest, divisor.inverse, near);
    // What is not finite leaves no rest, and neither does division by nothing.
    simd.select_f64s(simd.equal_f64s(rest, rest), corrected, near)
}

#[cfg(test)]
mod tests {
    use pulp::{Arch, WithSimd};
    use rand::{Rng, RngExt};

    use super::*;
    use crate::seed::{Purpose, run_stream};

    struct Divide<'a> {
        sums: &'a mut [f64],
        count: f64,
    }

    impl WithSimd for Divide<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            let divisor = Divisor::new(simd, self.count, 1.0 / self.count);
            for sum in S::as_mut_simd_f64s(self.sums).0 {
                *sum = quotients(simd, *sum, divisor);
            }
        }
    }

    #[test]
    fn every_quotient_is_that_of_division() {
        let mut rng = run_stream(1, Purpose::Aggregation);
        for count in 0..=300u32 {
            let count = f64::from(count);
            let mut sums: Vec<f64> = (0..4096)
                .map(|index| match index % 4 {
                    // Numbers next to multiples of the count are the hardest.
                    0 => f64::from(rng.next_u32()) * count + f64::EPSILON,
                    1 => (rng.random::<f64>() - 0.5) * 1e38,
                    2 => f64::from_bits((count * 2f64.powi(50)).to_bits() ^ (rng.next_u64() & 7)),
                    _ => f64::from(f32::from_bits(rng.next_u32() & 0x807f_ffff)),
                })
                .collect();
            sums[..4].copy_from_slice(&[0.0, f64::INFINITY, f64::NEG_INFINITY, f64::NAN]);
            let expected: Vec<f64> = sums.iter().map(|sum| sum / count).collect();
            Arch::new().dispatch(Divide { sums: &mut sums, count });
            for (found, expected) in sums.iter().zip(&expected) {
                let same = found.to_bits() == expected.to_bits();
                // A sum of rows is never -0.
                let zeros = found == expected && *expected == 0.0;
                assert!(same || zeros || found.is_nan() && expected.is_nan(), "{found} {expected}");
            }
        }
    }
}
