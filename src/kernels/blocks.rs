//! Blocks of columns, shared out among the threads that are at hand.
//!
//! Where a kernel runs inside a rayon pool it may use that pool's threads; elsewhere it stays on
//! the thread that called it. Blocks are the same either way, each is written by one thread and
//! what is summed over blocks is summed afterwards in their order, so that no bit depends on it.

use rayon::prelude::*;

/// Numbers below which handing out work costs more than it saves.
const WORTH_SHARING: usize = 1 << 18;

/// Whether reading `numbers` numbers is worth more than one thread, and there is more than one.
pub(super) fn shared(numbers: usize) -> bool {
    // Outside of a pool, asking for the number of threads would start one.
    numbers >= WORTH_SHARING
        && rayon::current_thread_index().is_some()
        && rayon::current_num_threads() > 1
}

/// Calls `work` with the position and the elements of each block of `size` elements of `out`.
pub(super) fn for_each<T: Send>(
    out: &mut [T],
    size: usize,
    shared: bool,
    work: impl Fn(usize, &mut [T]) + Sync,
) {
    if shared {
        out.par_chunks_mut(size).enumerate().for_each(|(block, out)| work(block, out));
    } else {
        out.chunks_mut(size).enumerate().for_each(|(block, out)| work(block, out));
    }
}

/// The elements of `rows` rows of `columns` numbers, whose blocks of at most `SIZE` columns are
/// what `work` writes, given the row and the position of the block in it.
///
/// On one thread no place is written twice: what is filled with zeros first has its pages cleared
/// for nothing.
pub(super) fn collected<const SIZE: usize>(
    (rows, columns): (usize, usize),
    shared: bool,
    work: impl Fn(usize, usize, &mut [f32]) + Sync,
) -> Vec<f32> {
    let length = rows * columns;
    if shared {
        let mut out = vec![0.0; length];
        out.par_chunks_mut(columns.max(1)).enumerate().for_each(|(row, out)| {
            let blocks = out.par_chunks_mut(SIZE).enumerate();
            blocks.for_each(|(block, out)| work(row, block, out));
        });
        return out;
    }
    let mut out = Vec::with_capacity(length);
    let mut room = [0.0; SIZE];
    for row in 0..rows {
        for (block, start) in (0..columns).step_by(SIZE).enumerate() {
            let room = &mut room[..SIZE.min(columns - start)];
            work(row, block, room);
            out.extend_from_slice(room);
        }
    }
    out
}

/// Calls `work` with each block of `size` elements of `first`, and `other` elements of `second`.
pub(super) fn for_each_of_two<T: Send, U: Send>(
    (first, size): (&mut [T], usize),
    (second, other): (&mut [U], usize),
    shared: bool,
    work: impl Fn(usize, &mut [T], &mut [U]) + Sync,
) {
    if shared {
        let blocks = first.par_chunks_mut(size).zip(second.par_chunks_mut(other));
        blocks.enumerate().for_each(|(block, (first, second))| work(block, first, second));
    } else {
        let blocks = first.chunks_mut(size).zip(second.chunks_mut(other));
        blocks.enumerate().for_each(|(block, (first, second))| work(block, first, second));
    }
}

/// Bytes of a line of the cache, which are also those of the widest register.
const LINE: usize = 64;

/// Room for `length` elements that [`lined_up`] finds, filled with `value`.
pub(super) fn room<T: Copy>(length: usize, value: T) -> Vec<T> {
    vec![value; length + LINE / size_of::<T>()]
}

/// The first `length` elements of a [`room`] that begin with a line of the cache: registers that
/// lie across two lines take twice as long to load and to store.
pub(super) fn lined_up<T>(room: &mut [T], length: usize) -> &mut [T] {
    let offset = room.as_ptr().align_offset(LINE).min(room.len() - length);
    &mut room[offset..offset + length]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_pool_is_shared() {
        assert!(!shared(usize::MAX));
        let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert!(pool(2).install(|| shared(WORTH_SHARING)));
        assert!(!pool(2).install(|| shared(WORTH_SHARING - 1)));
        assert!(!pool(1).install(|| shared(usize::MAX)));
    }

    #[test]
    fn room_begins_with_a_line() {
        for length in [0, 1, 100] {
            let mut room = room(length, 1.0f64);
            let lined_up = lined_up(&mut room, length);
            assert_eq!(lined_up.len(), length);
            assert_eq!(lined_up.as_ptr().align_offset(LINE), 0);
        }
    }

    #[test]
    fn what_is_collected_is_written_once() {
        for (shape, shared) in
            [((3, 0), false), ((0, 3), true), ((1, 4), false), ((3, 10), false), ((3, 10), true)]
        {
            let out = collected::<4>(shape, shared, |row, block, out| {
                for (place, value) in out.iter_mut().enumerate() {
                    *value = (row * shape.1 + 4 * block + place) as f32;
                }
            });
            let expected: Vec<f32> = (0..shape.0 * shape.1).map(|place| place as f32).collect();
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn every_block_is_done_once() {
        let mut out = vec![0; 10];
        for_each(&mut out, 4, true, |block, out| out.iter_mut().for_each(|x| *x += block + 1));
        assert_eq!(out, [1, 1, 1, 1, 2, 2, 2, 2, 3, 3]);
    }
}
