//! The faults that a config asks for: who is cut off, slow or flooded, in this system.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::turnout::turnout;
use crate::catalog::ConfigError;
use crate::experiment::config::{self, Config, Side, Target};
use crate::node::{NodeId, Round};
use crate::protocol::fault::Faults;
use crate::protocol::fault::cut::Cut;
use crate::protocol::fault::flood::Flood;
use crate::protocol::meetings::{Meetings, Severed};
use crate::systems::{System, Wiring};

/// What goes wrong in the network of a run.
#[derive(Debug, Clone)]
pub(super) struct PlannedFaults {
    /// What every machine is told.
    pub(super) faults: Faults,
    /// Whom peers meet, where that is not what their system says.
    pub(super) meetings: Option<Arc<dyn Meetings>>,
    /// The flood under which machines lose what they say, where there are servers.
    pub(super) losses: Option<Flood>,
    /// Whose lines are worse.
    pub(super) slow: SlowNodes,
    pub(super) resolved: Value,
}

/// The nodes with worse lines.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SlowNodes {
    nodes: BTreeSet<NodeId>,
    factor: f64,
}

impl SlowNodes {
    /// How many times as long as others a node takes: 1 for most.
    pub fn factor(&self, node: NodeId) -> f64 {
        if self.nodes.contains(&node) { self.factor } else { 1.0 }
    }
}

/// Checks the faults against the system, and plans them for this seed.
pub(super) fn planned_faults(
    config: &Config,
    system: &dyn System,
    wiring: &dyn Wiring,
    seed: u64,
) -> Result<PlannedFaults, ConfigError> {
    let rounds = config.training.rounds;
    let cut = cut(config, system.workers(), seed)?;
    let flood = flood(config, system, wiring, seed)?;
    let slow = slow(config, system, wiring)?;
    let mut planned = PlannedFaults {
        faults: Faults {
            absences: config.faults.absences,
            participation: turnout(config, system, seed)?,
            ..Faults::none(seed)
        },
        meetings: None,
        losses: None,
        slow,
        resolved: resolved(&config.faults, rounds),
    };
    if let Some(meetings) = wiring.meetings() {
        if cut.is_some() || flood.is_some() {
            let left = Severed::new(meetings, cut.as_ref(), flood.as_ref(), rounds);
            planned.meetings = Some(Arc::new(left));
        }
        return Ok(planned);
    }
    // Where nobody talks to anybody there is nothing that could be cut off.
    let connected = (0..system.workers() as u32).any(|node| !wiring.links(NodeId(node)).is_empty());
    planned.faults.cut = cut.filter(|_| connected).map(Arc::new);
    match flood {
        Some(flood) if wiring.coordinated() && flood.node.index() < system.workers() => {
            planned.faults.unasked = Some(flood);
        }
        other => planned.losses = other,
    }
    Ok(planned)
}

/// Who is cut off, and when.
fn cut(config: &Config, workers: usize, seed: u64) -> Result<Option<Cut>, ConfigError> {
    let Some(partition) = &config.faults.partition else { return Ok(None) };
    let (from, until) = (partition.from, partition.until.unwrap_or(config.training.rounds));
    if partition.until.is_some_and(|until| until < from) {
        return Err(ConfigError::new(format!(
            "the partition begins in round {from} and is over after round {until}"
        ))
        .at(config.span("faults.partition.until").unwrap_or_default())
        .help("give `until` the last round in which the network is apart"));
    }
    let count = rounded_up(partition.share * workers as f64);
    if count >= workers && count > 0 {
        return Err(ConfigError::new(format!(
            "a partition that cuts off {count} of {workers} workers leaves nobody on the other side"
        ))
        .at(partition_place(config))
        .help("lower `share`, which is rounded up to whole workers"));
    }
    let (from, until) = (Round(from), Round(until));
    Ok(Some(match partition.by {
        Side::First => Cut::first(count, from, until),
        Side::Random => Cut::drawn(seed, workers, count, from, until),
    }))
}

fn partition_place(config: &Config) -> std::ops::Range<usize> {
    let share = config.span("faults.partition.share");
    share.or_else(|| config.span("faults.partition")).unwrap_or_default()
}

/// The next whole number, where a product that should be whole may be a hair above it.
fn rounded_up(value: f64) -> usize {
    (value - 1e-9).ceil().max(0.0) as usize
}

fn flood(
    config: &Config,
    system: &dyn System,
    wiring: &dyn Wiring,
    seed: u64,
) -> Result<Option<Flood>, ConfigError> {
    let Some(flood) = &config.faults.flood else { return Ok(None) };
    let node = match flood.node {
        Target::Node(node) => known(NodeId(node), system, wiring)
            .map_err(|error| error.at(config.span("faults.flood.node").unwrap_or_default()))?,
        Target::MostValuable => match wiring.valuable().first() {
            Some(&node) => node,
            None => return Ok(None),
        },
    };
    let config::Flood { requests, capacity, from, .. } = *flood;
    Ok(Some(Flood { seed, node, requests, capacity, from: Round(from) }))
}

fn slow(
    config: &Config,
    system: &dyn System,
    wiring: &dyn Wiring,
) -> Result<SlowNodes, ConfigError> {
    let Some(slow) = &config.faults.slow else { return Ok(SlowNodes::default()) };
    let workers = system.workers();
    let nodes = if slow.nodes.is_empty() {
        if slow.count > workers {
            return Err(ConfigError::new(format!(
                "{} of {workers} workers cannot be slow",
                slow.count
            ))
            .at(config.span("faults.slow.count").unwrap_or_default()));
        }
        (workers - slow.count..workers).map(|node| NodeId(node as u32)).collect()
    } else {
        let nodes = slow.nodes.iter().map(|&node| known(NodeId(node), system, wiring));
        nodes
            .collect::<Result<_, _>>()
            .map_err(|error| error.at(config.span("faults.slow.nodes").unwrap_or_default()))?
    };
    Ok(SlowNodes { nodes, factor: slow.factor })
}

/// A node that takes part, as a worker or as a part of the system.
fn known(node: NodeId, system: &dyn System, wiring: &dyn Wiring) -> Result<NodeId, ConfigError> {
    let workers = system.workers();
    let parts = wiring.parts();
    if node.index() < workers || parts.iter().any(|part| part.node == node) {
        return Ok(node);
    }
    let named: Vec<String> =
        parts.iter().take(8).map(|part| format!("{} {}", part.role, part.node)).collect();
    let beside =
        if named.is_empty() { String::new() } else { format!(" and {}", named.join(", ")) };
    Err(ConfigError::new(format!("there is no node {node} in {}", system.label()))
        .help(format!("there are the workers 0 to {}{beside}", workers.saturating_sub(1))))
}

/// The section with its defaults. What is not asked for is left out, so that the runs of earlier
/// experiments keep their names.
fn resolved(faults: &config::Faults, rounds: u32) -> Value {
    let mut resolved = json!({ "absences": faults.absences });
    if let Some(partition) = &faults.partition {
        resolved["partition"] = json!({
            "from": partition.from,
            "until": partition.until.unwrap_or(rounds),
            "share": partition.share,
            "by": partition.by,
        });
    }
    if let Some(slow) = &faults.slow {
        let (key, value) = if slow.nodes.is_empty() {
            ("count", json!(slow.count))
        } else {
            ("nodes", json!(slow.nodes))
        };
        resolved["slow"] = json!({ key: value, "factor": slow.factor });
    }
    if let Some(flood) = &faults.flood {
        resolved["flood"] = json!(flood);
    }
    resolved
}
