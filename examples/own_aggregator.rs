//! A rule of one's own, outside of the catalog, beside the mean and the median.
//!
//! ```sh
//! cargo run --release --example own_aggregator
//! ```
#![allow(clippy::print_stdout, reason = "an example prints what it finds")]

use byzlab::aggregators::{Aggregate, AggregateError, Aggregator, CATALOG, Context};
use byzlab::memory::Memory;
use byzlab::node::{NodeId, Round};
use byzlab::seed::{Purpose, run_stream};
use ndarray::{Array1, Array2, ArrayView2, Axis, array};

/// The mean of the rows after each has been cut to the median of their lengths.
#[derive(Debug)]
struct ClippedMean;

impl Aggregator for ClippedMean {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        if rows > 2 * byzantine {
            return Ok(());
        }
        let bound = format!("n > 2f = {}", 2 * byzantine);
        Err(AggregateError::TooFew { rule: "clipped_mean", bound, rows, byzantine })
    }

    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        self.admits(updates.nrows(), context.byzantine)?;
        let lengths: Vec<f32> =
            updates.rows().into_iter().map(|row| row.dot(&row).sqrt()).collect();
        let mut sorted = lengths.clone();
        sorted.sort_by(f32::total_cmp);
        let limit = sorted[sorted.len() / 2];
        let mut sum = Array1::<f32>::zeros(updates.ncols());
        for (row, length) in updates.axis_iter(Axis(0)).zip(lengths) {
            let factor = if length > limit { limit / length } else { 1.0 };
            sum.scaled_add(factor, &row);
        }
        Ok(Aggregate { vector: sum / updates.nrows() as f32, weights: None })
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let updates = array![[1.0, 2.0], [1.1, 2.1], [0.9, 1.9], [1.0, 2.2], [-50.0, 70.0]];
    let mean = CATALOG.build_default("mean")?.value;
    let median = CATALOG.build_default("median")?.value;
    let rules: [(&str, &dyn Aggregator); 3] =
        [("mean", &*mean), ("median", &*median), ("clipped_mean", &ClippedMean)];
    for (name, rule) in rules {
        println!("{name:>12}  {:.3}", combine(rule, &updates, 1)?.vector);
    }
    Ok(())
}

/// One round of `rule`, which expects `byzantine` liars.
fn combine(
    rule: &dyn Aggregator,
    updates: &Array2<f32>,
    byzantine: usize,
) -> Result<Aggregate, AggregateError> {
    let senders: Vec<NodeId> = (0..updates.nrows() as u32).map(NodeId).collect();
    let mut context = Context {
        round: Round(1),
        rounds_total: 1,
        byzantine,
        senders: &senders,
        samples: None,
        previous: None,
        trusted: None,
        head: None,
        memory: &mut Memory::default(),
        rng: &mut run_stream(1, Purpose::Aggregation),
    };
    rule.aggregate(updates.view(), &mut context)
}
