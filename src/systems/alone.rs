//! No collaboration: every worker trains on its own data and hears nobody.
//!
//! The baseline from below: a system is worth its trouble where its worst honest node does better
//! than this. Nothing that happens elsewhere can harm a worker that is alone, and nothing helps it.
//! The aggregation rule is not used.
//!
//! Fails where a worker's own data are few or one-sided: it can learn no class that it has not
//! seen.
//!
//! Reference: the local baseline of decentralized learning, as in McMahan et al., AISTATS 2017.

use std::sync::Arc;

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::formula::{Bounds, Formula, Known};
use super::gossip::{Peers, worker_of};
use super::{Occasion, Setting, System, Takes, Wiring, checked_workers};
use crate::aggregators::AggregateError;
use crate::catalog::{ConfigError, Entry};
use crate::graph::Graph;
use crate::node::NodeId;
use crate::protocol::Machine;
use crate::protocol::mesh_adversary::Defence;
use crate::protocol::worker::Trainer;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn System> = Entry {
    name: "alone",
    summary: "every worker trains for itself",
    reference: "local baseline",
    source: include_str!("alone.rs"),
    claims: (),
    parameters: || schema_for!(Alone),
    build: |parameters| parameters.build::<dyn System, Alone>(Alone::checked),
};

/// Parameters of the system without collaboration.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Alone {
    /// How many workers there are, honest and corrupted, 1 to 100,000; default 10.
    workers: usize,
}

impl Default for Alone {
    fn default() -> Self {
        Alone { workers: 10 }
    }
}

impl Alone {
    fn checked(self) -> Result<Arc<dyn System>, ConfigError> {
        checked_workers(self.workers)?;
        Ok(Arc::new(self))
    }
}

impl System for Alone {
    fn workers(&self) -> usize {
        self.workers
    }

    fn label(&self) -> String {
        ENTRY.name.to_owned()
    }

    fn takes(&self) -> Takes {
        Takes::Nothing
    }

    fn aggregates(&self) -> bool {
        false
    }

    fn wire(&self, _occasion: &Occasion) -> Result<Arc<dyn Wiring>, ConfigError> {
        let graph = Graph::from_edges(self.workers, []).expect("no edge can be wrong");
        Ok(Arc::new(Solitude { peers: Peers::always(Arc::new(graph)) }))
    }
}

/// Workers without links.
#[derive(Debug)]
struct Solitude {
    peers: Peers,
}

impl Wiring for Solitude {
    fn links(&self, _node: NodeId) -> Vec<NodeId> {
        Vec::new()
    }

    fn admits(&self, _defence: &Defence, _byzantine: usize) -> Result<(), AggregateError> {
        Ok(())
    }

    fn valuable(&self) -> Vec<NodeId> {
        self.peers.valuable()
    }

    fn formula(&self, _defence: &Defence, _byzantine: usize) -> Option<Formula> {
        let all = Bounds::exactly(self.peers.len());
        Some(Formula {
            availability: Known::new(all, "nobody waits for anybody: each stops by itself"),
            integrity: Known::new(all, "nobody hears anybody: each must be taken by itself"),
            confidentiality: Known::new(all, "nobody is told anything: each must be taken"),
        })
    }

    fn steps(&self) -> u32 {
        0
    }

    fn machine(
        &self,
        _node: NodeId,
        setting: &Setting,
        trainer: Option<Trainer>,
    ) -> Box<dyn Machine> {
        self.peers.machine(setting, worker_of(trainer))
    }
}
