//! Gradient splitting (GAS): rows are judged by pieces of their coordinates, and kept whole.
//!
//! The coordinates are put into random order and cut into `chunks`, of `⌈d / chunks⌉` each. In each
//! chunk c a robust rule makes `g_c` of the pieces of all rows. A row's score is how far its pieces
//! are from that, `s_i = Σ_c ‖x_ic - g_c‖`, and the `n - f` rows of least score are averaged.
//!
//! In many dimensions honest rows from different data are so far from each other that a rule which
//! judges whole rows has room to pick liars; in a few coordinates it has less. The rows that are
//! kept are averaged whole, so that nothing of them is lost.
//!
//! Fails where liars are nearer to the robust pieces than honest rows are: scores add up distances,
//! and a liar inside the honest spread in every piece is averaged. A `chunks` of 1 is close to the
//! base rule itself, one for each coordinate makes pieces that say little of a row. Needs what
//! `base` needs: n >= 2f + 3 for `krum`, else n > 2f.
//!
//! Reference: Liu, Chen, Lyu, Wu, Wu, Chen, Byzantine-Robust Learning on Heterogeneous Data via
//! Gradient Splitting, ICML 2023.

use std::ops::Range;
use std::sync::Arc;

use ndarray::{Array1, ArrayView2, s};
use rand::seq::SliceRandom;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::median::{Median, Middle};
use super::scores::{Distance, Neighbours, Scoring, Tolerance, best};
use super::selection::{least, mean_of};
use super::trimmed_mean::TrimmedMean;
use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::{ConfigError, Entry};
use crate::kernels::centres::squared_distances_to;
use crate::kernels::means::mean_of_rows;
use crate::kernels::row_norms::select_columns;
use crate::kernels::shares;
use crate::vector::{as_slice, slices_of};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "gas",
    summary: "the mean of the n - f updates nearest to robust aggregates of pieces of them",
    reference: "Liu et al., ICML 2023",
    source: include_str!("gas.rs"),
    claims: Claims {
        permutation_invariant: true,
        translation_equivariant: true,
        scale_equivariant: true,
        tolerates: |rows| Some(rows.checked_sub(3)? / 2),
        robust: true,
        remembers: Remembers::Nothing,
        uses_byzantine: true,
        uses_samples: false,
    },
    parameters: || schema_for!(Gas),
    build: |parameters| parameters.build::<dyn Aggregator, Gas>(Gas::checked),
};

/// Parameters of gradient splitting.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Gas {
    /// How many chunks the d coordinates are cut into, at least 1 (default 1000): they have ⌈d /
    /// chunks⌉ each, so that there may be fewer, and the last may be shorter.
    chunks: usize,
    /// What is made of the pieces in a chunk: the mean of the n - f best by their `krum` scores
    /// (default), their coordinate-wise `median` or `trimmed_mean`.
    base: Base,
    /// How many other rows a Krum score counts: `paper` n - f - 2 (default), `inclusive` n - f - 1,
    /// `short` n - f - 3.
    neighbours: Neighbours,
    /// For which n Krum scores are found: `paper` n >= 2f + 3 (default), `majority` n > 2f, `none`
    /// any.
    tolerance: Tolerance,
    /// The order of the coordinates, each once, counted from 0. Absent (default): drawn in each
    /// round.
    order: Option<Vec<usize>>,
}

/// What is made of the pieces in a chunk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Base {
    /// The mean of those with the best Krum scores.
    #[default]
    Krum,
    /// Their median.
    Median,
    /// Their trimmed mean.
    TrimmedMean,
}

impl Default for Gas {
    fn default() -> Self {
        Gas {
            chunks: 1000,
            base: Base::default(),
            neighbours: Neighbours::default(),
            tolerance: Tolerance::default(),
            order: None,
        }
    }
}

impl Gas {
    fn checked(self) -> Result<Arc<dyn Aggregator>, ConfigError> {
        if self.chunks == 0 {
            return Err(ConfigError::new("`chunks` is 0, but there is at least 1"));
        }
        if let Some(order) = &self.order {
            let mut sorted = order.clone();
            sorted.sort_unstable();
            if sorted.iter().enumerate().any(|(place, &column)| place != column) {
                let message = "`order` does not name each coordinate from 0 once";
                return Err(ConfigError::new(message));
            }
        }
        Ok(Arc::new(self))
    }

    fn scoring(&self) -> Scoring {
        let (neighbours, tolerance) = (self.neighbours, self.tolerance);
        Scoring { neighbours, distance: Distance::Squared, tolerance }
    }

    /// The order of the coordinates in this round.
    fn order(
        &self,
        columns: usize,
        context: &mut Context<'_>,
    ) -> Result<Vec<usize>, AggregateError> {
        match &self.order {
            Some(order) if order.len() == columns => Ok(order.clone()),
            Some(order) => {
                let length = order.len();
                let message = format!("an order of {length} coordinates for updates of {columns}");
                Err(AggregateError::Unfit { rule: ENTRY.name, message })
            }
            None => {
                let mut order: Vec<usize> = (0..columns).collect();
                order.shuffle(&mut context.rng);
                Ok(order)
            }
        }
    }

    /// The robust aggregate of the pieces.
    fn aggregate_of(&self, pieces: ArrayView2<'_, f32>, byzantine: usize) -> Array1<f32> {
        match self.base {
            Base::Krum => {
                let scores = self.scoring().scores(pieces, byzantine);
                mean_of_rows(pieces, &best(&scores, pieces.nrows() - byzantine))
            }
            Base::Median => Median { middle: Middle::Midpoint }.of(&slices_of(&pieces)),
            Base::TrimmedMean => TrimmedMean::default().kept(&slices_of(&pieces), byzantine),
        }
    }
}

impl Aggregator for Gas {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        AggregateError::unless_majority(ENTRY.name, rows, byzantine)?;
        match self.base {
            Base::Krum => self.scoring().admits(ENTRY.name, rows, byzantine),
            Base::Median | Base::TrimmedMean => Ok(()),
        }
    }

    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        let (rows, columns) = updates.dim();
        self.admits(rows, context.byzantine)?;
        let order = self.order(columns, context)?;
        // All columns are put in order at once, while a cache has a row, and not piece by piece.
        let ordered = select_columns(updates, &order);
        let chunks = chunks(columns, self.chunks);
        let distances = shares::each(chunks.len(), updates.len(), |chunk| {
            let chunk = chunks[chunk].clone();
            let pieces = ordered.slice(s![.., chunk]).as_standard_layout().into_owned();
            let centre = self.aggregate_of(pieces.view(), context.byzantine);
            squared_distances_to(pieces.view(), as_slice(&centre))
        });
        let mut scores = vec![0.0; rows];
        for distances in distances {
            for (score, squared) in scores.iter_mut().zip(distances) {
                *score += squared.sqrt();
            }
        }
        Ok(mean_of(updates, &least(&scores, rows - context.byzantine)))
    }
}

/// At most `count` ranges of equal length, the last of which may be shorter.
fn chunks(columns: usize, count: usize) -> Vec<Range<usize>> {
    let width = columns.div_ceil(count).max(1);
    (0..columns).step_by(width).map(|start| start..columns.min(start + width)).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::aggregators::tests::aggregate_with;

    #[test]
    fn by_hand() {
        // The medians of the chunks are (2, 0) and 1. Scores are 1 + 1, 0 + 0, 1 + 0, 0 + 3 and
        // 5 + 0: the last two are left out.
        let rows = array![
            [0.0, 2.0, 1.0],
            [1.0, 2.0, 0.0],
            [1.0, 1.0, 0.0],
            [4.0, 2.0, 0.0],
            [1.0, 5.0, -4.0]
        ];
        let rule = |base, order| Gas { chunks: 2, base, order, ..Gas::default() };
        let split = rule(Base::Median, Some(vec![1, 2, 0]));
        let result = aggregate_with(&split, &rows, 2, None).unwrap();
        let third = 1.0 / 3.0;
        assert_eq!(result.weights, Some(array![third, third, third, 0.0, 0.0]));
        // Trimmed of one at each end, they are the same, and the last row is left out.
        let split = rule(Base::TrimmedMean, Some(vec![1, 2, 0]));
        let result = aggregate_with(&split, &rows, 1, None).unwrap();
        assert_eq!(result.weights, Some(array![0.25, 0.25, 0.25, 0.25, 0.0]));
    }

    #[test]
    fn pieces_by_krum() {
        // In one dimension and one chunk: scores of two neighbours are 1 + 4, 1 + 1, 1 + 1, 1 + 4
        // and far, so that 0 … 3 have the mean 1.5, and they are the four nearest to it.
        let rows = array![[0.0], [1.0], [2.0], [3.0], [50.0]];
        let result = aggregate_with(&Gas::default(), &rows, 1, None).unwrap();
        assert_eq!(result.vector, array![1.5]);
        let error = aggregate_with(&Gas::default(), &rows, 2, None).unwrap_err().to_string();
        assert!(error.starts_with("gas needs n >= 2f + 3 = 7"), "{error}");
    }

    #[test]
    fn chunks_are_equal_but_for_the_last() {
        assert_eq!(chunks(5, 2), [0..3, 3..5]);
        assert_eq!(chunks(5, 4), [0..2, 2..4, 4..5]);
        assert_eq!(chunks(5, 9).len(), 5);
        assert!(chunks(0, 3).is_empty());
    }

    #[test]
    fn an_order_that_does_not_fit_is_refused() {
        let twice = Gas { order: Some(vec![0, 0]), ..Gas::default() };
        assert!(twice.checked().is_err());
        let short = Gas { order: Some(vec![0]), ..Gas::default() };
        let rows = array![[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]];
        let error = aggregate_with(&short, &rows, 0, None).unwrap_err().to_string();
        assert_eq!(error, "gas: an order of 1 coordinates for updates of 2");
        assert!(Gas { chunks: 0, ..Gas::default() }.checked().is_err());
    }
}
