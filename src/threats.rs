//! Threats: who is corrupted, what they know and what they do.
//!
//! A threat is a value. Who is corrupted is a placement, the one part of it with members of its
//! own; attacks and poisons come from their catalogs.

mod first;
mod list;
mod random;

use std::fmt::Debug;
use std::sync::Arc;

use rand::Rng;

use crate::attacks::{Attack, Knowledge};
use crate::catalog::{Catalog, ConfigError};
use crate::downfalls::Fall;
use crate::node::NodeId;
use crate::poisons::Poison;

/// All placements.
pub static CATALOG: Catalog<dyn Placement> =
    Catalog { kind: "placement", entries: &[&first::ENTRY, &random::ENTRY, &list::ENTRY] };

/// Chooses which identities are corrupted.
pub trait Placement: Debug + Send + Sync {
    /// `corrupted` of the workers `0..workers`, ascending.
    fn place(
        &self,
        workers: usize,
        corrupted: usize,
        rng: &mut dyn Rng,
    ) -> Result<Vec<NodeId>, ConfigError>;
}

/// What the honest are up against.
#[derive(Debug, Clone)]
pub struct Threat {
    /// The corrupted identities, ascending.
    pub corrupted: Vec<NodeId>,
    /// What whoever speaks for them knows.
    pub knowledge: Knowledge,
    /// What they send in place of an honest update; `None`: what honest workers would.
    pub attack: Option<Arc<dyn Attack>>,
    /// What is done to their data first.
    pub poison: Option<Arc<dyn Poison>>,
    /// Whether every receiver is told another lie.
    pub equivocates: bool,
    /// Whether corrupted peers say that they have no neighbours.
    pub understates_degree: bool,
    /// What becomes of parts of the system.
    pub fall: Option<Fall>,
    /// Which parts, or workers that are parts, ascending.
    pub fallen: Vec<NodeId>,
}

impl Threat {
    /// Whether `node` is corrupted.
    pub fn corrupts(&self, node: NodeId) -> bool {
        self.corrupted.binary_search(&node).is_ok()
    }

    /// Whether one adversary speaks for all corrupted identities.
    pub fn colludes(&self) -> bool {
        self.attack.is_some() && self.knowledge > Knowledge::OwnData
    }

    /// Whether the adversary is to be shown what the honest send.
    pub fn taps(&self) -> bool {
        self.attack.is_some() && self.knowledge >= Knowledge::Omniscient
    }
}
