//! Gossip: no server at all. Every peer trains a model of its own and mixes it with those of its
//! neighbours.
//!
//! In each round a peer takes its local steps, sends the model to its neighbours, waits until each
//! has sent its own or is absent, and mixes by the rule. A peer rule reads the weights of the
//! mixing matrix, Metropolis-Hastings by default; an aggregation rule is applied to the peer's own
//! model and those of its neighbours. `aggregation.byzantine` is what each peer expects among its
//! neighbours; a peer with too few of them for that expects as many as its rule can stand.
//!
//! Who talks to whom is a topology, the same in all rounds or drawn `anew` for each, which is
//! epidemic learning, or what a peer-sampling protocol under attack leaves of it (`sampler`).
//!
//! Who crashes is missed by its neighbours alone: the others go on, each with its own model, and an
//! outsider who wants one model can ask any of them. No single peer is the system's point of
//! failure; one at a bottleneck is its graph's.
//!
//! Fails where the honest peers are joined by few edges: then one corrupted peer at a bottleneck
//! can keep them apart, and a robust rule keeps them apart by itself, taking the other side for
//! liars. With b liars at each peer and λ₂ the algebraic connectivity among the honest, no rule can
//! promise anything from b = λ₂/2 on; clipping holds to λ₂/4, trimming to λ₂/8.
//!
//! Reference: Lian et al., Can Decentralized Algorithms Outperform Centralized Algorithms?,
//! NeurIPS 2017; He, Karimireddy, Jaggi, Byzantine-Robust Decentralized Learning via
//! ClippedGossip, 2022; de Vos et al., Epidemic Learning, NeurIPS 2023.

mod drawn;

use std::collections::BTreeSet;
use std::sync::Arc;

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use self::drawn::Drawn;
use super::{Occasion, Setting, System, Takes, Wiring, checked_workers, peer_rule};
use crate::aggregators::AggregateError;
use crate::catalog::{Choice, ConfigError, Entry, Member, Nested};
use crate::graph::Graph;
use crate::graph::betweenness::Betweenness;
use crate::node::{NodeId, Round};
use crate::protocol::Machine;
use crate::protocol::meetings::{Always, Meetings};
use crate::protocol::mesh_adversary::Defence;
use crate::protocol::peer::{Peer, PeerSettings};
use crate::protocol::worker::Trainer;
use crate::seed::{Purpose, run_stream};
use crate::topologies::{self, Topology, connected};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn System> = Entry {
    name: "gossip",
    summary: "peers that mix models with their neighbours",
    reference: "Lian et al., NeurIPS 2017",
    source: include_str!("gossip.rs"),
    claims: (),
    parameters: || schema_for!(Parameters),
    build: |parameters| parameters.build::<dyn System, Parameters>(Gossip::checked),
};

/// Parameters of gossip.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    /// How many peers there are, honest and corrupted, 1 to 100,000; default 10.
    workers: usize,
    /// Who talks to whom: a topology by name, with its parameters. Default: `complete`.
    topology: Nested,
    /// Whether the topology is drawn anew in every round. Default: false.
    anew: bool,
    /// What each peer expects among its neighbours, in place of `aggregation.byzantine`.
    /// Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    byzantine: Option<usize>,
    /// Whether to run although more of some peer's neighbours are corrupted than it expects.
    /// Default: false.
    allow_overload: bool,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters {
            workers: 10,
            topology: Nested::named("complete"),
            anew: false,
            byzantine: None,
            allow_overload: false,
        }
    }
}

/// Gossip, checked.
#[derive(Debug)]
struct Gossip {
    parameters: Parameters,
    topology: Member<dyn Topology>,
}

impl Gossip {
    fn checked(parameters: Parameters) -> Result<Arc<dyn System>, ConfigError> {
        checked_workers(parameters.workers)?;
        let choice: Choice = parameters.topology.choice().map_err(within_topology)?;
        let topology = topologies::CATALOG.build(&choice).map_err(within_topology)?;
        Ok(Arc::new(Gossip { parameters, topology }))
    }

    fn draw(&self, seed: u64, round: Round) -> Result<Graph, ConfigError> {
        let mut rng = match self.parameters.anew {
            true => crate::seed::stream(seed, Purpose::Topology, round, NodeId(0)),
            false => run_stream(seed, Purpose::Topology),
        };
        self.topology.value.graph(self.parameters.workers, &mut rng).map_err(within_topology)
    }
}

/// Says of an error inside of `topology` where it belongs.
fn within_topology(error: ConfigError) -> ConfigError {
    ConfigError { message: format!("`topology`: {}", error.message), span: None, ..error }
}

impl System for Gossip {
    fn workers(&self) -> usize {
        self.parameters.workers
    }

    fn label(&self) -> String {
        let anew = if self.parameters.anew { ":anew" } else { "" };
        format!("{}:{}{anew}", ENTRY.name, self.topology.name)
    }

    fn byzantine(&self) -> Option<usize> {
        self.parameters.byzantine
    }

    fn takes(&self) -> Takes {
        Takes::PeerRules
    }

    fn allows_overload(&self) -> bool {
        self.parameters.allow_overload
    }

    fn wire(&self, occasion: &Occasion) -> Result<Arc<dyn Wiring>, ConfigError> {
        if !self.parameters.anew {
            let graph = self.draw(occasion.seed, Round(0))?;
            connected(&graph).map_err(|message| {
                ConfigError::new(format!("`topology`: {message}"))
                    .help("give it more edges, or another seed")
            })?;
            return Ok(Arc::new(Peers::always(Arc::new(graph))));
        }
        // One round may leave somebody out; over the rounds everybody meets everybody.
        let graphs = (1..=occasion.rounds)
            .map(|round| self.draw(occasion.seed, Round(round)).map(Arc::new))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Arc::new(Peers::drawn(graphs)))
    }
}

/// Peers on a graph, or on one for each round.
#[derive(Debug)]
pub(super) struct Peers {
    meetings: Arc<dyn Meetings>,
    first: Arc<Graph>,
    links: Vec<Vec<NodeId>>,
}

impl Peers {
    /// Peers that always meet on this graph.
    pub(super) fn always(graph: Arc<Graph>) -> Self {
        let links = graph.nodes().map(|node| graph.neighbours(node).to_vec()).collect();
        Peers { meetings: Arc::new(Always(Arc::clone(&graph))), first: graph, links }
    }

    /// Peers that meet on one graph after the other.
    fn drawn(graphs: Vec<Arc<Graph>>) -> Self {
        let first = Arc::clone(graphs.first().expect("a run has a round"));
        let links = first
            .nodes()
            .map(|node| {
                let met = graphs.iter().flat_map(|graph| graph.neighbours(node));
                met.copied().collect::<BTreeSet<NodeId>>().into_iter().collect()
            })
            .collect();
        Peers { meetings: Arc::new(Drawn { graphs }), first, links }
    }

    /// The machine of a peer.
    pub(super) fn machine(&self, setting: &Setting, trainer: Trainer) -> Box<dyn Machine> {
        Box::new(Peer::new(PeerSettings {
            trainer,
            meetings: Arc::clone(setting.meetings.as_ref().unwrap_or(&self.meetings)),
            rule: setting.peer_rule(),
            byzantine: setting.byzantine,
            rounds: setting.rounds,
            faults: setting.faults.clone(),
            head: setting.head.clone(),
            initial: Arc::clone(&setting.initial),
            honest: Some(Arc::clone(&setting.honest)),
        }))
    }

    /// Peers by how many shortest paths run over them.
    pub(super) fn valuable(&self) -> Vec<NodeId> {
        Betweenness::of(&self.first).busiest_nodes()
    }
}

/// The trainer that a worker always has.
pub(super) fn worker_of(trainer: Option<Trainer>) -> Trainer {
    trainer.expect("a worker has data to train on")
}

impl Wiring for Peers {
    fn links(&self, node: NodeId) -> Vec<NodeId> {
        self.links.get(node.index()).cloned().unwrap_or_default()
    }

    fn meetings(&self) -> Option<Arc<dyn Meetings>> {
        Some(Arc::clone(&self.meetings))
    }

    fn graph(&self) -> Option<Arc<Graph>> {
        Some(Arc::clone(&self.first))
    }

    fn admits(&self, defence: &Defence, byzantine: usize) -> Result<(), AggregateError> {
        // Somebody must have neighbours enough for what is declared; others expect less.
        let rule = peer_rule(defence);
        let most = self.first.nodes().map(|node| self.first.degree(node)).max().unwrap_or(0);
        rule.admits(most, byzantine.min(most))
    }

    fn valuable(&self) -> Vec<NodeId> {
        Peers::valuable(self)
    }

    fn steps(&self) -> u32 {
        1
    }

    fn machine(
        &self,
        _node: NodeId,
        setting: &Setting,
        trainer: Option<Trainer>,
    ) -> Box<dyn Machine> {
        Peers::machine(self, setting, worker_of(trainer))
    }
}
