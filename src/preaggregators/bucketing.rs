//! Bucketing: rows in random order are averaged in groups.
//!
//! The n rows are put into random order and every `size` of them in a row averaged: `⌈n / size⌉`
//! rows come out. Where `size` does not divide n, the last bucket is smaller and counts as much as
//! the others (Karimireddy et al.; `ByzFL`); with `remainder = "spread"` there are `⌊n / size⌋`
//! buckets, the first of which take one row more. `order` puts the rows into a given order in
//! place of a drawn one.
//!
//! It makes what the rule sees `size` times less different, so that a rule that selects or takes
//! the median works with honest rows that come from different data.
//!
//! Fails because one liar spoils its bucket: of n rows f, of `⌈n / size⌉` buckets still f may be
//! byzantine, so the rule behind it must tolerate f among so many fewer: `f < ⌈n / size⌉ / 2` for a
//! rule that needs n > 2f. What liars the buckets hide from the rule is drawn anew in each round.
//!
//! Reference: Karimireddy, He, Jaggi, Byzantine-Robust Learning on Heterogeneous Datasets via
//! Bucketing, ICLR 2022.

use std::sync::Arc;

use ndarray::Array2;
use rand::seq::SliceRandom;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Claims, PreAggregator};
use crate::aggregators::{AggregateError, Context};
use crate::catalog::{ConfigError, Entry};
use crate::kernels::means::means_in_place;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn PreAggregator, Claims> = Entry {
    name: "bucketing",
    summary: "updates in random order are averaged in groups of a fixed size",
    reference: "Karimireddy et al., ICLR 2022",
    source: include_str!("bucketing.rs"),
    claims: Claims { permutation_equivariant: false, uses_byzantine: false },
    parameters: || schema_for!(Bucketing),
    build: |parameters| parameters.build::<dyn PreAggregator, Bucketing>(Bucketing::checked),
};

/// Parameters of bucketing.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Bucketing {
    /// How many rows make a bucket, at least 1 (default 2, the paper's).
    size: usize,
    /// What becomes of rows that do not fill a bucket: a smaller `bucket` (default) of their own,
    /// or they are `spread` over the first buckets.
    remainder: Remainder,
    /// The order of the rows, each once, counted from 0. Absent (default): drawn in each round.
    order: Option<Vec<usize>>,
}

/// What becomes of rows that do not fill a bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Remainder {
    /// They are a smaller bucket.
    #[default]
    Bucket,
    /// The first buckets take one more each.
    Spread,
}

impl Default for Bucketing {
    fn default() -> Self {
        Bucketing { size: 2, remainder: Remainder::default(), order: None }
    }
}

impl Bucketing {
    fn checked(self) -> Result<Arc<dyn PreAggregator>, ConfigError> {
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

    /// The rows of each bucket.
    fn buckets(&self, order: &[usize]) -> Vec<Vec<usize>> {
        let (count, rows) = (self.rows_out(order.len()), order.len());
        let (size, larger) = match self.remainder {
            Remainder::Bucket => (self.size, 0),
            Remainder::Spread => (rows / count, rows % count),
        };
        let mut rest = order;
        (0..count)
            .map(|bucket| {
                let size = (size + usize::from(bucket < larger)).min(rest.len());
                let (rows, behind) = rest.split_at(size);
                rest = behind;
                rows.to_vec()
            })
            .collect()
    }
}

impl PreAggregator for Bucketing {
    fn admits(&self, rows: usize, _byzantine: usize) -> Result<(), AggregateError> {
        if rows == 0 {
            return Err(AggregateError::Empty { rule: ENTRY.name });
        }
        match &self.order {
            Some(order) if order.len() != rows => {
                let message = format!("an order of {} rows for n = {rows} updates", order.len());
                Err(AggregateError::Unfit { rule: ENTRY.name, message })
            }
            _ => Ok(()),
        }
    }

    fn rows_out(&self, rows: usize) -> usize {
        match self.remainder {
            Remainder::Bucket => rows.div_ceil(self.size),
            Remainder::Spread => (rows / self.size).max(rows.min(1)),
        }
    }

    fn transform(
        &self,
        updates: Array2<f32>,
        context: &mut Context<'_>,
    ) -> Result<Array2<f32>, AggregateError> {
        let rows = updates.nrows();
        self.admits(rows, context.byzantine)?;
        let order = self.order.clone().unwrap_or_else(|| {
            let mut order: Vec<usize> = (0..rows).collect();
            order.shuffle(&mut context.rng);
            order
        });
        Ok(means_in_place(updates, &self.buckets(&order)))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::preaggregators::tests::transform_with;

    fn bucketing(size: usize, remainder: Remainder) -> Bucketing {
        Bucketing { size, remainder, order: None }
    }

    #[test]
    fn in_a_given_order() {
        let rows = array![[1.0], [2.0], [3.0], [4.0], [50.0]];
        let order = Some(vec![4, 0, 1, 3, 2]);
        let own = Bucketing { order: order.clone(), ..bucketing(2, Remainder::Bucket) };
        let buckets = transform_with(&own, rows.clone(), 0).unwrap();
        assert_eq!(buckets, array![[25.5], [3.0], [3.0]]);
        let spread = Bucketing { order, ..bucketing(2, Remainder::Spread) };
        let buckets = transform_with(&spread, rows, 0).unwrap();
        assert_eq!(buckets, array![[53.0 / 3.0], [3.5]]);
    }

    #[test]
    fn every_row_is_in_one_bucket_and_orders_are_drawn() {
        let rows = Array2::from_shape_fn((11, 1), |(row, _)| f32::from(1u16 << row));
        let ones = transform_with(&bucketing(1, Remainder::Bucket), rows.clone(), 0).unwrap();
        assert_eq!(ones.sum(), rows.sum());
        assert_ne!(ones, rows);
        for remainder in [Remainder::Bucket, Remainder::Spread] {
            for size in 1..13 {
                let rule = bucketing(size, remainder);
                let buckets = rule.buckets(&(0..11).collect::<Vec<_>>());
                assert_eq!(buckets.len(), rule.rows_out(11));
                assert!(buckets.iter().all(|rows| !rows.is_empty()));
                assert_eq!(buckets.concat(), (0..11).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn impossible_sizes_and_orders_are_refused() {
        assert!(bucketing(0, Remainder::Bucket).checked().is_err());
        let twice = Bucketing { order: Some(vec![0, 1, 1]), ..Bucketing::default() };
        assert!(twice.checked().is_err());
        let short = Bucketing { order: Some(vec![1, 0]), ..Bucketing::default() };
        let error = transform_with(&short, array![[1.0]], 0).unwrap_err();
        assert_eq!(error.to_string(), "bucketing: an order of 2 rows for n = 1 updates");
    }
}
