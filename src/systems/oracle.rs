//! The mean of the honest only: one server that knows who is corrupted and leaves them out.
//!
//! The baseline from above: what the honest could reach together if nobody lied to them. No real
//! system can do this, and a rule that comes near it has nothing left to gain. The aggregation rule
//! is not used.
//!
//! Fails only as its server does; it is a yardstick, not a defence.
//!
//! Reference: Karimireddy, He, Jaggi, Learning from History for Byzantine Robust Optimization,
//! ICML 2021, who call it the ideal rule.

use std::sync::Arc;

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::central::One;
use super::{Occasion, Setting, System, Takes, Wiring, checked_workers};
use crate::aggregators::{self, AggregateError};
use crate::catalog::{ConfigError, Entry};
use crate::node::{NodeId, Roster};
use crate::protocol::Machine;
use crate::protocol::mesh_adversary::Defence;
use crate::protocol::worker::Trainer;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn System> = Entry {
    name: "oracle",
    summary: "a server that takes the mean of the honest",
    reference: "Karimireddy, He, Jaggi, ICML 2021",
    source: include_str!("oracle.rs"),
    claims: (),
    parameters: || schema_for!(Oracle),
    build: |parameters| parameters.build::<dyn System, Oracle>(Oracle::checked),
};

/// Parameters of the oracle.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Oracle {
    /// How many workers there are, honest and corrupted, 1 to 100,000; default 10.
    workers: usize,
}

impl Default for Oracle {
    fn default() -> Self {
        Oracle { workers: 10 }
    }
}

impl Oracle {
    fn checked(self) -> Result<Arc<dyn System>, ConfigError> {
        checked_workers(self.workers)?;
        Ok(Arc::new(self))
    }
}

impl System for Oracle {
    fn workers(&self) -> usize {
        self.workers
    }

    fn label(&self) -> String {
        ENTRY.name.to_owned()
    }

    fn byzantine(&self) -> Option<usize> {
        Some(0)
    }

    fn takes(&self) -> Takes {
        Takes::Nothing
    }

    fn draws_workers(&self) -> bool {
        true
    }

    fn wire(&self, _occasion: &Occasion) -> Result<Arc<dyn Wiring>, ConfigError> {
        Ok(Arc::new(Ideal { one: One { workers: self.workers } }))
    }
}

/// One server with an ear for the honest alone.
#[derive(Debug)]
struct Ideal {
    one: One,
}

impl Wiring for Ideal {
    fn parts(&self) -> Vec<super::Part> {
        self.one.parts()
    }

    fn coordinated(&self) -> bool {
        true
    }

    fn links(&self, node: NodeId) -> Vec<NodeId> {
        self.one.links(node)
    }

    fn admits(&self, _defence: &Defence, _byzantine: usize) -> Result<(), AggregateError> {
        Ok(())
    }

    /// Nothing of a yardstick can fall.
    fn valuable(&self) -> Vec<NodeId> {
        Vec::new()
    }

    fn steps(&self) -> u32 {
        self.one.steps()
    }

    fn machine(
        &self,
        node: NodeId,
        setting: &Setting,
        trainer: Option<Trainer>,
    ) -> Box<dyn Machine> {
        let mean = aggregators::CATALOG.build_default("mean").expect("the mean has defaults");
        let honest = setting.honest.iter().copied().collect();
        let setting = Setting {
            roster: Roster::of(honest),
            defence: Defence::Rule(mean.value),
            byzantine: 0,
            trusted: None,
            ..setting.clone()
        };
        self.one.machine(node, &setting, trainer)
    }
}
