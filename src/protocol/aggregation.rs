//! Aggregation: a rule at work, round after round, with what it remembers.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use ndarray::Array1;
use serde::{Deserialize, Serialize};

use super::collection::Rows;
use crate::aggregators::{Aggregator, Context};
use crate::memory::Memory;
use crate::node::{NodeId, Round};
use crate::seed::{Purpose, stream};
use crate::vector::{Shared, as_slice};

/// How rows become a step.
#[derive(Debug, Clone)]
pub struct AggregationSettings {
    /// The rule, with its pre-aggregators.
    pub rule: Arc<dyn Aggregator>,
    /// The declared number of byzantine senders; it stays when rows are missing.
    pub byzantine: usize,
    /// How many rounds there are.
    pub rounds: u32,
    /// What the aggregate is multiplied with before it is subtracted.
    pub learning_rate: f32,
    /// The run's seed.
    pub seed: u64,
    /// Whose stream the rule draws from: the same node for all who must come to the same bits.
    pub node: NodeId,
    /// Where the model's last layer stands.
    pub head: Range<usize>,
}

/// What a rule keeps between rounds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Remembered {
    previous: Option<Vec<f32>>,
    memory: Memory,
}

/// A rule at work.
#[derive(Debug)]
pub struct Aggregation {
    settings: AggregationSettings,
    remembered: Remembered,
}

/// What the rows of a round came to.
#[derive(Debug, Clone)]
pub struct Aggregated {
    /// The aggregate.
    pub vector: Shared,
    /// Each sender's share in it, where the rule decides per row.
    pub weights: BTreeMap<NodeId, f32>,
}

impl Aggregation {
    /// A rule before the first round.
    pub fn new(settings: AggregationSettings) -> Self {
        Aggregation { settings, remembered: Remembered::default() }
    }

    /// What a checkpoint keeps.
    pub fn remembered(&self) -> &Remembered {
        &self.remembered
    }

    /// Goes on from this aggregate of the round before.
    pub fn recall(&mut self, previous: Option<&Shared>) {
        self.remembered.previous = previous.map(|previous| as_slice(previous).to_vec());
    }

    /// Takes back what a checkpoint kept.
    pub fn restore(&mut self, remembered: Remembered) {
        self.remembered = remembered;
    }

    /// The aggregate of a round's rows, or why the rule refuses them.
    pub fn aggregate(&mut self, round: Round, rows: &Rows) -> Result<Aggregated, String> {
        self.aggregate_beside(round, rows, None)
    }

    /// The same beside an update from trusted data, for a rule that needs one.
    pub fn aggregate_beside(
        &mut self,
        round: Round,
        rows: &Rows,
        trusted: Option<Array1<f32>>,
    ) -> Result<Aggregated, String> {
        let AggregationSettings { rule, byzantine, rounds, seed, node, head, .. } = &self.settings;
        let mut context = Context {
            round,
            rounds_total: *rounds,
            byzantine: *byzantine,
            senders: &rows.senders,
            samples: Some(&rows.samples),
            previous: self.remembered.previous.as_deref().map(Into::into),
            trusted: trusted.as_ref().map(|trusted| trusted.view()),
            head: Some(head.clone()),
            memory: &mut self.remembered.memory,
            rng: &mut stream(*seed, Purpose::Aggregation, round, *node),
        };
        let aggregate = rule
            .aggregate(rows.updates.view(), &mut context)
            .map_err(|refusal| refusal.to_string())?;
        self.remembered.previous = Some(as_slice(&aggregate.vector).to_vec());
        let weights = aggregate.weights.into_iter().flatten();
        Ok(Aggregated {
            weights: rows.senders.iter().copied().zip(weights).collect(),
            vector: Arc::new(aggregate.vector),
        })
    }

    /// `model - learning_rate * aggregate`.
    pub fn moved(&self, model: &Shared, aggregate: &Shared) -> Shared {
        let rate = self.settings.learning_rate;
        let steps = as_slice(model).iter().zip(as_slice(aggregate));
        Arc::new(steps.map(|(value, step)| value - rate * step).collect::<Array1<f32>>())
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::aggregators::CATALOG;

    #[test]
    fn a_mean_and_the_step_along_it() {
        let mut aggregation = Aggregation::new(AggregationSettings {
            rule: CATALOG.build_default("mean").unwrap().value,
            byzantine: 0,
            rounds: 1,
            learning_rate: 0.5,
            seed: 1,
            node: NodeId(2),
            head: 0..2,
        });
        let rows = Rows {
            senders: vec![NodeId(0), NodeId(1)],
            samples: vec![5, 5],
            updates: array![[4.0, 0.0], [0.0, 2.0]],
        };
        let aggregated = aggregation.aggregate(Round(1), &rows).unwrap();
        assert_eq!(*aggregated.vector, array![2.0, 1.0]);
        assert_eq!(aggregated.weights[&NodeId(1)], 0.5);
        let model: Shared = Arc::new(array![1.0, 1.0]);
        assert_eq!(*aggregation.moved(&model, &aggregated.vector), array![0.0, 0.5]);
        assert_eq!(aggregation.remembered().previous, Some(vec![2.0, 1.0]));
        let none = Rows::of(&BTreeMap::new());
        let refusal = aggregation.aggregate(Round(2), &none).unwrap_err();
        assert_eq!(refusal, "mean got no updates");
        assert_eq!(aggregation.remembered().previous, Some(vec![2.0, 1.0]));
    }
}
