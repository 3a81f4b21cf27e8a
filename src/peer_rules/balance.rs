//! BALANCE: neighbours within a ball around the own model that shrinks as training goes on.
//!
//! `y = alpha x_i + (1 - alpha) · mean(accepted)`, where j is accepted if
//! `‖x_i - x_j‖ <= gamma · exp(-kappa · t/T) · ‖x_i‖`; t counts rounds from 0 and T is how many
//! there are. If nobody is accepted the node keeps its model.
//!
//! No number of liars is declared: every message is judged by itself.
//!
//! Fails against the echo: a liar that stays inside the ball is accepted in every round and walks
//! the node to where it wants it. The ball's size is relative to the model's norm, so that what it
//! lets through depends on the initial model; nodes that begin apart never meet. Public
//! re-implementations accept the nearest when nobody is inside, which gives a node that is
//! surrounded to the attacker; this one does not.
//!
//! Reference: Fang, Zhang, Hairi, Khanduri, Liu, Lu, Liu, Gong, Byzantine-Robust Decentralized
//! Federated Learning, CCS 2024.

use std::sync::Arc;

use ndarray::ArrayView1;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::arithmetic::{distances, norm, towards_mean};
use super::formula::{Formula, Occasion, unless_more_than_liars};
use super::{Claims, Float, Mixed, Neighbourhood, PeerRule};
use crate::aggregators::AggregateError;
use crate::catalog::{ConfigError, Entry};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn PeerRule, Claims> = Entry {
    name: "balance",
    summary: "the mean of neighbours inside a ball that shrinks as training goes on",
    reference: "Fang et al., CCS 2024",
    source: include_str!("balance.rs"),
    claims: Claims {
        permutation_invariant: true,
        translation_equivariant: false,
        scale_equivariant: true,
        plain_without_liars: false,
        uses_byzantine: false,
        uses_weights: false,
        robust: true,
        tolerates: |neighbours| neighbours,
    },
    parameters: || schema_for!(Balance),
    build: |parameters| {
        parameters.build::<dyn PeerRule, Balance>(|balance| {
            for (name, value) in [("gamma", balance.gamma), ("kappa", balance.kappa)] {
                if !(value >= 0.0 && value.is_finite()) {
                    let message = format!("`{name}` = {value}, and it must be at least 0");
                    return Err(ConfigError::new(message));
                }
            }
            super::share("alpha", balance.alpha)?;
            Ok(Arc::new(balance))
        })
    },
};

/// Parameters of BALANCE.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Balance {
    /// The ball's radius in the first round, as a share of the own model's norm (default 0.3).
    gamma: f64,
    /// How fast the ball shrinks: to `exp(-kappa)` of itself over the run (default 1).
    kappa: f64,
    /// The share of the own model in the result, 0 to 1 (default 0.5).
    alpha: f64,
}

impl Default for Balance {
    fn default() -> Self {
        Balance { gamma: 0.3, kappa: 1.0, alpha: 0.5 }
    }
}

impl Balance {
    /// The share of the own norm within which neighbours are accepted.
    fn radius(&self, occasion: Occasion) -> f64 {
        let before = f64::from(occasion.round.previous().0);
        let elapsed = before / f64::from(occasion.rounds_total.max(1));
        self.gamma * (-self.kappa * elapsed).exp()
    }
}

impl Formula for Balance {
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
        let limit = self.radius(occasion) * norm(own);
        let distances = distances(own, neighbours.models);
        let inside = |&row: &usize| distances[row] <= limit && distances[row].is_finite();
        let accepted: Vec<usize> = (0..neighbours.len()).filter(inside).collect();
        towards_mean(own, neighbours, &accepted, 1.0 - self.alpha)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::node::Round;
    use crate::peer_rules::tests::mix_with;

    #[test]
    fn by_hand() {
        // The ball around 10 has radius 3: 7.5 and 13 are inside, 6.9 and NaN are not.
        let models = array![[7.5], [6.9], [13.0], [f32::NAN]];
        let mixed = mix_with(&Balance::default(), &array![10.0], &models, &[0.1; 4], 1).unwrap();
        let accepted = Some(vec![true, false, true, false]);
        assert_eq!(mixed, Mixed { model: array![10.125], accepted });
    }

    #[test]
    fn alone_it_keeps_its_model() {
        let models = array![[1.0], [100.0]];
        let mixed = mix_with(&Balance::default(), &array![10.0], &models, &[0.1; 2], 1).unwrap();
        assert_eq!(mixed, Mixed { model: array![10.0], accepted: Some(vec![false; 2]) });
    }

    #[test]
    fn the_ball_shrinks_from_the_first_round_on() {
        let radius = |round| {
            Balance::default().radius(Occasion {
                round: Round(round),
                rounds_total: 10,
                byzantine: 0,
            })
        };
        assert_eq!(radius(1), 0.3);
        assert_eq!(radius(6), 0.3 * (-0.5f64).exp());
    }
}
