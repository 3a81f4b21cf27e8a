//! UBAR: the near neighbours that do well on one's own data.
//!
//! First the `ratio` of neighbours nearest to the own model are taken, at least one. Of these are
//! kept whose loss on a fresh batch of the node's own samples is at most that of the own model;
//! if there is none, the one of lowest loss. Then `y = alpha x_i + (1 - alpha) mean(kept)`.
//!
//! The authors' text falls back to the `lowest_loss`; the code of He et al. falls back to the
//! `nearest`. Losses are computed for the short list alone: ratio · deg + 1 passes per round.
//!
//! Fails where nodes hold different data: a good model of other classes does badly on one's own
//! samples and is refused, so that cliques with the same data keep to themselves, without any
//! liar. A backdoor leaves the loss as it is and passes. Needs one honest neighbour, and a
//! `ratio` no larger than the share of them.
//!
//! Reference: Guo, Zhang, Yu, Xie, Ma, Xiang, Liu, Byzantine-Resilient Decentralized Stochastic
//! Gradient Descent, IEEE Transactions on Circuits and Systems for Video Technology, 2022.

use std::sync::Arc;

use ndarray::ArrayView1;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::arithmetic::{distances, towards_mean};
use super::formula::{Formula, Occasion};
use super::order::{nearest, share_of};
use super::{Claims, Float, Loss, Mixed, Needs, Neighbourhood, PeerRule};
use crate::aggregators::AggregateError;
use crate::catalog::{ConfigError, Entry};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn PeerRule, Claims> = Entry {
    name: "ubar",
    summary: "the mean of near neighbours that do no worse on one's own samples",
    reference: "Guo et al., IEEE TCSVT 2022",
    source: include_str!("ubar.rs"),
    claims: Claims {
        permutation_invariant: true,
        translation_equivariant: false,
        scale_equivariant: false,
        plain_without_liars: false,
        uses_byzantine: false,
        uses_weights: false,
        robust: true,
        tolerates: |neighbours| neighbours.saturating_sub(1),
    },
    parameters: || schema_for!(Ubar),
    build: |parameters| {
        parameters.build::<dyn PeerRule, Ubar>(|ubar| {
            super::share("ratio", ubar.ratio)?;
            super::share("alpha", ubar.alpha)?;
            Ok::<Arc<dyn PeerRule>, ConfigError>(Arc::new(ubar))
        })
    },
};

/// Parameters of UBAR.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Ubar {
    /// The share of neighbours in the short list, 0 to 1 (default 0.4); one of them at least.
    ratio: f64,
    /// The share of the own model in the result, 0 to 1 (default 0.5).
    alpha: f64,
    /// Who is kept if all do worse than the own model: the `lowest_loss` of the short list
    /// (default) or the `nearest`.
    fallback: Fallback,
}

/// Who is kept if all do worse than the own model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Fallback {
    /// The one of the short list with the lowest loss; of equal ones the nearest.
    #[default]
    LowestLoss,
    /// The nearest of all.
    Nearest,
}

impl Default for Ubar {
    fn default() -> Self {
        Ubar { ratio: 0.4, alpha: 0.5, fallback: Fallback::default() }
    }
}

impl Ubar {
    /// The rows to average, near to far.
    fn kept<F: Float>(
        &self,
        own: ArrayView1<'_, F>,
        neighbours: &Neighbourhood<'_, F>,
        loss: Loss<'_, F>,
    ) -> Vec<usize> {
        let distances = distances(own, neighbours.models);
        let mut shortlist = nearest(&distances);
        shortlist.truncate(share_of(self.ratio, neighbours.len()).max(1));
        shortlist.retain(|&row| distances[row].is_finite());
        let own_loss: f64 = loss(own).into();
        let losses: Vec<(f64, usize)> =
            shortlist.iter().map(|&row| (loss(neighbours.models.row(row)).into(), row)).collect();
        let good = losses.iter().filter(|(loss, _)| *loss <= own_loss);
        let good: Vec<usize> = good.map(|&(_, row)| row).collect();
        if !good.is_empty() {
            return good;
        }
        match self.fallback {
            Fallback::Nearest => shortlist.into_iter().take(1).collect(),
            Fallback::LowestLoss => {
                // A loss that is not a number is the worst, whatever its sign.
                let numbers = losses.iter().filter(|(loss, _)| !loss.is_nan());
                let best = numbers.min_by(|a, b| a.0.total_cmp(&b.0));
                best.map(|&(_, row)| row).into_iter().collect()
            }
        }
    }
}

impl Formula for Ubar {
    const NAME: &'static str = ENTRY.name;

    fn admits(&self, neighbours: usize, byzantine: usize) -> Result<(), AggregateError> {
        if byzantine < neighbours || byzantine == 0 {
            return Ok(());
        }
        let bound = format!("n > f + 1 = {}", byzantine.saturating_add(1));
        Err(AggregateError::TooFew { rule: Self::NAME, bound, rows: neighbours + 1, byzantine })
    }

    fn needs(&self) -> Needs {
        Needs { loss: true, oracle: false }
    }

    fn mix<F: Float>(
        &self,
        own: ArrayView1<'_, F>,
        neighbours: &Neighbourhood<'_, F>,
        _occasion: Occasion,
    ) -> Mixed<F> {
        let loss = neighbours.loss.expect("a rule that needs the loss has been handed it");
        let kept = self.kept(own, neighbours, loss);
        towards_mean(own, neighbours, &kept, 1.0 - self.alpha)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::node::NodeId;
    use crate::peer_rules::tests::{mix_in, mix_with, neighbourhood};

    fn mix(fallback: Fallback, ideal: f32) -> Mixed {
        let models = array![[4.0], [100.0], [2.0], [-1.0], [50.0]];
        let ids = [0, 1, 2, 5, 6].map(NodeId);
        let loss = move |model: ArrayView1<'_, f32>| (model[0] - ideal).abs();
        let around =
            Neighbourhood { loss: Some(&loss), ..neighbourhood(&ids, models.view(), &[0.1; 5]) };
        let rule = Ubar { ratio: 0.6, fallback, ..Ubar::default() };
        mix_in(&rule, &array![0.0], &around, 2).unwrap()
    }

    #[test]
    fn near_and_good_by_hand() {
        // Short list: -1, 2, 4. Nearer to 3 than the own 0 are 2 and 4; their mean is 3.
        let accepted = Some(vec![true, false, true, false, false]);
        assert_eq!(mix(Fallback::LowestLoss, 3.0), Mixed { model: array![1.5], accepted });
    }

    #[test]
    fn fallbacks_by_hand() {
        // All of the short list are worse than the own 0.4: the best is 2's opposite, -1.
        let best = mix(Fallback::LowestLoss, 0.4);
        assert_eq!(best.model, array![-0.5]);
        // At 0.9 the best is 2 and the nearest -1.
        assert_eq!(mix(Fallback::LowestLoss, 0.9).model, array![1.0]);
        assert_eq!(mix(Fallback::Nearest, 0.9).model, array![-0.5]);
        // Where no loss is a number only the nearest can be kept.
        assert_eq!(mix(Fallback::LowestLoss, f32::NAN).model, array![0.0]);
        assert_eq!(mix(Fallback::Nearest, f32::NAN).model, array![-0.5]);
    }

    #[test]
    fn the_loss_must_be_handed_in_and_one_neighbour_honest() {
        let models = array![[4.0], [5.0]];
        let error = mix_with(&Ubar::default(), &array![0.0], &models, &[0.1; 2], 1).unwrap_err();
        assert_eq!(error.to_string(), "ubar: needs to know the loss on a fresh batch");
        let error = PeerRule::admits(&Ubar::default(), 2, 2).unwrap_err().to_string();
        assert_eq!(error, "ubar needs n > f + 1 = 3 and got n = 3 updates with f = 2 byzantine");
    }
}
