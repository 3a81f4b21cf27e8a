//! Systems: which machines take part and how they are wired.
//!
//! The same data, model, threat and budget run on systems that differ only in how they are
//! decentralized. Workers are nodes `0..workers`; the parts that a system adds follow.
//!
//! A system is what the user chose; wired for one run it is a [`Wiring`], which knows who talks to
//! whom and makes the machines.

mod alone;
mod central;
mod committee;
mod federated;
pub mod formula;
mod gossip;
mod oracle;
mod replicated;

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use self::formula::Formula;
use crate::aggregators::{AggregateError, Aggregator};
use crate::catalog::{Catalog, ConfigError};
use crate::graph::Graph;
use crate::ledger::genesis::Genesis;
use crate::node::{NodeId, Roster};
use crate::peer_rules::{Local, PeerRule};
use crate::protocol::Machine;
use crate::protocol::fault::Faults;
use crate::protocol::meetings::Meetings;
use crate::protocol::mesh_adversary::Defence;
use crate::protocol::worker::Trainer;
use crate::training::Descent;
use crate::vector::Shared;

/// All systems.
pub static CATALOG: Catalog<dyn System> = Catalog {
    kind: "system",
    entries: &[
        &alone::ENTRY,
        &oracle::ENTRY,
        &central::ENTRY,
        &replicated::ENTRY,
        &federated::ENTRY,
        &gossip::ENTRY,
        &committee::ENTRY,
    ],
};

/// A degree of decentralization.
pub trait System: Debug + Send + Sync {
    /// How many workers hold data.
    fn workers(&self) -> usize;

    /// What tables call it: `central`, `gossip:ring`.
    fn label(&self) -> String;

    /// The declared number of liars wherever models or updates are combined, where the system has
    /// its own; else the aggregation's.
    fn byzantine(&self) -> Option<usize> {
        None
    }

    /// Which rules it can use.
    fn takes(&self) -> Takes;

    /// Whether somebody in it, a server or a committee, moves a model along aggregates of what
    /// the workers share. Peers move their own along their own gradients, and mix.
    fn aggregates(&self) -> bool {
        true
    }

    /// Whether its servers can work with some of the workers in a round, drawn anew for each.
    fn draws_workers(&self) -> bool {
        false
    }

    /// Whether a run may begin although more of some node's neighbours are corrupted than its rule
    /// tolerates.
    fn allows_overload(&self) -> bool {
        false
    }

    /// Wires it for one run.
    fn wire(&self, occasion: &Occasion) -> Result<Arc<dyn Wiring>, ConfigError>;

    /// Wires it once more, where it depends on who is corrupted: there attackers decide who talks
    /// to whom.
    fn rewire(
        &self,
        _occasion: &Occasion,
        _corrupted: &[NodeId],
    ) -> Result<Option<Arc<dyn Wiring>>, ConfigError> {
        Ok(None)
    }
}

/// The rules that a system can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Aggregation rules.
    Rules,
    /// Aggregation rules and peer rules.
    PeerRules,
    /// None: it ignores what is configured.
    Nothing,
}

/// The run that a system is wired for.
#[derive(Debug, Clone, Copy)]
pub struct Occasion {
    /// The run's seed.
    pub seed: u64,
    /// How many rounds there are.
    pub rounds: u32,
    /// Whether parts of the system may fall: then the system must not rest on a coordinator.
    pub parts_fall: bool,
}

/// A system that is wired for one run.
pub trait Wiring: Debug + Send + Sync {
    /// The nodes that the system adds to the workers, in ascending order.
    fn parts(&self) -> Vec<Part> {
        Vec::new()
    }

    /// Whether one server asks and all others answer; elsewhere everybody talks to its links.
    fn coordinated(&self) -> bool {
        false
    }

    /// Everybody who talks to `node` in any round, ascending.
    fn links(&self, node: NodeId) -> Vec<NodeId>;

    /// Who meets whom, where workers are peers.
    fn meetings(&self) -> Option<Arc<dyn Meetings>> {
        None
    }

    /// The graph of the first round, where workers are peers.
    fn graph(&self) -> Option<Arc<Graph>> {
        None
    }

    /// Whether this rule can do what it has to wherever it is used.
    fn admits(&self, defence: &Defence, byzantine: usize) -> Result<(), AggregateError>;

    /// The nodes by what their fall is worth to an attacker, the most valuable first.
    fn valuable(&self) -> Vec<NodeId>;

    /// The nodes that make up the system, the most valuable first: its parts, or the workers where
    /// they serve each other.
    fn constituents(&self) -> Vec<NodeId> {
        let parts: BTreeSet<NodeId> = self.parts().iter().map(|part| part.node).collect();
        let mut nodes = self.valuable();
        nodes.retain(|node| parts.is_empty() || parts.contains(node));
        nodes
    }

    /// Groups of nodes of which it only matters how many fall; where ties are broken by number,
    /// the first of a group are the worst to lose.
    fn interchangeable(&self) -> Vec<Vec<NodeId>> {
        Vec::new()
    }

    /// Who is sent what a worker alone came to, its update or its model, ascending.
    fn told_by(&self, worker: NodeId) -> Vec<NodeId> {
        self.links(worker)
    }

    /// How many of its constituents must fall together, where that is known without a run.
    fn formula(&self, _defence: &Defence, _byzantine: usize) -> Option<Formula> {
        None
    }

    /// How many messages follow one after another in a round, each of which waits for the one
    /// before.
    fn steps(&self) -> u32;

    /// How the ledger of a run of this name begins, where one is kept.
    fn genesis(&self, _run_id: &str) -> Option<Genesis> {
        None
    }

    /// The honest machine of `node`; workers have a trainer.
    fn machine(
        &self,
        node: NodeId,
        setting: &Setting,
        trainer: Option<Trainer>,
    ) -> Box<dyn Machine>;
}

/// A node that serves the workers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its identity.
    pub node: NodeId,
    /// What it is: `server`, `replica`, `bridge`.
    pub role: &'static str,
}

/// What a run hands to every machine of its system.
#[derive(Debug, Clone)]
pub struct Setting {
    /// All workers.
    pub roster: Roster,
    /// What becomes of many updates, or of a peer's model and those of its neighbours.
    pub defence: Defence,
    /// The declared number of byzantine senders.
    pub byzantine: usize,
    /// How many rounds there are.
    pub rounds: u32,
    /// How an aggregate moves the model: with momentum, where it is the server's.
    pub descent: Descent<f32>,
    /// The run's seed.
    pub seed: u64,
    /// The run's identity, from which the keys of a ledger are derived.
    pub run_id: String,
    /// Where the model's last layer stands.
    pub head: Range<usize>,
    /// The model before the first round.
    pub initial: Shared,
    /// The planned absences.
    pub faults: Faults,
    /// Whom peers meet, where faults keep them from some of those whom their system wires them to.
    pub meetings: Option<Arc<dyn Meetings>>,
    /// The honest workers, for those that are oracles.
    pub honest: Arc<BTreeSet<NodeId>>,
    /// What a server trains on itself, where the rule trusts that.
    pub trusted: Option<Trainer>,
}

impl Setting {
    /// The rule over rows of updates.
    ///
    /// # Panics
    /// If a peer rule was chosen: plans are checked before.
    pub fn rule(&self) -> Arc<dyn Aggregator> {
        match &self.defence {
            Defence::Rule(rule) => Arc::clone(rule),
            Defence::Peer(_) => panic!("a peer rule was planned where there are no peers"),
        }
    }

    /// The rule of a peer; an aggregation rule is applied to its own model and its neighbours'.
    pub fn peer_rule(&self) -> Arc<dyn PeerRule> {
        peer_rule(&self.defence)
    }
}

/// The rule of a peer; an aggregation rule is applied to its own model and its neighbours'.
pub fn peer_rule(defence: &Defence) -> Arc<dyn PeerRule> {
    match defence {
        Defence::Rule(rule) => Arc::new(Local::new(Arc::clone(rule))),
        Defence::Peer(rule) => Arc::clone(rule),
    }
}

/// The most workers that a system takes.
const WORKERS_MAX: usize = 100_000;

/// Checks how many workers a system is to have.
fn checked_workers(workers: usize) -> Result<(), ConfigError> {
    if (1..=WORKERS_MAX).contains(&workers) {
        return Ok(());
    }
    Err(ConfigError::new(format!("`workers` is {workers}, it must be 1 to {WORKERS_MAX}")))
}
