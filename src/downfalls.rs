//! Downfalls: what becomes of the parts of a system that an attacker brings down or takes over.
//!
//! Corrupted workers are one threat; this is the other. In a central system the part is the
//! server, elsewhere a replica, the bridge, a peer or a member of the committee. Parts fall in the
//! order of what they are worth to the attacker, unless they are named.

mod capture;
mod crash;

use std::fmt::Debug;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, ConfigError};
use crate::node::{NodeId, Round};

/// All downfalls.
pub static CATALOG: Catalog<dyn Downfall> =
    Catalog { kind: "downfall", entries: &[&crash::ENTRY, &capture::ENTRY] };

/// What becomes of some parts of a system.
pub trait Downfall: Debug + Send + Sync {
    /// Which parts fall.
    fn targets(&self) -> &Targets;

    /// What a fallen part does.
    fn fall(&self) -> Fall;
}

/// Which parts fall, and when: the parameters that all downfalls have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Targets {
    /// How many parts fall, the most valuable first; default 1.
    pub count: usize,
    /// The nodes that fall, in place of the most valuable ones. Default: none.
    pub nodes: Vec<u32>,
    /// The first round in which they are down, from 1; default 1.
    pub from: u32,
}

impl Default for Targets {
    fn default() -> Self {
        Targets { count: 1, nodes: Vec::new(), from: 1 }
    }
}

impl Targets {
    /// The nodes that fall, ascending, given all that can, the most valuable first.
    pub fn choose(&self, valuable: &[NodeId]) -> Result<Vec<NodeId>, ConfigError> {
        let mut chosen: Vec<NodeId> = self.nodes.iter().copied().map(NodeId).collect();
        if let Some(nobody) = chosen.iter().find(|node| !valuable.contains(node)) {
            return Err(ConfigError::new(format!(
                "`nodes`: node {nobody} is no part of this system that can fall"
            )));
        }
        if chosen.is_empty() {
            if self.count > valuable.len() {
                return Err(ConfigError::new(format!(
                    "`count` is {}, and only {} parts of this system can fall",
                    self.count,
                    valuable.len()
                )));
            }
            chosen = valuable[..self.count].to_vec();
        }
        chosen.sort_unstable();
        chosen.dedup();
        Ok(chosen)
    }

    fn first_round(&self) -> Round {
        Round(self.from.max(1))
    }
}

/// What a fallen part does, from a round on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fall {
    /// The first round in which it does so.
    pub from: Round,
    /// What it does.
    pub conduct: Conduct,
}

/// What a fallen part does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Conduct {
    /// It stops.
    Crash,
    /// It sends every vector times `factor`, to each receiver the same.
    Lie {
        /// What its vectors are multiplied with; -1 turns them round.
        factor: f32,
    },
    /// It sends every receiver another vector: times `factor` to the first, times 1 to the last,
    /// evenly spread between.
    LieDifferently {
        /// What the first receiver's vectors are multiplied with.
        factor: f32,
    },
}
