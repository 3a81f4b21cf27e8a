//! The coordinate-wise median.
//!
//! `F(x)_k = median of x_1k, …, x_nk`. For an even number of rows there are two middle values:
//! the default is their midpoint (NumPy, ByzFL, Flower), `lower` takes the smaller
//! (`torch.median`, as `FedML` and Garfield do) and `upper` the larger.
//!
//! With f liars among n rows the error is bounded by `‖F(x) - m‖² <= κ σ²`, with m the mean and
//! σ² the variance of the honest rows, and `κ = h / (h + 1 - f)` for odd n, `h = ⌊n/2⌋`. For even
//! n it is `(h - 1) / (h + 1 - f)` with the midpoint, and `h / (h - f)` otherwise.
//!
//! Fails where honest rows differ much: most of the gradient is thrown away even if nobody lies,
//! and a rare but honest direction is outvoted in every coordinate. Needs n > 2f.
//!
//! Reference: Yin, Chen, Ramchandran, Bartlett, Byzantine-Robust Distributed Learning: Towards
//! Optimal Statistical Rates, ICML 2018.

use std::ops::Range;
use std::sync::Arc;

use ndarray::{Array1, ArrayView2};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Aggregate, AggregateError, Aggregator, ByColumns, Claims, Context, Remembers};
use crate::catalog::Entry;
use crate::kernels::columns::{LANES, Lanes, summarise_ranks_apart, summarise_ranks_of_means};
use crate::kernels::mixing::Members;
use crate::vector::slices_of;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "median",
    summary: "the middle value of every coordinate",
    reference: "Yin et al., ICML 2018",
    source: include_str!("median.rs"),
    claims: Claims {
        permutation_invariant: true,
        translation_equivariant: true,
        scale_equivariant: true,
        tolerates: |rows| Some(rows.checked_sub(1)? / 2),
        robust: true,
        remembers: Remembers::Nothing,
        uses_byzantine: false,
        uses_samples: false,
    },
    parameters: || schema_for!(Median),
    build: |parameters| parameters.build::<dyn Aggregator, Median>(|median| Ok(Arc::new(median))),
};

/// Parameters of the median.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Median {
    /// What an even number of rows yields: the `midpoint` of the two middle values (default),
    /// the `lower` or the `upper` of them.
    pub(super) middle: Middle,
}

/// Which value is in the middle of an even number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Middle {
    /// Halfway between the two middle values.
    #[default]
    Midpoint,
    /// The smaller of the two middle values.
    Lower,
    /// The larger of the two middle values.
    Upper,
}

impl Aggregator for Median {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        AggregateError::unless_majority(ENTRY.name, rows, byzantine)
    }

    /// Attained by honest rows that lie at two points.
    fn error_bound(&self, rows: usize, byzantine: usize) -> Option<f64> {
        self.admits(rows, byzantine).ok()?;
        let (half, f) = ((rows / 2) as f64, byzantine as f64);
        Some(match self.middle {
            _ if rows % 2 == 1 => half / (half + 1.0 - f),
            Middle::Midpoint => (half - 1.0) / (half + 1.0 - f),
            Middle::Lower | Middle::Upper => half / (half - f),
        })
    }

    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        let updates = updates.as_standard_layout();
        self.aggregate_apart(&slices_of(&updates.view()), context)
    }

    fn aggregate_apart(
        &self,
        updates: &[&[f32]],
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        self.admits(updates.len(), context.byzantine)?;
        Ok(Aggregate { vector: self.of(updates), weights: None })
    }

    fn by_columns(&self) -> Option<&dyn ByColumns> {
        Some(self)
    }
}

impl ByColumns for Median {
    fn aggregate_means(
        &self,
        rows: &[&[f32]],
        groups: &Members,
        byzantine: usize,
    ) -> Result<Array1<f32>, AggregateError> {
        self.admits(rows.len(), byzantine)?;
        Ok(summarise_ranks_of_means(rows, groups, self.ranks(rows.len()), midpoint))
    }
}

impl Median {
    /// The median of at least one row.
    pub(super) fn of(&self, updates: &[&[f32]]) -> Array1<f32> {
        summarise_ranks_apart(updates, self.ranks(updates.len()), midpoint)
    }

    /// The ranks of the middle of at least one row.
    fn ranks(&self, rows: usize) -> Range<usize> {
        let (lower, upper) = ((rows - 1) / 2, rows / 2);
        match self.middle {
            Middle::Midpoint => lower..upper + 1,
            Middle::Lower => lower..lower + 1,
            Middle::Upper => upper..upper + 1,
        }
    }
}

/// The median in every lane of rows that ascend.
pub(super) fn middle_of(rows: &[Lanes], middle: Middle) -> Lanes {
    let (lower, upper) = ((rows.len() - 1) / 2, rows.len() / 2);
    match middle {
        Middle::Midpoint => midpoint(&rows[lower..=upper]),
        Middle::Lower => rows[lower],
        Middle::Upper => rows[upper],
    }
}

/// Halfway between the first and the last row; in `f64`, where no two `f32` overflow.
fn midpoint(rows: &[Lanes]) -> Lanes {
    let [lower, .., upper] = rows else { return rows[0] };
    let mut middle = [0.0; LANES];
    for lane in 0..LANES {
        middle[lane] = (0.5 * (f64::from(lower[lane]) + f64::from(upper[lane]))) as f32;
    }
    middle
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::aggregators::tests::aggregate_with;

    #[test]
    fn known_bounds() {
        let bound = |middle, rows, f| Median { middle }.error_bound(rows, f);
        // Ten rows, four liars: 2 with the midpoint, 5 with either of the two.
        assert_eq!(bound(Middle::Midpoint, 10, 4), Some(2.0));
        assert_eq!(bound(Middle::Lower, 10, 4), Some(5.0));
        assert_eq!(bound(Middle::Midpoint, 5, 1), Some(1.0));
        assert_eq!(bound(Middle::Midpoint, 4, 2), None);
    }

    fn median(middle: Middle, rows: &Array2<f32>) -> Array1<f32> {
        aggregate_with(&Median { middle }, rows, 0, None).unwrap().vector
    }

    #[test]
    fn odd_and_even_by_hand() {
        let odd = array![[5.0, 1.0], [-1.0, 2.0], [3.0, 9.0]];
        let even = array![[5.0, 1.0], [-1.0, 2.0], [3.0, 9.0], [4.0, 4.0]];
        for middle in [Middle::Midpoint, Middle::Lower, Middle::Upper] {
            assert_eq!(median(middle, &odd), array![3.0, 2.0]);
        }
        assert_eq!(median(Middle::Midpoint, &even), array![3.5, 3.0]);
        assert_eq!(median(Middle::Lower, &even), array![3.0, 2.0]);
        assert_eq!(median(Middle::Upper, &even), array![4.0, 4.0]);
    }

    #[test]
    fn the_midpoint_of_huge_values_is_finite() {
        let rows = array![[f32::MAX], [f32::MAX]];
        assert_eq!(median(Middle::Midpoint, &rows), array![f32::MAX]);
    }

    #[test]
    fn half_of_the_rows_is_too_many() {
        let rows = Array2::zeros((6, 1));
        let error = aggregate_with(&Median::default(), &rows, 3, None).unwrap_err();
        let text = "median needs n > 2f = 6 and got n = 6 updates with f = 3 byzantine";
        assert_eq!(error.to_string(), text);
    }
}
