//! Clusters of numbers on a line, found exactly, and how many there are.

use rand::{Rng, RngExt};

/// The most clusters that are looked for.
const MOST: usize = 7;

/// How many sets of evenly spread numbers are compared with.
const REFERENCES: usize = 10;

/// How many clusters the gap statistic finds: the least k from which one more is worth less than
/// it is among evenly spread numbers; `MOST` where there is none.
///
/// Reference: Tibshirani, Walther, Hastie, Estimating the Number of Clusters in a Data Set via the
/// Gap Statistic, Journal of the Royal Statistical Society B, 2001.
pub fn gap_clusters(values: &[f64], rng: &mut dyn Rng) -> usize {
    let (least, most) = values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), &value| (a.min(value), b.max(value)));
    let spread = most - least;
    if values.len() < 3 || !(spread > 0.0 && spread.is_finite()) {
        return 1;
    }
    let scaled: Vec<f64> = values.iter().map(|value| (value - least) / spread).collect();
    let ours = log_spreads(scaled);
    let references: Vec<Vec<f64>> = (0..REFERENCES)
        .map(|_| log_spreads((0..values.len()).map(|_| rng.random::<f64>()).collect()))
        .collect();
    let gap = |k: usize| {
        let theirs = references.iter().map(|reference| reference[k]);
        let mean = theirs.clone().sum::<f64>() / REFERENCES as f64;
        let variance = theirs.map(|value| (value - mean).powi(2)).sum::<f64>() / REFERENCES as f64;
        let error = variance.sqrt() * (1.0 + 1.0 / REFERENCES as f64).sqrt();
        (mean - ours[k], error)
    };
    let gaps: Vec<(f64, f64)> = (0..ours.len()).map(gap).collect();
    let enough = gaps.windows(2).position(|pair| pair[0].0 - pair[1].0 + pair[1].1 >= 0.0);
    enough.map_or(MOST, |k| k + 1)
}

/// Whether each value is in the upper of the two clusters with the least squared distances to
/// their means.
pub fn upper_of_two(values: &[f64]) -> Vec<bool> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let sums = Sums::of(&sorted);
    let count = sorted.len();
    let cost = |&split: &usize| sums.spread(0, split) + sums.spread(split, count);
    let split = (1..count).min_by(|a, b| cost(a).total_cmp(&cost(b)));
    let Some(from) = split.map(|split| sorted[split]) else { return vec![false; count] };
    values.iter().map(|value| value.total_cmp(&from).is_ge()).collect()
}

/// The logarithms of the least sums of squared distances to means, for 1 to [`MOST`] clusters.
fn log_spreads(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    let sums = Sums::of(&values);
    let count = values.len();
    let mut best: Vec<f64> = (0..=count).map(|end| sums.spread(0, end)).collect();
    let mut spreads = vec![best[count]];
    for _ in 1..MOST.min(count - 1) {
        let mut next = vec![f64::INFINITY; count + 1];
        next[0] = 0.0;
        add_cluster(&sums, &best, &mut next, (1, count), (0, count - 1));
        best = next;
        spreads.push(best[count]);
    }
    spreads.into_iter().map(|spread| spread.max(f64::MIN_POSITIVE).ln()).collect()
}

/// Fills in the costs of the ends in a range with one cluster more, whose starts are in another
/// range: a later end has no earlier start.
fn add_cluster(
    sums: &Sums,
    before: &[f64],
    next: &mut [f64],
    (first, last): (usize, usize),
    (least, most): (usize, usize),
) {
    if first > last {
        return;
    }
    let middle = usize::midpoint(first, last);
    let mut start = least;
    let candidates = before.iter().enumerate().take(most.min(middle - 1) + 1).skip(least);
    for (candidate, before) in candidates {
        let cost = before + sums.spread(candidate, middle);
        if cost < next[middle] {
            next[middle] = cost;
            start = candidate;
        }
    }
    add_cluster(sums, before, next, (first, middle - 1), (least, start));
    add_cluster(sums, before, next, (middle + 1, last), (start, most));
}

/// Running sums of sorted values and of their squares.
struct Sums(Vec<(f64, f64)>);

impl Sums {
    fn of(sorted: &[f64]) -> Self {
        let mut sums = vec![(0.0, 0.0)];
        for value in sorted {
            let (sum, squares) = sums[sums.len() - 1];
            sums.push((sum + value, squares + value * value));
        }
        Sums(sums)
    }

    /// The sum of squared distances to the mean of the values from `start` to before `end`.
    fn spread(&self, start: usize, end: usize) -> f64 {
        if end <= start {
            return 0.0;
        }
        let (sum, squares) = (self.0[end].0 - self.0[start].0, self.0[end].1 - self.0[start].1);
        (squares - sum * sum / (end - start) as f64).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, run_stream};

    fn gap(values: &[f64]) -> usize {
        gap_clusters(values, &mut run_stream(1, Purpose::Aggregation))
    }

    #[test]
    fn the_upper_of_two_by_hand() {
        assert_eq!(upper_of_two(&[5.0, 1.0, 6.0, 1.5]), [true, false, true, false]);
        assert_eq!(upper_of_two(&[5.0]), [false]);
        assert!(upper_of_two(&[]).is_empty());
    }

    #[test]
    fn the_least_spreads_by_hand() {
        // One cluster: 9 + 4 + 1 + 16; two, {0, 1} and {4, 7}: 0.5 + 4.5; three: 0.5.
        let spreads = log_spreads(vec![7.0, 0.0, 4.0, 1.0]);
        let expected = [30.0f64, 5.0, 0.5].map(f64::ln);
        assert_eq!(spreads.len(), 3);
        assert!(spreads.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{spreads:?}");
    }

    #[test]
    fn evenly_spread_numbers_are_one_cluster_and_groups_are_not() {
        let even: Vec<f64> = (0..30).map(f64::from).collect();
        assert_eq!(gap(&even), 1);
        let two: Vec<f64> =
            (0..30).map(|i| f64::from(i % 5) + if i < 20 { 0.0 } else { 80.0 }).collect();
        assert!(gap(&two) > 1);
        assert_eq!(gap(&[2.0; 9]), 1);
        assert_eq!(gap(&[f64::NAN, 1.0, 2.0, 3.0]), 1);
    }
}
