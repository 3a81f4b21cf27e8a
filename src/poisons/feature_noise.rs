//! Feature noise: a corrupted node trains honestly on samples that are blurred by noise.
//!
//! A `share` of the samples, drawn once, get normal noise of one `deviation` on every input; their
//! labels stay right. It stands for bad sensors as much as for malice.
//!
//! Fails to steer the model anywhere: at best it slows learning down, and a little noise even acts
//! as regularisation. Against a rule that averages it costs about the share of those who have it.
//!
//! Reference: Shen and Sanghavi, Learning with Bad Training Data via Iterative Trimmed Loss
//! Minimization, ICML 2019, treat it as a corruption; in federated learning it is the feature noise
//! of Fang and Ye, Robust Federated Learning with Noisy and Heterogeneous Clients, CVPR 2022.

use std::sync::Arc;

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::Poison;
use super::patch::{check_share, chosen};
use crate::catalog::{ConfigError, Entry};
use crate::dataset::{Samples, Shape};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Poison> = Entry {
    name: "feature_noise",
    summary: "trains honestly on inputs under normal noise",
    reference: "Shen and Sanghavi, ICML 2019",
    source: include_str!("feature_noise.rs"),
    claims: (),
    parameters: || schema_for!(FeatureNoise),
    build: |parameters| {
        parameters.build::<dyn Poison, FeatureNoise>(|poison| {
            poison.check()?;
            Ok(Arc::new(poison))
        })
    },
};

/// Parameters of the noise.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct FeatureNoise {
    /// The standard deviation of the noise on every input, as inputs are normalised, at least 0;
    /// default 1.
    deviation: f64,
    /// The share of the node's samples that get it, above 0 and at most 1; default 1.
    share: f64,
}

impl Default for FeatureNoise {
    fn default() -> Self {
        FeatureNoise { deviation: 1.0, share: 1.0 }
    }
}

impl FeatureNoise {
    fn check(&self) -> Result<(), ConfigError> {
        check_share(self.share, 0.0)?;
        if self.deviation.is_finite() && self.deviation >= 0.0 {
            return Ok(());
        }
        Err(ConfigError::new(format!("`deviation` must be at least 0, got {}", self.deviation)))
    }
}

impl Poison for FeatureNoise {
    fn poison(&self, samples: &mut Samples, _shape: Shape, _place: usize, rng: &mut dyn Rng) {
        for sample in chosen(samples.len(), self.share, rng) {
            for input in samples.inputs.row_mut(sample) {
                let noise: f64 = StandardNormal.sample(rng);
                *input = (f64::from(*input) + self.deviation * noise) as f32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::seed::{Purpose, run_stream};

    #[test]
    fn a_share_of_the_samples_has_noise_of_the_deviation_and_labels_stay() {
        let shape = Shape { height: 1, width: 5000, channels: 1, classes: 2 };
        let mut samples = Samples { inputs: Array2::zeros((4, 5000)), labels: vec![0, 1, 1, 0] };
        let poison = FeatureNoise { deviation: 2.0, share: 0.5 };
        poison.poison(&mut samples, shape, 0, &mut run_stream(1, Purpose::Poison));
        assert_eq!(samples.labels, [0, 1, 1, 0]);
        let mut noisy = 0;
        for row in samples.inputs.rows() {
            let square = row.iter().map(|value| value * value).sum::<f32>() / 5000.0;
            if square > 0.0 {
                noisy += 1;
                // Four standard errors of the estimate.
                assert!((square.sqrt() - 2.0).abs() < 4.0 * 2.0 / 10_000f32.sqrt(), "{square}");
            }
        }
        assert_eq!(noisy, 2);
    }

    #[test]
    fn what_is_no_noise_is_refused() {
        assert!(FeatureNoise { deviation: -1.0, share: 1.0 }.check().is_err());
        assert!(FeatureNoise { deviation: f64::NAN, share: 1.0 }.check().is_err());
        assert!(FeatureNoise { deviation: 1.0, share: 0.0 }.check().is_err());
    }
}
