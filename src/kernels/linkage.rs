//! Clusters of rows by the distances between them, joined from below.

use ndarray::Array2;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far two clusters are from each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Linkage {
    /// The mean distance of all pairs.
    #[default]
    Average,
    /// The distance of the nearest pair.
    Single,
    /// The distance of the farthest pair.
    Complete,
}

/// Joins the two nearest clusters until two are left; whether each row is in the one of the two
/// that was complete first.
///
/// A row alone counts as complete from the start, in row order. NaN counts as infinitely far. Of
/// equal distances the pair of the first rows is joined. One row alone is in the first.
pub fn two_clusters(distances: &Array2<f64>, linkage: Linkage) -> Vec<bool> {
    let rows = distances.nrows();
    if rows < 2 {
        return vec![true; rows];
    }
    let mut clusters = Clusters::of(distances);
    for step in 0..rows - 2 {
        clusters.join(linkage, rows + step);
    }
    let mut left: Vec<(usize, usize)> =
        clusters.active.iter().map(|&slot| (clusters.age[slot], slot)).collect();
    left.sort_unstable();
    let first = left[0].1;
    clusters.slot_of.iter().map(|&slot| slot == first).collect()
}

/// Joins rows in ascending order of distance until a cluster has `size` members: its members.
///
/// All pairs of one distance are joined at once, so that the order of rows does not matter; at
/// more than half of the rows there is only one such cluster. NaN counts as infinitely far.
/// Everybody, if there are fewer rows than that.
pub fn first_cluster_of(distances: &Array2<f64>, size: usize) -> Vec<bool> {
    let rows = distances.nrows();
    let mut cluster: Vec<usize> = (0..rows).collect();
    let edges = spanning_tree(distances);
    for equal in edges.chunk_by(|a, b| a.0 == b.0) {
        for &(_, a, b) in equal {
            let (kept, gone) = (cluster[a], cluster[b]);
            cluster.iter_mut().filter(|of| **of == gone).for_each(|of| *of = kept);
        }
        let members = |of: usize| cluster.iter().filter(|&&other| other == of).count();
        if let Some(&(_, found, _)) = equal.iter().find(|(_, a, _)| members(cluster[*a]) >= size) {
            return cluster.iter().map(|&of| of == cluster[found]).collect();
        }
    }
    vec![true; rows]
}

/// The edges of a minimum spanning tree in ascending order, by Prim's algorithm.
fn spanning_tree(distances: &Array2<f64>) -> Vec<(f64, usize, usize)> {
    let rows = distances.nrows();
    let mut nearest: Vec<(f64, usize)> =
        (0..rows).map(|row| (far(distances[[row, 0]]), 0)).collect();
    let mut outside: Vec<usize> = (1..rows).collect();
    let mut edges = Vec::with_capacity(outside.len());
    while let Some(place) =
        (0..outside.len()).min_by(|&a, &b| nearest[outside[a]].0.total_cmp(&nearest[outside[b]].0))
    {
        let row = outside.remove(place);
        let (distance, inside) = nearest[row];
        edges.push((distance, inside.min(row), inside.max(row)));
        for &other in &outside {
            let distance = far(distances[[other, row]]);
            if distance < nearest[other].0 {
                nearest[other] = (distance, row);
            }
        }
    }
    edges.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    edges
}

/// A distance that can be compared.
fn far(distance: f64) -> f64 {
    if distance.is_nan() { f64::INFINITY } else { distance }
}

/// Clusters that are still apart; each lives in the slot of one of its rows.
struct Clusters {
    distances: Array2<f64>,
    active: Vec<usize>,
    sizes: Vec<usize>,
    age: Vec<usize>,
    slot_of: Vec<usize>,
    nearest: Vec<usize>,
}

impl Clusters {
    fn of(distances: &Array2<f64>) -> Self {
        let rows = distances.nrows();
        let mut clusters = Clusters {
            distances: distances.mapv(far),
            active: (0..rows).collect(),
            sizes: vec![1; rows],
            age: (0..rows).collect(),
            slot_of: (0..rows).collect(),
            nearest: vec![0; rows],
        };
        for slot in 0..rows {
            clusters.nearest[slot] = clusters.find_nearest(slot);
        }
        clusters
    }

    /// The slot nearest to this one.
    fn find_nearest(&self, slot: usize) -> usize {
        let others = self.active.iter().copied().filter(|&other| other != slot);
        others
            .min_by(|&a, &b| self.distances[[slot, a]].total_cmp(&self.distances[[slot, b]]))
            .unwrap_or(slot)
    }

    /// Joins the nearest pair; the result is as old as `age` says.
    fn join(&mut self, linkage: Linkage, age: usize) {
        let reach = |&slot: &usize| self.distances[[slot, self.nearest[slot]]];
        let closest = self.active.iter().copied().min_by(|a, b| reach(a).total_cmp(&reach(b)));
        let Some(one) = closest else { return };
        let (kept, gone) = (one.min(self.nearest[one]), one.max(self.nearest[one]));
        self.active.retain(|&slot| slot != gone);
        let (large, small) = (self.sizes[kept] as f64, self.sizes[gone] as f64);
        for &other in self.active.iter().filter(|&&other| other != kept) {
            let (a, b) = (self.distances[[kept, other]], self.distances[[gone, other]]);
            let joined = match linkage {
                Linkage::Average => (large * a + small * b) / (large + small),
                Linkage::Single => a.min(b),
                Linkage::Complete => a.max(b),
            };
            self.distances[[kept, other]] = joined;
            self.distances[[other, kept]] = joined;
        }
        self.sizes[kept] += self.sizes[gone];
        self.age[kept] = age;
        self.slot_of.iter_mut().filter(|slot| **slot == gone).for_each(|slot| *slot = kept);
        for slot in self.active.clone() {
            let nearest = self.nearest[slot];
            if slot == kept || nearest == gone || nearest == kept {
                self.nearest[slot] = self.find_nearest(slot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Distances of points on a line.
    fn line(points: &[f64]) -> Array2<f64> {
        Array2::from_shape_fn((points.len(), points.len()), |(i, j)| (points[i] - points[j]).abs())
    }

    #[test]
    fn linkages_join_differently() {
        // The nearest pairs are a chain from the left. By mean or farthest pair 0 and 1 are 1.6
        // or 2.1 from 2.1, which joins 3.3 instead.
        let points = line(&[0.0, 1.0, 2.1, 3.3, 4.6]);
        let of = |linkage| two_clusters(&points, linkage);
        assert_eq!(of(Linkage::Single), [false, false, false, false, true]);
        assert_eq!(of(Linkage::Average), [true, true, false, false, false]);
        assert_eq!(of(Linkage::Complete), [true, true, false, false, false]);
    }

    #[test]
    fn the_cluster_that_was_complete_first_is_named() {
        let pairs = line(&[0.0, 3.0, 10.0, 11.0]);
        assert_eq!(two_clusters(&pairs, Linkage::Average), [false, false, true, true]);
        assert_eq!(two_clusters(&line(&[5.0, 6.0]), Linkage::Average), [true, false]);
        assert_eq!(two_clusters(&line(&[5.0]), Linkage::Average), [true]);
        assert!(two_clusters(&line(&[]), Linkage::Average).is_empty());
    }

    #[test]
    fn the_first_cluster_that_is_large_enough() {
        let points = line(&[0.0, 1.0, 9.0, 9.5, 9.9, 30.0]);
        assert_eq!(first_cluster_of(&points, 3), [false, false, true, true, true, false]);
        assert_eq!(first_cluster_of(&points, 5), [true, true, true, true, true, false]);
        assert_eq!(first_cluster_of(&points, 9), [true; 6]);
    }

    #[test]
    fn nothing_is_near_to_nan() {
        let points = line(&[0.0, f64::NAN, 1.0, 5.0]);
        assert_eq!(two_clusters(&points, Linkage::Average), [false, true, false, false]);
        assert_eq!(first_cluster_of(&points, 3), [true, false, true, true]);
    }
}
