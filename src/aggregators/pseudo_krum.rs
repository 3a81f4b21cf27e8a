//! Pseudo-Krum: of a few rows drawn at random, the one nearest to others that are drawn, too.
//!
//! `f + 1` rows are drawn as candidates, so that one of them is honest, and for each of them `n -
//! f` rows, maybe itself among them. A candidate's score is the sum of its squared distances to
//! those, and the candidate of the least score is the aggregate; of equal ones the first that was
//! drawn. It takes `f + 1` times `n - f` distances where Krum takes all pairs.
//!
//! Fails often: a score sums over liars, whom Krum leaves out, so that liars far out and close to
//! each other make honest candidates look worse than one of them that happens to be compared with
//! its like. What comes out is the update of one node and depends on the draw. No bound is promised
//! here. Needs n > 2f.
//!
//! Reference: the code beside Farhadkhani, Guerraoui, Gupta, Hoang, Pinot, Stephan, Robust
//! Collaborative Learning with Linear Gradient Overhead, ICML 2023.

use std::sync::Arc;

use ndarray::ArrayView2;
use rand::Rng;
use rand::seq::SliceRandom;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::selection::mean_of;
use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::Entry;
use crate::kernels::centres::squared_distances_to;
use crate::vector::view_slice;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "pseudo_krum",
    summary: "of f + 1 drawn updates the one nearest to n - f drawn ones",
    reference: "code of Farhadkhani et al., ICML 2023",
    source: include_str!("pseudo_krum.rs"),
    claims: Claims {
        permutation_invariant: false,
        translation_equivariant: true,
        scale_equivariant: true,
        tolerates: |rows| Some(rows.checked_sub(1)? / 2),
        robust: false,
        remembers: Remembers::Nothing,
        uses_byzantine: true,
        uses_samples: false,
    },
    parameters: || schema_for!(PseudoKrum),
    build: |parameters| parameters.build::<dyn Aggregator, PseudoKrum>(|rule| Ok(Arc::new(rule))),
};

/// Parameters of Pseudo-Krum.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct PseudoKrum {
    /// The candidates, counted from 0 in ascending order of senders. Absent (default): f + 1 are
    /// drawn in each round.
    candidates: Option<Vec<usize>>,
    /// For each candidate the rows that it is compared with. Absent (default): n - f are drawn for
    /// each.
    neighbours: Option<Vec<Vec<usize>>>,
}

impl Aggregator for PseudoKrum {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        AggregateError::unless_majority(ENTRY.name, rows, byzantine)?;
        let candidates = self.candidates.as_ref().map_or(byzantine + 1, Vec::len);
        let lists = self.neighbours.as_deref().unwrap_or_default();
        let mut named = self.candidates.iter().chain(lists).flatten();
        let message = if let Some(row) = named.find(|row| **row >= rows) {
            format!("row {row} is not among n = {rows} updates from 0")
        } else if candidates == 0 {
            format!("there is no candidate among n = {rows} updates")
        } else if self.neighbours.is_some() && lists.len() != candidates {
            format!("`neighbours` has {} lists for {candidates} candidates", lists.len())
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
        let (rows, byzantine) = (updates.nrows(), context.byzantine);
        self.admits(rows, byzantine)?;
        let updates = updates.as_standard_layout();
        let given = self.candidates.clone();
        let candidates = given.unwrap_or_else(|| drawn(rows, byzantine + 1, context.rng));
        let mut best = (f64::INFINITY, candidates[0]);
        for (place, &candidate) in candidates.iter().enumerate() {
            let neighbours = match &self.neighbours {
                Some(lists) => lists[place].clone(),
                None => drawn(rows, rows - byzantine, context.rng),
            };
            let mut distances =
                squared_distances_to(updates.view(), view_slice(&updates.row(candidate)));
            // To itself a row has no distance, whatever it holds.
            distances[candidate] = 0.0;
            let score: f64 = neighbours.iter().map(|&other| distances[other]).sum();
            if score < best.0 {
                best = (score, candidate);
            }
        }
        Ok(mean_of(updates.view(), &[best.1]))
    }
}

/// So many different rows, in the order in which they are drawn.
fn drawn(rows: usize, count: usize, mut rng: &mut dyn Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rows).collect();
    order.shuffle(&mut rng);
    order.truncate(count);
    order
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::aggregators::tests::aggregate_with;

    fn with(candidates: Vec<usize>, neighbours: Vec<Vec<usize>>) -> PseudoKrum {
        PseudoKrum { candidates: Some(candidates), neighbours: Some(neighbours) }
    }

    #[test]
    fn by_hand() {
        // 1 is compared with 0, 3 and 9: 1 + 4 + 64. 9 is compared with itself, 10 and 3: 0 + 1 +
        // 36.
        let rows = array![[0.0], [1.0], [3.0], [9.0], [10.0]];
        let rule = with(vec![1, 3], vec![vec![0, 2, 3], vec![3, 4, 2]]);
        let result = aggregate_with(&rule, &rows, 1, None).unwrap();
        assert_eq!(result.vector, array![9.0]);
        assert_eq!(result.weights, Some(array![0.0, 0.0, 0.0, 1.0, 0.0]));
        let equal = with(vec![1, 0], vec![vec![0], vec![1]]);
        assert_eq!(aggregate_with(&equal, &rows, 1, None).unwrap().vector, array![1.0]);
    }

    #[test]
    fn candidates_that_are_not_finite_lose() {
        let rows = array![[f32::NAN], [1.0], [3.0]];
        let rule = with(vec![0, 1], vec![vec![1, 2], vec![1, 2]]);
        assert_eq!(aggregate_with(&rule, &rows, 1, None).unwrap().vector, array![1.0]);
    }

    #[test]
    fn draws_that_do_not_fit_are_refused() {
        let refusal = |rule: PseudoKrum| rule.admits(3, 1).unwrap_err().to_string();
        let far = refusal(with(vec![1], vec![vec![3]]));
        assert_eq!(far, "pseudo_krum: row 3 is not among n = 3 updates from 0");
        let few = refusal(with(vec![1, 2], vec![vec![0]]));
        assert_eq!(few, "pseudo_krum: `neighbours` has 1 lists for 2 candidates");
        assert!(with(vec![], vec![]).admits(3, 1).is_err());
        assert!(PseudoKrum::default().admits(2, 1).is_err());
    }
}
