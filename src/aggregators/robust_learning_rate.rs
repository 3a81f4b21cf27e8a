//! Robust learning rate: where too few signs agree, the server steps the other way.
//!
//! `F(x)_k = u_k base(x)_k`, with `u_k = 1` where `|Σ_i sign(x_ik)|` reaches the `threshold`
//! and `-1` elsewhere. The base is the mean, the median or the majority vote over signs. What a
//! few implant in coordinates that leave the others cold is moved away from.
//!
//! The threshold is chosen by hand in the paper; unless given it is `f + 1`, the least with which
//! liars alone reach it nowhere. Larger ones flip more of what is honest.
//!
//! Fails where honest workers disagree, with heterogeneous data above all: the model then climbs
//! in every coordinate in which it should stand still. A single liar sways signs in coordinates
//! that are balanced. And the mean as base is as large as any liar wants, in either direction, so
//! it is no rule against liars who do not hide; updates are to be bounded before.
//!
//! Reference: Ozdayi, Kantarcioglu, Gel, Defending against Backdoors in Federated Learning with
//! Robust Learning Rate, AAAI 2021.

use std::sync::Arc;

use ndarray::{Array1, ArrayView2};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::Entry;
use crate::kernels::columns::summarise_ranks;
use crate::kernels::means::weighted_sum;
use crate::kernels::votes::votes;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "robust_learning_rate",
    summary: "the mean, turned around in coordinates where too few signs agree",
    reference: "Ozdayi, Kantarcioglu, Gel, AAAI 2021",
    source: include_str!("robust_learning_rate.rs"),
    claims: Claims {
        permutation_invariant: true,
        translation_equivariant: false,
        scale_equivariant: true,
        tolerates: |rows| rows.checked_sub(1).map(|_| 0),
        robust: false,
        remembers: Remembers::Nothing,
        uses_byzantine: true,
        uses_samples: false,
    },
    parameters: || schema_for!(RobustLearningRate),
    build: |parameters| {
        parameters.build::<dyn Aggregator, RobustLearningRate>(|rule| Ok(Arc::new(rule)))
    },
};

/// Parameters of the robust learning rate.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RobustLearningRate {
    /// By how many votes signs must lead, in rows (default: f + 1).
    threshold: Option<u32>,
    /// What is turned around: the `mean` (default), the lower `median`, the majority vote over
    /// signs (`sign`), or nothing but ones (`rate`), which is the vector of rates itself.
    base: Base,
}

/// What is turned around.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Base {
    /// The mean of the rows.
    #[default]
    Mean,
    /// The lower median of every coordinate.
    Median,
    /// The sign of the sum of signs.
    Sign,
    /// One in every coordinate.
    Rate,
}

impl Aggregator for RobustLearningRate {
    fn admits(&self, rows: usize, _byzantine: usize) -> Result<(), AggregateError> {
        if rows == 0 { Err(AggregateError::Empty { rule: ENTRY.name }) } else { Ok(()) }
    }

    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        self.admits(updates.nrows(), context.byzantine)?;
        let threshold = self.threshold.map_or(context.byzantine as u64 + 1, u64::from);
        let votes = votes(updates);
        let mut vector = self.base.of(updates, &votes);
        for (value, votes) in vector.iter_mut().zip(&votes) {
            if votes.unsigned_abs() < threshold {
                *value = -*value;
            }
        }
        Ok(Aggregate { vector, weights: None })
    }
}

impl Base {
    fn of(self, updates: ArrayView2<'_, f32>, votes: &Array1<i64>) -> Array1<f32> {
        let rows = updates.nrows();
        match self {
            Base::Mean => weighted_sum(updates, &vec![1.0 / rows as f32; rows]),
            Base::Median => {
                let middle = (rows - 1) / 2;
                summarise_ranks(updates, middle..middle + 1, |rows| rows[0])
            }
            Base::Sign => votes.mapv(|votes| votes.signum() as f32),
            Base::Rate => Array1::ones(updates.ncols()),
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::aggregators::tests::aggregate_with;

    fn rows() -> Array2<f32> {
        // Votes: 3, 1, -1, 0.
        array![[1.0, 1.0, -3.0, 0.0], [2.0, 1.0, -3.0, 4.0], [3.0, -5.0, 9.0, -1.0]]
    }

    fn aggregate(threshold: Option<u32>, base: Base, byzantine: usize) -> Array1<f32> {
        let rule = RobustLearningRate { threshold, base };
        aggregate_with(&rule, &rows(), byzantine, None).unwrap().vector
    }

    #[test]
    fn the_mean_is_turned_where_too_few_agree() {
        assert_eq!(aggregate(Some(3), Base::Mean, 0), array![2.0, 1.0, -1.0, -1.0]);
        assert_eq!(aggregate(Some(1), Base::Mean, 0), array![2.0, -1.0, 1.0, -1.0]);
    }

    #[test]
    fn the_threshold_follows_f_unless_it_is_given() {
        assert_eq!(aggregate(None, Base::Rate, 0), array![1.0, 1.0, 1.0, -1.0]);
        assert_eq!(aggregate(None, Base::Rate, 1), array![1.0, -1.0, -1.0, -1.0]);
    }

    #[test]
    fn other_bases() {
        assert_eq!(aggregate(Some(3), Base::Median, 0), array![2.0, -1.0, 3.0, -0.0]);
        assert_eq!(aggregate(Some(3), Base::Sign, 0), array![1.0, -1.0, 1.0, -0.0]);
    }
}
