//! Turning runs of memory into columns.

/// Steps that are written before those behind them are read.
const STEPS: usize = 16;

/// Writes runs of `length` values as the first columns of `to`, whose rows are `width` wide.
pub(super) fn turn(runs: &[f32], length: usize, width: usize, to: &mut [f32]) {
    if length == 0 {
        return;
    }
    #[cfg(target_arch = "x86_64")]
    if let Some(simd) = pulp::x86::V4::try_new().filter(|_| width.is_multiple_of(STEPS)) {
        return simd.vectorize(registers::Turn { simd, runs, length, width, to });
    }
    plainly(runs, length, width, 0, to);
}

/// One value at a time, from the step `first` on.
fn plainly(runs: &[f32], length: usize, width: usize, first: usize, to: &mut [f32]) {
    for start in (first..length).step_by(STEPS) {
        let end = length.min(start + STEPS);
        let rows = &mut to[start * width..end * width];
        for (column, run) in runs.chunks_exact(length).enumerate() {
            for (row, &value) in rows.chunks_exact_mut(width).zip(&run[start..end]) {
                row[column] = value;
            }
        }
    }
}

/// Sixteen by sixteen values at a time, by the shuffles of AVX-512.
#[cfg(target_arch = "x86_64")]
mod registers {
    use pulp::x86::V4;
    use pulp::{NullaryFnOnce, cast, f32x16};

    use super::{STEPS, plainly};

    pub(super) struct Turn<'a> {
        pub(super) simd: V4,
        pub(super) runs: &'a [f32],
        pub(super) length: usize,
        pub(super) width: usize,
        pub(super) to: &'a mut [f32],
    }

    impl NullaryFnOnce for Turn<'_> {
        type Output = ();

        #[inline(always)]
        fn call(self) {
            let Turn { simd, runs, length, width, to } = self;
            let whole = length / STEPS * STEPS;
            for (group, runs) in runs.chunks(STEPS * length.max(1)).enumerate() {
                let last = runs.len() / length - 1;
                for start in (0..whole).step_by(STEPS) {
                    let mut square = [simd.splat_f32x16(0.0); STEPS];
                    for (column, register) in square.iter_mut().enumerate() {
                        let run = &runs[column.min(last) * length + start..][..STEPS];
                        *register = *bytemuck::from_bytes(bytemuck::cast_slice(run));
                    }
                    transpose(simd, &mut square);
                    let rows = to[start * width..].chunks_mut(width);
                    for (row, register) in rows.zip(&square) {
                        row[group * STEPS..][..STEPS]
                            .copy_from_slice(bytemuck::cast_slice(bytemuck::bytes_of(register)));
                    }
                }
            }
            plainly(runs, length, width, whole, to);
        }
    }

    /// Values, pairs, quarters and halves change places.
    #[inline(always)]
    fn transpose(simd: V4, rows: &mut [f32x16; STEPS]) {
        let simd = simd.avx512f;
        for pair in rows.as_chunks_mut::<2>().0 {
            let [even, odd] = pair.map(cast);
            *pair = [
                cast(simd._mm512_unpacklo_ps(even, odd)),
                cast(simd._mm512_unpackhi_ps(even, odd)),
            ];
        }
        // Register `column` of each four: the values 4q + column of every quarter q.
        for four in rows.as_chunks_mut::<4>().0 {
            let [a, b, c, d] = four.map(cast);
            *four = [
                cast(simd._mm512_unpacklo_pd(a, c)),
                cast(simd._mm512_unpackhi_pd(a, c)),
                cast(simd._mm512_unpacklo_pd(b, d)),
                cast(simd._mm512_unpackhi_pd(b, d)),
            ];
        }
        // Register `column` of each eight has the quarters 0 and 2 of both fours, 4 + column has
        // 1 and 3.
        for eight in rows.as_chunks_mut::<8>().0 {
            for column in 0..4 {
                let (first, second) = (cast(eight[column]), cast(eight[4 + column]));
                eight[column] = cast(simd._mm512_shuffle_f32x4::<0b10_00_10_00>(first, second));
                eight[4 + column] = cast(simd._mm512_shuffle_f32x4::<0b11_01_11_01>(first, second));
            }
        }
        for column in 0..8 {
            let (first, second) = (cast(rows[column]), cast(rows[8 + column]));
            rows[column] = cast(simd._mm512_shuffle_f32x4::<0b10_00_10_00>(first, second));
            rows[8 + column] = cast(simd._mm512_shuffle_f32x4::<0b11_01_11_01>(first, second));
        }
    }
}
