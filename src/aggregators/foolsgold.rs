//! `FoolsGold`: who has looked the same way as somebody else for long is taken for a puppet.
//!
//! Each sender's updates are summed over the rounds, and only chosen coordinates are compared:
//! those of the last layer by default. With `cs_ij` the cosines of these sums and `m_i` the
//! largest of a row plus `smoothing`, `cs_ij` is lowered by `m_i / m_j` where `m_i < m_j`, so that
//! honest senders whom a puppet resembles are pardoned. Then `w_i = 1 - max_j cs_ij` within 0 and
//! 1, over the largest of all, at most `cap`; and at last `ln(w_i / (1 - w_i)) + 0.5` within 0
//! and 1. `F(x) = Σ w_i x_i / Σ w_i`; the authors do not divide, others divide by n. Where nobody
//! weighs anything, the model stays.
//!
//! Fails wherever honest senders are alike: with data spread evenly all honest weigh next to
//! nothing and a single liar, who resembles nobody, weighs 1 and has the aggregate to itself. It
//! is no defence against one liar, nor against puppets who take care to differ, for which a little
//! noise is enough. It has no `f`, and bounds no norm.
//!
//! Reference: Fung, Yoon, Beschastnikh, The Limitations of Federated Learning in Sybil Settings,
//! RAID 2020.

use std::sync::Arc;

use ndarray::{Array1, Array2, ArrayView2};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::features::Features;
use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::{ConfigError, Entry};
use crate::kernels::cosines::cosines_of;
use crate::kernels::means::weighted_sum;
use crate::kernels::row_norms::each_row_with;
use crate::node::NodeId;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "foolsgold",
    summary: "a mean in which senders who have long looked the same way weigh little",
    reference: "Fung, Yoon, Beschastnikh, RAID 2020",
    source: include_str!("foolsgold.rs"),
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
    parameters: || schema_for!(FoolsGold),
    build: |parameters| {
        parameters.build::<dyn Aggregator, FoolsGold>(|rule| {
            if !(rule.cap > 0.0 && rule.cap < 1.0) {
                let message = format!("`cap` = {}, and it must be above 0 and below 1", rule.cap);
                return Err(ConfigError::new(message));
            }
            if !(rule.smoothing >= 0.0 && rule.smoothing < 1.0) {
                let smoothing = rule.smoothing;
                let message =
                    format!("`smoothing` = {smoothing}, and it must be at least 0 and below 1");
                return Err(ConfigError::new(message));
            }
            if rule.window == Some(0) {
                return Err(ConfigError::new("`window` = 0, and it must be at least 1"));
            }
            Ok(Arc::new(rule))
        })
    },
};

/// Parameters of `FoolsGold`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct FoolsGold {
    /// Which coordinates are compared: those of the last layer (`head`, default), `all`, or
    /// `{ listed = [..] }`, counted from 0.
    features: Features,
    /// The largest weight before the logarithm, in place of 1 (default 0.99).
    cap: f64,
    /// What is added to keep quotients and logarithms finite (default 0.00001).
    smoothing: f64,
    /// Where it is added: to the `quotient` w / (1 - w) (default), or to its `denominator`.
    smoothed: Smoothed,
    /// What the weighted sum is divided by: the sum of `weights` (default), the number of `rows`,
    /// or `nothing`.
    divide_by: DivideBy,
    /// How many rounds are summed, once more than so many have been; before, only the round
    /// itself (default: all rounds, from the first on).
    window: Option<u32>,
}

/// Where the small number is added.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Smoothed {
    /// `ln(w / (1 - w) + smoothing)`, and the largest cosines too.
    #[default]
    Quotient,
    /// `ln(w / (1 - w + smoothing))`.
    Denominator,
}

/// What the weighted sum is divided by.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum DivideBy {
    /// The sum of the weights.
    #[default]
    Weights,
    /// The number of rows.
    Rows,
    /// Nothing: the aggregate grows with the number of senders.
    Nothing,
}

impl Default for FoolsGold {
    fn default() -> Self {
        FoolsGold {
            features: Features::default(),
            cap: 0.99,
            smoothing: 1e-5,
            smoothed: Smoothed::default(),
            divide_by: DivideBy::default(),
            window: None,
        }
    }
}

impl Aggregator for FoolsGold {
    fn admits(&self, rows: usize, _byzantine: usize) -> Result<(), AggregateError> {
        if rows == 0 { Err(AggregateError::Empty { rule: ENTRY.name }) } else { Ok(()) }
    }

    fn remembers(&self) -> Remembers {
        Remembers::History
    }

    fn rescales(&self) -> bool {
        self.divide_by != DivideBy::Weights
    }

    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        self.admits(updates.nrows(), context.byzantine)?;
        let weights = self.weights(&self.cosines(updates, context)?);
        let total: f64 = weights.iter().sum();
        if total == 0.0 {
            return Ok(Aggregate { vector: Array1::zeros(updates.ncols()), weights: None });
        }
        let divisor = match self.divide_by {
            DivideBy::Weights => total,
            DivideBy::Rows => updates.nrows() as f64,
            DivideBy::Nothing => 1.0,
        };
        let shares: Vec<f32> = weights.iter().map(|weight| (weight / divisor) as f32).collect();
        Ok(Aggregate {
            vector: weighted_sum(updates, &shares),
            weights: Some(weights.iter().map(|weight| (weight / total) as f32).collect()),
        })
    }
}

impl FoolsGold {
    /// The cosines of what the senders have summed up to, this round included.
    fn cosines(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Array2<f64>, AggregateError> {
        let compared = self.features.of(ENTRY.name, updates, context)?;
        let name = |sender: &NodeId| match self.window {
            None => format!("foolsgold: sum of {sender}"),
            Some(_) => format!("foolsgold: rounds of {sender}"),
        };
        let mut kept: Vec<Vec<f32>> =
            context.senders.iter().map(|sender| context.memory.take(&name(sender))).collect();
        let sums = each_row_with(compared.view(), &mut kept, |_, update, kept| match self.window {
            None => {
                add_to(kept, update);
                None
            }
            Some(window) => Some(sum_of_rounds(kept, update, window)),
        });
        let rows: Vec<&[f32]> = sums
            .iter()
            .zip(&kept)
            .map(|(sum, kept)| sum.as_ref().unwrap_or(kept).as_slice())
            .collect();
        let cosines = cosines_of(&rows, 0.0);
        for (sender, kept) in context.senders.iter().zip(kept) {
            context.memory.set(&name(sender), kept);
        }
        Ok(cosines)
    }

    /// The weight of each row, within 0 and 1, from the cosines of what they summed up to.
    fn weights(&self, cosines: &Array2<f64>) -> Vec<f64> {
        let rows = cosines.nrows();
        let others = |row: usize| (0..rows).filter(move |&other| other != row);
        // A row is no likeness of itself, which counts as a cosine of 0.
        let smoothing = if self.smoothed == Smoothed::Quotient { self.smoothing } else { 0.0 };
        let largest: Vec<f64> = (0..rows)
            .map(|row| others(row).map(|other| cosines[[row, other]]).fold(0.0, f64::max))
            .map(|largest| largest + smoothing)
            .collect();
        let pardoned = |row: usize, other: usize| match largest[row] < largest[other] {
            true => cosines[[row, other]] * largest[row] / largest[other],
            false => cosines[[row, other]],
        };
        let likeness =
            |row: usize| others(row).map(|other| pardoned(row, other)).fold(0.0, f64::max);
        let weights: Vec<f64> =
            (0..rows).map(|row| (1.0 - likeness(row)).clamp(0.0, 1.0)).collect();
        let most = weights.iter().copied().fold(0.0, f64::max);
        if most == 0.0 {
            return weights;
        }
        weights.into_iter().map(|weight| self.sharpened(weight / most)).collect()
    }

    /// The weight drawn apart: small ones to 0, large ones to 1.
    fn sharpened(&self, weight: f64) -> f64 {
        let weight = if weight >= 1.0 { self.cap } else { weight };
        let quotient = match self.smoothed {
            Smoothed::Quotient => weight / (1.0 - weight) + self.smoothing,
            Smoothed::Denominator => weight / (1.0 - weight + self.smoothing),
        };
        (quotient.ln() + 0.5).clamp(0.0, 1.0)
    }
}

/// Adds an update to what its sender has summed up to, anew where that has another length.
fn add_to(sum: &mut Vec<f32>, update: &[f32]) {
    if sum.len() == update.len() {
        sum.iter_mut().zip(update).for_each(|(sum, value)| *sum += value);
    } else {
        *sum = update.to_vec();
    }
}

/// The sum of the rounds of a window, once it is full. They stand one behind the other, the oldest
/// first, and the update joins them.
fn sum_of_rounds(rounds: &mut Vec<f32>, update: &[f32], window: u32) -> Vec<f32> {
    let width = update.len();
    let kept = width.saturating_mul(window as usize);
    let full = rounds.len() == kept;
    rounds.extend(update);
    rounds.drain(..rounds.len().saturating_sub(kept));
    let mut sum = vec![0.0f64; width];
    let summed = if full { &rounds[..] } else { update };
    for round in summed.chunks(width.max(1)) {
        sum.iter_mut().zip(round).for_each(|(sum, &value)| *sum += f64::from(value));
    }
    sum.into_iter().map(|sum| sum as f32).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::aggregators::tests::aggregate_with;
    use crate::memory::Memory;
    use crate::node::Round;
    use crate::seed::{Purpose, run_stream};

    fn weights(rule: &FoolsGold, rows: &Array2<f32>) -> Vec<f32> {
        aggregate_with(rule, rows, 0, None).unwrap().weights.unwrap().to_vec()
    }

    #[test]
    fn twins_weigh_nothing() {
        let rows = array![[1.0, 0.0], [2.0, 0.0], [0.0, 3.0]];
        let result = aggregate_with(&FoolsGold::default(), &rows, 0, None).unwrap();
        assert_eq!(result.weights, Some(array![0.0, 0.0, 1.0]));
        assert_eq!(result.vector, array![0.0, 3.0]);
    }

    #[test]
    fn what_the_sum_is_divided_by() {
        let rows = array![[1.0, 0.0], [2.0, 0.0], [0.0, 3.0]];
        let of = |divide_by| {
            let rule = FoolsGold { divide_by, ..FoolsGold::default() };
            aggregate_with(&rule, &rows, 0, None).unwrap().vector
        };
        assert_eq!(of(DivideBy::Rows), array![0.0, 1.0]);
        assert_eq!(of(DivideBy::Nothing), array![0.0, 3.0]);
        let opposed = array![[1.0, 0.0], [-1.0, 0.0]];
        assert_eq!(weights(&FoolsGold::default(), &opposed), [0.5, 0.5]);
    }

    #[test]
    fn only_chosen_coordinates_are_compared() {
        let rows = array![[1.0, 0.0, 5.0], [1.0, 0.0, -5.0], [0.0, 1.0, 5.0]];
        let features = Features::Listed(vec![0, 1]);
        let rule = FoolsGold { features, ..FoolsGold::default() };
        assert_eq!(weights(&rule, &rows), [0.0, 0.0, 1.0]);
        let rule = FoolsGold { features: Features::Listed(vec![3]), ..FoolsGold::default() };
        let error = aggregate_with(&rule, &rows, 0, None).unwrap_err();
        assert_eq!(error.to_string(), "foolsgold: feature 3 of updates with 3 values");
    }

    #[test]
    fn the_model_stays_when_all_are_alike() {
        let rows = array![[1.0, 0.0], [2.0, 0.0]];
        let result = aggregate_with(&FoolsGold::default(), &rows, 0, None).unwrap();
        assert_eq!(result, Aggregate { vector: array![0.0, 0.0], weights: None });
    }

    #[test]
    fn sums_belong_to_senders_and_not_to_rows() {
        let mut memory = Memory::default();
        let mut round = |senders: &[u32], updates: Array2<f32>| {
            let senders: Vec<NodeId> = senders.iter().copied().map(NodeId).collect();
            let mut context = Context {
                round: Round(1),
                rounds_total: 2,
                byzantine: 0,
                senders: &senders,
                samples: None,
                previous: None,
                trusted: None,
                head: None,
                memory: &mut memory,
                rng: &mut run_stream(1, Purpose::Aggregation),
            };
            let rule = FoolsGold::default();
            rule.aggregate(updates.view(), &mut context).unwrap().weights.unwrap()
        };
        round(&[0, 1, 2], array![[9.0, 0.0], [9.0, 0.0], [0.0, 1.0]]);
        // Node 1 is absent. Node 0 looks the way of node 2 now, but has not for long.
        let weights = round(&[0, 2], array![[0.0, 1.0], [0.0, 1.0]]);
        assert!((&weights - &array![0.5, 0.5]).iter().all(|off| off.abs() < 1e-6), "{weights}");
    }
}
