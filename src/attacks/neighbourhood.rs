//! What attacks on a peer share: the weights of its row, the pull of its honest neighbours, and
//! one message for all its liars.

use ndarray::{Array1, ArrayView1};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AttackError, Crafted, Victim, View};

/// What the attacker takes the victim's mixing to weigh models by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Weights {
    /// Its row of the mixing matrix, Metropolis-Hastings.
    Metropolis,
    /// The same for itself and each neighbour, as in a plain mean.
    Uniform,
}

/// The weights of one victim's row.
pub(super) struct Row {
    /// That of its own model.
    pub(super) own: f64,
    /// Those of its honest neighbours, ascending.
    pub(super) honest: Vec<f64>,
    /// That of all its liars together.
    pub(super) liars: f64,
}

impl Weights {
    /// The victim's row; it sums to 1.
    pub(super) fn row(self, victim: &Victim<'_>) -> Row {
        match self {
            Weights::Metropolis => Row {
                own: victim.own_weight,
                honest: victim.weights.to_vec(),
                liars: victim.liar_weight,
            },
            Weights::Uniform => {
                let honest = victim.neighbours.len();
                let each = 1.0 / (1 + honest + victim.liars) as f64;
                Row { own: each, honest: vec![each; honest], liars: victim.liars as f64 * each }
            }
        }
    }
}

/// The peer that this is sent to.
pub(super) fn victim_of<'a, 'b>(
    attack: &'static str,
    view: &'a View<'b>,
) -> Result<&'a Victim<'b>, AttackError> {
    view.victim.as_ref().ok_or(AttackError::NoVictim { attack })
}

/// A vector in the arithmetic that attacks are computed in, length `d`.
pub(super) fn wide(vector: ArrayView1<'_, f32>) -> Vec<f64> {
    vector.iter().map(|&value| f64::from(value)).collect()
}

/// The sum of the honest neighbours' models, each times its weight, length `d`.
pub(super) fn weighted_sum(victim: &Victim<'_>, weights: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0; victim.model.len()];
    for (model, weight) in victim.models.rows().into_iter().zip(weights) {
        for (sum, &value) in sums.iter_mut().zip(model) {
            *sum += weight * f64::from(value);
        }
    }
    sums
}

/// Where the honest neighbours pull the victim, `sum w_j (x_j - x_i)`, length `d`.
pub(super) fn pull(victim: &Victim<'_>, weights: &[f64]) -> Vec<f64> {
    let own = wide(victim.model);
    let mut sums = vec![0.0; own.len()];
    for (model, weight) in victim.models.rows().into_iter().zip(weights) {
        for ((sum, &value), own) in sums.iter_mut().zip(model).zip(&own) {
            *sum += weight * (f64::from(value) - own);
        }
    }
    sums
}

/// The same message from every liar, rounded once. What `f32` cannot hold becomes its largest
/// value: a peer refuses infinities, and the lie would be lost.
pub(super) fn message(vector: impl IntoIterator<Item = f64>, liars: usize) -> Crafted {
    Crafted::same(rounded(vector), liars)
}

/// A message's vector, rounded once.
pub(super) fn rounded(vector: impl IntoIterator<Item = f64>) -> Array1<f32> {
    let largest = f64::from(f32::MAX);
    vector.into_iter().map(|value| value.clamp(-largest, largest) as f32).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::attacks::peers::Peers;

    #[test]
    fn rows_sum_to_one_and_pulls_are_weighted_differences() {
        // A chain of three with two liars each: the middle has degree 4, the ends have 3.
        let peers = Peers::chain(array![[0.0], [1.0], [5.0]], 2);
        peers.with_victim(1, |victim| {
            for weights in [Weights::Metropolis, Weights::Uniform] {
                let row = weights.row(victim);
                let total = row.own + row.honest.iter().sum::<f64>() + row.liars;
                assert!((total - 1.0).abs() < 1e-12, "{weights:?}: {total}");
                // Five models of equal weight, by either.
                assert!((row.liars - 0.4).abs() < 1e-12);
                let pull = pull(victim, &row.honest)[0];
                assert!((pull - 0.2 * (-1.0 + 4.0)).abs() < 1e-12, "{pull}");
            }
            assert_eq!(weighted_sum(victim, &[2.0, 3.0]), [15.0]);
        });
    }

    #[test]
    fn a_message_beyond_the_largest_number_stays_one() {
        let sent = rounded([1e39, -1e300, f64::INFINITY, 0.1]);
        assert_eq!(sent, array![f32::MAX, f32::MIN, f32::MAX, 0.1]);
    }
}
