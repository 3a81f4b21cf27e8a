//! Clipped clustering: updates are scaled to the median of all norms so far, parted in two by the
//! angles between them, and the larger part is averaged.
//!
//! Rows longer than the median of the norms of all rows of all rounds are scaled down to it.
//! Then the two nearest clusters by cosine distance are joined until two are left. The larger is
//! averaged; of two equally large ones the one that was complete last. `linkage` says how far
//! clusters are from each other: by the mean of all pairs (the authors' later library), by the
//! farthest pair (their first one), or by the nearest.
//!
//! Fails as soon as liars look the same way as the honest, or are spread: the smaller part may
//! then hold one honest row, and all liars are averaged, each as long as the bound. With
//! heterogeneous data the angle between honest groups is larger than that to liars. In the first
//! rounds the history is short, and updates shrink as training goes on, so that an old bound is
//! wide. Needs n > 2f, and the history of everybody's norms.
//!
//! Reference: Li, Ngai, Voigt, An Experimental Study of Byzantine-Robust Aggregation Schemes in
//! Federated Learning, IEEE Transactions on Big Data, 2023.

use std::sync::Arc;

use ndarray::{Array1, ArrayView2};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::norm_bound::bounded_shares;
use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::{ConfigError, Entry};
use crate::kernels::cosines::cosines;
use crate::kernels::linkage::{Linkage, two_clusters};
use crate::kernels::means::weighted_sum;
use crate::kernels::row_norms::{median, row_norms};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "clipped_clustering",
    summary: "the mean of the larger of two clusters by angle, after clipping to past norms",
    reference: "Li, Ngai, Voigt, IEEE Transactions on Big Data 2023",
    source: include_str!("clipped_clustering.rs"),
    claims: Claims {
        permutation_invariant: true,
        translation_equivariant: false,
        scale_equivariant: true,
        tolerates: |rows| Some(rows.checked_sub(1)? / 2),
        robust: false,
        remembers: Remembers::History,
        uses_byzantine: false,
        uses_samples: false,
    },
    parameters: || schema_for!(ClippedClustering),
    build: |parameters| {
        parameters.build::<dyn Aggregator, ClippedClustering>(|rule| {
            if let Some(bound) = rule.bound.filter(|bound| bound.is_nan() || *bound <= 0.0) {
                let message = format!("`bound` = {bound}, and it must be above 0");
                return Err(ConfigError::new(message));
            }
            Ok(Arc::new(rule))
        })
    },
};

/// The norms of all rounds so far.
const NORMS: &str = "clipped_clustering: norms";

/// Parameters of clipped clustering.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct ClippedClustering {
    /// How far clusters are from each other: `average` (default), `single` or `complete`.
    linkage: Linkage,
    /// The largest norm whatever the history says, in the unit of updates (default: none).
    bound: Option<f64>,
}

impl Aggregator for ClippedClustering {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        AggregateError::unless_majority(ENTRY.name, rows, byzantine)
    }

    fn remembers(&self) -> Remembers {
        Remembers::History
    }

    fn rescales(&self) -> bool {
        true
    }

    /// Everybody in the larger cluster counts alike after it was scaled.
    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        self.admits(updates.nrows(), context.byzantine)?;
        let norms = row_norms(updates);
        let bound = self.bound(&norms, context);
        // The angles of scaled rows are those of the rows.
        let distances = cosines(updates, -1.0).mapv(|cosine| 1.0 - cosine);
        let first = two_clusters(&distances, self.linkage);
        let members = first.iter().filter(|&&first| first).count();
        let larger = members > updates.nrows() / 2;
        let counted: Vec<bool> = first.iter().map(|&first| first == larger).collect();
        let shares = bounded_shares(&norms, &counted, bound);
        let even = bounded_shares(&vec![0.0; norms.len()], &counted, 0.0);
        let vector = weighted_sum(updates, &shares);
        Ok(Aggregate { vector, weights: Some(Array1::from(even)) })
    }
}

impl ClippedClustering {
    /// The median of all norms so far, this round's included; rows that are not finite leave none.
    fn bound(&self, norms: &[f64], context: &mut Context<'_>) -> f64 {
        let mut history = context.memory.get(NORMS).unwrap_or_default().to_vec();
        history.extend(norms.iter().map(|&norm| norm as f32).filter(|norm| norm.is_finite()));
        let all: Vec<f64> = history.iter().map(|&norm| f64::from(norm)).collect();
        context.memory.set(NORMS, history);
        median(&all).min(self.bound.unwrap_or(f64::INFINITY))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::memory::Memory;
    use crate::node::{NodeId, Round};
    use crate::seed::{Purpose, run_stream};

    /// Aggregates one round after another with one memory.
    fn rounds(rounds: &[Array2<f32>]) -> Vec<Aggregate> {
        let mut memory = Memory::default();
        let senders: Vec<NodeId> = (0..rounds[0].nrows() as u32).map(NodeId).collect();
        let mut aggregate = |updates: &Array2<f32>| {
            let mut context = Context {
                round: Round(1),
                rounds_total: 2,
                byzantine: 1,
                senders: &senders,
                samples: None,
                previous: None,
                trusted: None,
                head: None,
                memory: &mut memory,
                rng: &mut run_stream(1, Purpose::Aggregation),
            };
            ClippedClustering::default().aggregate(updates.view(), &mut context).unwrap()
        };
        rounds.iter().map(&mut aggregate).collect()
    }

    #[test]
    fn the_larger_side_is_averaged_at_the_median_length() {
        // Lengths 2, 4, 8, 3: the bound is 3.5, so the second row becomes (0, 3.5).
        let rows = array![[0.0, 2.0], [0.0, 4.0], [-8.0, 0.0], [0.0, 3.0]];
        let result = rounds(&[rows]).remove(0);
        assert!((result.vector[1] - 8.5 / 3.0).abs() < 1e-6, "{}", result.vector);
        assert_eq!(result.vector[0], 0.0);
        let third = 1.0 / 3.0;
        assert_eq!(result.weights, Some(array![third, third, 0.0, third]));
    }

    #[test]
    fn earlier_norms_count() {
        let (short, long) = (array![[1.0], [1.0], [1.0]], array![[9.0], [9.0], [9.0]]);
        // Three ones and three nines: the bound is 5.
        assert!((rounds(&[short, long])[1].vector[0] - 5.0).abs() < 1e-6);
    }
}
