//! Clipped summation (CS+): gossip clipped at a distance that twice the liars' weight lies beyond.
//!
//! `y = x_i + Σ_j W_ij · min(1, tau/‖x_j - x_i‖) · (x_j - x_i)`
//!
//! From near to far, the own model first, weights are added up; tau is the largest distance at
//! which the sum is at most 1 - 2 delta, with delta the b largest weights, and 0 if there is
//! none. With equal weights it is the (2b + 1)th largest of all distances, the own 0 counted.
//! So at least as many honest messages are clipped as liars can be present, and what liars add is
//! no more than what clipping took away.
//!
//! Works while b is below about a quarter of the second smallest eigenvalue of the honest graph's
//! Laplacian; no rule works from a half on. Past it models stall apart rather than diverge.
//!
//! Fails at bottlenecks: a node with few links across has tau below the distance to the other
//! world. Where nobody lies the farthest 2b messages are clipped all the same. Needs n > 2b.
//!
//! Reference: Gaucher, Dieuleveut, Hendrikx, Unified Breakdown Analysis for Byzantine Robust
//! Gossip, ICML 2025.

use std::sync::Arc;

use ndarray::ArrayView1;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::arithmetic::{clipped, distances};
use super::formula::{Formula, Occasion, unless_majority};
use super::order::Order;
use super::{Claims, Float, Mixed, Neighbourhood, PeerRule};
use crate::aggregators::AggregateError;
use crate::catalog::Entry;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn PeerRule, Claims> = Entry {
    name: "clipped_summation",
    summary: "CS+: gossip clipped where twice the liars' weight lies beyond",
    reference: "Gaucher et al., ICML 2025",
    source: include_str!("clipped_summation.rs"),
    claims: Claims {
        permutation_invariant: true,
        translation_equivariant: true,
        scale_equivariant: true,
        plain_without_liars: true,
        uses_byzantine: true,
        uses_weights: true,
        robust: true,
        tolerates: |neighbours| neighbours / 2,
    },
    parameters: || schema_for!(ClippedSummation),
    build: |parameters| {
        parameters.build::<dyn PeerRule, ClippedSummation>(|rule| Ok(Arc::new(rule)))
    },
};

/// Clipped summation has no parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct ClippedSummation {}

impl Formula for ClippedSummation {
    const NAME: &'static str = ENTRY.name;

    fn admits(&self, neighbours: usize, byzantine: usize) -> Result<(), AggregateError> {
        unless_majority(Self::NAME, neighbours, byzantine)
    }

    fn mix<F: Float>(
        &self,
        own: ArrayView1<'_, F>,
        neighbours: &Neighbourhood<'_, F>,
        occasion: Occasion,
    ) -> Mixed<F> {
        let distances = distances(own, neighbours.models);
        let order = Order::new(&distances, neighbours.weights, neighbours.own_weight);
        let delta = neighbours.declared_weight(occasion.byzantine);
        let inside = order.within(1.0 - 2.0 * delta);
        let tau = order.nearest[..inside].last().map_or(0.0, |&row| distances[row]);
        clipped(own, neighbours, &distances, tau)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::peer_rules::tests::mix_with;

    #[test]
    fn the_third_largest_distance_by_hand() {
        // Five equal weights and b = 1: tau = 2, the third largest of 0, 1, 2, 4, 100.
        let models = array![[1.0], [4.0], [-2.0], [100.0]];
        let mixed = mix_with(&ClippedSummation {}, &array![0.0], &models, &[0.2; 4], 1).unwrap();
        assert!((mixed.model[0] - (1.0 + 2.0 - 2.0 + 2.0) / 5.0).abs() < 1e-6);
    }

    #[test]
    fn unequal_weights_by_hand() {
        // delta = 0.3: own 0.1 and the message at 1 weigh 0.4 = 1 - 2 delta, so tau = 1.
        let models = array![[1.0], [5.0], [9.0]];
        let mixed = mix_with(&ClippedSummation {}, &array![0.0], &models, &[0.3; 3], 1).unwrap();
        assert!((mixed.model[0] - 0.9).abs() < 1e-6);
        // delta = 0.36: own 0.04 is inside 0.28, the nearest message no more, and the node stays.
        let weights = [0.3, 0.3, 0.36];
        let still = mix_with(&ClippedSummation {}, &array![0.0], &models, &weights, 1).unwrap();
        assert_eq!(still.model, array![0.0]);
    }

    #[test]
    fn a_liar_at_each_honest_neighbour_is_too_many() {
        let models = array![[1.0], [5.0], [9.0]];
        let mixed = mix_with(&ClippedSummation {}, &array![0.0], &models, &[0.2; 3], 2);
        let text = "clipped_summation needs n > 2f = 4 and got n = 4 updates with f = 2 byzantine";
        assert_eq!(mixed.unwrap_err().to_string(), text);
    }
}
