//! The most valuable parts belong to the attacker: they keep to the protocol and lie.
//!
//! Every vector that a captured part sends, model or update, is multiplied by `factor`; -1 turns
//! it round. With `differently` each receiver is told another vector, from the factor itself to the
//! truth, so that receivers who compare can find the liar out and those who do not drift apart.
//!
//! Fails where nobody takes one part's word: replicas of which f + 1 must agree, a bridge that is
//! checked, a committee that recomputes, peers with a robust rule.
//!
//! Reference: El-Mhamdi et al., Genuinely Distributed Byzantine Machine Learning, Distributed
//! Computing 2022, for servers that lie.

use std::sync::Arc;

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Conduct, Downfall, Fall, Targets};
use crate::catalog::{ConfigError, Entry};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Downfall> = Entry {
    name: "capture",
    summary: "parts belong to the attacker and lie",
    reference: "El-Mhamdi et al., Distributed Computing 2022",
    source: include_str!("capture.rs"),
    claims: (),
    parameters: || schema_for!(Parameters),
    build: |parameters| parameters.build::<dyn Downfall, Parameters>(Capture::checked),
};

/// Parameters of a capture.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    /// How many parts fall, the most valuable first; default 1.
    count: usize,
    /// The nodes that fall, in place of the most valuable ones. Default: none.
    nodes: Vec<u32>,
    /// The first round in which they lie, from 1; default 1.
    from: u32,
    /// What their vectors are multiplied with; default -1.
    factor: f32,
    /// Whether each receiver is told another vector; default false.
    differently: bool,
}

impl Default for Parameters {
    fn default() -> Self {
        let Targets { count, nodes, from } = Targets::default();
        Parameters { count, nodes, from, factor: -1.0, differently: false }
    }
}

/// A capture.
#[derive(Debug)]
struct Capture {
    targets: Targets,
    conduct: Conduct,
}

impl Capture {
    fn checked(parameters: Parameters) -> Result<Arc<dyn Downfall>, ConfigError> {
        let Parameters { count, nodes, from, factor, differently } = parameters;
        if !factor.is_finite() {
            return Err(ConfigError::new(format!(
                "`factor` must be a finite number, got {factor}"
            )));
        }
        let conduct = match differently {
            true => Conduct::LieDifferently { factor },
            false => Conduct::Lie { factor },
        };
        Ok(Arc::new(Capture { targets: Targets { count, nodes, from }, conduct }))
    }
}

impl Downfall for Capture {
    fn targets(&self) -> &Targets {
        &self.targets
    }

    fn fall(&self) -> Fall {
        Fall { from: self.targets.first_round(), conduct: self.conduct }
    }
}
