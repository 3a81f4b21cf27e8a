//! Data poisoning: what is done to a corrupted node's samples before it trains on them.

mod label_flip;

use std::fmt::Debug;

use rand::Rng;

use crate::catalog::{Catalog, ConfigError};
use crate::dataset::{Samples, Shape};

/// All poisons.
pub static CATALOG: Catalog<dyn Poison> =
    Catalog { kind: "poison", entries: &[&label_flip::ENTRY] };

/// Changes the samples that a corrupted node holds.
pub trait Poison: Debug + Send + Sync {
    /// Refuses a data set that the poison's parameters do not fit. Whoever plans a run asks
    /// before it starts.
    fn suits(&self, _shape: Shape) -> Result<(), ConfigError> {
        Ok(())
    }

    /// Poisons `samples` in place.
    ///
    /// # Panics
    /// If the poison does not [suit](Poison::suits) the data set.
    fn poison(&self, samples: &mut Samples, shape: Shape, rng: &mut dyn Rng);
}
