//! Mean shift with a flat kernel: clusters as the places to which means of neighbours wander.
//!
//! Seeds are the points rounded to a grid as wide as the kernel, or the points themselves where
//! that saves nothing. Each wanders to the mean of all points within the bandwidth until it moves
//! by less than a thousandth of it. Of places within a bandwidth of each other the one with the
//! most points stays. Points are few numbers each; they and the means are rounded to `f32`, so
//! that results agree with libraries that keep them so.
//!
//! Reference: Comaniciu and Meer, Mean Shift: A Robust Approach Toward Feature Space Analysis,
//! IEEE Transactions on Pattern Analysis and Machine Intelligence, 2002.

/// How often a seed moves at most.
const STEPS: usize = 300;

/// A point: a handful of features.
type Point = Vec<f32>;

/// The mean distance of a point to its `⌊n · quantile⌋`-th nearest, itself counted; 0 of none.
pub fn bandwidth(points: &[Point], quantile: f64) -> f64 {
    let rank = ((points.len() as f64 * quantile) as usize).max(1);
    let reach = |point: &Point| {
        let mut distances: Vec<f64> = points.iter().map(|other| distance(point, other)).collect();
        distances.sort_by(f64::total_cmp);
        distances[rank.min(distances.len()) - 1]
    };
    points.iter().map(reach).sum::<f64>() / points.len().max(1) as f64
}

/// The cluster of each point, numbered from the one with the most points within its bandwidth;
/// `None` for points that are farther than the bandwidth from all of them.
pub fn clusters(points: &[Point], bandwidth: f64) -> Vec<Option<usize>> {
    let mut places: Vec<(usize, Point)> = Vec::new();
    for seed in seeds(points, bandwidth) {
        if let Some(place) = wander(seed, points, bandwidth)
            && !places.contains(&place)
        {
            places.push(place);
        }
    }
    places.sort_by(|(many, one), (few, other)| few.cmp(many).then_with(|| compare(other, one)));
    let mut centres: Vec<Point> = Vec::new();
    for (_, place) in places {
        if centres.iter().all(|centre| distance(centre, &place) > bandwidth) {
            centres.push(place);
        }
    }
    let nearest = |point: &Point| {
        let distances = centres.iter().map(|centre| distance(centre, point)).enumerate();
        let (cluster, distance) = distances.min_by(|a, b| a.1.total_cmp(&b.1))?;
        (distance <= bandwidth).then_some(cluster)
    };
    points.iter().map(nearest).collect()
}

/// The cells of a grid that hold points, or the points where every cell holds one.
fn seeds(points: &[Point], bandwidth: f64) -> Vec<Point> {
    if bandwidth == 0.0 {
        return points.to_vec();
    }
    let mut cells: Vec<Point> = Vec::new();
    for point in points {
        let cell: Point =
            point.iter().map(|&x| (f64::from(x) / bandwidth).round_ties_even() as f32).collect();
        if !cells.contains(&cell) {
            cells.push(cell);
        }
    }
    if cells.len() == points.len() {
        return points.to_vec();
    }
    let width = |cell: Point| cell.iter().map(|&x| (f64::from(x) * bandwidth) as f32).collect();
    cells.into_iter().map(width).collect()
}

/// Where a seed comes to rest, and how many points are around it; `None` if there are none.
fn wander(seed: Point, points: &[Point], bandwidth: f64) -> Option<(usize, Point)> {
    let mut place = seed;
    let mut around = 0;
    for _ in 0..=STEPS {
        let near: Vec<&Point> =
            points.iter().filter(|point| distance(point, &place) <= bandwidth).collect();
        around = near.len();
        if around == 0 {
            return None;
        }
        let mean = |feature: usize| {
            let sum: f64 = near.iter().map(|point| f64::from(point[feature])).sum();
            (sum / around as f64) as f32
        };
        let next: Point = (0..place.len()).map(mean).collect();
        let moved = distance(&next, &place);
        place = next;
        if moved <= 1e-3 * bandwidth {
            break;
        }
    }
    Some((around, place))
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    let squared = |(a, b): (&f32, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
    a.iter().zip(b).map(squared).sum::<f64>().sqrt()
}

/// Compares coordinate by coordinate.
fn compare(a: &[f32], b: &[f32]) -> std::cmp::Ordering {
    let differing = a.iter().zip(b).map(|(a, b)| a.total_cmp(b));
    differing.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(values: &[f32]) -> Vec<Point> {
        values.iter().map(|&value| vec![value]).collect()
    }

    #[test]
    fn the_bandwidth_is_a_mean_distance() {
        // Half of four is the second nearest, which is the nearest other: 1, 1, 2, 6.
        assert_eq!(bandwidth(&points(&[0.0, 1.0, 3.0, 9.0]), 0.5), 2.5);
        assert_eq!(bandwidth(&[], 0.5), 0.0);
    }

    #[test]
    fn two_groups_and_one_alone() {
        let points = points(&[0.0, 10.0, 0.5, 10.25, 1.0]);
        let found = clusters(&points, 2.0);
        assert_eq!(found, [Some(0), Some(1), Some(0), Some(1), Some(0)]);
    }

    #[test]
    fn equal_points_are_one_cluster_without_a_bandwidth() {
        let found = clusters(&points(&[3.0, 3.0, 4.0]), 0.0);
        assert_eq!(found, [Some(0), Some(0), Some(1)]);
    }

    #[test]
    fn a_point_far_from_where_its_seed_went_is_in_no_cluster() {
        // Both 1.0 and 1.9 lie in the cell at 1.3, whose seed is drawn to the crowd at 0.28.
        let points = points(&[0.1, 0.1, 0.1, 0.1, 1.0, 1.9]);
        let found = clusters(&points, 1.3);
        assert_eq!(found[0], Some(0));
        assert_eq!(found[5], None);
    }

    #[test]
    fn nan_is_in_no_cluster() {
        assert_eq!(clusters(&points(&[f32::NAN, 1.0]), 1.0)[0], None);
    }
}
