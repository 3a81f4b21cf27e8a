//! Centered clipping: from the last aggregate, the mean step towards the rows, each step bounded.
//!
//! `v <- v + 1/n · Σ (x_i - v) · min(1, tau / ‖x_i - v‖)`, repeated `iterations` times. Whatever
//! it sends, a row moves the result by at most tau / n in an iteration; f rows by `f tau / n`.
//!
//! It starts where the honest rows are expected, at the aggregate of the round before (`previous`,
//! and zero in the first round), as the authors, `ByzFL` and the code of He et al. do. `zero`
//! starts anew each round; `first` starts at the row of the lowest sender, as a node does that
//! clips its neighbours around its own model.
//!
//! With `finish = "trimmed"` the aggregate is not the point that the steps lead to: around it the
//! rows are clipped once more, and of what they are then the trimmed mean is taken, f values at
//! each end of every coordinate. The next round starts at the point, which is remembered.
//!
//! Fails where `tau` does not fit: far below the distances between honest rows it follows them too
//! slowly to learn, far above them it is the mean. It is a distance, so it depends on the model
//! and shrinks as training goes on; nothing here adapts it. Liars who push in one direction round
//! after round move the start a little each time, and a committee that is drawn anew must agree on
//! it. With `first` the lowest sender may be a liar. Needs n > 2f.
//!
//! Reference: Karimireddy, He, Jaggi, Learning from History for Byzantine Robust Optimization,
//! ICML 2021.

use std::sync::Arc;

use ndarray::{Array1, ArrayView2};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::trimmed_mean::TrimmedMean;
use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::{ConfigError, Entry};
use crate::kernels::centres::{squared_distances_to, weighted_sum_and_distances};
use crate::kernels::means::weighted_sum_from;
use crate::vector::as_slice;

/// Under which name the point where steps ended is remembered.
const POINT: &str = "centered_clipping.point";

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "centered_clipping",
    summary: "the last aggregate moved towards every update, by a bounded step for each",
    reference: "Karimireddy et al., ICML 2021",
    source: include_str!("centered_clipping.rs"),
    claims: Claims {
        permutation_invariant: true,
        translation_equivariant: true,
        scale_equivariant: false,
        tolerates: |rows| Some(rows.checked_sub(1)? / 2),
        robust: true,
        remembers: Remembers::PreviousAggregate,
        uses_byzantine: false,
        uses_samples: false,
    },
    parameters: || schema_for!(CenteredClipping),
    build: |parameters| {
        parameters.build::<dyn Aggregator, CenteredClipping>(|rule| {
            if !(rule.tau > 0.0 && rule.tau.is_finite()) {
                let message = format!("`tau` = {}, and it must be above 0", rule.tau);
                return Err(ConfigError::new(message));
            }
            if rule.iterations == 0 {
                return Err(ConfigError::new("`iterations` = 0, and it must be at least 1"));
            }
            Ok(Arc::new(rule))
        })
    },
};

/// Parameters of centered clipping.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct CenteredClipping {
    /// How far a row may pull, in the unit of updates (default 10).
    tau: f64,
    /// How many steps are made in a round (default 1).
    iterations: u32,
    /// Where the steps start: at the `previous` aggregate (default; zero if there is none), at
    /// `zero`, or at the `first` row.
    start: Start,
    /// What is returned: the point where the steps end (`step`, default), or the `trimmed` mean of
    /// the rows as they are clipped around it, without f values at each end.
    finish: Finish,
}

/// What is returned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Finish {
    /// Where the steps end.
    #[default]
    Step,
    /// The trimmed mean of the clipped rows.
    Trimmed,
}

/// Where the steps start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Start {
    /// The aggregate of the round before; in the first round the vector of zeros.
    #[default]
    Previous,
    /// The vector of zeros.
    Zero,
    /// The row of the lowest sender.
    First,
}

impl Default for CenteredClipping {
    fn default() -> Self {
        CenteredClipping {
            tau: 10.0,
            iterations: 1,
            start: Start::default(),
            finish: Finish::default(),
        }
    }
}

impl Aggregator for CenteredClipping {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        AggregateError::unless_majority(ENTRY.name, rows, byzantine)
    }

    fn remembers(&self) -> Remembers {
        match self.start {
            Start::Previous if self.finish == Finish::Trimmed => Remembers::History,
            Start::Previous => Remembers::PreviousAggregate,
            Start::Zero | Start::First => Remembers::Nothing,
        }
    }

    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        self.admits(updates.nrows(), context.byzantine)?;
        let updates = updates.as_standard_layout();
        let rows = updates.view();
        let mut centre = self.start(rows, context)?;
        let mut distances = squared_distances_to(rows, as_slice(&centre));
        for _ in 1..self.iterations {
            let (weights, own) = pulls(self.tau, &distances);
            (centre, distances) =
                weighted_sum_and_distances(rows, &weights, Some((as_slice(&centre), own)));
        }
        // Nobody asks how far the rows are from the last centre.
        let (weights, own) = pulls(self.tau, &distances);
        let vector = weighted_sum_from(rows, &weights, as_slice(&centre), own);
        if self.finish == Finish::Trimmed {
            return self.trimmed(rows, vector, context);
        }
        Ok(Aggregate { vector, weights: None })
    }
}

impl CenteredClipping {
    /// Where the steps start; zero in the place of what is not finite.
    fn start(
        &self,
        rows: ArrayView2<'_, f32>,
        context: &Context<'_>,
    ) -> Result<Array1<f32>, AggregateError> {
        let start = match (self.start, context.previous) {
            (Start::Previous, _) if self.finish == Finish::Trimmed => {
                let remembered = context.memory.get(POINT).map(<[f32]>::to_vec);
                remembered.map_or_else(|| Array1::zeros(rows.ncols()), Array1::from)
            }
            (Start::Previous, Some(previous)) => previous.to_owned(),
            (Start::First, _) => rows.row(0).to_owned(),
            _ => Array1::zeros(rows.ncols()),
        };
        if start.len() != rows.ncols() {
            let (length, columns) = (start.len(), rows.ncols());
            let message =
                format!("the previous aggregate has {length} values, rows have {columns}");
            return Err(AggregateError::Unfit { rule: ENTRY.name, message });
        }
        Ok(start.mapv_into(|value| if value.is_finite() { value } else { 0.0 }))
    }

    /// The trimmed mean of the rows as they are clipped around this point, which is remembered if
    /// the next round starts there.
    fn trimmed(
        &self,
        rows: ArrayView2<'_, f32>,
        point: Array1<f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        let mut clipped = rows.to_owned();
        let distances = squared_distances_to(rows, as_slice(&point));
        for (mut row, &squared) in clipped.rows_mut().into_iter().zip(&distances) {
            // A row that is not finite is infinitely far, and so is clipped to the point itself.
            let distance = if squared.is_nan() { f64::INFINITY } else { squared.sqrt() };
            if distance > self.tau {
                let share = self.tau / distance;
                for (value, &centre) in row.iter_mut().zip(&point) {
                    let by = (f64::from(*value) - f64::from(centre)) * share;
                    *value = if by.is_finite() { (f64::from(centre) + by) as f32 } else { centre };
                }
            }
        }
        if self.start == Start::Previous {
            context.memory.set(POINT, point.to_vec());
        }
        let vector = TrimmedMean::default().aggregate(clipped.view(), context)?.vector;
        Ok(Aggregate { vector, weights: None })
    }
}

/// What each row weighs in the next centre if it may pull as far as `tau`, and what the present
/// centre does; together 1.
pub(super) fn pulls(tau: f64, squared_distances: &[f64]) -> (Vec<f64>, f64) {
    let rows = squared_distances.len() as f64;
    let weight = |&squared: &f64| {
        // A row that is not finite is infinitely far, and so does not pull.
        let distance = if squared.is_nan() { f64::INFINITY } else { squared.sqrt() };
        if distance > tau { tau / distance / rows } else { 1.0 / rows }
    };
    let weights: Vec<f64> = squared_distances.iter().map(weight).collect();
    // Counted from the clipped rows alone, so that nothing is left where none is clipped.
    let missing = weights.iter().map(|weight| 1.0 - weight * rows).sum::<f64>() / rows;
    (weights, missing.max(0.0))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::aggregators::tests::aggregate_with;
    use crate::memory::Memory;
    use crate::node::{NodeId, Round};
    use crate::seed::{Purpose, run_stream};

    fn clip(rule: &CenteredClipping, rows: &Array2<f32>, previous: &Array1<f32>) -> Array1<f32> {
        let senders: Vec<NodeId> = (0..rows.nrows() as u32).map(NodeId).collect();
        let mut context = Context {
            round: Round(2),
            rounds_total: 2,
            byzantine: 0,
            senders: &senders,
            samples: None,
            previous: Some(previous.view()),
            trusted: None,
            head: None,
            memory: &mut Memory::default(),
            rng: &mut run_stream(1, Purpose::Aggregation),
        };
        rule.aggregate(rows.view(), &mut context).unwrap().vector
    }

    #[test]
    fn one_step_by_hand() {
        // From zero: (3, 4) at distance 5 is pulled back to (0.6, 0.8), (0, 0.5) stays.
        let rule = CenteredClipping { tau: 1.0, ..CenteredClipping::default() };
        let rows = array![[3.0, 4.0], [0.0, 0.5]];
        let result = aggregate_with(&rule, &rows, 0, None).unwrap().vector;
        assert!((&result - &array![0.3, 0.65]).iter().all(|off| off.abs() < 1e-6), "{result}");
    }

    #[test]
    fn steps_start_where_they_are_told() {
        let rows = array![[4.0], [8.0]];
        let start = |start| CenteredClipping { tau: 1.0, start, ..CenteredClipping::default() };
        let previous = array![6.0];
        assert_eq!(clip(&start(Start::Previous), &rows, &previous), array![6.0]);
        assert_eq!(clip(&start(Start::Zero), &rows, &previous), array![1.0]);
        assert_eq!(clip(&start(Start::First), &rows, &previous), array![4.5]);
        // From 10 both rows pull by one, to 9, and then to 8.
        let twice = CenteredClipping { iterations: 2, ..start(Start::Previous) };
        assert_eq!(clip(&twice, &rows, &array![10.0]), array![8.0]);
    }

    #[test]
    fn what_is_clipped_may_be_trimmed() {
        // From zero to (1 + 1 + 0.5 - 1) / 4 = 0.375; around it the rows are 1.375, 1.375, 0.5 and
        // -0.625, and then, around 0.375 + (1 + 1 + 0.125 - 1) / 4 = 0.65625, the last is higher.
        let rows = array![[9.0], [4.0], [0.5], [-7.0]];
        let rule =
            CenteredClipping { tau: 1.0, finish: Finish::Trimmed, ..CenteredClipping::default() };
        let senders: Vec<NodeId> = (0..4).map(NodeId).collect();
        let mut memory = Memory::default();
        for expected in [0.9375, 1.078_125] {
            let mut context = Context {
                round: Round(1),
                rounds_total: 2,
                byzantine: 1,
                senders: &senders,
                samples: None,
                previous: None,
                trusted: None,
                head: None,
                memory: &mut memory,
                rng: &mut run_stream(1, Purpose::Aggregation),
            };
            assert_eq!(rule.aggregate(rows.view(), &mut context).unwrap().vector, array![expected]);
        }
        assert_eq!(rule.remembers(), Remembers::History);
        assert_eq!(memory.get(POINT), Some(&[0.65625][..]));
    }

    #[test]
    fn a_row_moves_no_more_than_its_share_of_tau() {
        let rule = CenteredClipping { tau: 1.0, ..CenteredClipping::default() };
        for lie in [1e30, f32::INFINITY, f32::NAN] {
            let rows = array![[lie], [0.0], [0.0], [0.0]];
            let moved = clip(&rule, &rows, &array![0.0])[0];
            assert!(moved == 0.0 || moved == 0.25, "{lie} moved it by {moved}");
        }
    }

    #[test]
    fn a_start_that_does_not_fit_is_refused() {
        let rule = CenteredClipping::default();
        let zero = Array1::zeros(1);
        assert_eq!(clip(&rule, &array![[2.0]], &array![f32::NAN]), array![2.0]);
        let senders = [NodeId(0)];
        let mut context = Context {
            round: Round(2),
            rounds_total: 2,
            byzantine: 0,
            senders: &senders,
            samples: None,
            previous: Some(zero.view()),
            trusted: None,
            head: None,
            memory: &mut Memory::default(),
            rng: &mut run_stream(1, Purpose::Aggregation),
        };
        let error = rule.aggregate(array![[1.0, 2.0]].view(), &mut context).unwrap_err();
        let text = "centered_clipping: the previous aggregate has 1 values, rows have 2";
        assert_eq!(error.to_string(), text);
    }
}
