//! The least of many numbers: which they are, and their sum.

use super::blocks;

/// Binary digits of the largest summand that a sum keeps.
const DIGITS: i32 = 52;

/// Calls `work` with the position and the result of each row of an n x n matrix, on the threads
/// that are at hand.
pub fn for_each_row<T: Send>(results: &mut [T], n: usize, work: impl Fn(usize, &mut T) + Sync) {
    let shared = blocks::shared(n * n);
    blocks::for_each(results, 1, shared, |row, results| work(row, &mut results[0]));
}

/// The sum of `map` of the `count` least of `values`, of all if they are fewer.
///
/// `values` and what `map` makes of them are at least 0 and not NaN, and `map` is monotone. The sum
/// is one of whole numbers, in units of 2^-52 of the largest summand: the same bits whatever the
/// order of the values, which are reordered.
pub fn sum_of_least(values: &mut [f64], count: usize, map: impl Fn(f64) -> f64) -> f64 {
    let count = count.min(values.len());
    if count == 0 {
        return 0.0;
    }
    if count < values.len() {
        values.select_nth_unstable_by(count - 1, f64::total_cmp);
    }
    let least = &values[..count];
    let largest = map(least.iter().copied().fold(0.0, f64::max));
    if largest == 0.0 || !largest.is_finite() {
        return largest;
    }
    let exponent = (((largest.to_bits() >> 52) & 0x7ff) as i32 - 1023).clamp(DIGITS - 1022, 1022);
    let (down, up) = (power(DIGITS - 1 - exponent), power(exponent - DIGITS + 1));
    let whole = |&value: &f64| (map(value) * down) as u64;
    // Up to 2^52 each: a thousand of them fit.
    let sum: u128 =
        least.chunks(1024).map(|part| u128::from(part.iter().map(whole).sum::<u64>())).sum();
    sum as f64 * up
}

/// The `count` least of the `values`, of equal ones the first, as one bit each; all if they are
/// fewer. `room` is overwritten.
pub fn least(values: &[f64], count: usize, room: &mut Vec<f64>, mut mark: impl FnMut(usize)) {
    if count >= values.len() {
        return (0..values.len()).for_each(mark);
    }
    if count == 0 {
        return;
    }
    room.clear();
    room.extend_from_slice(values);
    let (below, &mut last, _) = room.select_nth_unstable_by(count - 1, f64::total_cmp);
    let under = |value: f64| value.total_cmp(&last).is_lt();
    let mut equal = count - below.iter().filter(|&&value| under(value)).count();
    for (index, &value) in values.iter().enumerate() {
        if under(value) {
            mark(index);
        } else if equal > 0 && value.total_cmp(&last).is_eq() {
            equal -= 1;
            mark(index);
        }
    }
}

/// Two to the power of an exponent that is within range.
fn power(exponent: i32) -> f64 {
    f64::from_bits(((1023 + exponent) as u64) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_by_hand() {
        let sum = |values: &[f64], count| sum_of_least(&mut values.to_vec(), count, |value| value);
        assert_eq!(sum(&[5.0, 1.0, 36.0, 9.0], 3), 15.0);
        assert_eq!(sum(&[5.0, 1.0], 7), 6.0);
        assert_eq!(sum(&[5.0, f64::INFINITY], 1), 5.0);
        assert_eq!(sum(&[5.0, f64::INFINITY], 2), f64::INFINITY);
        assert_eq!(sum(&[0.0, 0.0], 2), 0.0);
        assert_eq!(sum(&[], 2), 0.0);
        assert!((sum(&[1e300, 3e300], 2) / 4e300 - 1.0).abs() < 1e-15);
        assert!((sum(&[1e-280, 3e-280], 2) / 4e-280 - 1.0).abs() < 1e-15);
        assert_eq!(sum_of_least(&mut [4.0, 9.0, 1.0], 2, f64::sqrt), 3.0);
    }

    #[test]
    fn the_order_of_the_values_does_not_matter() {
        let mut values: Vec<f64> = (1..3000).map(|k| 1.0 / f64::from(k)).collect();
        let sum = sum_of_least(&mut values.clone(), 2500, |value| value);
        let exact: f64 = (500..3000).map(|k| 1.0 / f64::from(k)).sum();
        assert!((sum / exact - 1.0).abs() < 1e-12);
        values.reverse();
        values.rotate_left(77);
        assert_eq!(sum_of_least(&mut values, 2500, |value| value), sum);
    }

    #[test]
    fn of_equal_values_the_first() {
        let which = |values: &[f64], count| {
            let mut marked = Vec::new();
            least(values, count, &mut Vec::new(), |index| marked.push(index));
            marked
        };
        assert_eq!(which(&[3.0, 1.0, 3.0, 2.0, 3.0], 4), [0, 1, 2, 3]);
        assert_eq!(which(&[3.0, 1.0, 3.0, 2.0], 2), [1, 3]);
        assert_eq!(which(&[3.0, 1.0], 5), [0, 1]);
        assert_eq!(which(&[3.0, 1.0], 0), [0; 0]);
        let far = f64::INFINITY;
        assert_eq!(which(&[far, far, 0.0], 2), [0, 2]);
    }
}
