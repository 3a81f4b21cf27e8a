//! One server and its workers: the federated learning that most papers mean.
//!
//! In each round the server sends its model to every worker, waits until each has shared or is
//! absent, aggregates, and moves the model by `-learning_rate` times the aggregate.
//!
//! Fails with its server: whoever holds it holds the model, and nobody learns while it is down.
//!
//! Reference: McMahan et al., Communication-Efficient Learning of Deep Networks from
//! Decentralized Data, AISTATS 2017.

use std::sync::Arc;

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Part, Setting, System};
use crate::catalog::{ConfigError, Entry};
use crate::node::NodeId;
use crate::protocol::Machine;
use crate::protocol::server::{Server, ServerSettings};

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

/// The most workers that one server takes.
const WORKERS_MAX: usize = 100_000;

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
        if !(1..=WORKERS_MAX).contains(&self.workers) {
            return Err(ConfigError::new(format!(
                "`workers` is {}, it must be 1 to {WORKERS_MAX}",
                self.workers
            )));
        }
        Ok(Arc::new(self))
    }
}

impl System for Central {
    fn workers(&self) -> usize {
        self.workers
    }

    fn parts(&self) -> Vec<Part> {
        vec![Part { node: NodeId(self.workers as u32), role: "server" }]
    }

    fn rows(&self) -> usize {
        self.workers
    }

    fn machine(&self, part: &Part, setting: &Setting) -> Box<dyn Machine> {
        let Setting { roster, rule, byzantine, rounds, learning_rate, seed, head, initial } =
            setting.clone();
        Box::new(Server::new(ServerSettings {
            node: part.node,
            roster,
            rule,
            byzantine,
            rounds,
            learning_rate,
            seed,
            head,
            initial,
        }))
    }
}
