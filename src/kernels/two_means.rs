//! Two clusters of points around their means.

use std::cmp::Ordering;

/// A point: a handful of features.
type Point = Vec<f32>;

/// How often points are reassigned at most.
const STEPS: usize = 300;

/// Different points up to which every pair of them is tried as a start.
const TRIED: usize = 32;

/// Whether each point is in the larger of two clusters; of equally large ones the first point's.
///
/// Lloyd's steps, from which the clusters with the least squared distances to their means are
/// taken: from every pair of different points, or where these are many, from the point farthest
/// from the mean and the one farthest from that. So nothing is drawn. Equal points are one
/// cluster.
pub fn two_means(points: &[Point]) -> Vec<bool> {
    let mut least = f64::INFINITY;
    let mut second = vec![false; points.len()];
    for start in starts(points) {
        let (found, spread) = lloyd(points, start);
        if spread < least {
            least = spread;
            second = found;
        }
    }
    larger(&second)
}

/// The larger of the two sides; of equally large ones the first point's.
fn larger(second: &[bool]) -> Vec<bool> {
    let count = second.iter().filter(|&&second| second).count();
    let larger = match (2 * count).cmp(&second.len()) {
        Ordering::Less => false,
        Ordering::Equal => second.first().copied().unwrap_or_default(),
        Ordering::Greater => true,
    };
    second.iter().map(|&second| second == larger).collect()
}

/// The pairs of points that are tried.
fn starts(points: &[Point]) -> Vec<[usize; 2]> {
    let first_of_its_kind = |&index: &usize| !points[..index].contains(&points[index]);
    let different: Vec<usize> =
        (0..points.len()).filter(first_of_its_kind).take(TRIED + 1).collect();
    if different.len() <= TRIED {
        let with_later = |(place, &one): (usize, &usize)| {
            different[place + 1..].iter().map(|&other| [one, other]).collect::<Vec<_>>()
        };
        return different.iter().enumerate().flat_map(with_later).collect();
    }
    let Some(centre) = mean(points, |_| true) else { return Vec::new() };
    let one = farthest(points, &centre);
    vec![[one, farthest(points, &widened(&points[one]))]]
}

/// Lloyd's steps from two points: which points end at the second, and the sum of squared distances
/// to the two means.
fn lloyd(points: &[Point], start: [usize; 2]) -> (Vec<bool>, f64) {
    let mut centres = start.map(|index| widened(&points[index]));
    let mut second = vec![false; points.len()];
    for _ in 0..STEPS {
        let nearer = |point: &Point| distance(point, &centres[1]) < distance(point, &centres[0]);
        let next: Vec<bool> = points.iter().map(nearer).collect();
        let settled = next == second;
        second = next;
        for (cluster, centre) in centres.iter_mut().enumerate() {
            let members = mean(points, |point| second[point] == (cluster == 1));
            *centre = members.unwrap_or_else(|| centre.clone());
        }
        if settled {
            break;
        }
    }
    let to_own = |(point, &second): (&Point, &bool)| distance(point, &centres[usize::from(second)]);
    let spread = points.iter().zip(&second).map(to_own).sum();
    (second, spread)
}

fn widened(point: &Point) -> Vec<f64> {
    point.iter().map(|&value| f64::from(value)).collect()
}

/// The mean of the points that are wanted, if there are any.
fn mean(points: &[Point], wanted: impl Fn(usize) -> bool) -> Option<Vec<f64>> {
    let members: Vec<&Point> = points
        .iter()
        .enumerate()
        .filter(|(index, _)| wanted(*index))
        .map(|(_, point)| point)
        .collect();
    let first = members.first()?;
    let feature = |feature: usize| {
        members.iter().map(|point| f64::from(point[feature])).sum::<f64>() / members.len() as f64
    };
    Some((0..first.len()).map(feature).collect())
}

fn distance(point: &Point, centre: &[f64]) -> f64 {
    point.iter().zip(centre).map(|(&a, b)| (f64::from(a) - b).powi(2)).sum()
}

/// The first of the points that are farthest from `from`.
fn farthest(points: &[Point], from: &[f64]) -> usize {
    let reach = |&index: &usize| distance(&points[index], from);
    (0..points.len()).rev().max_by(|a, b| reach(a).total_cmp(&reach(b))).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_larger_of_two_groups() {
        let points = [0.0, 9.0, 1.0, 10.0, 0.5].map(|value| vec![value]);
        assert_eq!(two_means(&points), [true, false, true, false, true]);
    }

    #[test]
    fn few_and_many_points() {
        let points = [0.0, 0.0, 3.0, 6.0, 6.1, 7.0].map(|value| vec![value]);
        assert_eq!(two_means(&points), [true, true, true, false, false, false]);
        let many: Vec<Point> =
            (0..40).map(|i| vec![if i < 30 { 0.0 } else { 90.0 } + i as f32]).collect();
        assert_eq!(two_means(&many).iter().filter(|&&larger| larger).count(), 30);
    }

    #[test]
    fn equal_points_are_one_group_and_of_even_ones_the_first_is_taken() {
        assert_eq!(two_means(&[vec![1.0], vec![1.0]]), [true, true]);
        assert_eq!(two_means(&[vec![1.0], vec![5.0]]), [true, false]);
        assert!(two_means(&[]).is_empty());
    }
}
