//! FLAME: whoever looks where most look is admitted, scaled to the median norm, and noise covers
//! what is left.
//!
//! Admitted is the first cluster of more than half of the rows that grows when rows are joined in
//! ascending order of cosine distance. That is what HDBSCAN comes to with a least cluster of
//! `⌊n/2⌋ + 1`, one sample for density and a single cluster allowed. Admitted rows longer than
//! `S`, the median norm of all rows, are scaled down to it; their mean is returned with normal
//! noise of deviation `noise · S` in every coordinate. The authors compare models where this
//! compares updates, whose angles are not blurred by what all models share; their noise is 0.001
//! for images, and no differential privacy.
//!
//! The repository that is usually run (zhmzm) departs twice: it clusters the rows of the distance
//! matrix as if they were points, and it scales each admitted row by the norm of somebody else,
//! the row at its place among the admitted. Both are reached by `distance = "rows"` and
//! `scale_by = "place"`, and neither is what the paper says.
//!
//! Fails where liars keep to the angle of the crowd, which a model replacement with a constraint
//! on the cosine does, and with heterogeneous data, where up to half of the honest are thrown
//! out. Needs n > 2f.
//!
//! Reference: Nguyen et al., FLAME: Taming Backdoors in Federated Learning, USENIX Security 2022.

use std::sync::Arc;

use ndarray::{Array1, Array2, ArrayView2};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::norm_bound::{add_noise, bounded_shares};
use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::{ConfigError, Entry};
use crate::kernels::cosines::cosines;
use crate::kernels::linkage::first_cluster_of;
use crate::kernels::means::weighted_sum;
use crate::kernels::row_norms::{lower_median, median, row_norms};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "flame",
    summary: "the mean of the majority by angle, clipped to the median norm, and a little noise",
    reference: "Nguyen et al., USENIX Security 2022",
    source: include_str!("flame.rs"),
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
    parameters: || schema_for!(Flame),
    build: |parameters| {
        parameters.build::<dyn Aggregator, Flame>(|rule| {
            if !(rule.noise >= 0.0 && rule.noise.is_finite()) {
                let message = format!("`noise` = {}, and it must be at least 0", rule.noise);
                return Err(ConfigError::new(message));
            }
            Ok(Arc::new(rule))
        })
    },
};

/// Parameters of FLAME.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Flame {
    /// The deviation of the noise, in median norms (default 0.001).
    noise: f64,
    /// The median norm of an even number of rows: their `midpoint` (default) or the `lower`.
    middle: Middle,
    /// What is small between rows alike: the `cosine` distance (default), or the distance between
    /// `rows` of the matrix of cosine distances.
    distance: Distance,
    /// Whose norm scales an admitted row: its `own` (default), or that of the row at its `place`
    /// among the admitted.
    scale_by: ScaleBy,
}

/// The median of an even number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Middle {
    /// Halfway between the two middle values.
    #[default]
    Midpoint,
    /// The smaller of them.
    Lower,
}

/// What is small between rows that are alike.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Distance {
    /// One less the cosine.
    #[default]
    Cosine,
    /// The Euclidean distance between rows of the matrix of these.
    Rows,
}

/// Whose norm scales an admitted row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum ScaleBy {
    /// Its own.
    #[default]
    Own,
    /// That of the row whose number is its place among the admitted.
    Place,
}

impl Default for Flame {
    fn default() -> Self {
        Flame {
            noise: 0.001,
            middle: Middle::default(),
            distance: Distance::default(),
            scale_by: ScaleBy::default(),
        }
    }
}

impl Aggregator for Flame {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        AggregateError::unless_majority(ENTRY.name, rows, byzantine)
    }

    fn rescales(&self) -> bool {
        true
    }

    /// Everybody who is admitted counts alike after it was scaled.
    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        let rows = updates.nrows();
        self.admits(rows, context.byzantine)?;
        let norms = row_norms(updates);
        let admitted = first_cluster_of(&self.distance.between(updates), rows / 2 + 1);
        let bound = match self.middle {
            Middle::Midpoint => median(&norms),
            Middle::Lower => lower_median(&norms),
        };
        let shares = bounded_shares(&self.scale_by.norms(&norms, &admitted), &admitted, bound);
        let even = bounded_shares(&vec![0.0; rows], &admitted, 0.0);
        let mut vector = weighted_sum(updates, &shares);
        add_noise(&mut vector, self.noise * bound, context);
        Ok(Aggregate { vector, weights: Some(Array1::from(even)) })
    }
}

impl Distance {
    fn between(self, updates: ArrayView2<'_, f32>) -> Array2<f64> {
        let distances = cosines(updates, -1.0).mapv(|cosine| 1.0 - cosine);
        if self == Distance::Cosine {
            return distances;
        }
        let apart = |(i, j): (usize, usize)| {
            let pairs = distances.row(i).into_iter().zip(distances.row(j));
            pairs.map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
        };
        Array2::from_shape_fn(distances.dim(), apart)
    }
}

impl ScaleBy {
    /// The norm by which each row is scaled.
    fn norms(self, norms: &[f64], admitted: &[bool]) -> Vec<f64> {
        let mut scaling = norms.to_vec();
        if self == ScaleBy::Place {
            let rows = (0..norms.len()).filter(|&row| admitted[row]);
            rows.enumerate().for_each(|(place, row)| scaling[row] = norms[place]);
        }
        scaling
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::aggregators::tests::aggregate_with;

    fn quiet() -> Flame {
        Flame { noise: 0.0, ..Flame::default() }
    }

    #[test]
    fn the_crowd_is_admitted_and_scaled() {
        // Lengths 1, 2, 6, 2, 2: the bound is 2, and the third looks elsewhere.
        let rows = array![[1.0, 0.0], [2.0, 0.0], [0.0, 6.0], [2.0, 0.0], [-2.0, 0.0]];
        let result = aggregate_with(&quiet(), &rows, 2, None).unwrap();
        assert!((result.vector[0] - 5.0 / 3.0).abs() < 1e-6);
        let third = 1.0 / 3.0;
        assert_eq!(result.weights, Some(array![third, third, 0.0, third, 0.0]));
    }

    #[test]
    fn an_admitted_row_is_scaled_by_its_own_norm_or_that_at_its_place() {
        // The second and the third row are admitted, at the places of the first and the second.
        let rows = array![[0.0, 1.0], [4.0, 0.0], [2.0, 0.0]];
        let own = aggregate_with(&quiet(), &rows, 1, None).unwrap().vector;
        assert_eq!(own, array![2.0, 0.0]);
        let rule = Flame { scale_by: ScaleBy::Place, ..quiet() };
        // 4 is not scaled at all, and 2 is halved.
        assert_eq!(aggregate_with(&rule, &rows, 1, None).unwrap().vector, array![2.5, 0.0]);
    }

    #[test]
    fn noise_is_in_median_norms() {
        let rows = Array2::from_elem((3, 2500), 2.0);
        let result = aggregate_with(&Flame::default(), &rows, 1, None).unwrap().vector;
        // The median norm is 100, so the deviation is 0.1.
        let deviation = result.mapv(|x| (x - 2.0) * (x - 2.0)).mean().unwrap().sqrt();
        assert!((deviation - 0.1).abs() < 0.01, "{deviation}");
    }
}
