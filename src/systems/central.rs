//! One server and its workers: the federated learning that most papers mean.
//!
//! In each round the server sends its model to every worker, waits until each has shared or is
//! absent, aggregates, and moves the model by `-learning_rate` times the aggregate.
//!
//! Where the server itself may fall, workers do not wait to be asked: each begins the round by
//! itself and goes on from the model that the server sends at its end. The bits are the same.
//!
//! Fails with its server: whoever holds it holds the model, and nobody learns while it is down.
//! Availability and integrity fall with one part, k* = 1.
//!
//! Reference: McMahan et al., Communication-Efficient Learning of Deep Networks from
//! Decentralized Data, AISTATS 2017.

use std::sync::Arc;

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::replicated::Replicas;
use super::{Occasion, Part, Setting, System, Takes, Wiring, checked_workers};
use crate::aggregators::AggregateError;
use crate::catalog::{ConfigError, Entry};
use crate::node::NodeId;
use crate::protocol::Machine;
use crate::protocol::mesh_adversary::Defence;
use crate::protocol::server::{Server, ServerSettings};
use crate::protocol::worker::{Trainer, Worker};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn System> = Entry {
    name: "central",
    summary: "one server and its workers",
    reference: "McMahan et al., AISTATS 2017",
    source: include_str!("central.rs"),
    claims: (),
    parameters: || schema_for!(Central),
    build: |parameters| parameters.build::<dyn System, Central>(Central::checked),
};

/// Parameters of the central system.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Central {
    /// How many workers there are, honest and corrupted, 1 to 100,000; default 10.
    workers: usize,
}

impl Default for Central {
    fn default() -> Self {
        Central { workers: 10 }
    }
}

impl Central {
    fn checked(self) -> Result<Arc<dyn System>, ConfigError> {
        checked_workers(self.workers)?;
        Ok(Arc::new(self))
    }
}

impl System for Central {
    fn workers(&self) -> usize {
        self.workers
    }

    fn label(&self) -> String {
        ENTRY.name.to_owned()
    }

    fn takes(&self) -> Takes {
        Takes::Rules
    }

    fn draws_workers(&self) -> bool {
        true
    }

    fn wire(&self, occasion: &Occasion) -> Result<Arc<dyn Wiring>, ConfigError> {
        if occasion.parts_fall {
            // A server that may fall cannot be the one that everybody waits for to ask.
            return Ok(Arc::new(Replicas::one(self.workers)));
        }
        Ok(Arc::new(One { workers: self.workers }))
    }
}

/// One server that asks its workers.
#[derive(Debug)]
pub(super) struct One {
    pub(super) workers: usize,
}

impl One {
    fn server(&self) -> NodeId {
        NodeId(self.workers as u32)
    }
}

impl Wiring for One {
    fn parts(&self) -> Vec<Part> {
        vec![Part { node: self.server(), role: "server" }]
    }

    fn coordinated(&self) -> bool {
        true
    }

    fn links(&self, node: NodeId) -> Vec<NodeId> {
        if node == self.server() {
            return (0..self.workers as u32).map(NodeId).collect();
        }
        vec![self.server()]
    }

    fn admits(&self, defence: &Defence, byzantine: usize) -> Result<(), AggregateError> {
        match defence {
            Defence::Rule(rule) => rule.admits(self.workers, byzantine),
            Defence::Peer(_) => Ok(()),
        }
    }

    fn valuable(&self) -> Vec<NodeId> {
        let workers = (0..self.workers as u32).map(NodeId);
        [self.server()].into_iter().chain(workers).collect()
    }

    fn steps(&self) -> u32 {
        2
    }

    fn machine(
        &self,
        node: NodeId,
        setting: &Setting,
        trainer: Option<Trainer>,
    ) -> Box<dyn Machine> {
        if let Some(trainer) = trainer {
            return Box::new(Worker::new(trainer, setting.faults.clone()));
        }
        Box::new(Server::new(ServerSettings {
            node,
            roster: setting.roster.clone(),
            rule: setting.rule(),
            byzantine: setting.byzantine,
            rounds: setting.rounds,
            descent: setting.descent,
            seed: setting.seed,
            head: setting.head.clone(),
            initial: Arc::clone(&setting.initial),
            trusted: setting.trusted.clone(),
            participation: setting.faults.participation,
        }))
    }
}
