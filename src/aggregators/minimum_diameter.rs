//! Minimum-diameter averaging (MDA): the mean of the `n - f` rows that lie closest together.
//!
//! `F(x) = 1/(n - f) · Σ x_i` over the subset of `n - f` rows whose largest distance between two
//! rows is least; of several the one that comes first in lexicographic order, as in `ByzFL`. There
//! often are several: two rows that cannot be avoided make the diameter of all of them, and who
//! else is averaged depends on the order of senders.
//!
//! There are C(n, f) subsets. They are not tried one by one: for a given diameter, rows farther
//! apart than that exclude each other, and the question is whether f rows can be left out so that
//! no two that exclude each other remain, a vertex cover. That takes at most `1.47^f` steps, and a
//! bisection over the distances finds the least diameter. From f = 49 on the rule refuses, since
//! then the search might not end in practice.
//!
//! Promises `‖F(x) - m‖ <= 2f/(n - f) · Δ`, with m the mean and Δ the largest distance of honest
//! rows (resilient averaging). Fails where honest rows come from different data: whole groups of
//! honest rows are left out in favour of liars who stay close to the others. Needs n > 2f.
//!
//! Reference: El Mhamdi, Guerraoui, Guirguis, Hoang, Rouault, Genuinely Distributed Byzantine
//! Machine Learning, PODC 2020.

use std::sync::Arc;

use ndarray::{Array2, ArrayView2};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::cover::coverable;
use super::selection::mean_of;
use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::Entry;
use crate::kernels::distances::squared_distances;

/// The largest f: `1.47^48` is a hundred million steps.
const LARGEST: usize = 48;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "minimum_diameter",
    summary: "the mean of the n - f updates that lie closest together",
    reference: "El Mhamdi et al., PODC 2020",
    source: include_str!("minimum_diameter.rs"),
    claims: Claims {
        permutation_invariant: false,
        translation_equivariant: true,
        scale_equivariant: true,
        tolerates: |rows| Some((rows.checked_sub(1)? / 2).min(LARGEST)),
        robust: true,
        remembers: Remembers::Nothing,
        uses_byzantine: true,
        uses_samples: false,
    },
    parameters: || schema_for!(MinimumDiameter),
    build: |parameters| {
        parameters.build::<dyn Aggregator, MinimumDiameter>(|rule| Ok(Arc::new(rule)))
    },
};

/// Minimum-diameter averaging has no parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct MinimumDiameter {}

impl Aggregator for MinimumDiameter {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        AggregateError::unless_majority(ENTRY.name, rows, byzantine)?;
        if byzantine > LARGEST {
            let steps = 1.466f64.powf(byzantine as f64);
            let message = format!(
                "the search among n = {rows} updates with f = {byzantine} byzantine may take \
                 1.47^f = {steps:.0e} steps; it is limited to f <= {LARGEST}"
            );
            return Err(AggregateError::Unfit { rule: ENTRY.name, message });
        }
        Ok(())
    }

    /// `8f² / (n - f)`: what resilient averaging comes to.
    fn error_bound(&self, rows: usize, byzantine: usize) -> Option<f64> {
        self.admits(rows, byzantine).ok()?;
        let honest = rows.checked_sub(byzantine).filter(|&honest| honest > byzantine)?;
        Some(8.0 * (byzantine * byzantine) as f64 / honest as f64)
    }

    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        self.admits(updates.nrows(), context.byzantine)?;
        let chosen = closest_together(&squared_distances(updates), context.byzantine);
        Ok(mean_of(updates, &chosen))
    }
}

/// The first subset of all rows but `lost` with the least diameter, ascending.
fn closest_together(distances: &Array2<f64>, lost: usize) -> Vec<usize> {
    let rows = distances.nrows();
    let pairs = (0..rows).flat_map(|i| (i + 1..rows).map(move |j| (i, j)));
    let mut diameters: Vec<f64> = pairs.map(|pair| distances[pair]).chain([0.0]).collect();
    diameters.sort_unstable_by(f64::total_cmp);
    diameters.dedup();
    // Nothing is farther apart than the largest of them, so that some diameter is enough.
    let enough = |&diameter: &f64| {
        let graph = farther_than(distances, diameter);
        coverable(&graph, &mut vec![false; rows], lost)
    };
    let least = diameters.partition_point(|diameter| !enough(diameter));
    first_without_conflict(&farther_than(distances, diameters[least]), lost)
}

/// For each row those that are farther from it than `diameter`.
fn farther_than(distances: &Array2<f64>, diameter: f64) -> Vec<Vec<usize>> {
    let far = |row: ndarray::ArrayView1<'_, f64>| {
        row.iter().enumerate().filter(|(_, far)| **far > diameter).map(|(other, _)| other).collect()
    };
    distances.rows().into_iter().map(far).collect()
}

/// The first subset, in lexicographic order, of all rows but `lost` without two that exclude each
/// other; there is one.
fn first_without_conflict(graph: &[Vec<usize>], lost: usize) -> Vec<usize> {
    let mut left_out = vec![false; graph.len()];
    let mut rest = lost;
    let mut kept = Vec::with_capacity(graph.len() - lost);
    for (row, excluded) in graph.iter().enumerate() {
        if kept.len() + lost == graph.len() {
            break;
        }
        if left_out[row] {
            continue;
        }
        // Keeping the row leaves out all that it excludes. What was kept excludes it not: else it
        // would be left out already.
        let fresh: Vec<usize> =
            excluded.iter().copied().filter(|&other| !left_out[other]).collect();
        let mut then = left_out.clone();
        for &other in &fresh {
            then[other] = true;
        }
        let keepable = fresh.is_empty()
            || fresh.len() <= rest && coverable(graph, &mut then.clone(), rest - fresh.len());
        if keepable {
            kept.push(row);
            rest -= fresh.len();
            left_out = then;
        } else {
            left_out[row] = true;
            rest -= 1;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use ndarray::{Axis, array};
    use rand::RngExt;

    use super::*;
    use crate::aggregators::tests::aggregate_with;
    use crate::seed::{Purpose, run_stream};

    #[test]
    fn by_hand() {
        let rows = array![[0.0], [9.0], [1.0], [10.0], [2.0], [-4.0]];
        let result = aggregate_with(&MinimumDiameter {}, &rows, 2, None).unwrap();
        assert_eq!(result.vector, array![-0.25]);
        let third = 1.0 / 3.0;
        let three = array![[0.0], [10.0], [1.0], [9.0], [2.0]];
        let result = aggregate_with(&MinimumDiameter {}, &three, 2, None).unwrap();
        assert_eq!(result.weights, Some(array![third, 0.0, third, 0.0, third]));
    }

    #[test]
    fn of_equal_diameters_the_first_subset_wins() {
        let rows = array![[0.0], [2.0], [4.0], [6.0], [8.0]];
        let result = aggregate_with(&MinimumDiameter {}, &rows, 2, None).unwrap();
        assert_eq!(result.vector, array![2.0]);
    }

    /// The first subset of least diameter among all, one by one.
    fn slow(distances: &Array2<f64>, lost: usize) -> Vec<usize> {
        let rows = distances.nrows();
        let mut best: Option<(f64, Vec<usize>)> = None;
        for bits in 0u32..1 << rows {
            if bits.count_ones() as usize != rows - lost {
                continue;
            }
            let subset: Vec<usize> = (0..rows).filter(|row| bits >> row & 1 == 1).collect();
            let pairs = subset.iter().flat_map(|&i| subset.iter().map(move |&j| (i, j)));
            let diameter = pairs.map(|pair| distances[pair]).fold(0.0, f64::max);
            let better = |(least, first): &(f64, Vec<usize>)| (diameter, &subset) < (*least, first);
            if best.as_ref().is_none_or(better) {
                best = Some((diameter, subset));
            }
        }
        best.unwrap().1
    }

    #[test]
    fn agrees_with_trying_every_subset() {
        let mut rng = run_stream(5, Purpose::Aggregation);
        for round in 0..120 {
            let (rows, columns) = (1 + round % 11, 1 + round % 3);
            // Few values, so that many distances are equal.
            let scale = if round % 2 == 0 { 4.0 } else { 1000.0 };
            let updates =
                Array2::from_shape_fn((rows, columns), |_| (rng.random::<f32>() * scale).floor());
            let distances = squared_distances(updates.view());
            for lost in (0..rows).filter(|lost| 2 * lost < rows) {
                assert_eq!(closest_together(&distances, lost), slow(&distances, lost));
            }
        }
    }

    #[test]
    fn thirty_with_ten_and_a_hundred_with_forty_eight_end() {
        let mut rng = run_stream(6, Purpose::Aggregation);
        for (rows, lost) in [(30, 10), (30, 14), (100, 20), (100, 48)] {
            let updates = Array2::from_shape_fn((rows, 20), |_| rng.random::<f32>());
            let distances = squared_distances(updates.view());
            let kept = closest_together(&distances, lost);
            assert_eq!(kept.len(), rows - lost);
            let of = |kept: &[usize]| distances.select(Axis(0), kept).select(Axis(1), kept);
            let diameter = of(&kept).iter().copied().fold(0.0, f64::max);
            // No row can be exchanged for another to a smaller diameter.
            for place in 0..kept.len() {
                for other in (0..rows).filter(|other| !kept.contains(other)) {
                    let mut changed = kept.clone();
                    changed[place] = other;
                    assert!(of(&changed).iter().copied().fold(0.0, f64::max) >= diameter);
                }
            }
        }
    }

    #[test]
    fn what_cannot_end_is_refused() {
        let error = MinimumDiameter {}.admits(1000, 200).unwrap_err().to_string();
        assert!(error.contains("f = 200 byzantine may take 1.47^f = 2e33 steps"), "{error}");
    }
}
