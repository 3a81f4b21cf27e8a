//! Data poisoning: what is done to a corrupted node's samples before it trains on them.

use std::fmt::Debug;

use rand::Rng;

use crate::catalog::Catalog;
use crate::dataset::{Samples, Shape};

/// All poisons.
pub static CATALOG: Catalog<dyn Poison> = Catalog { kind: "poison", entries: &[] };

/// Changes the samples that a corrupted node holds.
pub trait Poison: Debug + Send + Sync {
    /// Poisons `samples` in place.
    fn poison(&self, samples: &mut Samples, shape: Shape, rng: &mut dyn Rng);
}
