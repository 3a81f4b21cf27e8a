//! Trimmed summation (GTS): gossip without the farthest messages.
//!
//! `y = x_i + Σ_j k_j (x_j - x_i)`, where from the near end messages keep their weight until the
//! kept weight, the own included, is 1 - delta, with delta the b largest weights. What is dropped
//! goes to the own model. With equal weights the b farthest are dropped.
//!
//! `intended`, the default, keeps of the message that straddles the limit the part below it.
//! `released` is what the authors' code does, without its rounding: it keeps all before the first
//! message whose sum reaches the limit, and of that one the part *above* the limit; with equal
//! weights it drops b + 1, and with b = 0 the farthest.
//!
//! It is nearest-neighbour averaging for sparse graphs: weights in place of counts.
//!
//! Fails abruptly: past about a quarter of the second smallest eigenvalue of the honest graph's
//! Laplacian models diverge without bound, as what is kept is not clipped. A node whose few
//! distant neighbours are honest drops them.
//!
//! Reference: Gaucher, Dieuleveut, Hendrikx, Unified Breakdown Analysis for Byzantine Robust
//! Gossip, ICML 2025.

use std::sync::Arc;

use ndarray::ArrayView1;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::arithmetic::{distances, moved};
use super::formula::{Formula, Occasion, unless_more_than_liars};
use super::order::{Order, rounded_away};
use super::{Claims, Float, Mixed, Neighbourhood, PeerRule};
use crate::aggregators::AggregateError;
use crate::catalog::Entry;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn PeerRule, Claims> = Entry {
    name: "trimmed_summation",
    summary: "GTS: gossip without the farthest messages, as many as liars weigh",
    reference: "Gaucher et al., ICML 2025",
    source: include_str!("trimmed_summation.rs"),
    claims: Claims {
        permutation_invariant: true,
        translation_equivariant: true,
        scale_equivariant: true,
        plain_without_liars: true,
        uses_byzantine: true,
        uses_weights: true,
        robust: true,
        tolerates: |neighbours| neighbours,
    },
    parameters: || schema_for!(TrimmedSummation),
    build: |parameters| {
        parameters.build::<dyn PeerRule, TrimmedSummation>(|rule| Ok(Arc::new(rule)))
    },
};

/// Parameters of trimmed summation.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct TrimmedSummation {
    /// What becomes of the message at the limit: `intended` (default) keeps the part below it,
    /// `released` the part above it, as the authors' code does.
    convention: Convention,
}

/// What becomes of the message at the limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Convention {
    /// It keeps the part of its weight that is below the limit.
    #[default]
    Intended,
    /// The first that reaches the limit keeps the part of its weight that is above.
    Released,
}

impl Formula for TrimmedSummation {
    const NAME: &'static str = ENTRY.name;

    fn admits(&self, neighbours: usize, byzantine: usize) -> Result<(), AggregateError> {
        unless_more_than_liars(Self::NAME, neighbours, byzantine)
    }

    fn mix<F: Float>(
        &self,
        own: ArrayView1<'_, F>,
        neighbours: &Neighbourhood<'_, F>,
        occasion: Occasion,
    ) -> Mixed<F> {
        let distances = distances(own, neighbours.models);
        let limit = 1.0 - neighbours.declared_weight(occasion.byzantine);
        let mut kept = self.convention.kept(neighbours, &distances, limit);
        for (kept, distance) in kept.iter_mut().zip(&distances) {
            if !distance.is_finite() {
                *kept = 0.0;
            }
        }
        let accepted = kept.iter().map(|&weight| weight > 0.0).collect();
        Mixed { model: moved(own, neighbours.models, &kept), accepted: Some(accepted) }
    }
}

impl Convention {
    /// The weight that each message keeps.
    fn kept<F: Float>(
        self,
        neighbours: &Neighbourhood<'_, F>,
        distances: &[f64],
        limit: f64,
    ) -> Vec<f64> {
        let order = Order::new(distances, neighbours.weights, neighbours.own_weight);
        let whole = match self {
            Convention::Intended => order.within(limit),
            Convention::Released => order.before(limit),
        };
        let mut kept = vec![0.0; distances.len()];
        for &row in &order.nearest[..whole] {
            kept[row] = neighbours.weights[row];
        }
        if let Some(&row) = order.nearest.get(whole) {
            let above = rounded_away(order.cumulative[whole] - limit);
            let part = match self {
                Convention::Intended => rounded_away(neighbours.weights[row] - above),
                Convention::Released => above,
            };
            // Where the own weight alone is beyond the limit no message keeps any.
            kept[row] = part.clamp(0.0, neighbours.weights[row].max(0.0));
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::peer_rules::tests::mix_with;

    #[test]
    fn equal_weights_by_hand() {
        let models = array![[1.0], [4.0], [-2.0], [100.0]];
        let mix = |convention| {
            let rule = TrimmedSummation { convention };
            mix_with(&rule, &array![0.0], &models, &[0.2; 4], 1).unwrap()
        };
        let intended = mix(Convention::Intended);
        assert!((intended.model[0] - 3.0 / 5.0).abs() < 1e-6);
        assert_eq!(intended.accepted, Some(vec![true, true, true, false]));
        let released = mix(Convention::Released);
        assert!((released.model[0] - -1.0 / 5.0).abs() < 1e-6);
        assert_eq!(released.accepted, Some(vec![true, false, true, false]));
    }

    #[test]
    fn a_message_at_the_limit_keeps_a_part() {
        // Own 0.3, then 0.2, 0.4 and 0.1: the limit 0.6 leaves 0.1 of the 0.4 below it and 0.3
        // above it.
        let models = array![[1.0], [10.0], [100.0]];
        let mix = |convention| {
            let rule = TrimmedSummation { convention };
            mix_with(&rule, &array![0.0], &models, &[0.2, 0.4, 0.1], 1).unwrap().model[0]
        };
        assert!((mix(Convention::Intended) - (0.2 + 0.1 * 10.0)).abs() < 1e-6);
        assert!((mix(Convention::Released) - (0.2 + 0.3 * 10.0)).abs() < 1e-6);
    }

    #[test]
    fn with_all_the_weight_at_liars_the_node_stays() {
        let models = array![[1.0], [10.0]];
        let rule = TrimmedSummation::default();
        let mixed = mix_with(&rule, &array![7.0], &models, &[0.25; 2], 2).unwrap();
        assert_eq!(mixed, Mixed { model: array![7.0], accepted: Some(vec![false; 2]) });
    }
}
