//! The rule that an attack is tried on.

use ndarray::{Array1, ArrayView2};

use crate::aggregators::{Aggregator, Context};
use crate::catalog::{Choice, ConfigError};
use crate::cli::usage::Usage;
use crate::like;
use crate::memory::Memory;
use crate::node::{NodeId, Round};
use crate::preaggregators::Chain;
use crate::seed::{Purpose, run_stream};

/// A chain with what it is told.
pub(super) struct Against {
    chain: Chain,
    samples: Option<like::Samples>,
    byzantine: usize,
    seed: u64,
}

impl Against {
    /// The chain of these parts.
    pub(super) fn new(
        parts: &[Choice],
        byzantine: Option<usize>,
        seed: u64,
    ) -> Result<Self, Usage> {
        let resolved = like::chain(parts, byzantine)?;
        let Some(chain) = resolved.chain() else {
            return Err(ConfigError::new("--against names no rule")
                .help("end the chain with one, such as byzfl.TrMean")
                .into());
        };
        Ok(Against { chain, samples: resolved.samples, byzantine: byzantine.unwrap_or(0), seed })
    }

    /// What the rule makes of these rows.
    pub(super) fn aggregate(&self, rows: ArrayView2<'_, f32>) -> Result<Array1<f32>, String> {
        let senders: Vec<NodeId> = (0..rows.nrows() as u32).map(NodeId).collect();
        let counts = self.samples.as_ref().map(|samples| samples.counts(rows.nrows()));
        let counts = counts.transpose().map_err(|error| error.to_string())?;
        let mut context = Context {
            round: Round(1),
            rounds_total: 1,
            byzantine: self.byzantine,
            senders: &senders,
            samples: counts.as_deref(),
            previous: None,
            trusted: None,
            head: None,
            memory: &mut Memory::default(),
            rng: &mut run_stream(self.seed, Purpose::Aggregation),
        };
        let result = self.chain.aggregate(rows, &mut context);
        result.map(|aggregate| aggregate.vector).map_err(|error| error.to_string())
    }
}
