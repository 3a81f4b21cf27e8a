//! How workers train, and how what they share moves the model.

use serde_json::{Value, json};

use crate::catalog::ConfigError;
use crate::experiment::config::{self, Config};
use crate::systems::System;
use crate::training::{Batching, Descent, MomentumAt, Training};

/// The settings of training, divided between those who train and whoever moves the model.
pub(super) struct PlannedTraining {
    pub(super) workers: Training,
    pub(super) descent: Descent<f32>,
    pub(super) resolved: Value,
}

/// The training that a config asks for, if the system has somebody to keep the momentum.
pub(super) fn planned_training(
    config: &Config,
    system: &dyn System,
) -> Result<PlannedTraining, ConfigError> {
    let momentum_at = config.training.momentum_at;
    if momentum_at == MomentumAt::Server && !system.aggregates() {
        let message = format!("momentum at the server needs one, and {} has none", system.label());
        return Err(ConfigError::new(message)
            .at(config.span("training.momentum_at").unwrap_or_default())
            .help("peers keep their own: write momentum_at = \"worker\", or leave it out"));
    }
    let settings = settings(&config.training);
    let resolved = resolved(&config.training, &settings);
    let (workers, descent) = momentum_at.divide(settings);
    Ok(PlannedTraining { workers, descent, resolved })
}

/// The settings of local training, with the dampening that `momentum` implies.
fn settings(training: &config::Training) -> Training {
    Training {
        batch: training.batch,
        learning_rate: training.learning_rate,
        momentum: training.momentum,
        dampening: training.dampening.unwrap_or(training.momentum),
        weight_decay: training.weight_decay,
        local_steps: training.local_steps,
        local_epochs: training.local_epochs,
        batches: training.draw,
        clip: training.clip,
        schedule: training.schedule.clone(),
    }
}

fn resolved(config: &config::Training, training: &Training) -> Value {
    json!({
        "rounds": config.rounds,
        "batch": training.batch,
        "learning_rate": decimal(training.learning_rate),
        "momentum": decimal(training.momentum),
        "dampening": decimal(training.dampening),
        "momentum_at": (config.momentum_at != MomentumAt::Worker).then_some(config.momentum_at),
        "weight_decay": decimal(training.weight_decay),
        // What is not used is not said, so that runs keep the identity that they have without it.
        "local_steps": training.local_epochs.is_none().then_some(training.local_steps),
        "local_epochs": training.local_epochs,
        "draw": (training.batches != Batching::Distinct).then_some(training.batches),
        "clip": training.clip.map(decimal),
        "schedule": training.schedule,
        "clients_per_round": config.clients_per_round,
    })
}

/// The shortest decimal that reads back as this number: 0.3 stays 0.3.
fn decimal(value: f32) -> f64 {
    value.to_string().parse().unwrap_or(f64::from(value))
}
