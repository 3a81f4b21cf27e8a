//! Self-centred clipping (`ClippedGossip`): gossip in which no message may pull further than tau.
//!
//! `y = x_i + Σ_j W_ij · min(1, tau/‖x_j - x_i‖) · (x_j - x_i)`
//!
//! The paper's tau is `sqrt(Σ_honest W_ij ‖x_j - x_i‖² / delta)`, delta being the weight of the
//! liars, and infinite without any. Only an `oracle` can compute it. `adaptive` stands in: it
//! takes the messages from near to far as long as their weight, the own included, is at most
//! 1 - delta, with delta the b largest weights. `adaptive_released` is what the code of Gaucher
//! et al. does: it stops before the message that reaches 1 - delta, one earlier when the sum is
//! exact. `second_largest` is what the authors' own code does when no number is given: the second
//! largest distance. `fixed` is the number that their experiments use.
//!
//! Fails against liars who stay within tau: each round they move the node by delta · tau in one
//! direction, and as messages may differ by receiver they can pull two worlds apart. A fixed tau
//! that is too large is no protection, and one that is too small stops learning across a
//! bottleneck. It converges only if delta is small against the square of the spectral gap.
//!
//! Reference: He, Karimireddy, Jaggi, Byzantine-Robust Decentralized Learning via
//! `ClippedGossip`, arXiv 2202.01545, 2022.

use std::sync::Arc;

use ndarray::ArrayView1;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::arithmetic::{clipped, distances};
use super::formula::{Formula, Occasion, unless_more_than_liars};
use super::order::Order;
use super::{Claims, Float, Mixed, Needs, Neighbourhood, PeerRule};
use crate::aggregators::AggregateError;
use crate::catalog::{ConfigError, Entry};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn PeerRule, Claims> = Entry {
    name: "self_centred_clipping",
    summary: "gossip in which no message pulls further than a threshold",
    reference: "He et al., arXiv 2202.01545, 2022",
    source: include_str!("self_centred_clipping.rs"),
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
    parameters: || schema_for!(SelfCentredClipping),
    build: |parameters| {
        parameters.build::<dyn PeerRule, SelfCentredClipping>(|rule| {
            if let Threshold::Fixed { tau } = rule.threshold
                && (tau.is_nan() || tau < 0.0)
            {
                let message = format!("`threshold` has tau = {tau}, and it must be at least 0");
                return Err(ConfigError::new(message));
            }
            Ok(Arc::new(rule))
        })
    },
};

/// Parameters of self-centred clipping.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct SelfCentredClipping {
    /// How far a message may pull: `adaptive` (default), `adaptive_released`, `oracle`,
    /// `second_largest`, or `{ fixed = { tau = 1.0 } }`, a Euclidean distance.
    threshold: Threshold,
}

/// Where tau comes from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Threshold {
    /// The paper's formula over the nearest messages that weigh at most 1 - delta.
    #[default]
    Adaptive,
    /// The same over the messages before the one that reaches 1 - delta (Gaucher et al.).
    AdaptiveReleased,
    /// The paper's formula over the messages that are honest.
    Oracle,
    /// The second largest distance; the only one if there is one.
    SecondLargest,
    /// A constant.
    Fixed {
        /// The threshold, a Euclidean distance between models, at least 0.
        tau: f64,
    },
}

impl Threshold {
    fn tau<F: Float>(
        self,
        neighbours: &Neighbourhood<'_, F>,
        distances: &[f64],
        byzantine: usize,
    ) -> f64 {
        let delta = neighbours.declared_weight(byzantine);
        let order = || Order::new(distances, neighbours.weights, neighbours.own_weight);
        let over = |order: &Order, count: usize| {
            root_mean(order.nearest[..count].iter().copied(), neighbours.weights, distances, delta)
        };
        match self {
            Threshold::Adaptive => {
                let order = order();
                over(&order, order.within(1.0 - delta))
            }
            Threshold::AdaptiveReleased => {
                let order = order();
                over(&order, order.before(1.0 - delta))
            }
            Threshold::Oracle => {
                let honest = neighbours.honest.unwrap_or_default();
                let rows = |truth| (0..honest.len()).filter(move |&row| honest[row] == truth);
                let delta = rows(false).map(|row| neighbours.weights[row]).sum();
                root_mean(rows(true), neighbours.weights, distances, delta)
            }
            Threshold::SecondLargest => {
                let mut sorted = distances.to_vec();
                sorted.sort_unstable_by(f64::total_cmp);
                sorted[sorted.len().saturating_sub(2)]
            }
            Threshold::Fixed { tau } => tau,
        }
    }
}

/// `sqrt(Σ w d² / delta)` over some rows; infinite without liars.
fn root_mean(
    rows: impl Iterator<Item = usize>,
    weights: &[f64],
    distances: &[f64],
    delta: f64,
) -> f64 {
    if delta <= 0.0 {
        return f64::INFINITY;
    }
    let finite = rows.filter(|&row| distances[row].is_finite());
    let total: f64 = finite.map(|row| weights[row] * distances[row] * distances[row]).sum();
    (total / delta).sqrt()
}

impl Formula for SelfCentredClipping {
    const NAME: &'static str = ENTRY.name;

    fn admits(&self, neighbours: usize, byzantine: usize) -> Result<(), AggregateError> {
        unless_more_than_liars(Self::NAME, neighbours, byzantine)
    }

    fn needs(&self) -> Needs {
        Needs { oracle: self.threshold == Threshold::Oracle, loss: false }
    }

    fn mix<F: Float>(
        &self,
        own: ArrayView1<'_, F>,
        neighbours: &Neighbourhood<'_, F>,
        occasion: Occasion,
    ) -> Mixed<F> {
        let distances = distances(own, neighbours.models);
        let tau = self.threshold.tau(neighbours, &distances, occasion.byzantine);
        clipped(own, neighbours, &distances, tau)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::node::NodeId;
    use crate::peer_rules::tests::{mix_in, mix_with, neighbourhood};

    fn clip(threshold: Threshold) -> f32 {
        let models = array![[4.0], [-8.0], [100.0]];
        let rule = SelfCentredClipping { threshold };
        mix_with(&rule, &array![0.0], &models, &[0.25; 3], 1).unwrap().model[0]
    }

    #[test]
    fn thresholds_by_hand() {
        // tau = sqrt((16 + 64)/4 / (1/4)) = sqrt 80, so that 4 and -8 pass and 100 becomes tau.
        let tau = 80f32.sqrt();
        assert!((clip(Threshold::Adaptive) - (4.0 - 8.0 + tau) / 4.0).abs() < 1e-6);
        // Own, 4 and -8 weigh 3/4 = 1 - delta exactly, so -8 is left out: tau = 4.
        assert_eq!(clip(Threshold::AdaptiveReleased), 1.0);
        assert_eq!(clip(Threshold::SecondLargest), 1.0);
        assert_eq!(clip(Threshold::Fixed { tau: 2.0 }), 0.5);
    }

    #[test]
    fn the_oracle_knows_who_lies_and_must_be_told() {
        let models = array![[4.0], [-8.0], [100.0]];
        let ids = [1, 2, 5].map(NodeId);
        let around = neighbourhood(&ids, models.view(), &[0.25; 3]);
        let rule = SelfCentredClipping { threshold: Threshold::Oracle };
        let error = mix_in(&rule, &array![0.0], &around, 1).unwrap_err().to_string();
        assert_eq!(error, "self_centred_clipping: needs to know who is honest");
        let told = Neighbourhood { honest: Some(&[false, true, true]), ..around };
        // tau = sqrt(64 + 10000): nothing is clipped.
        assert_eq!(mix_in(&rule, &array![0.0], &told, 1).unwrap().model, array![24.0]);
        let all_honest = Neighbourhood { honest: Some(&[true; 3]), ..around };
        assert_eq!(mix_in(&rule, &array![0.0], &all_honest, 1).unwrap().model, array![24.0]);
    }
}
