//! Sequential centered clipping: the last aggregate is moved by one small group of rows after the
//! other, by a bounded step for each row.
//!
//! Rows are put into buckets of about `size`, and for each bucket B in turn `v <- v + 1/|B| ·
//! Σ_{i in B} (x_i - v) · min(1, tau / ‖x_i - v‖)`, beginning at the aggregate of the round before.
//! The rows are sorted by their cosine to that and cut into `size` groups of nearly equal length;
//! each of the `⌈n / size⌉` buckets takes one row of each group, which is drawn. So a bucket holds
//! rows that look into different directions, and liars who look the same way end up in different
//! buckets. In the first round, where there is no aggregate yet, rows in random order are cut into
//! `⌊n / size⌋` buckets, the first of which are larger where they must be.
//!
//! Plain centered clipping measures all rows from one point, where liars know it and send what is
//! just not clipped; here every bucket measures from a point of its own, which depends on the draw.
//!
//! Fails where liars are many: in its bucket, one of `size` rows, a liar moves the point by `tau /
//! size`, whatever n is, so that all of them together move it by `f tau / size` in a round, `n /
//! size` times as far as in plain centered clipping. The last bucket has the last word. As there,
//! `tau` is a distance that nothing adapts. Needs n > 2f.
//!
//! Reference: Özfatura, Özfatura, Küpçü, Gündüz, Byzantines Can Also Learn from History: Fall of
//! Centered Clipping in Federated Learning, IEEE TIFS 2024.

use std::sync::Arc;

use ndarray::{Array1, ArrayView2};
use rand::seq::SliceRandom;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::centered_clipping::pulls;
use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::{ConfigError, Entry};
use crate::kernels::centres::squared_distances_apart;
use crate::kernels::cosines::cosine;
use crate::kernels::means::weighted_sum_apart_from;
use crate::kernels::row_norms::each_row;
use crate::vector::{as_slice, dot, norm, slices_of};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "sequential_clipping",
    summary: "the last aggregate moved by bounded steps towards one bucket of updates after another",
    reference: "Özfatura et al., IEEE TIFS 2024",
    source: include_str!("sequential_clipping.rs"),
    claims: Claims {
        permutation_invariant: false,
        translation_equivariant: false,
        scale_equivariant: false,
        tolerates: |rows| Some(rows.checked_sub(1)? / 2),
        robust: false,
        remembers: Remembers::PreviousAggregate,
        uses_byzantine: false,
        uses_samples: false,
    },
    parameters: || schema_for!(SequentialClipping),
    build: |parameters| {
        parameters.build::<dyn Aggregator, SequentialClipping>(SequentialClipping::checked)
    },
};

/// Parameters of sequential centered clipping.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct SequentialClipping {
    /// How far a row may pull, in the unit of updates (default 1).
    tau: f64,
    /// How many rows a bucket has, at least 1 (default 3).
    size: usize,
    /// The order of the rows in the first round, each once, counted from 0. Absent (default):
    /// drawn.
    order: Option<Vec<usize>>,
}

impl Default for SequentialClipping {
    fn default() -> Self {
        SequentialClipping { tau: 1.0, size: 3, order: None }
    }
}

impl Aggregator for SequentialClipping {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        AggregateError::unless_majority(ENTRY.name, rows, byzantine)
    }

    fn remembers(&self) -> Remembers {
        Remembers::PreviousAggregate
    }

    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        self.admits(updates.nrows(), context.byzantine)?;
        let updates = updates.as_standard_layout();
        let updates = updates.view();
        let (mut point, buckets) = match context.previous {
            Some(previous) => {
                let point = previous.mapv(|value| if value.is_finite() { value } else { 0.0 });
                if point.len() != updates.ncols() {
                    let (length, columns) = (point.len(), updates.ncols());
                    return Err(unfit(format!(
                        "the previous aggregate has {length} values, rows have {columns}"
                    )));
                }
                let buckets = self.dealt(&cosines_to(updates, &point), context);
                (point, buckets)
            }
            None => (Array1::zeros(updates.ncols()), self.cut(updates.nrows(), context)?),
        };
        let all = slices_of(&updates);
        for bucket in buckets {
            let rows: Vec<&[f32]> = bucket.iter().map(|&row| all[row]).collect();
            let distances = squared_distances_apart(&rows, as_slice(&point));
            let (weights, own) = pulls(self.tau, &distances);
            point = weighted_sum_apart_from(&rows, &weights, as_slice(&point), own);
        }
        Ok(Aggregate { vector: point, weights: None })
    }
}

impl SequentialClipping {
    fn checked(self) -> Result<Arc<dyn Aggregator>, ConfigError> {
        if !(self.tau > 0.0 && self.tau.is_finite()) {
            let message = format!("`tau` = {}, and it must be above 0", self.tau);
            return Err(ConfigError::new(message));
        }
        if self.size == 0 {
            return Err(ConfigError::new("`size` is 0, but a bucket holds at least 1 row"));
        }
        if let Some(order) = &self.order {
            let mut sorted = order.clone();
            sorted.sort_unstable();
            if sorted.iter().enumerate().any(|(place, &row)| place != row) {
                let message = format!("`order` {order:?} does not name each row from 0 once");
                return Err(ConfigError::new(message));
            }
        }
        Ok(Arc::new(self))
    }

    /// The buckets of the first round: pieces of rows in random order.
    fn cut(
        &self,
        rows: usize,
        context: &mut Context<'_>,
    ) -> Result<Vec<Vec<usize>>, AggregateError> {
        let order = match &self.order {
            Some(order) if order.len() == rows => order.clone(),
            Some(order) => {
                let length = order.len();
                return Err(unfit(format!("an order of {length} rows for n = {rows} updates")));
            }
            None => {
                let mut order: Vec<usize> = (0..rows).collect();
                order.shuffle(&mut context.rng);
                order
            }
        };
        Ok(pieces(&order, (rows / self.size).max(1)))
    }

    /// The buckets of a later round: one row of each group of rows that look the same way.
    fn dealt(&self, cosines: &[f64], context: &mut Context<'_>) -> Vec<Vec<usize>> {
        let mut order: Vec<usize> = (0..cosines.len()).collect();
        order.sort_by(|&a, &b| cosines[a].total_cmp(&cosines[b]));
        let mut buckets = vec![Vec::new(); cosines.len().div_ceil(self.size)];
        for mut group in pieces(&order, self.size) {
            group.shuffle(&mut context.rng);
            for (bucket, row) in buckets.iter_mut().zip(group) {
                bucket.push(row);
            }
        }
        buckets
    }
}

fn unfit(message: String) -> AggregateError {
    AggregateError::Unfit { rule: ENTRY.name, message }
}

/// The cosine of each row to a point; 0 where one of them has no direction.
fn cosines_to(updates: ArrayView2<'_, f32>, point: &Array1<f32>) -> Vec<f64> {
    let length = norm(as_slice(point));
    each_row(updates, |_, row| {
        let product = dot(as_slice(point), row);
        cosine(product, length, norm(row)).unwrap_or(0.0)
    })
}

/// So many pieces of nearly equal length, the first of which are longer.
fn pieces(order: &[usize], count: usize) -> Vec<Vec<usize>> {
    let mut rest = order;
    let piece = |place: usize| {
        let longer = usize::from(place < order.len() % count);
        let (piece, behind) = rest.split_at(order.len() / count + longer);
        rest = behind;
        piece.to_vec()
    };
    (0..count).map(piece).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::aggregators::tests::aggregate_with;
    use crate::memory::Memory;
    use crate::node::Round;
    use crate::seed::{Purpose, run_stream};

    fn with<T>(previous: Option<&Array1<f32>>, run: impl FnOnce(&mut Context<'_>) -> T) -> T {
        run(&mut Context {
            round: Round(2),
            rounds_total: 2,
            byzantine: 0,
            senders: &[],
            samples: None,
            previous: previous.map(|previous| previous.view()),
            trusted: None,
            head: None,
            memory: &mut Memory::default(),
            rng: &mut run_stream(1, Purpose::Aggregation),
        })
    }

    #[test]
    fn by_hand() {
        // The buckets are 9, -0.5, 0.5 and 3, 0.7: from zero to (1 - 0.5 + 0.5) / 3 = 1/3, and from
        // there by (1 + 0.36667) / 2.
        let rows = array![[9.0], [3.0], [-0.5], [0.7], [0.5]];
        let order = Some(vec![0, 2, 4, 1, 3]);
        let rule = SequentialClipping { size: 2, order, ..SequentialClipping::default() };
        let result = aggregate_with(&rule, &rows, 1, None).unwrap().vector;
        assert!((result[0] - (1.0 / 3.0 + (1.0 + 0.7 - 1.0 / 3.0) / 2.0)).abs() < 1e-6);
    }

    #[test]
    fn a_bucket_takes_one_row_of_each_group() {
        let cosines = [0.9, -0.5, 0.8, 0.1, 0.0, -0.9, 0.2];
        let rule = SequentialClipping::default();
        let buckets = with(None, |context| rule.dealt(&cosines, context));
        // Ascending, the groups are 5, 1, 4, then 3, 6, and 2, 0.
        assert_eq!(buckets.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 1]);
        let groups = [vec![5, 1, 4], vec![3, 6], vec![2, 0]];
        for (place, group) in groups.iter().enumerate() {
            let mut dealt: Vec<usize> =
                buckets.iter().filter_map(|bucket| bucket.get(place)).copied().collect();
            dealt.sort_unstable();
            let mut group = group.clone();
            group.sort_unstable();
            assert_eq!(dealt, group);
        }
    }

    #[test]
    fn steps_start_at_the_aggregate_before() {
        let rows = Array2::from_elem((4, 1), 5.0);
        let rule = SequentialClipping::default();
        let after = |previous: &Array1<f32>| {
            with(Some(previous), |context| rule.aggregate(rows.view(), context))
        };
        // There are two buckets, and each moves the point by one.
        assert_eq!(after(&array![1.0]).unwrap().vector, array![3.0]);
        assert_eq!(after(&array![f32::NAN]).unwrap().vector, array![2.0]);
        let error = after(&array![1.0, 2.0]).unwrap_err().to_string();
        let text = "sequential_clipping: the previous aggregate has 2 values, rows have 1";
        assert_eq!(error, text);
    }

    #[test]
    fn numbers_that_do_not_fit_are_refused() {
        let rule = SequentialClipping { order: Some(vec![0, 1]), ..SequentialClipping::default() };
        let error = aggregate_with(&rule, &array![[1.0]], 0, None).unwrap_err().to_string();
        assert_eq!(error, "sequential_clipping: an order of 2 rows for n = 1 updates");
        assert!(SequentialClipping { tau: 0.0, ..rule.clone() }.checked().is_err());
        assert!(SequentialClipping { size: 0, ..rule.clone() }.checked().is_err());
        assert!(SequentialClipping { order: Some(vec![1]), ..rule }.checked().is_err());
    }
}
