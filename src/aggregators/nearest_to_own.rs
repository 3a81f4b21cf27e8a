//! Nearest-neighbour averaging, `MoNNA`'s rule: the mean of the rows nearest to a trusted one.
//!
//! `F(x) = 1/(n - f) · Σ x_i` over the `n - f` rows nearest to row `own` in Euclidean distance,
//! itself among them; of rows equally far those of the lowest senders come first.
//!
//! In the paper every node averages around its own vector: it hears n - f vectors in a round, its
//! own among them, and averages the n - 2f nearest, which is this rule on the rows that came.
//! `ByzFL` has the rule for all n rows at a server and counts the trusted row from 0. With `centre
//! = "median"` the rows are compared with the coordinate-wise median in place of a row: then `keep
//! = "half"` makes it AKSEL, which averages the `⌊(n + 1)/2⌋` nearest to the median whatever f is.
//! With `passes` the rows are compared anew with what came out.
//!
//! Fails at a server, where no row is to be trusted: if `own` lies, the aggregate is where it
//! says. At a node it fails where honest vectors differ more than the liars stray, and liars near
//! the node's own vector are always averaged; the median in many coordinates may itself be far
//! from all rows, and who lies near it is averaged in place of who is honest. Needs n > 2f.
//!
//! Reference: Farhadkhani, Guerraoui, Gupta, Hoang, Pinot, Stephan, Robust Collaborative Learning
//! with Linear Gradient Overhead, ICML 2023; Boussetta, El-Mhamdi, Guerraoui, Maurer, Rouault,
//! AKSEL: Fast Byzantine SGD, OPODIS 2020.

use std::sync::Arc;

use ndarray::{Array1, ArrayView2};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::median::{Median, Middle};
use super::selection::{least, mean_of};
use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::{ConfigError, Entry};
use crate::kernels::centres::squared_distances_to;
use crate::vector::as_slice;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "nearest_to_own",
    summary: "the mean of the n - f updates nearest to a trusted one",
    reference: "Farhadkhani et al., ICML 2023",
    source: include_str!("nearest_to_own.rs"),
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
    parameters: || schema_for!(NearestToOwn),
    build: |parameters| parameters.build::<dyn Aggregator, NearestToOwn>(NearestToOwn::checked),
};

/// Parameters of nearest-neighbour averaging.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct NearestToOwn {
    /// The trusted row, counted from 0 (default) in ascending order of senders.
    own: usize,
    /// What rows are compared with: the `own` row (default), or the `median` of all, and then `own`
    /// is not used.
    centre: Centre,
    /// What an even number of rows has as its median: the `midpoint` (default), `lower` or `upper`
    /// of the two in the middle.
    middle: Middle,
    /// How many rows are averaged: as many as are `honest`, n - f (default), or `half`,
    /// ⌊(n + 1)/2⌋.
    keep: Keep,
    /// How often the nearest rows are averaged, at least 1 (default): from the second time on they
    /// are those nearest to what came out before.
    passes: u32,
}

impl Default for NearestToOwn {
    fn default() -> Self {
        NearestToOwn {
            own: 0,
            centre: Centre::default(),
            middle: Middle::default(),
            keep: Keep::default(),
            passes: 1,
        }
    }
}

/// What rows are compared with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Centre {
    /// The trusted row.
    #[default]
    Own,
    /// The coordinate-wise median.
    Median,
}

/// How many rows are averaged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Keep {
    /// All but f.
    #[default]
    Honest,
    /// Half of them, rounded up.
    Half,
}

impl NearestToOwn {
    fn checked(self) -> Result<Arc<dyn Aggregator>, ConfigError> {
        if self.passes == 0 {
            return Err(ConfigError::new("`passes` = 0, and it must be at least 1"));
        }
        Ok(Arc::new(self))
    }

    /// How many rows are averaged.
    fn kept(&self, rows: usize, byzantine: usize) -> usize {
        match self.keep {
            Keep::Honest => rows - byzantine,
            Keep::Half => rows.div_ceil(2),
        }
    }

    /// What the rows are compared with first.
    fn centre(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Array1<f32>, AggregateError> {
        match self.centre {
            Centre::Own => Ok(updates.row(self.own).to_owned()),
            Centre::Median => {
                let median = Median { middle: self.middle };
                Ok(median.aggregate(updates, context)?.vector)
            }
        }
    }
}

impl Aggregator for NearestToOwn {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        AggregateError::unless_majority(ENTRY.name, rows, byzantine)?;
        if self.centre == Centre::Own && self.own >= rows {
            let message = format!("own = {} is not among n = {rows} updates from 0", self.own);
            return Err(AggregateError::Unfit { rule: ENTRY.name, message });
        }
        Ok(())
    }

    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        self.admits(updates.nrows(), context.byzantine)?;
        let updates = updates.as_standard_layout();
        let keep = self.kept(updates.nrows(), context.byzantine);
        let centre = self.centre(updates.view(), context)?;
        let mut distances = squared_distances_to(updates.view(), as_slice(&centre));
        if self.centre == Centre::Own {
            // Below every distance: nothing is nearer to a row than itself, not even its equal.
            distances[self.own] = -1.0;
        }
        let mut chosen = least(&distances, keep);
        for _ in 1..self.passes {
            let before = mean_of(updates.view(), &chosen).vector;
            let nearest = least(&squared_distances_to(updates.view(), as_slice(&before)), keep);
            if nearest == chosen {
                break;
            }
            chosen = nearest;
        }
        Ok(mean_of(updates.view(), &chosen))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::aggregators::tests::aggregate_with;

    fn line() -> Array2<f32> {
        array![[0.0], [1.0], [3.0], [8.0], [9.0]]
    }

    #[test]
    fn the_nearest_to_the_trusted_row() {
        let own =
            |own| aggregate_with(&NearestToOwn { own, ..Default::default() }, &line(), 2, None);
        assert_eq!(own(0).unwrap().vector, array![4.0 / 3.0]);
        assert_eq!(own(4).unwrap().vector, array![20.0 / 3.0]);
        assert_eq!(own(4).unwrap().weights.unwrap()[2], 1.0 / 3.0);
    }

    #[test]
    fn the_nearest_to_the_median() {
        let rule = NearestToOwn { centre: Centre::Median, ..Default::default() };
        assert_eq!(aggregate_with(&rule, &line(), 2, None).unwrap().vector, array![4.0 / 3.0]);
    }

    #[test]
    fn half_of_the_rows_around_the_lower_median() {
        // The lower median of 0, 1, 3, 8 is 1, the midpoint 2.
        let rows = array![[0.0], [1.0], [3.0], [8.0]];
        let rule = |middle| {
            let (centre, keep) = (Centre::Median, Keep::Half);
            NearestToOwn { centre, middle, keep, ..Default::default() }
        };
        let of = |middle| aggregate_with(&rule(middle), &rows, 0, None).unwrap().vector;
        assert_eq!(of(Middle::Lower), array![0.5]);
        assert_eq!(of(Middle::Midpoint), array![2.0]);
    }

    #[test]
    fn a_second_pass_moves_on() {
        // The three nearest to 0 are 0, 2 and 2.5, and 1.5 is nearer to 2.6 than to 0.
        let rows = array![[0.0], [2.0], [2.5], [2.6], [9.0]];
        let rule = |passes| NearestToOwn { passes, ..Default::default() };
        let of = |passes| aggregate_with(&rule(passes), &rows, 2, None).unwrap().weights.unwrap();
        let third = 1.0 / 3.0;
        assert_eq!(of(1), array![third, third, third, 0.0, 0.0]);
        assert_eq!(of(2), array![0.0, third, third, third, 0.0]);
        assert_eq!(of(9), of(2));
        assert!(rule(0).checked().is_err());
    }

    #[test]
    fn a_row_that_is_not_there_is_refused() {
        let rule = NearestToOwn { own: 5, ..Default::default() };
        let error = aggregate_with(&rule, &line(), 1, None).unwrap_err();
        let text = "nearest_to_own: own = 5 is not among n = 5 updates from 0";
        assert_eq!(error.to_string(), text);
    }
}
