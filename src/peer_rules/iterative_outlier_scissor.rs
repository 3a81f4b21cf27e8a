//! Iterative outlier scissor (IOS): b times, cut off the message farthest from the mean.
//!
//! Of what is left, the own model always among it, take the weighted mean
//! `m = Σ W_ij x_j / Σ W_ij`; remove the neighbour farthest from m; after b removals return the
//! weighted mean of what is left.
//!
//! Unlike rules centred on the own model it measures from the middle of the neighbourhood.
//!
//! Fails where liars weigh enough to move that middle: together they pull m to themselves, and
//! the honest are cut off. Where nobody lies it removes b honest messages. Needs n > 2b; with
//! unequal weights the liars' share of the weight must be below a half as well.
//!
//! Reference: Wu, Chen, Ling, Byzantine-Resilient Decentralized Stochastic Optimization with
//! Robust Aggregation Rules, IEEE Transactions on Signal Processing, 2023.

use std::sync::Arc;

use ndarray::ArrayView1;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::arithmetic::{distances, moved};
use super::formula::{Formula, Occasion, unless_majority};
use super::{Claims, Float, Mixed, Neighbourhood, PeerRule};
use crate::aggregators::AggregateError;
use crate::catalog::Entry;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn PeerRule, Claims> = Entry {
    name: "iterative_outlier_scissor",
    summary: "IOS: the weighted mean after cutting off, one by one, what is farthest from it",
    reference: "Wu et al., IEEE TSP 2023",
    source: include_str!("iterative_outlier_scissor.rs"),
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
    parameters: || schema_for!(IterativeOutlierScissor),
    build: |parameters| {
        parameters.build::<dyn PeerRule, IterativeOutlierScissor>(|rule| Ok(Arc::new(rule)))
    },
};

/// The scissor has no parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct IterativeOutlierScissor {}

impl Formula for IterativeOutlierScissor {
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
        // What has no distance is cut off first, and counts.
        let from_own = distances(own, neighbours.models);
        let mut left: Vec<bool> = from_own.iter().map(|distance| distance.is_finite()).collect();
        let hopeless = left.iter().filter(|&&left| !left).count();
        for _ in hopeless..occasion.byzantine {
            let middle = moved(own, neighbours.models, &shares(neighbours, &left));
            let distances = distances(middle.view(), neighbours.models);
            let rows = (0..left.len()).filter(|&row| left[row]);
            // Of equally far ones the last, as the lowest nodes are taken for the nearest.
            let farthest = rows.max_by(|&a, &b| distances[a].total_cmp(&distances[b]));
            if let Some(row) = farthest {
                left[row] = false;
            }
        }
        let model = moved(own, neighbours.models, &shares(neighbours, &left));
        Mixed { model, accepted: Some(left) }
    }
}

/// The weights of those who are left, as shares of theirs and the own.
fn shares<F: Float>(neighbours: &Neighbourhood<'_, F>, left: &[bool]) -> Vec<f64> {
    let weights = neighbours.weights.iter().zip(left);
    let weights: Vec<f64> =
        weights.map(|(&weight, &left)| if left { weight } else { 0.0 }).collect();
    let total = neighbours.own_weight + weights.iter().sum::<f64>();
    if total <= 0.0 {
        return vec![0.0; weights.len()];
    }
    weights.into_iter().map(|weight| weight / total).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::peer_rules::tests::mix_with;

    #[test]
    fn by_hand() {
        // The mean of 0, 3, 30, 6, 3 is 8.4: 30 goes. Then that of 0, 3, 6, 3 is 3: 6 goes, as
        // the own 0, just as far, may not.
        let models = array![[3.0], [30.0], [6.0], [3.0]];
        let rule = IterativeOutlierScissor {};
        let mixed = mix_with(&rule, &array![0.0], &models, &[0.2; 4], 2).unwrap();
        let accepted = Some(vec![true, false, false, true]);
        assert_eq!(mixed, Mixed { model: array![2.0], accepted });
    }

    #[test]
    fn weights_are_shares_of_what_is_left() {
        // 1/2 · 0 + 1/4 · 4 + 1/4 · 100 = 26 is nearer to 4; (1/2 · 0 + 1/4 · 4)/(3/4) is left.
        let models = array![[4.0], [100.0]];
        let rule = IterativeOutlierScissor {};
        let mixed = mix_with(&rule, &array![0.0], &models, &[0.25; 2], 1).unwrap();
        assert_eq!(mixed.model, array![4.0 / 3.0]);
    }

    #[test]
    fn what_is_not_a_number_is_cut_off_first() {
        let models = array![[4.0], [f32::NAN]];
        let rule = IterativeOutlierScissor {};
        let mixed = mix_with(&rule, &array![0.0], &models, &[0.25; 2], 1).unwrap();
        assert_eq!(mixed, Mixed { model: array![4.0 / 3.0], accepted: Some(vec![true, false]) });
    }
}
