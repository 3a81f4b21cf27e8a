//! Smallest maximum eigenvalue averaging (SMEA): the mean of the `n - f` rows that differ least in
//! the direction in which they differ most.
//!
//! `F(x) = 1/(n - f) · Σ x_i` over the subset of `n - f` rows whose empirical covariance has the
//! least leading eigenvalue; of several the one that comes first in lexicographic order.
//!
//! The search takes rows in and out one by one, those far from the others first, and leaves a
//! branch as soon as the rows taken in have a larger eigenvalue than the best subset so far:
//! taking in more never makes it smaller. The rule refuses where there are more than a million
//! subsets, C(n, f), since nothing better than trying them is certain: n = 20 takes any f, n = 30
//! up to 6. `ByzFL` estimates each eigenvalue by one step of the power method from a random
//! vector, so that its choice is random; `starts` gives such vectors, one for each subset.
//!
//! With `objective = "variance"` the subset with the least sum of squared distances to its mean is
//! averaged, the sum of all eigenvalues: minimum variance averaging, as the code of Farhadkhani et
//! al. (ICML 2023) has it.
//!
//! Has the best order that a bound can have, `κ = O(f/n)`. Fails by its cost, and where honest rows
//! come from different data it leaves out whole groups of them. Needs n > 2f.
//!
//! Reference: Allouah, Guerraoui, Gupta, Pinot, Stephan, On the Privacy-Robustness-Utility
//! Trilemma in Distributed Learning, ICML 2023.

use std::sync::Arc;

use ndarray::ArrayView2;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::power_step::power_step;
use super::selection::mean_of;
use super::subsets::{Objective, Subsets, count};
use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::{ConfigError, Entry};
use crate::kernels::distances::squared_distances;

/// The largest number of subsets.
const LARGEST: u64 = 1_000_000;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "smallest_maximum_eigenvalue",
    summary: "the mean of the n - f updates whose largest variance in any direction is least",
    reference: "Allouah et al., ICML 2023",
    source: include_str!("smallest_maximum_eigenvalue.rs"),
    claims: Claims {
        permutation_invariant: true,
        translation_equivariant: true,
        scale_equivariant: true,
        tolerates: |rows| {
            (0..=rows.checked_sub(1)? / 2).take_while(|&f| count(rows, f) <= LARGEST).last()
        },
        robust: true,
        remembers: Remembers::Nothing,
        uses_byzantine: true,
        uses_samples: false,
    },
    parameters: || schema_for!(SmallestMaximumEigenvalue),
    build: |parameters| {
        parameters
            .build::<dyn Aggregator, SmallestMaximumEigenvalue>(SmallestMaximumEigenvalue::checked)
    },
};

/// Parameters of smallest maximum eigenvalue averaging.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct SmallestMaximumEigenvalue {
    /// One vector for each subset in lexicographic order, with a value per coordinate: the
    /// eigenvalue is then estimated by one step of the power method from there, subset by subset.
    /// Absent (default): eigenvalues are computed.
    starts: Option<Vec<Vec<f64>>>,
    /// What is to be least of a subset's covariance: its largest `eigenvalue` (default), or the
    /// `variance`, its trace, which takes no `starts`.
    objective: Objective,
}

impl SmallestMaximumEigenvalue {
    fn checked(self) -> Result<Arc<dyn Aggregator>, ConfigError> {
        if self.starts.is_some() && self.objective == Objective::Variance {
            return Err(ConfigError::new(
                "`starts` estimate eigenvalues, and the objective is none",
            )
            .help("leave out `starts`, or set objective = \"eigenvalue\""));
        }
        Ok(Arc::new(self))
    }
}

impl Aggregator for SmallestMaximumEigenvalue {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        AggregateError::unless_majority(ENTRY.name, rows, byzantine)?;
        let subsets = count(rows, byzantine);
        let message = if subsets > LARGEST {
            let number =
                if subsets == u64::MAX { "too many".to_owned() } else { subsets.to_string() };
            format!(
                "there are C(n, f) = {number} subsets of n = {rows} updates with f = {byzantine} \
                 byzantine; the search is limited to {LARGEST}"
            )
        } else if let Some(starts) = self.starts.as_ref().filter(|s| s.len() as u64 != subsets) {
            format!("{} starts for {subsets} subsets of n = {rows} updates", starts.len())
        } else {
            return Ok(());
        };
        Err(AggregateError::Unfit { rule: ENTRY.name, message })
    }

    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        let (rows, lost) = (updates.nrows(), context.byzantine);
        self.admits(rows, lost)?;
        let chosen = match &self.starts {
            Some(starts) => estimated(updates, lost, starts),
            None => Subsets::of(&squared_distances(updates), lost, self.objective).tightest(),
        };
        Ok(mean_of(updates, &chosen))
    }
}

/// The first subset of least estimated eigenvalue.
fn estimated(updates: ArrayView2<'_, f32>, lost: usize, starts: &[Vec<f64>]) -> Vec<usize> {
    let rows = updates.nrows();
    let mut subset: Vec<usize> = (0..rows - lost).collect();
    let mut best = (f64::INFINITY, subset.clone());
    for start in starts {
        let mut weights = vec![0.0; rows];
        for &row in &subset {
            weights[row] = 1.0;
        }
        let value = power_step(updates, &weights, start).length;
        if value < best.0 {
            best = (value, subset.clone());
        }
        advance(&mut subset, rows);
    }
    best.1
}

/// The next subset in lexicographic order; the last stays.
fn advance(subset: &mut [usize], rows: usize) {
    let size = subset.len();
    let Some(place) = (0..size).rev().find(|&place| subset[place] < rows - size + place) else {
        return;
    };
    let first = subset[place] + 1;
    for (offset, row) in subset[place..].iter_mut().enumerate() {
        *row = first + offset;
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::aggregators::tests::aggregate_with;

    #[test]
    fn by_hand() {
        // Without (9, 9) and (0, 5) the variances are 0.5 and 0.5 along the axes; every other pair
        // left out leaves more.
        let rows = array![[1.0, 0.0], [9.0, 9.0], [-1.0, 0.0], [0.0, 5.0], [0.0, 1.0], [0.0, -1.0]];
        let rule = SmallestMaximumEigenvalue::default();
        let result = aggregate_with(&rule, &rows, 2, None).unwrap();
        assert_eq!(result.weights, Some(array![0.25, 0.0, 0.25, 0.0, 0.25, 0.25]));
        assert_eq!(result.vector, array![0.0, 0.0]);
    }

    #[test]
    fn all_directions_together() {
        // The first four have a scatter of 9 along the first axis and none along the second. With
        // (0, 2) in place of one of them it is 6.19 and 3, and 0.75 across: 9.19 in all, and 6.36
        // in the direction in which it is most.
        let rows =
            array![[-1.5, 0.0], [-1.5, 0.0], [1.5, 0.0], [1.5, 0.0], [0.0, 2.0], [0.0, -2.0]];
        let of = |objective| {
            let rule = SmallestMaximumEigenvalue { objective, ..Default::default() };
            aggregate_with(&rule, &rows, 2, None).unwrap().weights.unwrap()
        };
        assert_eq!(of(Objective::Variance), array![0.25, 0.25, 0.25, 0.25, 0.0, 0.0]);
        assert_eq!(of(Objective::Eigenvalue), array![0.25, 0.25, 0.25, 0.0, 0.25, 0.0]);
        let starts = Some(vec![vec![1.0]]);
        let rule = SmallestMaximumEigenvalue { starts, objective: Objective::Variance };
        assert!(rule.checked().is_err());
    }

    #[test]
    fn subsets_come_in_lexicographic_order() {
        let mut subset = vec![0, 1, 2];
        let mut seen = Vec::new();
        for _ in 0..10 {
            seen.push(subset.clone());
            advance(&mut subset, 5);
        }
        assert!(seen.is_sorted() && seen[9] == vec![2, 3, 4] && seen.len() == 10);
    }

    #[test]
    fn a_step_in_one_dimension_is_exact() {
        let rows = array![[0.0], [1.0], [2.0], [8.0], [1.5]];
        let starts = Some(vec![vec![1.0]; 5]);
        let stepped = SmallestMaximumEigenvalue { starts, ..Default::default() };
        let stepped = aggregate_with(&stepped, &rows, 1, None).unwrap();
        assert_eq!(stepped.weights, Some(array![0.25, 0.25, 0.25, 0.0, 0.25]));
        let few = Some(vec![vec![1.0]; 4]);
        let few = SmallestMaximumEigenvalue { starts: few, ..Default::default() };
        let error = aggregate_with(&few, &rows, 1, None).unwrap_err().to_string();
        assert!(error.ends_with("4 starts for 5 subsets of n = 5 updates"), "{error}");
    }

    #[test]
    fn what_cannot_end_is_refused() {
        let error = SmallestMaximumEigenvalue::default().admits(30, 10).unwrap_err().to_string();
        assert!(error.contains("C(n, f) = 30045015 subsets of n = 30"), "{error}");
        assert!(SmallestMaximumEigenvalue::default().admits(1000, 200).is_err());
    }
}
