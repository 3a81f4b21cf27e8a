//! The majority vote over signs: every coordinate goes one step the way most updates point.
//!
//! `F(x)_k = step · sign(Σ_i sign(x_ik))`. Magnitudes are thrown away, so that no liar counts
//! more than one vote per coordinate, and a worker would need to send one bit for each.
//!
//! Fails near a minimum, where honest updates shrink and the step does not: the learning rate
//! must fall. Where honest workers hold different data the vote of a coordinate says nothing of
//! how much it matters to whom, and signs of noise are votes too; f liars turn every coordinate
//! that less than f honest ones lead. Coordinates with as many votes for as against stay. Needs
//! n > 2f.
//!
//! Reference: Bernstein, Zhao, Azizzadenesheli, Anandkumar, signSGD with Majority Vote is
//! Communication Efficient and Fault Tolerant, ICLR 2019.

use std::sync::Arc;

use ndarray::ArrayView2;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::{ConfigError, Entry};
use crate::kernels::votes::votes;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "sign_majority",
    summary: "one step in every coordinate, the way most updates point",
    reference: "Bernstein et al., ICLR 2019",
    source: include_str!("sign_majority.rs"),
    claims: Claims {
        permutation_invariant: true,
        translation_equivariant: false,
        scale_equivariant: false,
        tolerates: |rows| Some(rows.checked_sub(1)? / 2),
        robust: false,
        remembers: Remembers::Nothing,
        uses_byzantine: false,
        uses_samples: false,
    },
    parameters: || schema_for!(SignMajority),
    build: |parameters| {
        parameters.build::<dyn Aggregator, SignMajority>(|rule| {
            if !(rule.step > 0.0 && rule.step.is_finite()) {
                let message = format!("`step` = {}, and it must be above 0", rule.step);
                return Err(ConfigError::new(message));
            }
            Ok(Arc::new(rule))
        })
    },
};

/// Parameters of the majority vote.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct SignMajority {
    /// How far a coordinate goes, in the unit of updates (default 1).
    step: f32,
}

impl Default for SignMajority {
    fn default() -> Self {
        SignMajority { step: 1.0 }
    }
}

impl Aggregator for SignMajority {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        AggregateError::unless_majority(ENTRY.name, rows, byzantine)
    }

    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        self.admits(updates.nrows(), context.byzantine)?;
        let step = |votes: i64| self.step * votes.signum() as f32;
        Ok(Aggregate { vector: votes(updates).into_iter().map(step).collect(), weights: None })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::aggregators::tests::aggregate_with;

    #[test]
    fn the_majority_of_signs() {
        let rows = array![[9.0, -1e30, 0.0], [-0.1, 2.0, -1.0], [-0.2, 3.0, 1.0]];
        let result = aggregate_with(&SignMajority::default(), &rows, 1, None).unwrap();
        assert_eq!(result.vector, array![-1.0, 1.0, 0.0]);
        assert_eq!(result.weights, None);
    }

    #[test]
    fn the_step_is_a_parameter_and_nan_has_no_vote() {
        let rows = array![[f32::NAN, -f32::NAN], [f32::INFINITY, f32::NEG_INFINITY]];
        let result = aggregate_with(&SignMajority { step: 0.5 }, &rows, 0, None).unwrap();
        assert_eq!(result.vector, array![0.5, -0.5]);
    }
}
