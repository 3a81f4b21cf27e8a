//! Data poisoning: what is done to a corrupted node's samples before it trains on them.

mod backdoor_patch;
mod distributed_patch;
mod feature_noise;
mod label_flip;
mod patch;

use std::fmt::Debug;

use ndarray::Array2;
use rand::Rng;

use crate::catalog::{Catalog, ConfigError};
use crate::dataset::{Samples, Shape};

/// All poisons.
pub static CATALOG: Catalog<dyn Poison> = Catalog {
    kind: "poison",
    entries: &[
        &label_flip::ENTRY,
        &backdoor_patch::ENTRY,
        &distributed_patch::ENTRY,
        &feature_noise::ENTRY,
    ],
};

/// Changes the samples that a corrupted node holds.
pub trait Poison: Debug + Send + Sync {
    /// Refuses a data set that the poison's parameters do not fit. Whoever plans a run asks
    /// before it starts.
    fn suits(&self, _shape: Shape) -> Result<(), ConfigError> {
        Ok(())
    }

    /// Poisons `samples` in place, those of the corrupted node that is at `place` among all
    /// corrupted ones, from 0.
    ///
    /// # Panics
    /// If the poison does not [suit](Poison::suits) the data set.
    fn poison(&self, samples: &mut Samples, shape: Shape, place: usize, rng: &mut dyn Rng);

    /// Test samples of other classes with the whole trigger on, and the class that they are to be
    /// taken for; `None` for poisons without a trigger.
    fn triggered(&self, _test: &Samples, _shape: Shape) -> Option<Triggered> {
        None
    }
}

/// Samples that bear a trigger.
#[derive(Debug, Clone, PartialEq)]
pub struct Triggered {
    /// One sample per row, shape `[n, features]`.
    pub inputs: Array2<f32>,
    /// The class that the attacker wants to hear.
    pub target: u8,
}
