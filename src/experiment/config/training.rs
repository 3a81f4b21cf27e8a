//! `[training]`: how workers train, and how what they share moves the model.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::training::{Batching, MomentumAt, Schedule};

/// Stochastic gradient descent, as each worker does it.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// How many rounds there are: 1 to 1,000,000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub rounds: u32,
    /// Samples in each gradient: 1 to 1,000,000. Default: 25.
    #[serde(default = "twenty_five")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub batch: usize,
    /// How far a step goes along the update: above 0.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub learning_rate: f32,
    /// The share of the last momentum that is kept: 0 to below 1. Default: 0.
    #[serde(default)]
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub momentum: f32,
    /// How much less a new gradient counts, `momentum * m + (1 - dampening) * gradient`: 0 to 1.
    /// Default: the same as `momentum`.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    pub dampening: Option<f32>,
    /// Who keeps the momentum: each `worker`, of its gradients, or the `server`, of the
    /// aggregates. Default: `worker`.
    #[serde(default)]
    pub momentum_at: MomentumAt,
    /// The pull of every parameter towards 0, added to its gradient: 0 or more. Default: 0.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub weight_decay: f32,
    /// Gradient steps that a worker takes in a round: 1 to 10,000. Default: 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 10_000))]
    pub local_steps: u32,
    /// In place of `local_steps`: passes of a worker over its own samples in a round, 1 to 1,000.
    /// Default: none.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000))]
    pub local_epochs: Option<u32>,
    /// Which samples a step takes. Default: `distinct`.
    #[serde(default)]
    pub draw: Batching,
    /// The largest Euclidean norm of a step's gradient; a longer one is shortened to it. Above 0.
    /// Default: none.
    #[serde(default)]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub clip: Option<f32>,
    /// What the learning rate is multiplied with from round to round. Default: nothing.
    #[serde(default)]
    pub schedule: Option<Schedule>,
    /// How many of the workers the server works with in a round, drawn anew for each, without
    /// replacement: 1 to all. `aggregation.byzantine` is what the rule expects among those, and a
    /// round may draw more; how often it does is in the run's summary. Default: all.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub clients_per_round: Option<usize>,
}

fn one() -> u32 {
    1
}

fn twenty_five() -> usize {
    25
}
