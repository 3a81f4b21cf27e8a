//! FL-Defender: who stands to the others in angles unlike most senders do, round after round,
//! weighs little.
//!
//! Row i of the matrix of cosines between updates, less 1 on the diagonal, says how sender i stands
//! to everybody; an update without a direction has the cosine 0 to all, itself included. Its
//! columns are brought to mean 0 and deviation 1, and what is left is reduced to its two leading
//! components. The cosine between a sender's two numbers and their median over all senders is added
//! to what the sender has gathered so far. With `Q` the first quartile of what all have gathered,
//! `w_i = max(0, g_i - Q) / max_j (g_j - Q)` and `F(x) = Σ w_i x_i / Σ w_i`. Where nobody stands
//! out, all weigh alike.
//!
//! Fails where liars are the ones who look alike: many that point the same way make the leading
//! component their own, and the median is theirs as soon as they are half. A quarter of the senders
//! weighs nothing however honest they are, more where data are heterogeneous. It bounds no norm:
//! one liar who keeps the usual angles and is long has the aggregate to itself. What was gathered
//! in honest rounds is spent in later ones. It has no `f` and promises nothing about one, and
//! needs the history of everybody's scores.
//!
//! Reference: Jebreel, Domingo-Ferrer, FL-Defender: Combating Targeted Attacks in Federated
//! Learning, Knowledge-Based Systems 2023.

use std::sync::Arc;

use ndarray::{Array2, ArrayView2, Axis};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::features::Features;
use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::Entry;
use crate::kernels::cosines::cosines;
use crate::kernels::means::weighted_sum;
use crate::kernels::row_norms::{median, row_norms};
use crate::kernels::shares;
use crate::kernels::spectral::leading;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "fl_defender",
    summary: "a mean in which senders whose angles to the others are unusual weigh little",
    reference: "Jebreel, Domingo-Ferrer, Knowledge-Based Systems 2023",
    source: include_str!("fl_defender.rs"),
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
    parameters: || schema_for!(FlDefender),
    build: |parameters| parameters.build::<dyn Aggregator, FlDefender>(|rule| Ok(Arc::new(rule))),
};

/// Parameters of FL-Defender.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct FlDefender {
    /// Which coordinates are compared: those of the last layer (`head`, default), `all`, or
    /// `{ listed = [..] }`, counted from 0.
    features: Features,
}

impl Aggregator for FlDefender {
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
        let compared = self.features.of(ENTRY.name, updates, context)?;
        let scores = scores(compared.view());
        let gathered: Vec<f64> = context
            .senders
            .iter()
            .zip(scores)
            .map(|(sender, score)| {
                let name = format!("fl_defender: score of {sender}");
                let before = context.memory.get(&name).and_then(|kept| kept.first().copied());
                let sum = before.unwrap_or(0.0) + score as f32;
                context.memory.set(&name, vec![sum]);
                f64::from(sum)
            })
            .collect();
        let shares = shares_of(&gathered);
        Ok(Aggregate { vector: weighted_sum(updates, &shares), weights: Some(shares.into()) })
    }
}

/// How alike each sender is to the usual one, within -1 and 1.
fn scores(rows: ArrayView2<'_, f32>) -> Vec<f64> {
    let mut cosines = cosines(rows, 0.0);
    for (own, norm) in cosines.diag_mut().iter_mut().zip(row_norms(rows)) {
        *own = if norm > 0.0 && norm.is_finite() { 0.0 } else { -1.0 };
    }
    for mut column in cosines.columns_mut() {
        let count = column.len() as f64;
        let mean = column.sum() / count;
        column -= mean;
        let deviation = (column.fold(0.0, |sum, apart| sum + apart * apart) / count).sqrt();
        // Senders who all stand alike to somebody say nothing about each other.
        let scale = if deviation > 0.0 { 1.0 / deviation } else { 0.0 };
        column *= scale;
    }
    let points = two_components(&cosines);
    let centre =
        [0, 1].map(|axis| median(&points.iter().map(|point| point[axis]).collect::<Vec<f64>>()));
    points.iter().map(|&point| cosine(point, centre)).collect()
}

/// How far a variance must be above the next, as a share of the largest, for its direction to be
/// one of its own.
const SET_APART: f64 = 1e-8;

/// Each row in the two leading directions of all, whose columns have the mean 0. A direction in
/// which rows vary no more than in the next could as well be another, and is left out.
fn two_components(rows: &Array2<f64>) -> Vec<[f64; 2]> {
    let n = rows.nrows();
    let mut rest: Vec<Vec<f64>> = shares::each(n, n * n * n, |row| {
        let own = rows.row(row);
        rows.axis_iter(Axis(0)).map(|other| product(own.to_slice(), other.to_slice())).collect()
    });
    let components = [(); 3].map(|()| {
        let (variance, direction) = leading(rest.clone());
        for (row, own) in rest.iter_mut().zip(&direction) {
            row.iter_mut()
                .zip(&direction)
                .for_each(|(value, other)| *value -= variance * own * other);
        }
        (variance, direction)
    });
    let least = SET_APART * components[0].0;
    let apart = [0, 1].map(|axis| components[axis].0 - components[axis + 1].0 > least);
    let length = |axis: usize, own: bool| if own { components[axis].0.sqrt() } else { 0.0 };
    let lengths = [length(0, apart[0]), length(1, apart[0] && apart[1])];
    let points = components[0].1.iter().zip(&components[1].1);
    points.map(|(first, second)| [lengths[0] * first, lengths[1] * second]).collect()
}

/// The inner product of two rows, in lanes of its own; 0 of rows that are not contiguous, of which
/// there are none.
fn product(left: Option<&[f64]>, right: Option<&[f64]>) -> f64 {
    let (left, right) = (left.unwrap_or_default(), right.unwrap_or_default());
    let mut lanes = [0.0; 8];
    for (left, right) in left.chunks(8).zip(right.chunks(8)) {
        for ((lane, left), right) in lanes.iter_mut().zip(left).zip(right) {
            *lane += left * right;
        }
    }
    lanes.iter().sum()
}

/// The cosine of the angle between two points; 0 where one has no direction.
fn cosine([x, y]: [f64; 2], [u, v]: [f64; 2]) -> f64 {
    let lengths = x.hypot(y) * u.hypot(v);
    if lengths > 0.0 { (x * u + y * v) / lengths } else { 0.0 }
}

/// The share of each sender, together 1: what it gathered beyond the first quartile.
fn shares_of(gathered: &[f64]) -> Vec<f32> {
    let quartile = first_quartile(gathered);
    let beyond: Vec<f64> = gathered.iter().map(|score| (score - quartile).max(0.0)).collect();
    let total: f64 = beyond.iter().sum();
    match total > 0.0 {
        true => beyond.iter().map(|own| (own / total) as f32).collect(),
        false => vec![(1.0 / gathered.len() as f64) as f32; gathered.len()],
    }
}

/// The first quartile, between two values in proportion.
fn first_quartile(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = (sorted.len() - 1) as f64 / 4.0;
    let (below, above) = (place.floor() as usize, place.ceil() as usize);
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::aggregators::tests::aggregate_with;
    use crate::memory::Memory;
    use crate::node::{NodeId, Round};
    use crate::seed::{Purpose, run_stream};

    /// Five that differ a little, and one that looks the other way.
    fn rows() -> Array2<f32> {
        array![
            [10.0, 1.0, 0.0],
            [10.0, 0.0, 1.0],
            [10.0, -1.0, 0.0],
            [10.0, 0.0, -1.0],
            [10.0, 1.0, 1.0],
            [-10.0, 0.5, 0.5]
        ]
    }

    #[test]
    fn who_looks_the_other_way_weighs_nothing() {
        let weights =
            aggregate_with(&FlDefender::default(), &rows(), 1, None).unwrap().weights.unwrap();
        assert_eq!(weights[5], 0.0);
        assert!((weights.sum() - 1.0).abs() < 1e-6, "{weights}");
        // The quartile of six lies between the second and the third, so that two weigh nothing.
        assert_eq!(weights.iter().filter(|weight| **weight == 0.0).count(), 2);
    }

    #[test]
    fn quartiles_by_hand() {
        assert_eq!(first_quartile(&[4.0]), 4.0);
        assert_eq!(first_quartile(&[3.0, 1.0]), 1.5);
        assert_eq!(first_quartile(&[5.0, 1.0, 3.0, 2.0, 4.0]), 2.0);
        assert_eq!(shares_of(&[0.0, 4.0, 8.0, 12.0]), [0.0, 1.0 / 15.0, 1.0 / 3.0, 0.6]);
    }

    #[test]
    fn where_nobody_stands_out_all_weigh_alike() {
        let alike = array![[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]];
        let result = aggregate_with(&FlDefender::default(), &alike, 1, None).unwrap();
        assert!((&result.vector - &array![1.0, 2.0]).iter().all(|apart| apart.abs() < 1e-6));
        let nothing = Array2::zeros((3, 2));
        assert_eq!(
            aggregate_with(&FlDefender::default(), &nothing, 1, None).unwrap().vector,
            array![0.0, 0.0]
        );
    }

    #[test]
    fn scores_are_gathered_by_sender() {
        let mut memory = Memory::default();
        let mut weights = |senders: [u32; 6], rows: &Array2<f32>| {
            let senders = senders.map(NodeId);
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
            FlDefender::default().aggregate(rows.view(), &mut context).unwrap().weights.unwrap()
        };
        let first = weights([0, 1, 2, 3, 4, 5], &rows());
        // The same rows again: twice the scores are the same shares.
        let second = weights([0, 1, 2, 3, 4, 5], &rows());
        assert!((&first - &second).iter().all(|apart| apart.abs() < 1e-5), "{first} {second}");
        // Sender 0 takes the liar's row, and has gathered too much to weigh nothing at once.
        let third = weights([5, 1, 2, 3, 4, 0], &rows());
        assert!(third[0] < first[0], "{third}");
    }

    #[test]
    fn directions_that_are_none_of_their_own_are_left_out() {
        // On a line there are two ways to look, whoever is asked first.
        let scores_of = |rows: Array2<f32>| scores(rows.view());
        let some = scores_of(array![[1.0], [-2.0], [3.0], [-4.0], [5.0]]);
        let others = scores_of(array![[-4.0], [5.0], [1.0], [3.0], [-2.0]]);
        for (one, other) in [0, 1, 2, 3, 4].into_iter().zip([2, 4, 3, 0, 1]) {
            assert!((some[one] - others[other]).abs() < 1e-6, "{some:?} {others:?}");
        }
        assert_eq!(scores_of(array![[1.0], [2.0], [3.0]]), [0.0; 3]);
    }

    #[test]
    fn no_rows_are_refused() {
        assert!(aggregate_with(&FlDefender::default(), &Array2::zeros((0, 2)), 0, None).is_err());
    }
}
