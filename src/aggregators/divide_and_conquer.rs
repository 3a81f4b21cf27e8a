//! Divide and conquer (DnC): rows far out along the direction of largest variance are removed.
//!
//! In each of `iterations`: over `coordinates` drawn without repetition, the rows are centred, `v`
//! is their leading right singular vector, and the `n - ⌊factor · f⌋` rows of least
//! `⟨x_i - μ, v⟩²` stay. Who stays every time is averaged, over all coordinates.
//!
//! The paper's constants are one iteration, 10,000 coordinates and a factor of 1, which are the
//! defaults; libraries run 5 iterations, and then up to `5 · factor · f` rows may go. If nobody
//! stays every time the result is the zero vector, so that no step is made (`fedlib`), or with
//! `empty = "union"` the mean of all who stayed at least once.
//!
//! Fails because there is one direction in each iteration: liars who scatter in many directions,
//! far out, hide each other, and those that happen to lie across the leading one are averaged,
//! however far away. What leads is moved by the liars themselves, through the mean. Needs n > 2f.
//!
//! Reference: Shejwalkar, Houmansadr, Manipulating the Byzantine: Optimizing Model Poisoning
//! Attacks and Defenses for Federated Learning, NDSS 2021.

use std::sync::Arc;

use ndarray::{Array1, ArrayView2};
use rand::seq::index;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::selection::{least, mean_of};
use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::{ConfigError, Entry};
use crate::kernels::distances::squared_distances;
use crate::kernels::row_norms::{each_row, select_columns};
use crate::kernels::spectral::{centred_products, leading};
use crate::vector::first_not_finite;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "divide_and_conquer",
    summary: "the mean of the updates nearest to it along the direction of largest variance",
    reference: "Shejwalkar and Houmansadr, NDSS 2021",
    source: include_str!("divide_and_conquer.rs"),
    claims: Claims {
        permutation_invariant: true,
        translation_equivariant: true,
        scale_equivariant: true,
        tolerates: |rows| Some(rows.checked_sub(1)? / 2),
        robust: false,
        remembers: Remembers::Nothing,
        uses_byzantine: true,
        uses_samples: false,
    },
    parameters: || schema_for!(DivideAndConquer),
    build: |parameters| {
        parameters.build::<dyn Aggregator, DivideAndConquer>(DivideAndConquer::checked)
    },
};

/// Parameters of divide and conquer.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct DivideAndConquer {
    /// How often rows are removed, at least 1 (default 1).
    iterations: usize,
    /// How many coordinates an iteration looks at, at least 1 (default 10000); all, if there are
    /// fewer.
    coordinates: usize,
    /// How many rows an iteration removes, in multiples of f, rounded down (default 1.0).
    factor: f64,
    /// What the aggregate is if nobody stays every time: `zero` (default), or the mean of the
    /// `union` of those who stay.
    empty: Empty,
    /// The coordinates of each iteration, counted from 0. Absent (default): drawn.
    drawn: Option<Vec<Vec<usize>>>,
}

/// What the aggregate is if nobody stays every time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Empty {
    /// The vector of zeros.
    #[default]
    Zero,
    /// The mean of all who stayed at least once.
    Union,
}

impl Default for DivideAndConquer {
    fn default() -> Self {
        DivideAndConquer {
            iterations: 1,
            coordinates: 10_000,
            factor: 1.0,
            empty: Empty::default(),
            drawn: None,
        }
    }
}

impl DivideAndConquer {
    fn checked(self) -> Result<Arc<dyn Aggregator>, ConfigError> {
        let refused = |message: String| Err(ConfigError::new(message));
        if self.iterations == 0 {
            return refused("`iterations` is 0, but must be at least 1".to_owned());
        }
        if self.coordinates == 0 {
            return refused("`coordinates` is 0, but must be at least 1".to_owned());
        }
        if !(self.factor >= 0.0 && self.factor.is_finite()) {
            return refused(format!("`factor` is {}, but must be at least 0", self.factor));
        }
        if self.drawn.as_ref().is_some_and(|drawn| drawn.len() != self.iterations) {
            return refused("`drawn` must list coordinates for each of `iterations`".to_owned());
        }
        Ok(Arc::new(self))
    }

    /// How many rows an iteration removes.
    fn removed(&self, byzantine: usize) -> usize {
        (self.factor * byzantine as f64) as usize
    }

    /// The coordinates of one iteration; all of them in one go are `None`.
    fn coordinates(
        &self,
        iteration: usize,
        columns: usize,
        context: &mut Context<'_>,
    ) -> Result<Option<Vec<usize>>, AggregateError> {
        let Some(drawn) = &self.drawn else {
            let all = self.coordinates >= columns;
            let sample = || index::sample(&mut context.rng, columns, self.coordinates).into_vec();
            return Ok((!all).then(sample));
        };
        let drawn = drawn[iteration].clone();
        match drawn.iter().find(|&&column| column >= columns) {
            None => Ok(Some(drawn)),
            Some(column) => {
                let message = format!("coordinate {column} is drawn of {columns} from 0");
                Err(AggregateError::Unfit { rule: ENTRY.name, message })
            }
        }
    }
}

impl Aggregator for DivideAndConquer {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        AggregateError::unless_majority(ENTRY.name, rows, byzantine)?;
        let removed = self.removed(byzantine);
        if removed >= rows {
            let message = format!(
                "removing {removed} of n = {rows} updates with f = {byzantine} leaves nothing"
            );
            return Err(AggregateError::Unfit { rule: ENTRY.name, message });
        }
        Ok(())
    }

    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        let rows = updates.nrows();
        self.admits(rows, context.byzantine)?;
        let updates = updates.as_standard_layout();
        let keep = rows - self.removed(context.byzantine);
        let mut stays = vec![0; rows];
        for iteration in 0..self.iterations {
            let kept = match self.coordinates(iteration, updates.ncols(), context)? {
                None => nearest_along(updates.view(), keep),
                Some(drawn) => nearest_along(select_columns(updates.view(), &drawn).view(), keep),
            };
            for row in kept {
                stays[row] += 1;
            }
        }
        let at_least =
            |times: usize| -> Vec<usize> { (0..rows).filter(|&row| stays[row] >= times).collect() };
        let always = at_least(self.iterations);
        if !always.is_empty() {
            return Ok(mean_of(updates.view(), &always));
        }
        match self.empty {
            Empty::Zero => Ok(Aggregate { vector: Array1::zeros(updates.ncols()), weights: None }),
            Empty::Union => Ok(mean_of(updates.view(), &at_least(1))),
        }
    }
}

/// The `keep` rows nearest to the mean along the direction of largest variance; rows that are not
/// finite are farthest.
fn nearest_along(updates: ArrayView2<'_, f32>, keep: usize) -> Vec<usize> {
    let updates = updates.as_standard_layout();
    let distances = squared_distances(updates.view());
    let whole = each_row(updates.view(), |_, row| first_not_finite(row).is_none());
    let finite: Vec<usize> = (0..updates.nrows()).filter(|&row| whole[row]).collect();
    let weights = vec![1.0; finite.len()];
    // Projections on the direction are, up to a factor, the elements of the eigenvector.
    let (_, vector) = leading(centred_products(&weights, |i, j| distances[[finite[i], finite[j]]]));
    let mut along = vec![f64::INFINITY; updates.nrows()];
    for (&row, value) in finite.iter().zip(vector) {
        along[row] = value * value;
    }
    least(&along, keep)
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::aggregators::tests::aggregate_with;

    #[test]
    fn by_hand() {
        // The variance along the first axis leads; (9, 1) is farthest from the mean (2, 0.2).
        let rows = array![[1.0, 0.0], [0.0, 0.0], [9.0, 1.0], [-1.0, 0.0], [1.0, 0.0]];
        let rule = DivideAndConquer::default();
        let result = aggregate_with(&rule, &rows, 1, None).unwrap();
        assert_eq!(result.vector, array![0.25, 0.0]);
        assert_eq!(result.weights, Some(array![0.25, 0.25, 0.0, 0.25, 0.25]));
    }

    #[test]
    fn iterations_intersect_and_may_leave_nobody() {
        let rows = array![[6.0, 0.0], [0.0, 0.0], [0.0, 9.0]];
        let drawn = |empty| DivideAndConquer {
            iterations: 2,
            drawn: Some(vec![vec![0], vec![1]]),
            empty,
            ..DivideAndConquer::default()
        };
        let result = aggregate_with(&drawn(Empty::Zero), &rows, 1, None).unwrap();
        assert_eq!(result.weights, Some(array![0.0, 1.0, 0.0]));
        // Two of three go each time: along the first axis 0 or 0 stays, along the second too.
        let more = |empty| DivideAndConquer { factor: 2.0, ..drawn(empty) };
        let rows = array![[5.0, 1.0], [1.0, 8.0], [-1.0, -1.0]];
        let zero = aggregate_with(&more(Empty::Zero), &rows, 1, None).unwrap();
        assert_eq!(zero.vector, array![0.0, 0.0]);
        let union = aggregate_with(&more(Empty::Union), &rows, 1, None).unwrap();
        assert_eq!(union.vector, array![3.0, 4.5]);
    }

    #[test]
    fn coordinates_are_drawn_for_each_iteration() {
        // Only one of a hundred columns shows the liar; single draws miss it, all of them do not.
        let mut rows = ndarray::Array2::zeros((5, 100));
        rows[[2, 7]] = 50.0;
        let one = DivideAndConquer { coordinates: 1, ..DivideAndConquer::default() };
        let all = DivideAndConquer { coordinates: 100, ..DivideAndConquer::default() };
        assert!(aggregate_with(&one, &rows, 1, None).unwrap().vector[7] > 0.0);
        assert_eq!(aggregate_with(&all, &rows, 1, None).unwrap().vector[7], 0.0);
    }

    #[test]
    fn impossible_numbers_are_refused() {
        let rule = DivideAndConquer { factor: 3.0, ..DivideAndConquer::default() };
        let error = rule.admits(3, 1).unwrap_err().to_string();
        assert!(
            error.ends_with("removing 3 of n = 3 updates with f = 1 leaves nothing"),
            "{error}"
        );
        for wrong in [
            DivideAndConquer { iterations: 0, ..DivideAndConquer::default() },
            DivideAndConquer { coordinates: 0, ..DivideAndConquer::default() },
            DivideAndConquer { factor: f64::NAN, ..DivideAndConquer::default() },
            DivideAndConquer { drawn: Some(Vec::new()), ..DivideAndConquer::default() },
        ] {
            assert!(wrong.checked().is_err());
        }
    }
}
