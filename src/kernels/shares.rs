//! Work in pieces that do not depend on each other, shared out among the threads at hand.

use super::blocks;

/// What `find` finds for each of so many pieces of work, in their order, where all of them together
/// read so many numbers.
pub fn each<T: Clone + Default + Send>(
    pieces: usize,
    numbers: usize,
    find: impl Fn(usize) -> T + Sync,
) -> Vec<T> {
    let mut found = vec![T::default(); pieces];
    blocks::for_each(&mut found, 1, blocks::shared(numbers), |piece, found| {
        found[0] = find(piece);
    });
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_stand_in_their_order_on_any_number_of_threads() {
        let find = |piece: usize| piece * piece;
        let expected: Vec<usize> = (0..100).map(find).collect();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        assert_eq!(each(100, 1, find), expected);
        assert_eq!(pool.install(|| each(100, usize::MAX, find)), expected);
    }
}
