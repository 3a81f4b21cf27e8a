//! Vectors that are given back, to be written over by whoever needs the next.
//!
//! A new vector is cleared before it is handed out, which for one that is written whole right away
//! is a fifth of the time of writing it.

use std::cell::RefCell;
use std::sync::Arc;

use ndarray::Array1;

use super::Shared;

/// How many a thread keeps.
const KEPT: usize = 2;

thread_local! {
    static SPARE: RefCell<Vec<Array1<f32>>> = const { RefCell::new(Vec::new()) };
}

/// A vector of this length whose values mean nothing: each must be written before it is read.
pub fn unwritten(length: usize) -> Array1<f32> {
    let fitting = |spare: &mut Vec<Array1<f32>>| {
        let place = spare.iter().position(|vector| vector.len() == length)?;
        Some(spare.swap_remove(place))
    };
    SPARE.with_borrow_mut(fitting).unwrap_or_else(|| Array1::zeros(length))
}

/// Keeps a vector that nobody else holds for [`unwritten`].
pub fn give_back(vector: Shared) {
    let Some(vector) = Arc::into_inner(vector) else { return };
    SPARE.with_borrow_mut(|spare| {
        spare.truncate(KEPT - 1);
        spare.insert(0, vector);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_is_handed_out_once() {
        let values = |length| unwritten(length).to_vec();
        give_back(Arc::new(Array1::from_elem(5, 7.0)));
        assert_eq!(values(4), [0.0; 4]);
        assert_eq!(values(5), [7.0; 5]);
        assert_eq!(values(5), [0.0; 5]);
        // Somebody still reads this one.
        let read = Arc::new(Array1::from_elem(6, 1.0));
        give_back(Arc::clone(&read));
        assert_eq!(values(6), [0.0; 6]);
        // No more than so many are kept, the newest.
        (1..=3).for_each(|value| give_back(Arc::new(Array1::from_elem(7, value as f32))));
        let mut kept = [values(7), values(7), values(7)].map(|values| values[0]);
        kept.sort_by(f32::total_cmp);
        assert_eq!(kept, [0.0, 2.0, 3.0]);
    }
}
