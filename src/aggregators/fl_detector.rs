//! `FLDetector`: a sender whose updates cannot be foretold from its own past is expelled.
//!
//! An honest gradient moves with the model: `g_i(t) ≈ g_i(t - 1) + H (w_t - w_(t-1))`. The server
//! keeps the Hessian times a step by limited-memory BFGS over the last `window` aggregates, and
//! takes how far each update is from what was foretold, as a share of all such distances; a
//! sender's score is the mean over its last `window` rounds. From round `start` on the gap
//! statistic of the scores (Tibshirani et al., 2001) tells whether they are one cluster. If not,
//! those in the upper of two are expelled, for good and all at once, and looking ends. Who is not
//! expelled is averaged.
//!
//! The authors begin anew without the expelled; here the model stays as it is, and what liars did
//! until then remains. Clusters on a line are found exactly and not from drawn starts; where no
//! number of clusters fits, that is more than one; the upper half or more is never expelled.
//!
//! Fails against liars who move with the model: an honest update with a constant added to it is
//! foretold as well as any. Honest noise, from small batches, is not, and may be taken for a lie.
//! Until `start` it is the mean, and a single
//! liar carries it anywhere. Who only now and then lies lowers its own score meanwhile.
//!
//! Reference: Zhang, Cao, Jia, Gong, `FLDetector`: Defending Federated Learning Against Model
//! Poisoning Attacks via Detecting Malicious Clients, KDD 2022.

use std::collections::BTreeSet;
use std::sync::Arc;

use ndarray::{Array1, ArrayView2};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::{ConfigError, Entry};
use crate::kernels::line_clusters::{gap_clusters, upper_of_two};
use crate::kernels::means::weighted_sum;
use crate::kernels::row_norms::each_row_with;
use crate::kernels::secant::foretold_change;
use crate::memory::Memory;
use crate::node::NodeId;
use crate::vector::as_slice;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "fl_detector",
    summary: "the mean without those whose updates cannot be foretold from their past",
    reference: "Zhang, Cao, Jia, Gong, KDD 2022",
    source: include_str!("fl_detector.rs"),
    claims: Claims {
        permutation_invariant: true,
        translation_equivariant: false,
        scale_equivariant: true,
        tolerates: |rows| rows.checked_sub(1).map(|_| 0),
        robust: false,
        remembers: Remembers::History,
        uses_byzantine: false,
        uses_samples: false,
    },
    parameters: || schema_for!(FlDetector),
    build: |parameters| {
        parameters.build::<dyn Aggregator, FlDetector>(|rule| {
            if rule.window == 0 {
                return Err(ConfigError::new("`window` = 0, and it must be at least 1"));
            }
            Ok(Arc::new(rule))
        })
    },
};

/// The last aggregates, one behind the other, the oldest first.
const AGGREGATES: &str = "fl_detector: aggregates";

/// The numbers of those who are expelled; they are exact up to 16 million.
const EXPELLED: &str = "fl_detector: expelled";

/// Parameters of `FLDetector`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct FlDetector {
    /// How many rounds scores and the Hessian look back, at least 1 (default 10).
    window: usize,
    /// The first round in which somebody may be expelled (default 50).
    start: u32,
}

impl Default for FlDetector {
    fn default() -> Self {
        FlDetector { window: 10, start: 50 }
    }
}

impl Aggregator for FlDetector {
    fn admits(&self, rows: usize, _byzantine: usize) -> Result<(), AggregateError> {
        if rows == 0 { Err(AggregateError::Empty { rule: ENTRY.name }) } else { Ok(()) }
    }

    fn remembers(&self) -> Remembers {
        Remembers::History
    }

    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        self.admits(updates.nrows(), context.byzantine)?;
        let updates = updates.as_standard_layout();
        let mut expelled = expelled(context.memory);
        if expelled.is_empty() {
            self.watch(updates.view(), context);
            if context.round.0 >= self.start {
                expelled = FlDetector::suspects(context);
                let numbers = expelled.iter().map(|node| node.0 as f32).collect();
                context.memory.set(EXPELLED, numbers);
            }
        }
        let left: Vec<bool> =
            context.senders.iter().map(|sender| !expelled.contains(sender)).collect();
        let count = left.iter().filter(|&&left| left).count();
        if count == 0 {
            let message = "everybody who sent anything was expelled".to_owned();
            return Err(AggregateError::Unfit { rule: ENTRY.name, message });
        }
        let share = |&left: &bool| if left { 1.0 / count as f32 } else { 0.0 };
        let weights: Array1<f32> = left.iter().map(share).collect();
        let vector = weighted_sum(updates.view(), as_slice(&weights));
        self.keep_aggregate(&vector, context.memory);
        Ok(Aggregate { vector, weights: Some(weights) })
    }
}

impl FlDetector {
    /// Adds to each sender's scores how far it is from what was foretold of it.
    fn watch(&self, updates: ArrayView2<'_, f32>, context: &mut Context<'_>) {
        let change = foretold_change(aggregates(context.memory, updates.ncols()));
        let name = |sender: &NodeId| format!("fl_detector: update of {sender}");
        let mut kept: Vec<Vec<f32>> =
            context.senders.iter().map(|sender| context.memory.take(&name(sender))).collect();
        let found = each_row_with(updates, &mut kept, |_, update, before| {
            if before.len() != update.len() {
                *before = update.to_vec();
                return None;
            }
            let distance = distance(before, &change, update);
            before.copy_from_slice(update);
            Some(distance)
        });
        for (sender, kept) in context.senders.iter().zip(kept) {
            context.memory.set(&name(sender), kept);
        }
        let distances: Vec<(NodeId, f64)> = context
            .senders
            .iter()
            .zip(found)
            .filter_map(|(&sender, distance)| Some((sender, distance?)))
            .collect();
        let total: f64 = distances.iter().map(|(_, distance)| distance).sum();
        if !(total > 0.0 && total.is_finite()) {
            return;
        }
        for (sender, distance) in distances {
            let name = score_name(sender);
            let mut scores = context.memory.get(&name).unwrap_or_default().to_vec();
            scores.push((distance / total) as f32);
            scores.drain(..scores.len().saturating_sub(self.window));
            context.memory.set(&name, scores);
        }
    }

    /// Those of this round's senders who are in the upper cluster of scores, if there are two.
    fn suspects(context: &mut Context<'_>) -> BTreeSet<NodeId> {
        let score = |&sender: &NodeId| {
            let scores = context.memory.get(&score_name(sender))?;
            let sum: f64 = scores.iter().map(|&score| f64::from(score)).sum();
            (!scores.is_empty()).then(|| (sender, sum / scores.len() as f64))
        };
        let scored: Vec<(NodeId, f64)> = context.senders.iter().filter_map(score).collect();
        let scores: Vec<f64> = scored.iter().map(|(_, score)| *score).collect();
        if gap_clusters(&scores, context.rng) < 2 {
            return BTreeSet::new();
        }
        let upper = upper_of_two(&scores);
        let found: BTreeSet<NodeId> = scored
            .iter()
            .zip(upper)
            .filter(|(_, upper)| *upper)
            .map(|((node, _), _)| *node)
            .collect();
        if 2 * found.len() < scored.len() { found } else { BTreeSet::new() }
    }

    fn keep_aggregate(&self, aggregate: &Array1<f32>, memory: &mut Memory) {
        let mut kept = memory.take(AGGREGATES);
        kept.extend(aggregate);
        let most = aggregate.len().saturating_mul(self.window + 1);
        kept.drain(..kept.len().saturating_sub(most));
        memory.set(AGGREGATES, kept);
    }
}

fn score_name(sender: NodeId) -> String {
    format!("fl_detector: scores of {sender}")
}

fn expelled(memory: &Memory) -> BTreeSet<NodeId> {
    memory.get(EXPELLED).unwrap_or_default().iter().map(|&number| NodeId(number as u32)).collect()
}

/// The last aggregates, one per row, the oldest first.
fn aggregates(memory: &Memory, columns: usize) -> ArrayView2<'_, f32> {
    let kept = memory.get(AGGREGATES).unwrap_or_default();
    let rows = kept.len().checked_div(columns).unwrap_or(0);
    ArrayView2::from_shape((rows, columns), &kept[..rows * columns])
        .expect("rows times columns values")
}

/// How far an update is from the one before and the foretold change.
fn distance(before: &[f32], change: &Array1<f32>, update: &[f32]) -> f64 {
    let off = |((before, change), update): ((&f32, &f32), &f32)| {
        (f64::from(*before) + f64::from(*change) - f64::from(*update)).powi(2)
    };
    before.iter().zip(change).zip(update).map(off).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use rand::{Rng, RngExt};

    use super::*;
    use crate::node::Round;
    use crate::seed::{Purpose, run_stream, stream};

    /// Ten workers who descend into bowls of their own; the first two make a lie of what they would
    /// send. Returns the weights of the last round.
    fn descend(rounds: u32, lie: impl Fn(&mut dyn Rng, f32) -> f32) -> Vec<f32> {
        let rule = FlDetector { window: 5, start: 12 };
        let mut memory = Memory::default();
        let senders: Vec<NodeId> = (0..10).map(NodeId).collect();
        let mut model = Array1::from_shape_fn(12, |column| [4.0, -3.0, 2.0][column % 3]);
        let mut weights = Vec::new();
        for round in 1..=rounds {
            let mut noise = stream(3, Purpose::Batch, Round(round), NodeId(0));
            let updates = Array2::from_shape_fn((10, 12), |(row, column)| {
                let curvature = [1.0, 0.5, 2.0][column % 3];
                let gradient = curvature * (model[column] - 0.1 * row as f32);
                let honest = gradient + 0.01 * noise.random::<f32>();
                if row < 2 { lie(&mut noise, honest) } else { honest }
            });
            let mut context = Context {
                round: Round(round),
                rounds_total: rounds,
                byzantine: 2,
                senders: &senders,
                samples: None,
                previous: None,
                trusted: None,
                head: None,
                memory: &mut memory,
                rng: &mut run_stream(1, Purpose::Aggregation),
            };
            let aggregate = rule.aggregate(updates.view(), &mut context).unwrap();
            model = model - 0.1 * &aggregate.vector;
            weights = aggregate.weights.unwrap().to_vec();
        }
        weights
    }

    /// The first two expelled, the others even.
    fn found() -> Vec<f32> {
        let mut weights = vec![1.0 / 8.0; 10];
        weights[..2].fill(0.0);
        weights
    }

    #[test]
    fn senders_who_cannot_be_foretold_are_expelled() {
        let scattered = |rng: &mut dyn Rng, _| 4.0 * (rng.random::<f32>() - 0.5);
        assert_eq!(descend(20, scattered), found());
        // Before the start it is the mean.
        assert_eq!(descend(11, scattered), [0.1; 10]);
        // Who stands still while all others move is not foretold either.
        assert_eq!(descend(20, |_, _| 3.0), found());
    }

    #[test]
    fn a_lie_that_moves_with_the_model_is_not_seen() {
        assert_ne!(descend(20, |_, honest| honest + 3.0), found());
    }
}
