//! Several servers that do the same work, so that some of them may crash or lie.
//!
//! Every worker sends its update to each of the r replicas, every replica runs the same rule, and
//! a worker goes on from the model that it can believe although f replicas lie:
//!
//! - `accept = "matching_digests"`: the model that f + 1 replicas sent to the last bit; one of
//!   them is honest. Needs r >= 3f + 1. It needs the honest replicas to agree to the bit, and so
//!   the `echo`: replicas compare digests of what each worker sent them, a row counts if
//!   ⌊(r + f) / 2⌋ + 1 replicas hold the same (2f + 1 of 3f + 1), and who holds another share
//!   fetches that one. A worker that tells replicas different things is left out. Without the
//!   echo one such worker is enough to stall everybody, round after round.
//! - `accept = "median"`: the coordinate-wise median of the models, of which 2f + 1 must have
//!   come. Needs r >= 3f + 2. Replicas use what they were sent, exchange the models that come of
//!   it and take the median of those too, which keeps them together. Nobody needs to be equal to
//!   the bit, so there is no echo by default; and workers hold slightly different models if
//!   somebody lies.
//!
//! A round: updates to the replicas, claims, word that nothing is missing, models to the workers;
//! fetches come between where workers lie to replicas. With honest replicas the model is that of
//! a central server to the last bit. A replica whose rule refuses the rows has no model in that
//! round, and the workers keep theirs.
//!
//! What must fall: with the echo, k* = f + 1 crashes stop everybody (availability), and k* = f + 1
//! captured replicas that say the same are believed (integrity). With the median, k* = r - 2f
//! crashes stop everybody. As long as the honest replicas hold equal models, half of all replicas
//! must be captured to move the median; where workers tell replicas different things nothing is
//! promised from f + 1 on. For confidentiality replication only hurts: every replica sees every
//! update, k* = 1.
//!
//! Fails where replicas fall together: one operator, one program, one provider. It does nothing
//! against workers that lie to all replicas alike; that is the rule's part. And one gap is left:
//! a captured replica that claims different things to different replicas, together with a worker
//! who shares different things, can make one honest replica count a row that the others leave
//! out. That replica holds another model from then on. The others carry the workers as long as
//! f + 1 of them hold the same; of r = 3f + 1 with f captured, as long as no more than f honest
//! ones are split off. After that everybody stalls, but no worker is ever led to a model that no
//! honest replica holds. A third step (Bracha's, or the agreement of a `committee`) closes the
//! gap.
//!
//! Reference: Castro, Liskov, Practical Byzantine Fault Tolerance, OSDI 1999, for 3f + 1; Bracha,
//! Asynchronous Byzantine Agreement Protocols, Information and Computation 1987, for the echo;
//! El-Mhamdi et al., Genuinely Distributed Byzantine Machine Learning, Distributed Computing
//! 2022, for the median (`ByzSGD`).

use std::sync::Arc;

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::formula::{Bounds, Formula, Known};
use super::gossip::worker_of;
use super::{Occasion, Part, Setting, System, Takes, Wiring, checked_workers};
use crate::aggregators::AggregateError;
use crate::catalog::{ConfigError, Entry};
use crate::node::NodeId;
use crate::protocol::Machine;
use crate::protocol::aggregation::AggregationSettings;
use crate::protocol::agreement::Accept;
use crate::protocol::echo::quorum;
use crate::protocol::follower::{Follower, FollowerSettings};
use crate::protocol::mesh_adversary::Defence;
use crate::protocol::replica::{Replica, ReplicaSettings};
use crate::protocol::worker::Trainer;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn System> = Entry {
    name: "replicated",
    summary: "several servers that do the same work",
    reference: "El-Mhamdi et al., Distributed Computing 2022",
    source: include_str!("replicated.rs"),
    claims: (),
    parameters: || schema_for!(Replicated),
    build: |parameters| parameters.build::<dyn System, Replicated>(Replicated::checked),
};

/// The most replicas that a system takes: all of them talk to each other.
const REPLICAS_MAX: usize = 1000;

/// Parameters of the replicated system.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Replicated {
    /// How many workers there are, honest and corrupted, 1 to 100,000; default 10.
    workers: usize,
    /// How many replicas there are, 1 to 1,000; default 4.
    replicas: usize,
    /// How many replicas may lie, f; default 1.
    byzantine_replicas: usize,
    /// How a worker chooses among the replicas' models: `matching_digests` (default) or `median`.
    accept: Choosing,
    /// Whether replicas compare what they were sent. Default: true with `matching_digests`, false
    /// with `median`.
    #[serde(skip_serializing_if = "Option::is_none")]
    echo: Option<bool>,
    /// The declared number of byzantine workers, in place of `aggregation.byzantine`.
    /// Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    byzantine: Option<usize>,
}

/// How a worker chooses among models.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Choosing {
    /// The one that f + 1 replicas sent to the last bit.
    #[default]
    MatchingDigests,
    /// The coordinate-wise median.
    Median,
}

impl Default for Replicated {
    fn default() -> Self {
        Replicated {
            workers: 10,
            replicas: 4,
            byzantine_replicas: 1,
            accept: Choosing::default(),
            echo: None,
            byzantine: None,
        }
    }
}

impl Replicated {
    fn checked(self) -> Result<Arc<dyn System>, ConfigError> {
        checked_workers(self.workers)?;
        if !(1..=REPLICAS_MAX).contains(&self.replicas) {
            return Err(ConfigError::new(format!(
                "`replicas` is {}, it must be 1 to {REPLICAS_MAX}",
                self.replicas
            )));
        }
        let f = self.byzantine_replicas;
        let (name, more) = match self.accept {
            Choosing::MatchingDigests => ("matching_digests", 1),
            Choosing::Median => ("median", 2),
        };
        let needed = f.saturating_mul(3).saturating_add(more);
        // One replica of which none may lie is a server, whatever its model is chosen by.
        if self.replicas < needed && (self.replicas, f) != (1, 0) {
            return Err(ConfigError::new(format!(
                "`replicas` is {}, and {name} needs 3f + {more} = {needed} of them to stand \
                 f = {f} that lie",
                self.replicas
            ))
            .help("add replicas, or lower `byzantine_replicas`"));
        }
        Ok(Arc::new(self))
    }

    fn echoes(&self) -> bool {
        self.echo.unwrap_or(self.accept == Choosing::MatchingDigests)
    }
}

impl System for Replicated {
    fn workers(&self) -> usize {
        self.workers
    }

    fn label(&self) -> String {
        let accept = match self.accept {
            Choosing::MatchingDigests => "",
            Choosing::Median => ":median",
        };
        let echo = match (self.accept, self.echoes()) {
            (Choosing::MatchingDigests, false) => ":no_echo",
            (Choosing::Median, true) => ":echo",
            _ => "",
        };
        format!("{}{accept}{echo}", ENTRY.name)
    }

    fn byzantine(&self) -> Option<usize> {
        self.byzantine
    }

    fn takes(&self) -> Takes {
        Takes::Rules
    }

    fn draws_workers(&self) -> bool {
        true
    }

    fn wire(&self, _occasion: &Occasion) -> Result<Arc<dyn Wiring>, ConfigError> {
        let f = self.byzantine_replicas;
        let median = self.accept == Choosing::Median;
        Ok(Arc::new(Replicas {
            workers: self.workers,
            count: self.replicas,
            role: "replica",
            accept: match self.accept {
                Choosing::MatchingDigests => Accept::Matching { needed: f + 1 },
                Choosing::Median => Accept::Median { needed: 2 * f + 1 },
            },
            echo: self.echoes().then(|| quorum(self.replicas, f)),
            contract: median.then_some(2 * f + 1),
        }))
    }
}

/// Workers, and replicas that all of them talk to.
#[derive(Debug)]
pub(super) struct Replicas {
    workers: usize,
    count: usize,
    role: &'static str,
    accept: Accept,
    echo: Option<usize>,
    contract: Option<usize>,
}

impl Replicas {
    /// One replica, which is a server that does not ask.
    pub(super) fn one(workers: usize) -> Self {
        let accept = Accept::Matching { needed: 1 };
        Replicas { workers, count: 1, role: "server", accept, echo: None, contract: None }
    }

    fn workers(&self) -> impl Iterator<Item = NodeId> {
        (0..self.workers as u32).map(NodeId)
    }

    fn replicas(&self) -> impl Iterator<Item = NodeId> {
        let first = self.workers as u32;
        (first..first + self.count as u32).map(NodeId)
    }

    /// How many must crash: those that stand are too few to be believed, or to count a row.
    fn stopping(&self) -> Known {
        let accepted = match self.accept {
            Accept::Matching { needed } | Accept::Median { needed } => needed,
        };
        let quorums = [Some(accepted), self.echo, self.contract];
        let needed = quorums.into_iter().flatten().max().unwrap_or(accepted);
        let why = match self.count {
            1 => "there is one server".to_owned(),
            replicas => format!("{needed} of {replicas} must stand for a round to count"),
        };
        Known::new(Bounds::exactly((self.count + 1).saturating_sub(needed).max(1)), why)
    }

    /// How many must lie alike to be believed.
    fn persuading(&self) -> Known {
        let half = self.count.div_ceil(2);
        match self.accept {
            Accept::Matching { .. } if self.count == 1 => {
                Known::new(Bounds::exactly(1), "there is one server, and workers believe it")
            }
            Accept::Matching { needed } => Known::new(
                Bounds::between(needed, needed.max(half)),
                format!("f + 1 = {needed} equal models are believed unless more agree on another"),
            ),
            Accept::Median { needed } => Known::new(
                Bounds::between(needed.div_ceil(2).min(half), half),
                "f liars are what it promises to stand, and half of all move the median",
            ),
        }
    }

    /// The settings that all replicas share. They draw from one stream, the one that the server
    /// of a central system draws from, and so come to the same bits.
    fn aggregation(&self, setting: &Setting) -> AggregationSettings {
        AggregationSettings {
            rule: setting.rule(),
            byzantine: setting.byzantine,
            rounds: setting.rounds,
            descent: setting.descent,
            seed: setting.seed,
            node: NodeId(self.workers as u32),
            head: setting.head.clone(),
        }
    }
}

impl Wiring for Replicas {
    fn parts(&self) -> Vec<Part> {
        self.replicas().map(|node| Part { node, role: self.role }).collect()
    }

    fn links(&self, node: NodeId) -> Vec<NodeId> {
        if node.index() < self.workers {
            return self.replicas().collect();
        }
        self.workers().chain(self.replicas().filter(|&other| other != node)).collect()
    }

    fn admits(&self, defence: &Defence, byzantine: usize) -> Result<(), AggregateError> {
        match defence {
            Defence::Rule(rule) => rule.admits(self.workers, byzantine),
            Defence::Peer(_) => Ok(()),
        }
    }

    fn valuable(&self) -> Vec<NodeId> {
        self.replicas().chain(self.workers()).collect()
    }

    fn interchangeable(&self) -> Vec<Vec<NodeId>> {
        vec![self.replicas().collect()]
    }

    fn formula(&self, _defence: &Defence, _byzantine: usize) -> Option<Formula> {
        Some(Formula {
            availability: self.stopping(),
            integrity: self.persuading(),
            confidentiality: Known::new(
                Bounds::exactly(1),
                format!("any {} is sent the update of every worker", self.role),
            ),
        })
    }

    fn steps(&self) -> u32 {
        // Updates and models; with the echo, claims and word that nothing is missing.
        2 + 2 * u32::from(self.echo.is_some()) + u32::from(self.contract.is_some())
    }

    fn machine(
        &self,
        node: NodeId,
        setting: &Setting,
        trainer: Option<Trainer>,
    ) -> Box<dyn Machine> {
        if node.index() < self.workers {
            return Box::new(Follower::new(FollowerSettings {
                trainer: worker_of(trainer),
                faults: setting.faults.clone(),
                sources: self.replicas().collect(),
                accept: self.accept,
                rounds: setting.rounds,
                initial: Arc::clone(&setting.initial),
            }));
        }
        Box::new(Replica::new(ReplicaSettings {
            node,
            workers: setting.roster.clone(),
            others: self.replicas().filter(|&other| other != node).collect(),
            echo: self.echo,
            contract: self.contract,
            aggregation: self.aggregation(setting),
            participation: setting.faults.participation,
            initial: Arc::clone(&setting.initial),
        }))
    }
}
