//! The plan: one cell of an experiment, checked, with everything that it names built.
//!
//! A config says what the user typed; a plan can be run. It is made in one place, and what it
//! refuses it refuses before anything runs, with the place in the file.

mod aggregation;
mod data;
mod evaluation;
mod exposure;
mod faults;
mod threat;
mod training;
mod turnout;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};

use self::aggregation::{Aggregation, aggregation, tolerable};
use self::data::{enough_samples, fit, resolved_data, scale, suitable};
use self::evaluation::{measurable, resolved_evaluation};
use self::exposure::exposed;
pub use self::faults::SlowNodes;
use self::faults::planned_faults;
use self::threat::planned_threat;
use self::training::planned_training;
use super::config::{self, Config, Network};
use crate::RESULTS_VERSION;
use crate::catalog::{Choice, ConfigError, Member};
use crate::dataset::Scale;
use crate::datasets::{self, Dataset};
use crate::downfalls::Conduct;
use crate::models::{self, Model};
use crate::node::{NodeId, Roster};
use crate::partitions::{self, Partition};
use crate::protocol::fault::Faults;
use crate::protocol::fault::flood::Flood;
use crate::protocol::meetings::Meetings;
use crate::protocol::mesh_adversary::Defence;
use crate::runtime::{Cast, Seat};
use crate::seed::{Purpose, run_stream};
use crate::systems::{self, Occasion, Setting, System, Wiring};
use crate::threats::Threat;
use crate::training::{Descent, Training};
use crate::vector::{Digest, Shared};

/// A cell that can be run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The experiment's name.
    pub name: String,
    /// The cell's seed.
    pub seed: u64,
    /// The config of this cell alone with every default filled in.
    pub resolved: Value,
    /// What the cell is called in tables.
    pub labels: Labels,
    /// The data set.
    pub dataset: Member<dyn Dataset>,
    /// How its values are scaled.
    pub scale: Scale,
    /// How it is split among workers.
    pub partition: Member<dyn Partition>,
    /// Whom it is split among.
    pub holders: config::Holders,
    /// The share of the training samples that is held out, 0 to below 1.
    pub validation: f64,
    /// The model for samples of this shape.
    pub model: Arc<dyn Model>,
    /// The degree of decentralization.
    pub system: Member<dyn System>,
    /// The system, wired for this seed.
    pub wiring: Arc<dyn Wiring>,
    /// The rule with its pre-aggregators, or the rule of peers.
    pub rule: Defence,
    /// How many samples the server holds itself, for a rule that trusts them.
    pub trusted: usize,
    /// The declared number of byzantine senders, wherever something is combined.
    pub byzantine: usize,
    /// What the honest are up against.
    pub threat: Threat,
    /// Planned faults.
    pub faults: Faults,
    /// Whom peers meet, where faults keep them from some of those whom their system wires them to.
    pub severed: Option<Arc<dyn Meetings>>,
    /// The flood in which machines lose what they say, where there are servers.
    pub losses: Option<Flood>,
    /// Whose lines are worse than the network's.
    pub slow: SlowNodes,
    /// The network that virtual time is told for.
    pub network: Network,
    /// How workers train.
    pub training: Training,
    /// How an aggregate moves the model.
    pub descent: Descent<f32>,
    /// How many rounds there are.
    pub rounds: u32,
    /// When the model is judged, which is also after the last round, and what else is measured.
    pub evaluation: config::Evaluation,
}

/// Short names of a cell's parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// `central`, `gossip:ring`.
    pub system: String,
    /// `krum`, or `nearest_neighbour_mixing+trimmed_mean`.
    pub rule: String,
    /// `inner_product`, or `none`.
    pub attack: String,
    /// `crash`, or `none`.
    pub downfall: String,
    /// `iid`.
    pub partition: String,
}

impl Plan {
    /// What may not be as it was meant, though the cell can be run.
    pub fn doubts(&self) -> Vec<String> {
        let corrupted = self.threat.corrupted.len();
        let attack = self.threat.attack.as_ref().filter(|_| corrupted > 0);
        attack
            .and_then(|attack| attack.doubt(self.system.value.workers(), corrupted))
            .into_iter()
            .collect()
    }

    /// Checks a cell and builds what it names, or says everything that is wrong with it.
    pub fn check(config: &Config, seed: u64) -> Result<Plan, Vec<ConfigError>> {
        let mut problems = Problems::default();
        let dataset = problems.keep(datasets::CATALOG.build(&config.data.set));
        let scale = dataset.as_ref().and_then(|dataset| problems.keep(scale(config, dataset)));
        let partition = problems.keep(partitions::CATALOG.build(&config.data.partition));
        let architecture = problems.keep(models::CATALOG.build(&config.model));
        let system = problems.keep(systems::CATALOG.build(&config.system));
        let aggregation = problems.keep(aggregation(config));
        let model = match (&dataset, &architecture) {
            (Some(dataset), Some(architecture)) => {
                problems.keep(fit(dataset, architecture, config))
            }
            _ => None,
        };
        let wiring = system.as_ref().and_then(|system| problems.keep(wired(config, system, seed)));
        let threat = match (&system, &wiring) {
            (Some(system), Some(wiring)) => {
                problems.keep(planned_threat(config, &*system.value, &**wiring, seed))
            }
            _ => None,
        };
        let wiring = match (&system, &threat) {
            (Some(system), Some(threat)) => {
                let corrupted = &threat.threat.corrupted;
                problems.keep(rewired(config, system, corrupted, seed)).flatten().or(wiring)
            }
            _ => wiring,
        };
        let faults = match (&system, &wiring) {
            (Some(system), Some(wiring)) => {
                problems.keep(planned_faults(config, &*system.value, &**wiring, seed))
            }
            _ => None,
        };
        let training = system.as_ref().map(|system| planned_training(config, &*system.value));
        let training = training.and_then(|training| problems.keep(training));
        if let (Some(threat), Some(dataset)) = (&threat, &dataset) {
            problems.keep(suitable(config, &threat.threat, &*dataset.value));
        }
        if let (Some(system), Some(dataset)) = (&system, &dataset) {
            let corrupted = threat.as_ref().map_or(0, |planned| planned.threat.corrupted.len());
            problems.keep(enough_samples(config, &*system.value, &*dataset.value, corrupted));
        }
        if let (Some(system), Some(wiring), Some(aggregation)) = (&system, &wiring, &aggregation) {
            let threat = threat.as_ref().map(|planned| &planned.threat);
            problems.keep(tolerated(config, system, &**wiring, aggregation, threat));
        }
        problems.end()?;
        let missing = "a part that was not built left a problem behind";
        let (dataset, partition) = (dataset.expect(missing), partition.expect(missing));
        let scale = scale.expect(missing);
        let (system, aggregation) = (system.expect(missing), aggregation.expect(missing));
        let (threat, faults) = (threat.expect(missing), faults.expect(missing));
        let training = training.expect(missing);
        let labels = Labels {
            system: system.value.label(),
            rule: aggregation.label.clone(),
            attack: threat.label,
            downfall: threat.downfall,
            partition: partition.name.to_owned(),
        };
        let resolved = json!({
            "schema": 1, "name": config.name, "question": config.question, "seeds": [seed],
            "data": resolved_data(&config.data, &dataset, &partition, &scale),
            "model": architecture.expect(missing).resolved(),
            "training": training.resolved,
            "system": system.resolved(),
            "aggregation": aggregation.resolved,
            "threat": threat.resolved,
            "faults": faults.resolved,
            "evaluation": resolved_evaluation(&config.evaluation),
            "network": resolved_network(&config.network),
        });
        let byzantine = system.value.byzantine().unwrap_or(config.aggregation.byzantine);
        Ok(Plan {
            name: config.name.clone(),
            seed,
            resolved: without_nulls(resolved),
            labels,
            dataset,
            scale,
            partition,
            holders: config.data.holders,
            validation: config.data.validation,
            model: model.expect(missing),
            system,
            wiring: wiring.expect(missing),
            rule: aggregation.rule,
            trusted: config.aggregation.trusted,
            byzantine,
            threat: threat.threat,
            faults: faults.faults,
            severed: faults.meetings,
            losses: faults.losses,
            slow: faults.slow,
            network: config.network.clone(),
            training: training.workers,
            descent: training.descent,
            rounds: config.training.rounds,
            evaluation: config.evaluation.clone(),
        })
    }

    /// The run's identity: a hash over everything that its bits depend on. The name and the
    /// question, the runtime, the threads and the folder are not among that.
    pub fn run_id(&self) -> String {
        let mut identity = self.resolved.clone();
        if let Value::Object(table) = &mut identity {
            table.remove("name");
            table.remove("question");
            table.insert("data".to_owned(), self.data_identity());
            table.insert("results_version".to_owned(), json!(RESULTS_VERSION));
        }
        Digest::of_bytes(identity.to_string().as_bytes()).to_string()[..16].to_owned()
    }

    /// All workers, honest or not.
    pub fn roster(&self) -> Roster {
        Roster::of_workers(self.system.value.workers())
    }

    /// Who speaks for whom.
    pub fn cast(&self) -> Cast {
        let mut voices = BTreeMap::new();
        for &node in self.roster().ids() {
            let colluder = self.threat.corrupts(node) && self.threat.colludes();
            voices.insert(node, if colluder { Seat::Adversary } else { Seat::Node(node) });
        }
        for part in self.wiring.parts() {
            voices.insert(part.node, Seat::Node(part.node));
        }
        let crashes = self.threat.fall.is_some_and(|fall| fall.conduct == Conduct::Crash);
        let down =
            if crashes { self.threat.fallen.iter().copied().collect() } else { BTreeSet::new() };
        Cast { voices, honest: self.honest(), tapped: self.threat.taps(), down }
    }

    /// The workers that are neither corrupted nor fallen.
    pub fn honest(&self) -> BTreeSet<NodeId> {
        let roster = self.roster();
        let fell = |node: &NodeId| self.threat.fallen.contains(node);
        let honest = roster.ids().iter().filter(|node| !self.threat.corrupts(**node));
        honest.filter(|node| !fell(node)).copied().collect()
    }

    /// Who meets whom, where workers are peers.
    pub fn meetings(&self) -> Option<Arc<dyn Meetings>> {
        self.severed.clone().or_else(|| self.wiring.meetings())
    }

    /// What the parts of the system are handed.
    pub fn setting(&self) -> Setting {
        Setting {
            roster: self.roster(),
            defence: self.rule.clone(),
            byzantine: self.byzantine,
            rounds: self.rounds,
            descent: self.descent,
            seed: self.seed,
            run_id: self.run_id(),
            head: self.model.head(),
            initial: self.initial(),
            faults: self.faults.clone(),
            meetings: self.severed.clone(),
            honest: Arc::new(self.honest()),
            trusted: None,
        }
    }

    /// The model before the first round, the same for every rule and attack.
    pub fn initial(&self) -> Shared {
        Arc::new(self.model.initial(&mut run_stream(self.seed, Purpose::Initial)))
    }
}

/// The digest over the cells of a sweep: what both ends of a connection must have planned.
pub fn plan_digest<'a>(plans: impl IntoIterator<Item = &'a Plan>) -> Digest {
    let ids: Vec<String> = plans.into_iter().map(Plan::run_id).collect();
    Digest::of_bytes(ids.join("\n").as_bytes())
}

/// Errors that are found side by side.
#[derive(Default)]
struct Problems(Vec<ConfigError>);

impl Problems {
    fn keep<T>(&mut self, result: Result<T, ConfigError>) -> Option<T> {
        result.map_err(|error| self.0.push(error)).ok()
    }

    fn end(self) -> Result<(), Vec<ConfigError>> {
        if self.0.is_empty() { Ok(()) } else { Err(self.0) }
    }
}

fn occasion(config: &Config, seed: u64) -> Occasion {
    let parts_fall = config.threat.downfall.is_some();
    Occasion { seed, rounds: config.training.rounds, parts_fall }
}

/// The system, wired for this seed.
fn wired(
    config: &Config,
    system: &Member<dyn System>,
    seed: u64,
) -> Result<Arc<dyn Wiring>, ConfigError> {
    let wired = system.value.wire(&occasion(config, seed));
    wired
        .and_then(|wiring| measurable(config, &*wiring).map(|()| wiring))
        .map_err(|error| error.at(config.system.span.clone()))
}

/// Whether the rule can do what it has to wherever it is used, and against whom it is used.
fn tolerated(
    config: &Config,
    system: &Member<dyn System>,
    wiring: &dyn Wiring,
    aggregation: &Aggregation,
    threat: Option<&Threat>,
) -> Result<(), ConfigError> {
    let (system, rule) = (&*system.value, &aggregation.rule);
    tolerable(config, system, wiring, rule)?;
    threat.map_or(Ok(()), |threat| exposed(config, system, wiring, rule, threat))
}

/// The system, wired once more where that depends on who is corrupted.
fn rewired(
    config: &Config,
    system: &Member<dyn System>,
    corrupted: &[NodeId],
    seed: u64,
) -> Result<Option<Arc<dyn Wiring>>, ConfigError> {
    let rewired = system.value.rewire(&occasion(config, seed), corrupted);
    rewired.map_err(|error| error.at(config.system.span.clone()))
}

/// The network, where it is not the one that everybody has.
fn resolved_network(network: &Network) -> Value {
    if *network == Network::default() {
        return Value::Null;
    }
    json!({ "latency": network.latency, "bandwidth": network.bandwidth })
}

/// The same value without the keys that say nothing, which TOML cannot write.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(table) => table
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(key, value)| (key, without_nulls(value)))
            .collect(),
        Value::Array(values) => values.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

/// A choice as the user wrote it.
fn as_written(choice: &Choice) -> Result<Value, ConfigError> {
    let parameters: Value = choice.parameters.clone().read()?;
    Ok(json!({ choice.name.as_str(): parameters }))
}
