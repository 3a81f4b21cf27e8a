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
use crate::training::Descent;
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
    /// How an aggregate moves the model: with momentum, where it is the server's.
    pub descent: Descent<f32>,
    /// The run's seed.
    pub seed: u64,
    /// Whose stream the rule draws from: the same node for all who must come to the same bits.
    pub node: NodeId,
    /// Where the model's last layer stands.
    pub head: Range<usize>,
}

/// What a rule keeps between rounds, and the momentum over what it makes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Remembered {
    previous: Option<Vec<f32>>,
    memory: Memory,
    /// The direction of the last step; empty where it is 0 or there is no momentum.
    velocity: Vec<f32>,
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
    /// What the model moves along: the aggregate, or the momentum that it has joined.
    pub direction: Shared,
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

    /// Goes on from this aggregate of the round before, and from this direction, where there is
    /// momentum.
    pub fn recall(&mut self, previous: Option<&Shared>, direction: Option<&Shared>) {
        let values = |vector: &Shared| as_slice(vector).to_vec();
        self.remembered.previous = previous.map(values);
        let keeps = self.settings.descent.momentum != 0.0;
        self.remembered.velocity = direction.filter(|_| keeps).map(values).unwrap_or_default();
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
        trusted: Option<Shared>,
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
        let slices: Vec<&[f32]> = rows.updates.iter().map(|row| as_slice(row)).collect();
        let aggregate =
            rule.aggregate_apart(&slices, &mut context).map_err(|refusal| refusal.to_string())?;
        self.remembered.previous = Some(as_slice(&aggregate.vector).to_vec());
        let weights = aggregate.weights.into_iter().flatten();
        let vector = Arc::new(aggregate.vector);
        Ok(Aggregated {
            weights: rows.senders.iter().copied().zip(weights).collect(),
            direction: self.direction(&vector),
            vector,
        })
    }

    /// What the model moves along. A round that the rule refuses leaves the momentum as it was.
    fn direction(&mut self, aggregate: &Shared) -> Shared {
        let descent = &self.settings.descent;
        if descent.momentum == 0.0 && descent.dampening == 0.0 {
            return Arc::clone(aggregate);
        }
        let mut direction = as_slice(aggregate).to_vec();
        // Nothing decays here: the parameters, which are not at hand, are not asked for.
        debug_assert!(descent.weight_decay == 0.0, "weights decay where gradients are made");
        descent.direct(as_slice(aggregate), &self.remembered.velocity, &mut direction);
        if descent.remembers() {
            self.remembered.velocity.clone_from(&direction);
        }
        Arc::new(Array1::from(direction))
    }

    /// `model - learning_rate * direction`.
    pub fn moved(&self, model: &Shared, direction: &Shared) -> Shared {
        let rate = self.settings.descent.learning_rate;
        let steps = as_slice(model).iter().zip(as_slice(direction));
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
            descent: Descent::plain(0.5),
            seed: 1,
            node: NodeId(2),
            head: 0..2,
        });
        let rows = Rows {
            senders: vec![NodeId(0), NodeId(1)],
            samples: vec![5, 5],
            updates: vec![Arc::new(array![4.0, 0.0]), Arc::new(array![0.0, 2.0])],
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

    /// A mean over one row, so that the aggregate is what is sent.
    fn with_momentum(momentum: f32, dampening: f32) -> Aggregation {
        Aggregation::new(AggregationSettings {
            rule: CATALOG.build_default("mean").unwrap().value,
            byzantine: 0,
            rounds: 9,
            descent: Descent { momentum, dampening, ..Descent::plain(0.5) },
            seed: 1,
            node: NodeId(1),
            head: 0..1,
        })
    }

    fn one(value: f32) -> Rows {
        Rows { senders: vec![NodeId(0)], samples: vec![1], updates: vec![Arc::new(array![value])] }
    }

    #[test]
    fn momentum_of_aggregates_by_hand() {
        // v = 4, w = 10 - 4/2 = 8; v = 4/2 + 2 = 4, w = 6; v = 4/2 - 6 = -4, w = 8.
        let mut aggregation = with_momentum(0.5, 0.0);
        let mut model: Shared = Arc::new(array![10.0]);
        for (round, (sent, direction, after)) in
            [(4.0, 4.0, 8.0), (2.0, 4.0, 6.0), (-6.0, -4.0, 8.0)].into_iter().enumerate()
        {
            let aggregated = aggregation.aggregate(Round(round as u32 + 1), &one(sent)).unwrap();
            assert_eq!(*aggregated.vector, array![sent], "the aggregate itself has no momentum");
            assert_eq!(*aggregated.direction, array![direction]);
            model = aggregation.moved(&model, &aggregated.direction);
            assert_eq!(*model, array![after]);
            assert_eq!(aggregation.remembered().previous, Some(vec![sent]));
        }
        // Dampened by 1/4: v = 3/4 · 4 = 3, v = 3/2 + 3/4 · 2 = 3.
        let mut dampened = with_momentum(0.5, 0.25);
        for (round, sent) in [(1, 4.0), (2, 2.0)] {
            let aggregated = dampened.aggregate(Round(round), &one(sent)).unwrap();
            assert_eq!(*aggregated.direction, array![3.0]);
        }
    }

    #[test]
    fn momentum_survives_a_checkpoint_and_a_refused_round() {
        let mut undisturbed = with_momentum(0.5, 0.0);
        undisturbed.aggregate(Round(1), &one(4.0)).unwrap();
        let kept = postcard::to_allocvec(undisturbed.remembered()).unwrap();
        let mut restored = with_momentum(0.5, 0.0);
        restored.restore(postcard::from_bytes(&kept).unwrap());
        restored.aggregate(Round(2), &Rows::of(&BTreeMap::new())).unwrap_err();
        let next = |aggregation: &mut Aggregation| {
            aggregation.aggregate(Round(3), &one(1.0)).unwrap().direction
        };
        assert_eq!(*next(&mut restored), array![3.0]);
        assert_eq!(*next(&mut undisturbed), array![3.0]);
    }
}
