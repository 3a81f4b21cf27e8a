//! Partitions: which samples each node holds.

use std::fmt::Debug;

use rand::Rng;

use crate::catalog::Catalog;

/// All partitions.
pub static CATALOG: Catalog<dyn Partition> = Catalog { kind: "partition", entries: &[] };

/// Splits a training set among nodes.
pub trait Partition: Debug + Send + Sync {
    /// For each of `nodes` nodes, the indices of its samples into `labels`.
    ///
    /// Every node gets at least one sample, and no sample is given twice.
    fn split(
        &self,
        labels: &[u8],
        classes: usize,
        nodes: usize,
        rng: &mut dyn Rng,
    ) -> Result<Vec<Vec<usize>>, PartitionError>;
}

/// Why a data set cannot be split as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartitionError {
    /// There are fewer samples than nodes.
    #[error("{samples} samples cannot be split among {nodes} nodes: each needs at least one")]
    TooFewSamples {
        /// How many samples there are.
        samples: usize,
        /// How many nodes want some.
        nodes: usize,
    },
}
