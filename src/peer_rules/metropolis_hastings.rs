//! Plain gossip: the weighted mean of the own model and all that came.
//!
//! `y = W_ii x_i + Σ_j W_ij x_j`
//!
//! With Metropolis-Hastings weights, `W_ij = 1/(1 + max(deg i, deg j))` and the rest for oneself,
//! every row and column of W sums to 1, so that on a connected graph all models move to the mean
//! of all. The rule trusts the weights that it is handed. Where the degree behind a weight is
//! what the sender claims, a liar that claims degree 0 gets 1/(1 + deg i), the most there is.
//!
//! Fails with a single liar: one message with weight W takes the node anywhere. It is what the
//! others are measured against, not a defence.
//!
//! Reference: Xiao, Boyd, Kim, Distributed Average Consensus with Least-Mean-Square Deviation,
//! JPDC 2007; as decentralized learning: Lian et al., Can Decentralized Algorithms Outperform
//! Centralized Algorithms?, NIPS 2017.

use std::sync::Arc;

use ndarray::ArrayView1;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::arithmetic::moved;
use super::formula::{Formula, Occasion};
use super::{Claims, Float, Mixed, Neighbourhood, PeerRule};
use crate::aggregators::AggregateError;
use crate::catalog::Entry;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn PeerRule, Claims> = Entry {
    name: "metropolis_hastings",
    summary: "plain gossip: the weighted mean of the own model and the neighbours'",
    reference: "Xiao et al., JPDC 2007",
    source: include_str!("metropolis_hastings.rs"),
    claims: Claims {
        permutation_invariant: true,
        translation_equivariant: true,
        scale_equivariant: true,
        plain_without_liars: true,
        uses_byzantine: false,
        uses_weights: true,
        robust: false,
        tolerates: |_| usize::MAX,
    },
    parameters: || schema_for!(MetropolisHastings),
    build: |parameters| {
        parameters.build::<dyn PeerRule, MetropolisHastings>(|rule| Ok(Arc::new(rule)))
    },
};

/// Plain gossip has no parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct MetropolisHastings {}

impl Formula for MetropolisHastings {
    const NAME: &'static str = ENTRY.name;

    fn admits(&self, _neighbours: usize, _byzantine: usize) -> Result<(), AggregateError> {
        Ok(())
    }

    fn mix<F: Float>(
        &self,
        own: ArrayView1<'_, F>,
        neighbours: &Neighbourhood<'_, F>,
        _occasion: Occasion,
    ) -> Mixed<F> {
        Mixed { model: moved(own, neighbours.models, neighbours.weights), accepted: None }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::peer_rules::tests::mix_with;

    #[test]
    fn by_hand() {
        let models = array![[4.0, 0.0], [-8.0, 8.0]];
        let mixed = mix_with(&MetropolisHastings {}, &array![0.0, 4.0], &models, &[0.25, 0.25], 0);
        // 1/2 (0, 4) + 1/4 (4, 0) + 1/4 (-8, 8)
        assert_eq!(mixed.unwrap().model, array![-1.0, 4.0]);
    }

    #[test]
    fn weights_that_are_no_shares_are_refused() {
        for weights in [[0.25, 0.85], [-0.25, 0.25], [f64::NAN, 0.25]] {
            let models = array![[4.0], [-8.0]];
            let mixed = mix_with(&MetropolisHastings {}, &array![0.0], &models, &weights, 0);
            let error = mixed.unwrap_err().to_string();
            assert!(error.contains("are not shares of 1"), "{error}");
        }
    }
}
