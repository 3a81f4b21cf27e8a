//! `SignGuard`: updates of unusual length or with an unusual balance of signs are left out.
//!
//! Two filters, and who passes both is averaged. The first keeps rows whose norm lies within
//! `lower` and `upper` times the median norm M. The second looks at one random block of
//! coordinates, a `fraction` of them in a row, counts the shares of values above, below and equal
//! to zero, each over the largest such share of all rows, and keeps the largest cluster by mean
//! shift, with the mean distance to the ⌊n/2⌋-th nearest row for a bandwidth. Rows that are left
//! are scaled down to the lower median norm and averaged.
//!
//! `similarity` adds a fourth feature, as the authors' variants do: the `cosine` to the aggregate
//! of the round before (in the first three rounds the median cosine to other rows), or whether the
//! `distance` to it is unusual. The `fedlib` library does otherwise: it scales rows down to M
//! before the first filter, which then never refuses a long one, and parts the shares of all
//! coordinates in two.
//!
//! Fails against whoever keeps length and balance of signs and changes the order of coordinates:
//! the second filter knows no coordinate from another. With heterogeneous data honest workers
//! differ in these as well, and the smaller of the honest groups is left out. Refuses where nobody
//! passes, unless `empty` says otherwise. Needs n > 2f.
//!
//! Reference: Xu, Huang, Song, Lan, Byzantine-robust Federated Learning through Collaborative
//! Malicious Gradient Filtering, ICDCS 2022.

use std::sync::Arc;

use ndarray::{Array1, ArrayView2, Axis};
use rand::RngExt;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::norm_bound::bounded_shares;
use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::{ConfigError, Entry};
use crate::kernels::centres::squared_distances_to;
use crate::kernels::columns::summarise_ranks;
use crate::kernels::cosines::{cosine, cosines};
use crate::kernels::distances::squared_distances;
use crate::kernels::mean_shift;
use crate::kernels::means::weighted_sum;
use crate::kernels::row_norms::{each_row, lower_median, median, row_norms};
use crate::kernels::two_means::two_means;
use crate::vector::{dot, norm};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "sign_guard",
    summary: "the mean of rows of usual length and with a usual balance of signs",
    reference: "Xu, Huang, Song, Lan, ICDCS 2022",
    source: include_str!("sign_guard.rs"),
    claims: Claims {
        permutation_invariant: true,
        translation_equivariant: false,
        scale_equivariant: true,
        tolerates: |rows| Some(rows.checked_sub(1)? / 2),
        robust: false,
        remembers: Remembers::Nothing,
        uses_byzantine: false,
        uses_samples: false,
    },
    parameters: || schema_for!(SignGuard),
    build: |parameters| parameters.build::<dyn Aggregator, SignGuard>(SignGuard::checked),
};

/// The quantile of distances that is the bandwidth of the clusters.
const QUANTILE: f64 = 0.5;

/// What keeps a quotient of features finite.
const SMALL: f32 = 1e-8;

/// Rounds in which there is too little of a direction to compare with.
const EARLY_ROUNDS: u32 = 3;

/// Parameters of `SignGuard`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct SignGuard {
    /// The least norm that passes, in median norms (default 0.1).
    lower: f64,
    /// The largest norm that passes, in median norms (default 3).
    upper: f64,
    /// The share of coordinates whose signs are counted, above 0 and up to 1 (default 0.1).
    fraction: f64,
    /// Where the block of coordinates begins, one for each round from the first on, counted from
    /// 0; rounds behind the end of the list draw it (default: none, all draw).
    starts: Vec<usize>,
    /// How rows are grouped by the balance of their signs: by `mean_shift` over shares relative
    /// to the largest (default), or in `two_means` over the shares themselves.
    clusters: Clusters,
    /// Which of two groups, 0 or 1, each row is in by `two_means`, one list for each round from the
    /// first on, in place of finding them (default: none). Of equal ones 0 counts as the larger.
    groups: Vec<Vec<u8>>,
    /// A fourth feature: `none` (default), the `cosine` to the aggregate before, or whether the
    /// `distance` to it is unusual.
    similarity: Similarity,
    /// When rows are scaled down to the median norm: `after` the filters, to the lower median
    /// (default), or `before` them, to the midpoint.
    scale: Scale,
    /// What is made of those who pass: their `mean` (default), or the coordinate-wise `median`.
    combine: Combine,
    /// What happens where nobody passes: it `refuse`s and the model stays (default), takes `all`
    /// rows, or returns `zero`.
    empty: Empty,
}

/// How rows are grouped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Clusters {
    /// The largest cluster by mean shift.
    #[default]
    MeanShift,
    /// The larger of two clusters around means.
    TwoMeans,
}

/// The fourth feature.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Similarity {
    /// There is none.
    #[default]
    None,
    /// The cosine to the aggregate before.
    Cosine,
    /// Whether the distance to the aggregate before is unusual.
    Distance,
}

/// When rows are scaled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Scale {
    /// Behind the filters.
    #[default]
    After,
    /// In front of them.
    Before,
}

/// What is made of those who pass.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Combine {
    /// Their mean.
    #[default]
    Mean,
    /// Their median in every coordinate.
    Median,
}

/// What happens where nobody passes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Empty {
    /// The rule refuses.
    #[default]
    Refuse,
    /// Everybody passes.
    All,
    /// The aggregate is zero.
    Zero,
}

impl Default for SignGuard {
    fn default() -> Self {
        SignGuard {
            lower: 0.1,
            upper: 3.0,
            fraction: 0.1,
            starts: Vec::new(),
            clusters: Clusters::default(),
            groups: Vec::new(),
            similarity: Similarity::default(),
            scale: Scale::default(),
            combine: Combine::default(),
            empty: Empty::default(),
        }
    }
}

impl SignGuard {
    fn checked(self) -> Result<Arc<dyn Aggregator>, ConfigError> {
        if !(self.lower >= 0.0 && self.lower < self.upper) {
            let SignGuard { lower, upper, .. } = self;
            let message = format!("`lower` = {lower}, and it must be 0 to `upper` = {upper}");
            return Err(ConfigError::new(message));
        }
        if !(self.fraction > 0.0 && self.fraction <= 1.0) {
            let fraction = self.fraction;
            let message = format!("`fraction` = {fraction}, and it must be above 0 and up to 1");
            return Err(ConfigError::new(message));
        }
        Ok(Arc::new(self))
    }
}

impl Aggregator for SignGuard {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        AggregateError::unless_majority(ENTRY.name, rows, byzantine)
    }

    fn remembers(&self) -> Remembers {
        match self.similarity {
            Similarity::None => Remembers::Nothing,
            Similarity::Cosine | Similarity::Distance => Remembers::PreviousAggregate,
        }
    }

    fn rescales(&self) -> bool {
        true
    }

    /// Everybody who passes counts alike after it was scaled; a median has no weights.
    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        let (rows, columns) = updates.dim();
        self.admits(rows, context.byzantine)?;
        let updates = updates.as_standard_layout();
        let norms = row_norms(updates.view());
        let usual = self.usual_length(&norms);
        let grouped = self.largest_group(updates.view(), &norms, context);
        let mut passing: Vec<bool> = usual.iter().zip(grouped).map(|(&a, b)| a && b).collect();
        if !passing.contains(&true) {
            match self.empty {
                Empty::All => passing = norms.iter().map(|norm| norm.is_finite()).collect(),
                Empty::Zero => {
                    return Ok(Aggregate { vector: Array1::zeros(columns), weights: None });
                }
                Empty::Refuse => {
                    let message = format!("none of {rows} rows passes both filters");
                    return Err(AggregateError::Unfit { rule: ENTRY.name, message });
                }
            }
        }
        let bound = match self.scale {
            Scale::After => lower_median(&norms),
            Scale::Before => median(&norms),
        };
        Ok(self.combine.of(updates.view(), &norms, &passing, bound))
    }
}

impl SignGuard {
    /// Whether each row's norm is near enough to the median.
    fn usual_length(&self, norms: &[f64]) -> Vec<bool> {
        let middle = median(norms);
        let (least, most) = (self.lower * middle, self.upper * middle);
        norms
            .iter()
            .map(|&norm| match self.scale {
                Scale::After => norm > least && norm < most,
                // Whatever is long was cut to the median before.
                Scale::Before => norm >= least,
            })
            .collect()
    }

    /// Whether each row is in the largest group by its balance of signs.
    fn largest_group(
        &self,
        updates: ArrayView2<'_, f32>,
        norms: &[f64],
        context: &mut Context<'_>,
    ) -> Vec<bool> {
        let mut features = balances(updates, self.block(updates.ncols(), context));
        if self.clusters == Clusters::TwoMeans {
            let given = self.groups.get(context.round.0.saturating_sub(1) as usize);
            return match given.filter(|groups| groups.len() == updates.nrows()) {
                Some(groups) => larger_group(groups),
                None => two_means(&features),
            };
        }
        relative_to_largest(&mut features);
        let fourth = match self.similarity {
            Similarity::None => Vec::new(),
            Similarity::Cosine => cosine_feature(updates, norms, context),
            Similarity::Distance => distance_feature(updates, context),
        };
        features.iter_mut().zip(fourth).for_each(|(row, fourth)| row.push(fourth));
        let bandwidth = mean_shift::bandwidth(&features, QUANTILE);
        let clusters = mean_shift::clusters(&features, bandwidth);
        let count = |cluster: usize| clusters.iter().filter(|of| **of == Some(cluster)).count();
        let numbers = 0..clusters.iter().flatten().map(|cluster| cluster + 1).max().unwrap_or(0);
        // The first of several that are equally large.
        let largest = numbers.rev().max_by_key(|&cluster| count(cluster));
        clusters.iter().map(|cluster| cluster.is_some() && *cluster == largest).collect()
    }

    /// The coordinates whose signs are counted.
    fn block(&self, columns: usize, context: &mut Context<'_>) -> std::ops::Range<usize> {
        let length = ((self.fraction * columns as f64) as usize).clamp(1.min(columns), columns);
        let last = columns - length;
        let given = self.starts.get(context.round.0.saturating_sub(1) as usize);
        let start = match given {
            Some(&start) => start.min(last),
            None => context.rng.random_range(0..last.max(1)),
        };
        start..start + length
    }
}

impl Combine {
    fn of(
        self,
        updates: ArrayView2<'_, f32>,
        norms: &[f64],
        passing: &[bool],
        bound: f64,
    ) -> Aggregate {
        if self == Combine::Mean {
            let even = bounded_shares(&vec![0.0; norms.len()], passing, 0.0);
            let shares = bounded_shares(norms, passing, bound);
            let vector = weighted_sum(updates, &shares);
            return Aggregate { vector, weights: Some(Array1::from(even)) };
        }
        let rows: Vec<usize> = (0..norms.len()).filter(|&row| passing[row]).collect();
        let mut kept = updates.select(Axis(0), &rows);
        for (mut row, &norm) in kept.rows_mut().into_iter().zip(rows.iter().map(|&i| &norms[i])) {
            let factor = if norm > bound { bound / norm } else { 1.0 };
            row.mapv_inplace(|value| (f64::from(value) * factor) as f32);
        }
        let ranks = (rows.len() - 1) / 2..rows.len() / 2 + 1;
        let vector = summarise_ranks(kept.view(), ranks, |middle| {
            let mut between = middle[0];
            for (value, upper) in between.iter_mut().zip(&middle[middle.len() - 1]) {
                *value = (0.5 * (f64::from(*value) + f64::from(*upper))) as f32;
            }
            between
        });
        Aggregate { vector, weights: None }
    }
}

/// Whether each row is in the larger of two groups that are given.
fn larger_group(groups: &[u8]) -> Vec<bool> {
    let count: usize = groups.iter().map(|&group| usize::from(group == 1)).sum();
    let larger = u8::from(count > groups.len() / 2);
    groups.iter().map(|&group| group == larger).collect()
}

/// The shares of values above, equal to and below zero in a block of each row; NaN is none.
fn balances(updates: ArrayView2<'_, f32>, block: std::ops::Range<usize>) -> Vec<Vec<f32>> {
    let length = block.len().max(1) as f64;
    each_row(updates, |_, row| {
        let values = &row[block.start.min(row.len())..block.end.min(row.len())];
        let share = |wanted: fn(f32) -> bool| {
            (values.iter().filter(|value| wanted(**value)).count() as f64 / length) as f32
        };
        // A NaN is read as a zero.
        vec![
            share(|value| value > 0.0),
            share(|value| value == 0.0 || value.is_nan()),
            share(|value| value < 0.0),
        ]
    })
}

/// Divides each feature by the largest of all rows.
fn relative_to_largest(features: &mut [Vec<f32>]) {
    for feature in 0..3 {
        let largest = features.iter().map(|row| row[feature]).fold(0.0, f32::max);
        for row in features.iter_mut() {
            row[feature] /= largest + SMALL;
        }
    }
}

/// Each row's cosine to the aggregate before, or its median cosine to others, relative to the
/// median of all.
fn cosine_feature(updates: ArrayView2<'_, f32>, norms: &[f64], context: &Context<'_>) -> Vec<f32> {
    let previous = context.previous.as_ref().filter(|_| context.round.0 > EARLY_ROUNDS);
    let similar: Vec<f64> = if let Some(previous) = previous {
        let previous = previous.to_vec();
        let length = norm(&previous);
        each_row(updates, |row, values| {
            cosine(dot(values, &previous), norms[row], length).unwrap_or(0.0)
        })
    } else {
        let mut cosines = cosines(updates, 0.0);
        cosines.diag_mut().fill(0.0);
        cosines.rows().into_iter().map(|row| lower_median(&row.to_vec())).collect()
    };
    let middle = lower_median(&similar) as f32;
    let relative = |similar: f64| (similar as f32).max(0.0).min(middle) / (5.0 * middle + SMALL);
    similar.into_iter().map(relative).collect()
}

/// 0.2 for rows far from the aggregate before, or from their nearest neighbours in the first
/// round; 0 for the others.
fn distance_feature(updates: ArrayView2<'_, f32>, context: &Context<'_>) -> Vec<f32> {
    let distances: Vec<f64> = if let Some(previous) = &context.previous {
        let previous = previous.to_vec();
        let distances = squared_distances_to(updates, &previous);
        distances.into_iter().map(f64::sqrt).collect()
    } else {
        let near = updates.nrows() / 2;
        let to_others = |row: ndarray::ArrayView1<'_, f64>| {
            let mut row: Vec<f64> = row.iter().map(|squared| squared.sqrt()).collect();
            row.sort_by(f64::total_cmp);
            row.into_iter().take(near).sum()
        };
        squared_distances(updates).rows().into_iter().map(to_others).collect()
    };
    let unusual = 1.1 * lower_median(&distances);
    distances.into_iter().map(|distance| if distance >= unusual { 0.2 } else { 0.0 }).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::aggregators::tests::aggregate_with;

    /// All coordinates are counted, so that nothing is drawn.
    fn whole() -> SignGuard {
        SignGuard { fraction: 1.0, ..SignGuard::default() }
    }

    #[test]
    fn unusual_lengths_and_signs_are_left_out() {
        // Lengths √2, 2, √2, √2, 50√2 and 2; the fourth row has other signs, the fifth is long.
        let rows =
            array![[1.0, 1.0], [2.0, 1e-9], [1.0, 1.0], [-1.0, -1.0], [50.0, 50.0], [1e-9, 2.0]];
        let result = aggregate_with(&whole(), &rows, 2, None).unwrap();
        assert_eq!(result.weights, Some(array![0.25, 0.25, 0.25, 0.0, 0.0, 0.25]));
        // The lower median length is √2, to which the second and the sixth are scaled.
        let expected = (2.0 + 2f32.sqrt()) / 4.0;
        assert!(result.vector.iter().all(|value| (value - expected).abs() < 1e-6));
    }

    #[test]
    fn where_nobody_passes_it_refuses_or_does_as_it_is_told() {
        let rows = Array2::zeros((3, 2));
        let error = aggregate_with(&whole(), &rows, 1, None).unwrap_err();
        assert_eq!(error.to_string(), "sign_guard: none of 3 rows passes both filters");
        let zero = SignGuard { empty: Empty::Zero, ..whole() };
        assert_eq!(aggregate_with(&zero, &rows, 1, None).unwrap().vector, array![0.0, 0.0]);
        let all = SignGuard { empty: Empty::All, ..whole() };
        assert!(aggregate_with(&all, &rows, 1, None).unwrap().weights.is_some());
    }

    #[test]
    fn the_block_is_drawn_or_given() {
        let rows = array![[1.0, -1.0], [1.0, -1.0], [1.0, 1.0]];
        // The first coordinate alone tells nobody from another; by the second the last differs.
        let rule = |start| SignGuard { fraction: 0.5, starts: vec![start], ..SignGuard::default() };
        let weights = |start| aggregate_with(&rule(start), &rows, 1, None).unwrap().weights;
        let third = 1.0 / 3.0;
        assert_eq!(weights(0), Some(array![third, third, third]));
        assert_eq!(weights(1), Some(array![0.5, 0.5, 0.0]));
    }

    #[test]
    fn variants_remember_the_aggregate_before() {
        assert_eq!(whole().remembers(), Remembers::Nothing);
        let variant = SignGuard { similarity: Similarity::Cosine, ..whole() };
        assert_eq!(variant.remembers(), Remembers::PreviousAggregate);
    }
}
