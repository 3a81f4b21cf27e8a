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
//! `NeurIPS` 2017; He, Karimireddy, Jaggi, Byzantine-Robust Decentralized Learning via
//! `ClippedGossip`, 2022; de Vos et al., Epidemic Learning, `NeurIPS` 2023.

mod drawn;
mod sampled;

use std::collections::BTreeSet;
use std::sync::Arc;

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use self::drawn::Drawn;
use super::formula::{Bounds, Formula, Known};
use super::{Occasion, Setting, System, Takes, Wiring, checked_workers, peer_rule};
use crate::aggregators::AggregateError;
use crate::catalog::{Choice, ConfigError, Entry, Member, Nested};
use crate::graph::Graph;
use crate::graph::betweenness::Betweenness;
use crate::node::{NodeId, Round};
use crate::protocol::Machine;
use crate::protocol::meetings::{Always, Meetings};
use crate::protocol::mesh_adversary::Defence;
use crate::protocol::peer::{Peer, PeerSettings, tolerated};
use crate::protocol::worker::Trainer;
use crate::sampling::{self, Protocol};
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
    /// In place of a topology: the protocol by which peers find each other, `shuffle`, `brahms` or
    /// `basalt`, while the corrupted among them flood it. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    sampler: Option<Nested>,
    /// How many identities a peer's view holds, for a sampler; default 20.
    view: usize,
    /// How many peers a peer draws in each round, for a sampler; default 4.
    peers: usize,
    /// How many pushes each corrupted peer sends in a step of the sampler; default 10.
    flood: usize,
    /// How many steps the sampler runs before the first round; default 30.
    warm_up: u32,
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
            sampler: None,
            view: 20,
            peers: 4,
            flood: 10,
            warm_up: 30,
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
    sampler: Option<Member<dyn Protocol>>,
}

impl Gossip {
    fn checked(parameters: Parameters) -> Result<Arc<dyn System>, ConfigError> {
        checked_workers(parameters.workers)?;
        let choice: Choice = parameters.topology.choice().map_err(within_topology)?;
        let topology = topologies::CATALOG.build(&choice).map_err(within_topology)?;
        let sampler = match &parameters.sampler {
            Some(sampler) => {
                let choice = sampler.choice().map_err(|error| within("sampler", error))?;
                let built = sampling::CATALOG.build(&choice);
                Some(built.map_err(|error| within("sampler", error))?)
            }
            None => None,
        };
        for (name, value) in [("view", parameters.view), ("peers", parameters.peers)] {
            if value == 0 {
                return Err(ConfigError::new(format!("`{name}` is 0, it must be at least 1")));
            }
        }
        Ok(Arc::new(Gossip { parameters, topology, sampler }))
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
    within("topology", error)
}

/// Says of an error inside of a parameter where it belongs.
fn within(parameter: &str, error: ConfigError) -> ConfigError {
    ConfigError { message: format!("`{parameter}`: {}", error.message), span: None, ..error }
}

impl System for Gossip {
    fn workers(&self) -> usize {
        self.parameters.workers
    }

    fn label(&self) -> String {
        if let Some(sampler) = &self.sampler {
            return format!("{}:{}", ENTRY.name, sampler.name);
        }
        let anew = if self.parameters.anew { ":anew" } else { "" };
        format!("{}:{}{anew}", ENTRY.name, self.topology.name)
    }

    fn byzantine(&self) -> Option<usize> {
        self.parameters.byzantine
    }

    fn takes(&self) -> Takes {
        Takes::PeerRules
    }

    fn aggregates(&self) -> bool {
        false
    }

    fn rewire(
        &self,
        occasion: &Occasion,
        corrupted: &[NodeId],
    ) -> Result<Option<Arc<dyn Wiring>>, ConfigError> {
        if self.sampler.is_none() || corrupted.is_empty() {
            return Ok(None);
        }
        self.wire_under(occasion, &corrupted.iter().copied().collect()).map(Some)
    }

    fn allows_overload(&self) -> bool {
        self.parameters.allow_overload
    }

    fn wire(&self, occasion: &Occasion) -> Result<Arc<dyn Wiring>, ConfigError> {
        if self.sampler.is_some() {
            return self.wire_under(occasion, &BTreeSet::new());
        }
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

impl Gossip {
    /// Wires peers that find each other by a sampler while these attack it.
    fn wire_under(
        &self,
        occasion: &Occasion,
        attackers: &BTreeSet<NodeId>,
    ) -> Result<Arc<dyn Wiring>, ConfigError> {
        let sampler = self.sampler.as_ref().expect("asked for where there is one");
        let graphs = sampled::graphs(sampler, &self.parameters, occasion, attackers)?;
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

    /// How many peers there are.
    pub(super) fn len(&self) -> usize {
        self.links.len()
    }

    /// The fewest crashes around one peer that leave its rule too few rows, unless nobody is left
    /// around it: then it goes on alone.
    fn stalling(&self, defence: &Defence, byzantine: usize) -> Known {
        let rule = peer_rule(defence);
        let least = self.first.nodes().filter_map(|node| {
            let degree = self.first.degree(node);
            let stands = tolerated(&*rule, degree, byzantine);
            let refuses = |crashed: &usize| rule.admits(degree - crashed, stands).is_err();
            (1..degree).find(refuses).map(|crashed| (crashed, node))
        });
        match least.min() {
            Some((crashed, node)) => Known::new(
                Bounds::between(crashed, self.len()),
                format!(
                    "whoever is left goes on, but a rule refuses too few rows: {crashed} crashed \
                     around one peer (node {node}) stall it"
                ),
            ),
            None => Known::new(
                Bounds::exactly(self.len()),
                "whoever is left goes on, so all must crash",
            ),
        }
    }

    /// The fewest liars around one peer that are more than its rule reckons with.
    fn overload(&self, defence: &Defence, byzantine: usize) -> Known {
        let rule = peer_rule(defence);
        let least = self.first.nodes().filter_map(|node| {
            let degree = self.first.degree(node);
            let stands = tolerated(&*rule, degree, byzantine);
            (stands < degree).then_some((stands + 1, node))
        });
        match least.min() {
            Some((liars, node)) => Known::new(
                Bounds::at_least(liars),
                format!("one liar more than its rule reckons with, around one peer (node {node})"),
            ),
            None => Known::new(
                Bounds::at_least(1),
                "rules are told to expect all neighbours to lie: their count promises nothing",
            ),
        }
    }

    /// The fewest peers of whom everybody is one or has one for a neighbour: a dominating set. With
    /// n nodes and the largest degree D there are n / (D + 1) in it or more, and n - D or fewer.
    fn listeners(&self) -> Known {
        let (nodes, most) = (self.len(), self.links.iter().map(Vec::len).max().unwrap_or(0));
        Known::new(
            Bounds::between(nodes.div_ceil(most + 1), (nodes - most).max(1)),
            "every peer sends its model to its neighbours: a dominating set hears everybody",
        )
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
        // A peer with too few neighbours for what is declared expects less; it must be able to
        // stand none at least.
        let rule = peer_rule(defence);
        let degrees = self.first.nodes().map(|node| self.first.degree(node));
        let most = degrees.max().unwrap_or(0);
        rule.admits(most, tolerated(&*rule, most, byzantine))
    }

    fn valuable(&self) -> Vec<NodeId> {
        Peers::valuable(self)
    }

    fn formula(&self, defence: &Defence, byzantine: usize) -> Option<Formula> {
        Some(Formula {
            availability: self.stalling(defence, byzantine),
            integrity: self.overload(defence, byzantine),
            confidentiality: self.listeners(),
        })
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
