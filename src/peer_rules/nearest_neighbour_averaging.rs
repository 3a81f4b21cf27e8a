//! Nearest-neighbour averaging (NNA): the mean of the own model and those nearest to it.
//!
//! `y = 1/k · Σ x_j` over the k nearest of the n = deg + 1 models, the own first; of models
//! equally far the lowest nodes first. `n_minus_f`, the default, keeps k = n - b: one liar fewer
//! than lie can be among them. `n_minus_2f` keeps k = n - 2b, as `MoNNA` may.
//!
//! With local momentum before it, it is the mixing of `MoNNA`. Weights of the graph are not used.
//!
//! Fails on sparse graphs: past half of what the graph could stand, liars who follow the pull
//! between two worlds are always among the nearest, are never clipped, and the models diverge.
//! Averages alone do not bound a step. Where nobody lies it still throws b honest models away,
//! always those of the other world. The paper's guarantee is for complete graphs. Needs n > 2b.
//!
//! Reference: Farhadkhani, Guerraoui, Gupta, Hoang, Pinot, Stephan, Robust Collaborative Learning
//! with Linear Gradient Overhead, ICML 2023.

use std::sync::Arc;

use ndarray::ArrayView1;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::arithmetic::{distances, towards_mean};
use super::formula::{Formula, Occasion, unless_majority};
use super::order::nearest;
use super::{Claims, Float, Mixed, Neighbourhood, PeerRule};
use crate::aggregators::AggregateError;
use crate::catalog::Entry;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn PeerRule, Claims> = Entry {
    name: "nearest_neighbour_averaging",
    summary: "the mean of the own model and those nearest to it",
    reference: "Farhadkhani et al., ICML 2023",
    source: include_str!("nearest_neighbour_averaging.rs"),
    claims: Claims {
        permutation_invariant: true,
        translation_equivariant: true,
        scale_equivariant: true,
        plain_without_liars: false,
        uses_byzantine: true,
        uses_weights: false,
        robust: true,
        tolerates: |neighbours| neighbours / 2,
    },
    parameters: || schema_for!(NearestNeighbourAveraging),
    build: |parameters| {
        parameters.build::<dyn PeerRule, NearestNeighbourAveraging>(|rule| Ok(Arc::new(rule)))
    },
};

/// Parameters of nearest-neighbour averaging.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct NearestNeighbourAveraging {
    /// How many models are averaged, the own counted: `n_minus_f` (default) or `n_minus_2f`.
    keep: Keep,
}

/// How many models are averaged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
enum Keep {
    /// `n - b`.
    #[default]
    #[serde(rename = "n_minus_f")]
    MinusF,
    /// `n - 2b`.
    #[serde(rename = "n_minus_2f")]
    MinusTwiceF,
}

impl Formula for NearestNeighbourAveraging {
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
        let dropped = match self.keep {
            Keep::MinusF => occasion.byzantine,
            Keep::MinusTwiceF => 2 * occasion.byzantine,
        };
        let distances = distances(own, neighbours.models);
        let mut kept = nearest(&distances);
        kept.truncate(neighbours.len() - dropped);
        kept.retain(|&row| distances[row].is_finite());
        let share = kept.len() as f64 / (kept.len() + 1) as f64;
        towards_mean(own, neighbours, &kept, share)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::peer_rules::tests::mix_with;

    #[test]
    fn by_hand() {
        // Among equally far ones the lowest node comes first.
        let models = array![[3.0], [99.0], [-3.0], [6.0]];
        let mix = |keep| {
            let rule = NearestNeighbourAveraging { keep };
            mix_with(&rule, &array![0.0], &models, &[0.2; 4], 1).unwrap()
        };
        let accepted = Some(vec![true, false, true, true]);
        assert_eq!(mix(Keep::MinusF), Mixed { model: array![1.5], accepted });
        let accepted = Some(vec![true, false, true, false]);
        assert_eq!(mix(Keep::MinusTwiceF), Mixed { model: array![0.0], accepted });
        let rule = NearestNeighbourAveraging { keep: Keep::MinusTwiceF };
        let tied = mix_with(&rule, &array![0.0], &array![[2.0], [-2.0], [2.0]], &[0.2; 3], 1);
        assert_eq!(tied.unwrap().model, array![1.0]);
    }

    #[test]
    fn a_message_without_a_distance_counts_for_nothing() {
        let models = array![[f32::NAN], [2.0]];
        let rule = NearestNeighbourAveraging::default();
        let mixed = mix_with(&rule, &array![0.0], &models, &[0.2; 2], 0).unwrap();
        assert_eq!(mixed, Mixed { model: array![1.0], accepted: Some(vec![false, true]) });
    }
}
