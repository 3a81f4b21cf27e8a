//! Krum as the attacker runs it: which row has the smallest sum of distances to its neighbours.

use ndarray::{Array2, ArrayView2};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kernels::distances::squared_distances;

/// What is summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::attacks) enum Power {
    /// Squares of distances.
    Squared,
    /// Distances.
    Plain,
}

/// Over whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::attacks) enum Neighbours {
    /// The `n - m - 2` nearest others.
    Others,
    /// As many, with the row itself among them.
    Itself,
    /// All others but the one furthest away, at least one.
    Everybody,
}

/// One convention of Krum.
#[derive(Debug, Clone, Copy)]
pub(in crate::attacks) struct Selection {
    pub(in crate::attacks) power: Power,
    pub(in crate::attacks) neighbours: Neighbours,
}

impl Selection {
    /// The row with the smallest sum, the first of equals.
    pub(in crate::attacks) fn pick(self, rows: ArrayView2<'_, f32>, corrupted: usize) -> usize {
        let distances = squared_distances(rows);
        let count = rows.nrows();
        // Where so many are corrupted that nobody is left to be near to, one neighbour is.
        let others = match self.neighbours {
            Neighbours::Others => count.saturating_sub(corrupted + 2).max(1),
            Neighbours::Itself => count.saturating_sub(corrupted + 3),
            Neighbours::Everybody => count.saturating_sub(2).max(1),
        };
        let mut best = (0, f64::INFINITY);
        for row in 0..count {
            let sum = self.sum(&distances, row, others);
            if sum < best.1 {
                best = (row, sum);
            }
        }
        best.0
    }

    fn sum(self, distances: &Array2<f64>, row: usize, others: usize) -> f64 {
        let away = distances.row(row);
        let mut away: Vec<f64> = (0..away.len())
            .filter(|&other| other != row)
            .map(|other| match self.power {
                Power::Squared => away[other],
                Power::Plain => away[other].sqrt(),
            })
            .collect();
        away.sort_unstable_by(f64::total_cmp);
        away.iter().take(others).sum()
    }

    /// The smallest sum of the `summed` smallest distances of a row to others.
    pub(in crate::attacks) fn smallest_sum(rows: ArrayView2<'_, f32>, summed: usize) -> f64 {
        let plain = Selection { power: Power::Plain, neighbours: Neighbours::Others };
        let distances = squared_distances(rows);
        let sums = (0..rows.nrows()).map(|row| plain.sum(&distances, row, summed));
        sums.fold(f64::INFINITY, f64::min)
    }
}
