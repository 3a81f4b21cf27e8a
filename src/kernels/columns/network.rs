//! Sorting the rows of a strip, one column in each lane of a register.
//!
//! Sixteen rows at a time are sorted in registers, and then merged two by two with bitonic merges
//! (Batcher, Sorting Networks and their Applications, AFIPS 1968), several levels at a time, so
//! that each row is loaded and stored once for three or four comparators. Of the last merge only
//! what can reach the wanted ranks is done.
//!
//! A comparator puts `min(a, b)` before `max(b, a)`. In this order the vector instructions keep
//! both of two values that are equal; there must be no NaN.

use std::ops::Range;

use pulp::Simd;

/// Rows that are sorted in registers.
const BLOCK: usize = 16;

/// How many rows a strip must have for `rows` rows; those behind the last must be `+inf`.
pub(super) fn padded(rows: usize) -> usize {
    rows.next_power_of_two().max(BLOCK)
}

/// Applies comparators to an array of registers, in order.
macro_rules! compare {
    ($simd:ident, $rows:ident: $(($low:literal, $high:literal))*) => {
        $(
            let (low, high) = ($rows[$low], $rows[$high]);
            $rows[$low] = $simd.min_f32s(low, high);
            $rows[$high] = $simd.max_f32s(high, low);
        )*
    };
}

/// Sorts the first `rows` rows of a padded strip as far as `ranks` need it: behind it, the rows of
/// `ranks` hold what sorting would place there.
#[inline(always)]
pub(super) fn sort<S: Simd>(simd: S, strip: &mut [S::f32s], rows: usize, ranks: &Range<usize>) {
    let blocks = strip.as_chunks_mut::<BLOCK>().0;
    for block in blocks.iter_mut().take(rows.div_ceil(BLOCK)) {
        sort_block(simd, block);
    }
    let mut half = BLOCK;
    while half < strip.len() {
        let whole = 2 * half;
        let wanted = if whole == strip.len() { ranks.clone() } else { 0..rows };
        for start in (0..rows).step_by(whole) {
            // The upper half is padding: the lower one is sorted already.
            if start + half < rows {
                merge(simd, &mut strip[start..start + whole], start, &wanted);
            }
        }
        half = whole;
    }
}

/// Sorts sixteen rows: Green's network of 60 comparators (Knuth, The Art of Computer Programming
/// 3, 5.3.4).
#[inline(always)]
fn sort_block<S: Simd>(simd: S, block: &mut [S::f32s; BLOCK]) {
    let mut v = *block;
    compare!(simd, v:
        (0, 1) (2, 3) (4, 5) (6, 7) (8, 9) (10, 11) (12, 13) (14, 15)
        (0, 2) (1, 3) (4, 6) (5, 7) (8, 10) (9, 11) (12, 14) (13, 15)
        (0, 4) (1, 5) (2, 6) (3, 7) (8, 12) (9, 13) (10, 14) (11, 15)
        (0, 8) (1, 9) (2, 10) (3, 11) (4, 12) (5, 13) (6, 14) (7, 15)
        (5, 10) (6, 9) (3, 12) (13, 14) (4, 8) (7, 11) (1, 2)
        (1, 4) (7, 13) (2, 8) (11, 14)
        (2, 4) (5, 6) (9, 10) (11, 13) (3, 8) (7, 12)
        (6, 8) (10, 12) (3, 5) (7, 9)
        (3, 4) (5, 6) (7, 8) (9, 10) (11, 12) (6, 7) (8, 9));
    *block = v;
}

/// Merges the two sorted halves of `rows`, which stand at `start`, as far as `wanted` needs it.
#[inline(always)]
fn merge<S: Simd>(simd: S, rows: &mut [S::f32s], start: usize, wanted: &Range<usize>) {
    let eighth = rows.len() / 8;
    mirror(simd, rows);
    for (index, rows) in rows.chunks_exact_mut(eighth).enumerate() {
        let start = start + index * eighth;
        if start < wanted.end && start + eighth > wanted.start {
            clean(simd, rows, start, wanted);
        }
    }
}

/// The first three levels of a merge: every row of the lower half with its mirror image in the
/// upper half, then rows half and a quarter of a half apart.
#[inline(always)]
fn mirror<S: Simd>(simd: S, rows: &mut [S::f32s]) {
    let q = rows.len() / 8;
    let (low, high) = rows.split_at_mut(4 * q);
    let (a, high_rest) = (low, high);
    let (a0, rest) = a.split_at_mut(q);
    let (a1, rest) = rest.split_at_mut(q);
    let (a2, a3) = rest.split_at_mut(q);
    let (b3, rest) = high_rest.split_at_mut(q);
    let (b2, rest) = rest.split_at_mut(q);
    let (b1, b0) = rest.split_at_mut(q);
    let (a3, b0) = (&mut a3[..q], &mut b0[..q]);
    for i in 0..q {
        let j = q - 1 - i;
        // Ascending places: a0 < a1 < a2 < a3 < b3 < b2 < b1 < b0.
        let mut v = [a0[i], a1[i], a2[i], a3[i], b3[j], b2[j], b1[j], b0[j]];
        compare!(simd, v:
            (0, 7) (1, 6) (2, 5) (3, 4)
            (0, 2) (1, 3) (4, 6) (5, 7)
            (0, 1) (2, 3) (4, 5) (6, 7));
        [a0[i], a1[i], a2[i], a3[i], b3[j], b2[j], b1[j], b0[j]] = v;
    }
}

/// Sorts bitonic rows, which stand at `start`: the remaining levels of a merge.
#[inline(always)]
fn clean<S: Simd>(simd: S, rows: &mut [S::f32s], start: usize, wanted: &Range<usize>) {
    // Levels come in threes; what is left over is done first, or last by a step of four.
    let levels = rows.len().ilog2();
    let mut length = rows.len();
    if levels % 3 == 2 {
        for rows in runs(rows, length, start, wanted) {
            quarters(simd, rows);
        }
        length /= 4;
    }
    while length > BLOCK {
        for rows in runs(rows, length, start, wanted) {
            eighths(simd, rows);
        }
        length /= 8;
    }
    match length {
        16 => {
            for rows in runs(rows, 16, start, wanted) {
                sixteen(simd, rows);
            }
        }
        8 => {
            for rows in runs(rows, 8, start, wanted) {
                eight(simd, rows);
            }
        }
        2 => {
            for rows in runs(rows, 2, start, wanted) {
                two(simd, rows);
            }
        }
        _ => {}
    }
}

/// The runs of `length` rows in which there is a wanted one.
#[inline(always)]
fn runs<'a, R>(
    rows: &'a mut [R],
    length: usize,
    start: usize,
    wanted: &Range<usize>,
) -> impl Iterator<Item = &'a mut [R]> {
    // Which runs hold a wanted row, counted from the first of them.
    let first = wanted.start.saturating_sub(start) / length;
    let behind = wanted.end.saturating_sub(start).div_ceil(length);
    rows.chunks_exact_mut(length).take(behind).skip(first)
}

/// Two levels: rows a half and a quarter of the length apart.
#[inline(always)]
fn quarters<S: Simd>(simd: S, rows: &mut [S::f32s]) {
    let q = rows.len() / 4;
    let (r0, rest) = rows.split_at_mut(q);
    let (r1, rest) = rest.split_at_mut(q);
    let (r2, r3) = rest.split_at_mut(q);
    let r3 = &mut r3[..q];
    for i in 0..q {
        let mut v = [r0[i], r1[i], r2[i], r3[i]];
        compare!(simd, v: (0, 2) (1, 3) (0, 1) (2, 3));
        [r0[i], r1[i], r2[i], r3[i]] = v;
    }
}

/// Three levels: rows a half, a quarter and an eighth of the length apart.
#[inline(always)]
fn eighths<S: Simd>(simd: S, rows: &mut [S::f32s]) {
    let q = rows.len() / 8;
    let (r0, rest) = rows.split_at_mut(q);
    let (r1, rest) = rest.split_at_mut(q);
    let (r2, rest) = rest.split_at_mut(q);
    let (r3, rest) = rest.split_at_mut(q);
    let (r4, rest) = rest.split_at_mut(q);
    let (r5, rest) = rest.split_at_mut(q);
    let (r6, r7) = rest.split_at_mut(q);
    let r7 = &mut r7[..q];
    for i in 0..q {
        let mut v = [r0[i], r1[i], r2[i], r3[i], r4[i], r5[i], r6[i], r7[i]];
        compare!(simd, v:
            (0, 4) (1, 5) (2, 6) (3, 7)
            (0, 2) (1, 3) (4, 6) (5, 7)
            (0, 1) (2, 3) (4, 5) (6, 7));
        [r0[i], r1[i], r2[i], r3[i], r4[i], r5[i], r6[i], r7[i]] = v;
    }
}

/// The last four levels, of sixteen rows.
#[inline(always)]
fn sixteen<S: Simd>(simd: S, rows: &mut [S::f32s]) {
    let Some(rows) = rows.first_chunk_mut::<16>() else { return };
    let mut v = *rows;
    compare!(simd, v:
        (0, 8) (1, 9) (2, 10) (3, 11) (4, 12) (5, 13) (6, 14) (7, 15)
        (0, 4) (1, 5) (2, 6) (3, 7) (8, 12) (9, 13) (10, 14) (11, 15)
        (0, 2) (1, 3) (4, 6) (5, 7) (8, 10) (9, 11) (12, 14) (13, 15)
        (0, 1) (2, 3) (4, 5) (6, 7) (8, 9) (10, 11) (12, 13) (14, 15));
    *rows = v;
}

/// The last three levels, of eight rows.
#[inline(always)]
fn eight<S: Simd>(simd: S, rows: &mut [S::f32s]) {
    let Some(rows) = rows.first_chunk_mut::<8>() else { return };
    let mut v = *rows;
    compare!(simd, v:
        (0, 4) (1, 5) (2, 6) (3, 7)
        (0, 2) (1, 3) (4, 6) (5, 7)
        (0, 1) (2, 3) (4, 5) (6, 7));
    *rows = v;
}

/// The last level, of two rows.
#[inline(always)]
fn two<S: Simd>(simd: S, rows: &mut [S::f32s]) {
    let Some(rows) = rows.first_chunk_mut::<2>() else { return };
    let mut v = *rows;
    compare!(simd, v: (0, 1));
    *rows = v;
}
