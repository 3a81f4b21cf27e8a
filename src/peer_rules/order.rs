//! The order in which rules look at messages: from near to far, with the weight so far.

/// How much a sum of weights may be off: they are rounded fractions, and rules compare sums
/// of them where the fractions are equal.
const SLACK: f64 = 1e-9;

/// Messages from near to far, behind the own model at distance 0.
#[derive(Debug)]
pub(super) struct Order {
    /// Positions of the neighbours, nearest first; of those equally far the lowest first.
    pub(super) nearest: Vec<usize>,
    /// For each of them its weight and those of all before it, the own among them.
    pub(super) cumulative: Vec<f64>,
}

impl Order {
    /// Sorts by distance and adds up the weights.
    pub(super) fn new(distances: &[f64], weights: &[f64], own_weight: f64) -> Self {
        let nearest = nearest(distances);
        let mut total = own_weight;
        let add = |&neighbour: &usize| {
            total += weights[neighbour];
            total
        };
        let cumulative = nearest.iter().map(add).collect();
        Order { nearest, cumulative }
    }

    /// How many of the nearest stay at or below `limit` with their weight.
    pub(super) fn within(&self, limit: f64) -> usize {
        self.cumulative.partition_point(|&total| total <= limit + SLACK)
    }

    /// How many come before the first whose weight reaches `limit`.
    pub(super) fn before(&self, limit: f64) -> usize {
        self.cumulative.partition_point(|&total| total < limit - SLACK)
    }
}

/// Positions by distance; of equal ones the lowest position first.
pub(super) fn nearest(distances: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..distances.len()).collect();
    order.sort_by(|&a, &b| distances[a].total_cmp(&distances[b]));
    order
}

/// `value`, or 0 where it differs from 0 by rounding alone.
pub(super) fn rounded_away(value: f64) -> f64 {
    if value.abs() <= SLACK { 0.0 } else { value }
}

/// The largest whole number at most `share · count`, where the share was written in decimals.
pub(super) fn share_of(share: f64, count: usize) -> usize {
    (share * count as f64 + SLACK).floor() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_to_far_with_ties_by_position() {
        let order = Order::new(&[2.0, 1.0, f64::INFINITY, 1.0], &[0.1, 0.2, 0.3, 0.1], 0.3);
        assert_eq!(order.nearest, [1, 3, 0, 2]);
        assert_eq!(order.within(0.55), 1);
        assert_eq!(order.before(0.6), 1);
        assert_eq!(order.within(0.6), 2);
    }

    #[test]
    fn sums_of_rounded_fractions_count_as_exact() {
        // In floats 3/7 is not 1/7 + 1/7 + 1/7.
        let order = Order::new(&[1.0; 6], &[1.0 / 7.0; 6], 1.0 / 7.0);
        for count in 1..=6 {
            let limit = f64::from(count) / 7.0;
            assert_eq!(order.within(limit) as i32, count - 1);
            assert_eq!(order.before(limit) as i32, (count - 2).max(0));
        }
        assert_eq!(share_of(0.29, 100), 29);
        assert_eq!(share_of(0.6, 2), 1);
    }
}
