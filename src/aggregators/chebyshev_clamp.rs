//! Chebyshev clamp: in each coordinate, values far from the mean are brought back, and averaged.
//!
//! With `μ` the mean of a coordinate over the rows and `σ` its standard deviation (n - 1 below),
//! `F(x) = (1/n) Σ min(max(x_i, μ - kσ), μ + kσ)`, `k` being `deviations`. By Chebyshev's
//! inequality no more than one row in `k²` lies beyond. Where `σ` is at most `least`, nothing is
//! moved.
//!
//! Fails as soon as liars are bold: mean and deviation are theirs to move. A single row at `z` far
//! away takes `μ` along by `z/n` and widens the band by as much as `kz/√n`, so that the outcome
//! grows without bound with `z`, by about `z (1 + k √n) / n²` and more. It blunts a lone outlier
//! against many honest rows and is no robust rule: it tolerates nobody, and has no `f`.
//!
//! Reference: the clamp of the FL-Byzantine-Library of the CRYPTO group at Koç University; it has
//! no paper of its own. Chebyshev's inequality: Bienaymé 1853, Chebyshev 1867.

use std::sync::Arc;

use ndarray::ArrayView2;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::{ConfigError, Entry};
use crate::kernels::clamped::clamped_means;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "chebyshev_clamp",
    summary: "the mean after far values are brought back to some deviations from the mean",
    reference: "FL-Byzantine-Library, CRYPTO-KU 32922ca",
    source: include_str!("chebyshev_clamp.rs"),
    claims: Claims {
        permutation_invariant: true,
        translation_equivariant: true,
        scale_equivariant: true,
        tolerates: |rows| rows.checked_sub(1).map(|_| 0),
        robust: false,
        remembers: Remembers::Nothing,
        uses_byzantine: false,
        uses_samples: false,
    },
    parameters: || schema_for!(ChebyshevClamp),
    build: |parameters| {
        parameters.build::<dyn Aggregator, ChebyshevClamp>(|rule| Ok(Arc::new(rule.checked()?)))
    },
};

/// Parameters of the clamp.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct ChebyshevClamp {
    /// How many standard deviations from the mean a value may be (default 1).
    deviations: f64,
    /// The deviation up to which a coordinate is left as it is, in the unit of updates (default 0).
    least: f64,
}

impl Default for ChebyshevClamp {
    fn default() -> Self {
        ChebyshevClamp { deviations: 1.0, least: 0.0 }
    }
}

impl ChebyshevClamp {
    fn checked(self) -> Result<Self, ConfigError> {
        let ChebyshevClamp { deviations, least } = self;
        if !(deviations > 0.0 && deviations.is_finite()) {
            let message = format!("`deviations` = {deviations}, and it must be above 0");
            return Err(ConfigError::new(message));
        }
        if !(least >= 0.0 && least.is_finite()) {
            let message = format!("`least` = {least}, and it must be at least 0");
            return Err(ConfigError::new(message));
        }
        Ok(self)
    }
}

impl Aggregator for ChebyshevClamp {
    fn admits(&self, rows: usize, _byzantine: usize) -> Result<(), AggregateError> {
        if rows == 0 { Err(AggregateError::Empty { rule: ENTRY.name }) } else { Ok(()) }
    }

    /// Every coordinate moves other rows, so that no row has one weight.
    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        self.admits(updates.nrows(), context.byzantine)?;
        Ok(Aggregate { vector: clamped_means(updates, self.deviations, self.least), weights: None })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::aggregators::tests::aggregate_with;

    #[test]
    fn a_far_value_comes_back() {
        // The mean of 0, 0, 0, 8 is 2 and the deviation 4: the last comes back to 6.
        let rows = array![[0.0, 1.0], [0.0, 1.0], [0.0, 1.0], [8.0, 1.0]];
        let result = aggregate_with(&ChebyshevClamp::default(), &rows, 0, None).unwrap();
        assert_eq!(result.vector, array![1.5, 1.0]);
        let narrow = ChebyshevClamp { deviations: 0.25, least: 0.0 };
        // All are a deviation of 0.5 or more away: three come to 1, one to 3.
        assert_eq!(aggregate_with(&narrow, &rows, 0, None).unwrap().vector, array![1.5, 1.0]);
        let deaf = ChebyshevClamp { least: 4.0, ..ChebyshevClamp::default() };
        assert_eq!(aggregate_with(&deaf, &rows, 0, None).unwrap().vector, array![2.0, 1.0]);
    }

    #[test]
    fn one_liar_moves_it_as_far_as_it_likes() {
        let outcome = |lie: f32| {
            let rows = array![[0.0], [0.0], [0.0], [lie]];
            aggregate_with(&ChebyshevClamp::default(), &rows, 0, None).unwrap().vector[0]
        };
        assert!((outcome(1e6) / outcome(1e3) - 1e3).abs() < 1e-2);
    }

    #[test]
    fn nobody_is_refused_and_unsound_parameters_are() {
        let none = ndarray::Array2::zeros((0, 2));
        assert!(aggregate_with(&ChebyshevClamp::default(), &none, 0, None).is_err());
        for deviations in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(ChebyshevClamp { deviations, least: 0.0 }.checked().is_err());
        }
        assert!(ChebyshevClamp { deviations: 1.0, least: -1.0 }.checked().is_err());
    }
}
