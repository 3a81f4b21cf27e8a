//! Krum's choice, made again and again: the best row is taken out and the others scored anew.

use std::cmp::Ordering;

use ndarray::ArrayView2;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::scores::{Neighbours, Scoring};
use crate::kernels::distances::squared_distances;

/// Which of two rows with equal scores is picked. Where a score counts one neighbour, the two rows
/// nearest to each other always tie.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ties {
    /// The one nearer to all that are left; if they are equal in that too, the lower sender's.
    #[default]
    Nearer,
    /// The lower sender's.
    Sender,
}

/// Up to `count` rows in the order in which they are picked.
///
/// `byzantine` stays the same while rows become fewer. Scores that would count not even the row
/// itself end the picking; only [`Neighbours::Short`] comes to that.
pub(super) fn picks(
    scoring: Scoring,
    updates: ArrayView2<'_, f32>,
    byzantine: usize,
    count: usize,
    ties: Ties,
) -> Vec<usize> {
    let distances = squared_distances(updates).mapv(|squared| scoring.distance.of_squared(squared));
    let rows = updates.nrows();
    let nearest: Vec<Vec<usize>> = (0..rows)
        .map(|row| {
            let mut others: Vec<usize> = (0..rows).filter(|&other| other != row).collect();
            others.sort_by(|&a, &b| distances[[row, a]].total_cmp(&distances[[row, b]]));
            others
        })
        .collect();
    let mut left = vec![true; rows];
    let mut picked = Vec::with_capacity(count);
    for remaining in (0..=rows).rev().take(count.min(rows)) {
        if scoring.neighbours == Neighbours::Short && remaining <= byzantine.saturating_add(2) {
            break;
        }
        let counted = scoring.neighbours.counted(remaining, byzantine);
        let nearest_sum = |row: usize, counted: usize| -> f64 {
            let others = nearest[row].iter().filter(|&&other| left[other]);
            others.take(counted).map(|&other| distances[[row, other]]).sum()
        };
        let scores: Vec<(usize, f64)> = (0..rows)
            .filter(|&row| left[row])
            .map(|row| (row, nearest_sum(row, counted)))
            .collect();
        let better = |a: &&(usize, f64), b: &&(usize, f64)| match a.1.total_cmp(&b.1) {
            Ordering::Equal if ties == Ties::Nearer => {
                nearest_sum(a.0, remaining).total_cmp(&nearest_sum(b.0, remaining))
            }
            order => order,
        };
        let Some(&(best, _)) = scores.iter().min_by(better) else { break };
        left[best] = false;
        picked.push(best);
    }
    picked
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::aggregators::scores::{Distance, Tolerance};

    fn pick(neighbours: Neighbours, byzantine: usize, count: usize) -> Vec<usize> {
        let rows = array![[1.0], [2.0], [3.0], [4.0], [5.0], [50.0]];
        let scoring =
            Scoring { neighbours, distance: Distance::Squared, tolerance: Tolerance::None };
        picks(scoring, rows.view(), byzantine, count, Ties::Sender)
    }

    #[test]
    fn each_pick_is_the_best_of_what_is_left() {
        // Three neighbours: 2, 3 and 4 tie at 6 and 2 is lower. Two of 1, 3, 4, 5, 50: 4 has 1 + 1,
        // 3 has 1 + 4. One of 1, 3, 5, 50: all have 4 but the last, and 1 is the lowest.
        assert_eq!(pick(Neighbours::Paper, 1, 4), vec![1, 3, 0, 2]);
        assert_eq!(pick(Neighbours::Paper, 1, 9).len(), 6);
    }

    #[test]
    fn scores_without_neighbours_end_the_picking() {
        assert_eq!(pick(Neighbours::Short, 1, 6).len(), 3);
        assert_eq!(pick(Neighbours::Short, 4, 6), Vec::<usize>::new());
    }
}
