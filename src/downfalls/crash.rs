//! The most valuable parts stop and never come back.
//!
//! A planned crash is announced, round after round, to everybody who has to do with the part, so
//! that nobody waits for it. What a real kill does is seen in the runtime of processes: there the
//! others wait out their patience first.
//!
//! Fails to hurt where the others can go on: f replicas of 3f + 1, members of a committee up to a
//! third, any peer whose neighbours stay connected without it.
//!
//! Reference: Lamport, Shostak, Pease, The Byzantine Generals Problem, ACM TOPLAS 1982, for the
//! difference between stopping and lying.

use std::sync::Arc;

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Conduct, Downfall, Fall, Targets};
use crate::catalog::Entry;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Downfall> = Entry {
    name: "crash",
    summary: "parts stop and never come back",
    reference: "Lamport, Shostak, Pease, ACM TOPLAS 1982",
    source: include_str!("crash.rs"),
    claims: (),
    parameters: || schema_for!(Targets),
    build: |parameters| {
        parameters.build::<dyn Downfall, Targets>(|targets| Ok(Arc::new(Crash { targets })))
    },
};

/// A crash.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct Crash {
    targets: Targets,
}

impl Downfall for Crash {
    fn targets(&self) -> &Targets {
        &self.targets
    }

    fn fall(&self) -> Fall {
        Fall { from: self.targets.first_round(), conduct: Conduct::Crash }
    }
}
