//! What a config asks to be measured.

use serde_json::{Value, json};

use crate::catalog::ConfigError;
use crate::experiment::config::{self, Config};
use crate::systems::Wiring;

/// Measurements that are not asked for leave no trace, so that a run keeps its identity.
pub(super) fn resolved_evaluation(config: &config::Evaluation) -> Value {
    json!({
        "every": config.every,
        "classes": config.classes.then_some(true),
        "robustness": config.robustness.then_some(true),
    })
}

/// Aggregates are measured where there is one in a round, and one place that sees all updates.
pub(super) fn measurable(config: &Config, wiring: &dyn Wiring) -> Result<(), ConfigError> {
    if wiring.coordinated() || !config.evaluation.robustness {
        return Ok(());
    }
    Err(ConfigError::new("evaluation.robustness is measured where one server aggregates")
        .help("leave it out, or take system `central` without a downfall"))
}
