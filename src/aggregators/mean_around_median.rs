//! The mean around the median: in every coordinate the mean of the n - f values nearest to it.
//!
//! `F(x)_k = 1/(n - f) · Σ x_ik` over the `n - f` rows i whose `|x_ik - m_k|` is least, with `m_k`
//! the median of coordinate k. Of two values equally far from it the lower is taken; with
//! `ties = "first"` that of the lowest sender, as `ByzFL` does where few rows tie.
//!
//! For an even number of rows the `centre` is by default the `midpoint` of the two middle values,
//! as in `ByzFL`; `lower` takes the smaller, as the authors of the paper's later code at EPFL do.
//!
//! It uses more of the rows than the trimmed mean, which drops 2f values, and pays for it where
//! liars all stand on one side: they are kept while they stay nearer to the median than the honest
//! values farthest out on the other side, so that the mean is drawn towards them.
//!
//! Fails when more lie than are left out: then a lie is averaged however far it is. Needs n > 2f.
//!
//! Reference: Xie, Koyejo, Gupta, Generalized Byzantine-tolerant SGD, arXiv 1802.10116, 2018.

use std::sync::Arc;

use ndarray::{ArrayView1, ArrayView2};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::Entry;
use crate::kernels::columns::{LANES, Lanes, summarise_ranks};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "mean_around_median",
    summary: "the mean of the n - f values nearest to the median of every coordinate",
    reference: "Xie et al., arXiv 1802.10116, 2018",
    source: include_str!("mean_around_median.rs"),
    claims: Claims {
        permutation_invariant: true,
        translation_equivariant: true,
        scale_equivariant: true,
        tolerates: |rows| Some(rows.checked_sub(1)? / 2),
        robust: true,
        remembers: Remembers::Nothing,
        uses_byzantine: true,
        uses_samples: false,
    },
    parameters: || schema_for!(MeanAroundMedian),
    build: |parameters| {
        parameters.build::<dyn Aggregator, MeanAroundMedian>(|rule| Ok(Arc::new(rule)))
    },
};

/// Parameters of the mean around the median.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct MeanAroundMedian {
    /// The median of an even number of values: the `midpoint` of the two middle ones (default),
    /// or the `lower` of them.
    centre: Centre,
    /// Which of two values equally far from it counts: the `lower` (default), whoever sent it, or
    /// the `first`, that of the lowest sender.
    ties: Ties,
}

/// Which of equally far values counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Ties {
    /// The lower value.
    #[default]
    Lower,
    /// The value of the lowest sender.
    First,
}

/// Which value is in the middle of an even number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Centre {
    /// Halfway between the two middle values.
    #[default]
    Midpoint,
    /// The smaller of the two middle values.
    Lower,
}

impl Aggregator for MeanAroundMedian {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        AggregateError::unless_majority(ENTRY.name, rows, byzantine)
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
        let (rows, left_out) = (updates.nrows(), context.byzantine);
        self.admits(rows, left_out)?;
        let upper = match self.centre {
            Centre::Midpoint => rows / 2,
            Centre::Lower => (rows - 1) / 2,
        };
        let mean = |rows: &[Lanes]| mean_around(rows, upper, left_out);
        let mut vector = summarise_ranks(updates, 0..rows, mean);
        if self.ties == Ties::First {
            let tied = |rows: &[Lanes]| tied(rows, upper, left_out);
            let tied = summarise_ranks(updates, 0..rows, tied);
            for (column, _) in tied.iter().enumerate().filter(|&(_, &tied)| tied != 0.0) {
                vector[column] = mean_of_first(updates.column(column), upper, left_out);
            }
        }
        Ok(Aggregate { vector, weights: None })
    }
}

/// One in every lane where a value that is left out is as far from the median as one that is kept.
fn tied(rows: &[Lanes], upper: usize, left_out: usize) -> Lanes {
    let (low, high) = (&rows[(rows.len() - 1) / 2], &rows[upper]);
    let mut tied = [0.0; LANES];
    for (below, above) in rows[..left_out].iter().zip(&rows[rows.len() - left_out..]) {
        for lane in 0..LANES {
            let median = 0.5 * (f64::from(low[lane]) + f64::from(high[lane]));
            if median - f64::from(below[lane]) == f64::from(above[lane]) - median {
                tied[lane] = 1.0;
            }
        }
    }
    tied
}

/// The mean of the values nearest to the median of one column, of equally far ones the first.
fn mean_of_first(column: ArrayView1<'_, f32>, upper: usize, left_out: usize) -> f32 {
    let column: Vec<f64> = column.iter().map(|&value| f64::from(value)).collect();
    let mut sorted = column.clone();
    sorted.sort_by(f64::total_cmp);
    let median = 0.5 * (sorted[(sorted.len() - 1) / 2] + sorted[upper]);
    let mut nearest: Vec<f64> = column;
    // A stable sort: what is equally far stays in the order of senders.
    nearest.sort_by(|a, b| (a - median).abs().total_cmp(&(b - median).abs()));
    nearest.truncate(sorted.len() - left_out);
    (nearest.iter().sum::<f64>() / nearest.len() as f64) as f32
}

/// The mean of all but the `left_out` values farthest from the median, in every lane of sorted
/// rows; `upper` is the second of the two rows whose midpoint is the median.
///
/// The nearest values are neighbours in the order. So of the values `left_out` ranks below the end
/// of what is kept and those at its beginning, each of one rank from one side stands for one of
/// the other: one of the two is among the nearest, and the nearer one is.
#[inline(always)]
#[allow(clippy::inline_always, reason = "what is inlined is compiled for the processor")]
fn mean_around(rows: &[Lanes], upper: usize, left_out: usize) -> Lanes {
    let kept = rows.len() - left_out;
    let mut sums = [0.0f64; LANES];
    for row in &rows[left_out..kept] {
        for lane in 0..LANES {
            sums[lane] += f64::from(row[lane]);
        }
    }
    let (low, high) = (&rows[(rows.len() - 1) / 2], &rows[upper]);
    let mut median = [0.0f64; LANES];
    for lane in 0..LANES {
        median[lane] = 0.5 * (f64::from(low[lane]) + f64::from(high[lane]));
    }
    for (below, above) in rows[..left_out].iter().zip(&rows[kept..]) {
        for lane in 0..LANES {
            let (below, above) = (f64::from(below[lane]), f64::from(above[lane]));
            // Where the median is infinite both sides may be NaN: then the lower is taken.
            let farther = median[lane] - below > above - median[lane];
            sums[lane] += if farther { above } else { below };
        }
    }
    let count = kept as f64;
    sums.map(|sum| (sum / count) as f32)
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};
    use rand::RngExt;

    use super::*;
    use crate::aggregators::tests::aggregate_with;
    use crate::seed::{Purpose, run_stream};

    #[test]
    fn by_hand() {
        // Medians 3 and 8: without 100 in the first column, without the 1 or 2 in the second.
        let rows = array![[1.0, 9.0], [2.0, 8.0], [3.0, 1.0], [6.0, 7.0], [100.0, 10.0]];
        let result = aggregate_with(&MeanAroundMedian::default(), &rows, 1, None).unwrap();
        assert_eq!(result.vector, array![3.0, 8.5]);
        let result = aggregate_with(&MeanAroundMedian::default(), &rows, 0, None).unwrap();
        assert_eq!(result.vector, array![22.4, 7.0]);
    }

    #[test]
    fn the_centre_of_an_even_number_decides() {
        // Around 2.5 both 0 and 5 are as far: the lower is kept. Around 2 only 0 is near enough.
        let rows = array![[0.0], [2.0], [3.0], [4.5]];
        let rule = |centre| MeanAroundMedian { centre, ..MeanAroundMedian::default() };
        let mean = |centre| aggregate_with(&rule(centre), &rows, 1, None).unwrap().vector;
        assert_eq!(mean(Centre::Midpoint), array![9.5 / 3.0]);
        assert_eq!(mean(Centre::Lower), array![5.0 / 3.0]);
    }

    #[test]
    fn ties_go_to_the_lower_value_or_to_the_lowest_sender() {
        let rows = array![[0.0, 0.0], [0.0, 3.0], [3.0, 0.0], [-3.0, -3.0], [0.0, 0.0]];
        let mean = |ties| {
            let rule = MeanAroundMedian { ties, ..MeanAroundMedian::default() };
            aggregate_with(&rule, &rows, 1, None).unwrap().vector
        };
        assert_eq!(mean(Ties::Lower), array![-0.75, -0.75]);
        assert_eq!(mean(Ties::First), array![0.75, 0.75]);
    }

    #[test]
    fn agrees_with_sorting_by_distance() {
        let mut rng = run_stream(5, Purpose::Aggregation);
        for (n, f) in [(3, 1), (8, 3), (21, 10), (40, 8)] {
            let rows = Array2::from_shape_fn((n, 30), |_| rng.random::<f32>().powi(3));
            let result = aggregate_with(&MeanAroundMedian::default(), &rows, f, None).unwrap();
            for (column, &mean) in rows.columns().into_iter().zip(&result.vector) {
                let mut column: Vec<f64> = column.iter().map(|&x| f64::from(x)).collect();
                column.sort_by(f64::total_cmp);
                let median = 0.5 * (column[(n - 1) / 2] + column[n / 2]);
                column.sort_by(|a, b| (a - median).abs().total_cmp(&(b - median).abs()));
                let slow = column[..n - f].iter().sum::<f64>() / (n - f) as f64;
                assert!((f64::from(mean) - slow).abs() < 1e-6, "{mean} {slow} at {n}, {f}");
            }
        }
    }
}
