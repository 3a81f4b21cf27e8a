//! The data of a plan: whether they suffice and suit, and who holds what of them.

use std::sync::Arc;

use serde_json::{Value, json};

use super::Plan;
use crate::catalog::{ConfigError, Member};
use crate::dataset::{Scale, Split};
use crate::datasets::Dataset;
use crate::experiment::config::{Config, Data, Holders};
use crate::experiment::surveys::PATHS;
use crate::models::{Architecture, Model};
use crate::node::NodeId;
use crate::partitions::Partition;
use crate::systems::System;
use crate::threats::Threat;

/// The model for the data, if they fit.
pub(super) fn fit(
    dataset: &Member<dyn Dataset>,
    architecture: &Member<dyn Architecture>,
    config: &Config,
) -> Result<Arc<dyn Model>, ConfigError> {
    let model = architecture.value.model(dataset.value.shape());
    model.map_err(|error| error.at(config.model.span.clone()))
}

/// What is done to the values: what the config says, or what is usual for the data set.
pub(super) fn scale(config: &Config, dataset: &Member<dyn Dataset>) -> Result<Scale, ConfigError> {
    let asked = config.data.scale.clone().unwrap_or_else(|| dataset.value.scale());
    let scale = match asked {
        Scale::Measured => dataset.value.measured().unwrap_or(Scale::Measured),
        given => given,
    };
    match scale.fault(dataset.value.shape().channels, dataset.value.stored()) {
        None => Ok(scale),
        Some(fault) => Err(ConfigError::new(format!("data.scale of {}: {fault}", dataset.name))
            .at(config.span("data.scale").unwrap_or_default())),
    }
}

/// Whether the poison can be used on such data.
pub(super) fn suitable(
    config: &Config,
    threat: &Threat,
    dataset: &dyn Dataset,
) -> Result<(), ConfigError> {
    let Some(poison) = &threat.poison else { return Ok(()) };
    let place = config.threat.poison.as_ref().map(|choice| choice.span.clone());
    poison.suits(dataset.shape()).map_err(|error| error.at(place.unwrap_or_default()))
}

/// Whether there is a sample for everybody who is to hold one.
pub(super) fn enough_samples(
    config: &Config,
    system: &dyn System,
    dataset: &dyn Dataset,
    corrupted: usize,
) -> Result<(), ConfigError> {
    let all = dataset.len(Split::Train);
    let share = config.data.validation;
    let held_out = held_out(share, all);
    if share > 0.0 && held_out == 0 {
        let message = format!("data.validation = {share} of {all} training samples is not one");
        return Err(ConfigError::new(message)
            .at(config.span("data.validation").unwrap_or_default())
            .help("hold out a larger share, or none"));
    }
    let samples = all - held_out;
    let apart = match held_out {
        0 => String::new(),
        _ => format!(", with {held_out} held out,"),
    };
    let trusted = config.aggregation.trusted;
    if trusted > samples {
        let message = format!("aggregation.trusted = {trusted} of {samples} training samples");
        return Err(ConfigError::new(message).at(config.system.span.clone()));
    }
    let holders = match config.data.holders {
        Holders::Everybody => system.workers(),
        Holders::Honest => system.workers() - corrupted,
    };
    if samples >= holders {
        return Ok(());
    }
    Err(ConfigError::new(format!(
        "{samples} training samples{apart} cannot be split among {holders} workers: each needs one"
    ))
    .at(config.system.span.clone()))
}

/// How many of `samples` a share of them is.
fn held_out(share: f64, samples: usize) -> usize {
    (share * samples as f64).round() as usize
}

/// The data with every default. What is not asked for leaves no trace, so that a run keeps its
/// identity.
pub(super) fn resolved_data(
    data: &Data,
    dataset: &Member<dyn Dataset>,
    partition: &Member<dyn Partition>,
    scale: &Scale,
) -> Value {
    json!({
        "set": dataset.resolved(),
        "partition": partition.resolved(),
        "scale": scale,
        "holders": (data.holders != Holders::Everybody).then_some(data.holders),
        "validation": (data.validation > 0.0).then_some(data.validation),
    })
}

impl Plan {
    /// How many training samples are held out.
    pub fn held_out(&self) -> usize {
        held_out(self.validation, self.dataset.value.len(Split::Train))
    }

    /// Whom the partition splits the training samples among, ascending.
    pub fn holders(&self) -> Vec<NodeId> {
        let roster = self.roster();
        let holds =
            |node: &NodeId| self.holders == Holders::Everybody || !self.threat.corrupts(*node);
        roster.ids().iter().copied().filter(holds).collect()
    }

    /// What the run's identity says of the data. How values are scaled unless somebody asks for
    /// something else belongs to the data set, and files are known by what they hold and not by
    /// where they lie.
    pub(super) fn data_identity(&self) -> Value {
        let mut identity = self.resolved["data"].clone();
        if let Value::Object(data) = &mut identity
            && self.scale == self.dataset.value.scale()
        {
            data.remove("scale");
        }
        if let Some(Value::Object(set)) = identity["set"].get_mut(self.dataset.name)
            && set.contains_key("survey")
        {
            set.retain(|name, _| !PATHS.contains(&name.as_str()));
        }
        identity
    }

    /// Names the data set with its parameters and how it is scaled.
    pub(in crate::experiment) fn data_key(&self) -> String {
        format!("{} {}", self.dataset.resolved(), json!(self.scale))
    }

    /// Names the split: it depends on nothing but data, partition, what is held out, who holds the
    /// pieces, workers and seed.
    pub(in crate::experiment) fn split_key(&self) -> String {
        let (data, partition) = (self.data_key(), self.partition.resolved());
        let (workers, seed) = (self.system.value.workers(), self.seed);
        let strangers = match self.holders {
            Holders::Everybody => Vec::new(),
            Holders::Honest => self.threat.corrupted.clone(),
        };
        format!("{data} {partition} {workers} {seed} {} {strangers:?}", self.validation)
    }
}
