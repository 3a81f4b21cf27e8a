//! The corrupted identities are drawn from the run's seed, all sets alike likely.
//!
//! The draw depends on the seed, the number of workers and the number corrupted alone, so every
//! rule and attack of a sweep meets the same set. Fails to find the worst case: an attacker who
//! can choose takes the identities that hurt most.
//!
//! Reference: a convention of experiments, not of a paper.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Field, Placement};
use crate::catalog::{ConfigError, Entry};
use crate::node::NodeId;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Placement> = Entry {
    name: "random",
    summary: "identities drawn from the run's seed",
    reference: "a convention of experiments",
    source: include_str!("random.rs"),
    claims: (),
    parameters: || schema_for!(Random),
    build: |parameters| {
        parameters.build::<dyn Placement, Random>(|placement| Ok(Arc::new(placement)))
    },
};

/// Takes no parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Random {}

impl Placement for Random {
    fn place(
        &self,
        field: &Field<'_>,
        corrupted: usize,
        rng: &mut dyn Rng,
    ) -> Result<Vec<NodeId>, ConfigError> {
        let drawn = rand::seq::index::sample(rng, field.workers, corrupted.min(field.workers));
        let mut drawn = drawn.into_vec();
        drawn.sort_unstable();
        Ok(drawn.into_iter().map(|index| NodeId(index as u32)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, run_stream};

    #[test]
    fn the_seed_decides() {
        let field = Field { workers: 20, graph: None };
        let place =
            |seed| Random {}.place(&field, 5, &mut run_stream(seed, Purpose::Placement)).unwrap();
        assert_eq!(place(1), place(1));
        assert_ne!(place(1), place(2));
        assert!(place(1).is_sorted() && place(1).len() == 5);
    }
}
