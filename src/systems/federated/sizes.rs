//! How many workers each region has.

/// The sizes of `regions` regions of `workers` workers in all, the largest first: in proportion
/// to `1 / rank^skew` by largest remainder, and at least 1 each. There must be as many workers as
/// regions.
pub(super) fn sizes(workers: usize, regions: usize, skew: f64) -> Vec<usize> {
    let weights: Vec<f64> = (1..=regions).map(|rank| (rank as f64).powf(-skew)).collect();
    let total: f64 = weights.iter().sum();
    let quotas: Vec<f64> = weights.iter().map(|weight| workers as f64 * weight / total).collect();
    let mut sizes: Vec<usize> = quotas.iter().map(|quota| (*quota as usize).max(1)).collect();
    let owed = |sizes: &[usize], region: usize| quotas[region] - sizes[region] as f64;
    while sizes.iter().sum::<usize>() < workers {
        let next = (0..regions).rev().max_by(|&a, &b| owed(&sizes, a).total_cmp(&owed(&sizes, b)));
        sizes[next.expect("there is a region")] += 1;
    }
    // Those with less than one were given one; it is taken from who is furthest above its due.
    while sizes.iter().sum::<usize>() > workers {
        let larger = (0..regions).filter(|&region| sizes[region] > 1);
        let next = larger.min_by(|&a, &b| owed(&sizes, a).total_cmp(&owed(&sizes, b)));
        sizes[next.expect("there are as many workers as regions")] -= 1;
    }
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_regions_differ_by_one_at_most() {
        assert_eq!(sizes(9, 3, 0.0), [3, 3, 3]);
        assert_eq!(sizes(11, 3, 0.0), [4, 4, 3]);
        assert_eq!(sizes(1, 1, 0.0), [1]);
    }

    #[test]
    fn a_skew_makes_the_first_large() {
        // 22 / (1 + 1/2 + 1/3) = 12: quotas 12, 6, 4.
        assert_eq!(sizes(22, 3, 1.0), [12, 6, 4]);
        // 12 / (1 + 1/2 + 1/3) = 6.545…: quotas 6.545, 3.273, 2.182.
        assert_eq!(sizes(12, 3, 1.0), [7, 3, 2]);
    }

    #[test]
    fn the_last_has_somebody_however_skewed() {
        assert_eq!(sizes(5, 4, 9.0), [2, 1, 1, 1]);
        for (workers, regions) in [(20, 7), (8, 8), (100, 30)] {
            for skew in [0.0, 0.5, 1.0, 2.0, 5.0] {
                let sizes = sizes(workers, regions, skew);
                assert_eq!(sizes.iter().sum::<usize>(), workers);
                assert!(sizes.is_sorted_by(|a, b| a >= b) && sizes[regions - 1] >= 1, "{sizes:?}");
            }
        }
    }
}
