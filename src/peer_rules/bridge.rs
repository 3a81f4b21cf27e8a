//! BRIDGE: screens every coordinate as a server would, in the neighbourhood.
//!
//! `trimmed_mean` (BRIDGE-T, the default) drops the b smallest and the b largest values of every
//! coordinate among all n = deg + 1 models and averages the rest. With `keep_own` only the
//! neighbours' values are dropped and the own value always counts, as the text has it; the code
//! of the authors' group, the default here, may drop the own value. `median` (BRIDGE-M) takes the
//! coordinate-wise median. `krum` (BRIDGE-K) takes the one model with the lowest score, as
//! released: the sum of its n - b - 2 smallest plain distances, the zero to itself among them;
//! the lowest node first. While n - b - 2 is at most 1 all scores are 0 and the lowest node wins,
//! whoever it is. For Krum as its own authors define it use that aggregator locally.
//!
//! Weights of the graph are not used; the first two are local aggregators by another name.
//!
//! Fails at bottlenecks like all local medians and trimmed means: a node with at most b links
//! to another world never listens to it, even if nobody lies. Needs n > 2b.
//!
//! Reference: Fang, Yang, Bajwa, BRIDGE: Byzantine-Resilient Decentralized Gradient Descent, IEEE
//! Transactions on Signal and Information Processing over Networks, 2022.

use std::sync::Arc;

use ndarray::{Array1, ArrayView1};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::arithmetic::distances;
use super::columns::mean_of_ranks;
use super::formula::{Formula, Occasion, unless_majority};
use super::{Claims, Float, Mixed, Neighbourhood, PeerRule};
use crate::aggregators::AggregateError;
use crate::catalog::{ConfigError, Entry};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn PeerRule, Claims> = Entry {
    name: "bridge",
    summary: "the trimmed mean, the median or Krum of the neighbourhood",
    reference: "Fang et al., IEEE TSIPN 2022",
    source: include_str!("bridge.rs"),
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
    parameters: || schema_for!(Bridge),
    build: |parameters| {
        parameters.build::<dyn PeerRule, Bridge>(|bridge| {
            if bridge.keep_own && bridge.screen != Screen::TrimmedMean {
                let message = "`keep_own` is for the screen `trimmed_mean` alone";
                return Err(ConfigError::new(message));
            }
            Ok(Arc::new(bridge))
        })
    },
};

/// Parameters of BRIDGE.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Bridge {
    /// How models are screened: `trimmed_mean` (default), `median` or `krum`.
    screen: Screen,
    /// Whether the own values are never dropped by the trimmed mean (default false).
    keep_own: bool,
}

/// How models are screened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Screen {
    /// Without the b smallest and largest values of every coordinate.
    #[default]
    TrimmedMean,
    /// The middle value of every coordinate; of two their mean.
    Median,
    /// One whole model.
    Krum,
}

impl Formula for Bridge {
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
        let (own_row, byzantine) = (own.as_standard_layout(), occasion.byzantine);
        let models = neighbours.models.as_standard_layout();
        let flat = models.as_slice().expect("standard layout is contiguous");
        let own_row = own_row.as_slice().expect("standard layout is contiguous");
        let (count, columns) = models.dim();
        let row = |row: usize| &flat[row * columns..][..columns];
        let mut rows: Vec<&[F]> = (0..count).map(row).collect();
        let model = match self.screen {
            Screen::Krum => return krum(own, neighbours, byzantine),
            Screen::TrimmedMean if self.keep_own => {
                let ranks = byzantine..rows.len() - byzantine;
                mean_of_ranks(&rows, ranks, Some(own_row), columns)
            }
            Screen::TrimmedMean => {
                rows.push(own_row);
                mean_of_ranks(&rows, byzantine..rows.len() - byzantine, None, columns)
            }
            Screen::Median => {
                rows.push(own_row);
                let middle = (rows.len() - 1) / 2..rows.len() / 2 + 1;
                mean_of_ranks(&rows, middle, None, columns)
            }
        };
        Mixed { model: Array1::from(model), accepted: None }
    }
}

/// The model with the lowest score, by the released convention.
fn krum<F: Float>(
    own: ArrayView1<'_, F>,
    neighbours: &Neighbourhood<'_, F>,
    byzantine: usize,
) -> Mixed<F> {
    let counted = (neighbours.len() + 1).saturating_sub(byzantine + 2);
    let score = |mut distances: Vec<f64>| -> f64 {
        distances.sort_unstable_by(f64::total_cmp);
        distances.iter().take(counted).sum()
    };
    let from_own = distances(own, neighbours.models);
    let score_of = |row: usize| {
        let mut others = distances(neighbours.models.row(row), neighbours.models);
        others.push(from_own[row]);
        score(others)
    };
    let finite = (0..neighbours.len()).filter(|&row| from_own[row].is_finite());
    let mut candidates: Vec<(Option<usize>, f64)> =
        finite.map(|row| (Some(row), score_of(row))).collect();
    let lower = |(row, _): &(Option<usize>, f64)| {
        row.is_some_and(|row| neighbours.ids[row] < neighbours.node)
    };
    let place = candidates.partition_point(lower);
    let mut own_distances = from_own.clone();
    own_distances.push(0.0);
    candidates.insert(place, (None, score(own_distances)));
    // Of equal scores `min_by` returns the first.
    let best = candidates.iter().min_by(|a, b| a.1.total_cmp(&b.1));
    let chosen = best.and_then(|&(row, _)| row);
    let model = chosen.map_or_else(|| own.to_owned(), |row| neighbours.models.row(row).to_owned());
    let accepted = (0..neighbours.len()).map(|row| Some(row) == chosen).collect();
    Mixed { model, accepted: Some(accepted) }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::node::NodeId;
    use crate::peer_rules::tests::{mix_in, mix_with, neighbourhood};

    fn mix(screen: Screen, keep_own: bool) -> f32 {
        let models = array![[1.0], [9.0], [2.0], [-50.0]];
        let rule = Bridge { screen, keep_own };
        mix_with(&rule, &array![30.0], &models, &[0.1; 4], 1).unwrap().model[0]
    }

    #[test]
    fn screens_by_hand() {
        assert_eq!(mix(Screen::TrimmedMean, false), 4.0);
        assert_eq!(mix(Screen::TrimmedMean, true), 11.0);
        assert_eq!(mix(Screen::Median, false), 2.0);
        let models = array![[1.0], [9.0], [2.0]];
        let rule = Bridge { screen: Screen::Median, keep_own: false };
        assert_eq!(mix_with(&rule, &array![0.0], &models, &[0.1; 3], 1).unwrap().model[0], 1.5);
    }

    #[test]
    fn krum_as_released_by_hand() {
        // n - b - 2 = 2 distances, the own 0 among them, so the nearest counts: 1 and 2 tie.
        assert_eq!(mix(Screen::Krum, false), 1.0);
        // With one counted the lowest node wins: node 1, or the node itself, which is node 3.
        let rule = Bridge { screen: Screen::Krum, keep_own: false };
        let models = array![[100.0], [0.0], [1.0]];
        let ids = [1, 4, 5].map(NodeId);
        let around = neighbourhood(&ids, models.view(), &[0.1; 3]);
        let mixed = mix_in(&rule, &array![0.5], &around, 1).unwrap();
        let accepted = Some(vec![true, false, false]);
        assert_eq!(mixed, Mixed { model: array![100.0], accepted });
        let ids = [4, 5, 6].map(NodeId);
        let mixed = mix_in(&rule, &array![0.5], &Neighbourhood { ids: &ids, ..around }, 1).unwrap();
        assert_eq!(mixed, Mixed { model: array![0.5], accepted: Some(vec![false; 3]) });
    }
}
