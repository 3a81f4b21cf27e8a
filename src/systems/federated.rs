//! Regions with servers of their own, and bridges between them.
//!
//! The workers are split into m regions, consecutive ones in each. A region's server aggregates
//! its workers' updates by the rule and sends what comes of it to every bridge; a bridge combines
//! the regions' updates by the rule `between` and sends back the model; the region hands on what
//! it believes. Where it believes nothing it takes its own step, so its workers learn on, apart
//! from the others, and the region's record says `no bridge was believed`.
//!
//! - `checked = false`: a region believes the model that more than half of the bridges sent, of
//!   one bridge that one's.
//! - `checked = true`: regions tell each other the digests of their updates, a bridge hands on
//!   the updates themselves, and a region believes a model only if it is what these come to. A
//!   region that has once gone its own way has no ground to check on any more, and stays apart.
//!
//! `aggregation.byzantine`, or `byzantine` here, is declared for every region; one that is too
//! small for it expects as many liars as its rule can stand among so few. The run is refused
//! where a region's rule cannot even stand none.
//!
//! A round: updates to regions, updates to bridges, models to regions, models to workers. With
//! one region the model is that of a central server to the last bit.
//!
//! What must fall: trusted, ⌊b / 2⌋ + 1 of b bridges that say the same take every model with them
//! (integrity, k* = 1 for one bridge); checked, no number of bridges does, they only part the
//! regions. A captured region takes its own workers with it, k* = 1 for as many as it has, half
//! of all workers with the largest share of a skewed split; what it does to others is the rule
//! `between`'s part, and the plain mean does nothing against it. A crashed region stops its own
//! workers alone, and all m must crash to stop everybody (availability, k* = m). Without bridges
//! everybody learns on from their own region's data.
//!
//! Fails where regions hold different classes and the bridge falls: each then forgets what only
//! the others could have taught it. Checking costs each region a copy of every other's update,
//! and one region whose update is not what it claims parts all of them, since who of region and
//! bridge lies cannot be told without signatures.
//!
//! Reference: Liu, Zhang, Song, Letaief, Client-Edge-Cloud Hierarchical Federated Learning, ICC
//! 2020, for servers of servers.

mod sizes;

use std::ops::Range;
use std::sync::Arc;

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use self::sizes::sizes;
use super::formula::{Bounds, Formula, Known};
use super::gossip::worker_of;
use super::{Occasion, Part, Setting, System, Takes, Wiring, checked_workers};
use crate::aggregators::{self, AggregateError, Aggregator};
use crate::catalog::{ConfigError, Entry, Nested};
use crate::node::{NodeId, Roster};
use crate::protocol::Machine;
use crate::protocol::aggregation::AggregationSettings;
use crate::protocol::agreement::Accept;
use crate::protocol::bridge::{Bridge, BridgeSettings};
use crate::protocol::follower::{Follower, FollowerSettings};
use crate::protocol::mesh_adversary::Defence;
use crate::protocol::region::{Region, RegionSettings};
use crate::protocol::worker::Trainer;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn System> = Entry {
    name: "federated",
    summary: "regions with servers of their own, and bridges",
    reference: "Liu et al., ICC 2020",
    source: include_str!("federated.rs"),
    claims: (),
    parameters: || schema_for!(Federated),
    build: |parameters| parameters.build::<dyn System, Federated>(Federated::checked),
};

/// The most bridges that a system takes.
const BRIDGES_MAX: usize = 1000;

/// Parameters of the federated system.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Federated {
    /// How many workers there are, honest and corrupted, 1 to 100,000; default 10.
    workers: usize,
    /// How many regions they are split into, 1 to `workers`; default 3.
    regions: usize,
    /// How unequal the regions are: sizes in proportion to 1 / rank^`skew`, from 0; default 0,
    /// all alike.
    skew: f64,
    /// How many bridges there are, 1 to 1,000; default 1.
    bridges: usize,
    /// Whether regions check what bridges say. Default: false, they trust them.
    checked: bool,
    /// The rule over the regions' updates, by name, with its parameters. Default: `mean`.
    between: Nested,
    /// How many regions are expected to lie; default 0.
    byzantine_regions: usize,
    /// The declared number of byzantine workers in each region, in place of
    /// `aggregation.byzantine`. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    byzantine: Option<usize>,
}

impl Default for Federated {
    fn default() -> Self {
        Federated {
            workers: 10,
            regions: 3,
            skew: 0.0,
            bridges: 1,
            checked: false,
            between: Nested::named("mean"),
            byzantine_regions: 0,
            byzantine: None,
        }
    }
}

impl Federated {
    fn checked(self) -> Result<Arc<dyn System>, ConfigError> {
        checked_workers(self.workers)?;
        if !(1..=self.workers).contains(&self.regions) {
            return Err(ConfigError::new(format!(
                "`regions` is {}, it must be 1 to the number of workers, {}",
                self.regions, self.workers
            )));
        }
        if !(1..=BRIDGES_MAX).contains(&self.bridges) {
            return Err(ConfigError::new(format!(
                "`bridges` is {}, it must be 1 to {BRIDGES_MAX}",
                self.bridges
            )));
        }
        if !self.skew.is_finite() || self.skew < 0.0 {
            return Err(ConfigError::new(format!("`skew` is {}, it must be 0 or more", self.skew)));
        }
        let between = within_between(self.between.choice())?;
        let between = within_between(aggregators::CATALOG.build(&between))?.value;
        between.admits(self.regions, self.byzantine_regions).map_err(|refusal| {
            ConfigError::new(format!("`byzantine_regions`: {refusal}"))
                .help("add regions, or lower `byzantine_regions`")
        })?;
        Ok(Arc::new(Federation { parameters: self, between }))
    }
}

/// Says of an error inside of `between` where it belongs.
fn within_between<T>(result: Result<T, ConfigError>) -> Result<T, ConfigError> {
    result.map_err(|error| ConfigError {
        message: format!("`between`: {}", error.message),
        span: None,
        ..error
    })
}

/// A federation, checked.
#[derive(Debug)]
struct Federation {
    parameters: Federated,
    between: Arc<dyn Aggregator>,
}

impl System for Federation {
    fn workers(&self) -> usize {
        self.parameters.workers
    }

    fn label(&self) -> String {
        let checked = if self.parameters.checked { ":checked" } else { "" };
        format!("{}{checked}", ENTRY.name)
    }

    fn byzantine(&self) -> Option<usize> {
        self.parameters.byzantine
    }

    fn takes(&self) -> Takes {
        Takes::Rules
    }

    fn wire(&self, _occasion: &Occasion) -> Result<Arc<dyn Wiring>, ConfigError> {
        let Federated { workers, regions, skew, bridges, checked, byzantine_regions, .. } =
            self.parameters;
        let ends = sizes(workers, regions, skew).into_iter().scan(0, |end, size| {
            let start = *end;
            *end += size as u32;
            Some(start..*end)
        });
        Ok(Arc::new(Regions {
            workers: ends.collect(),
            first: workers as u32,
            bridges: bridges as u32,
            checked,
            between: Arc::clone(&self.between),
            liars: byzantine_regions,
        }))
    }
}

/// Regions and bridges, wired.
#[derive(Debug)]
struct Regions {
    /// The workers of each region.
    workers: Vec<Range<u32>>,
    /// The first region's node.
    first: u32,
    bridges: u32,
    checked: bool,
    between: Arc<dyn Aggregator>,
    /// How many regions are expected to lie.
    liars: usize,
}

/// What a node is in a federation.
enum Place {
    /// A worker, of this region.
    Worker(usize),
    Region(usize),
    Bridge,
}

impl Regions {
    fn place(&self, node: NodeId) -> Place {
        if node.0 < self.first {
            return Place::Worker(self.workers.partition_point(|workers| workers.end <= node.0));
        }
        let index = (node.0 - self.first) as usize;
        if index < self.workers.len() { Place::Region(index) } else { Place::Bridge }
    }

    fn region(&self, index: usize) -> NodeId {
        NodeId(self.first + index as u32)
    }

    fn regions(&self) -> Vec<NodeId> {
        (0..self.workers.len()).map(|index| self.region(index)).collect()
    }

    fn bridges(&self) -> Vec<NodeId> {
        let first = self.first + self.workers.len() as u32;
        (first..first + self.bridges).map(NodeId).collect()
    }

    fn workers_of(&self, region: usize) -> Vec<NodeId> {
        self.workers[region].clone().map(NodeId).collect()
    }

    /// The regions that a region talks to: the others, if they check what bridges say.
    fn others(&self, region: usize) -> Vec<NodeId> {
        let mut others = if self.checked { self.regions() } else { Vec::new() };
        others.retain(|other| *other != self.region(region));
        others
    }

    /// How bridges combine, and regions check. All draw from one stream.
    fn between(&self, setting: &Setting) -> AggregationSettings {
        AggregationSettings {
            rule: Arc::clone(&self.between),
            byzantine: self.liars,
            rounds: setting.rounds,
            descent: setting.descent,
            seed: setting.seed,
            node: self.bridges()[0],
            head: setting.head.clone(),
        }
    }

    fn region_machine(&self, index: usize, setting: &Setting) -> Region {
        let rule = setting.rule();
        let workers = self.workers_of(index);
        Region::new(RegionSettings {
            node: self.region(index),
            bridges: self.bridges(),
            others: self.others(index),
            aggregation: AggregationSettings {
                byzantine: tolerated(&*rule, workers.len(), setting.byzantine).unwrap_or(0),
                rule,
                rounds: setting.rounds,
                descent: setting.descent,
                seed: setting.seed,
                node: self.region(index),
                head: setting.head.clone(),
            },
            between: self.checked.then(|| self.between(setting)),
            workers: Roster::of(workers),
            initial: Arc::clone(&setting.initial),
        })
    }
}

/// How many liars a region with so many workers expects: as many as it is told to, or as its rule
/// can stand among so few; or why it cannot even stand none.
fn tolerated(
    rule: &dyn Aggregator,
    workers: usize,
    byzantine: usize,
) -> Result<usize, AggregateError> {
    let stands = |liars: &usize| rule.admits(workers, *liars).is_ok();
    match (0..=byzantine.min(workers)).rev().find(stands) {
        Some(liars) => Ok(liars),
        None => rule.admits(workers, 0).map(|()| 0),
    }
}

impl Wiring for Regions {
    fn formula(&self, _defence: &Defence, _byzantine: usize) -> Option<Formula> {
        let (regions, bridges) = (self.regions().len(), self.bridges().len());
        let integrity = if self.checked {
            Known::new(Bounds::exactly(regions), "no bridge is believed, so every region must fall")
        } else {
            let half = bridges / 2 + 1;
            Known::new(Bounds::exactly(half), format!("{half} of {bridges} bridges are believed"))
        };
        let apart = "a region goes on by itself, so every one must stop";
        Some(Formula {
            availability: Known::new(Bounds::exactly(regions), apart),
            integrity,
            confidentiality: Known::new(
                Bounds::exactly(regions),
                "a region alone is sent its own workers' updates",
            ),
        })
    }

    fn parts(&self) -> Vec<Part> {
        let regions = self.regions().into_iter().map(|node| Part { node, role: "region" });
        let bridges = self.bridges().into_iter().map(|node| Part { node, role: "bridge" });
        regions.chain(bridges).collect()
    }

    fn links(&self, node: NodeId) -> Vec<NodeId> {
        match self.place(node) {
            Place::Worker(region) => vec![self.region(region)],
            Place::Bridge => self.regions(),
            Place::Region(region) => {
                [self.workers_of(region), self.others(region), self.bridges()].concat()
            }
        }
    }

    fn admits(&self, defence: &Defence, byzantine: usize) -> Result<(), AggregateError> {
        let Defence::Rule(rule) = defence else { return Ok(()) };
        for workers in &self.workers {
            tolerated(&**rule, workers.len(), byzantine)?;
        }
        Ok(())
    }

    fn valuable(&self) -> Vec<NodeId> {
        // The first regions are the largest.
        let workers = (0..self.first).map(NodeId).collect();
        [self.bridges(), self.regions(), workers].concat()
    }

    fn steps(&self) -> u32 {
        4
    }

    fn machine(
        &self,
        node: NodeId,
        setting: &Setting,
        trainer: Option<Trainer>,
    ) -> Box<dyn Machine> {
        match self.place(node) {
            Place::Worker(region) => Box::new(Follower::new(FollowerSettings {
                trainer: worker_of(trainer),
                faults: setting.faults.clone(),
                sources: vec![self.region(region)],
                accept: Accept::Matching { needed: 1 },
                rounds: setting.rounds,
                initial: Arc::clone(&setting.initial),
            })),
            Place::Region(index) => Box::new(self.region_machine(index, setting)),
            Place::Bridge => Box::new(Bridge::new(BridgeSettings {
                node,
                regions: Roster::of(self.regions()),
                copies: self.checked,
                aggregation: self.between(setting),
                initial: Arc::clone(&setting.initial),
            })),
        }
    }
}
