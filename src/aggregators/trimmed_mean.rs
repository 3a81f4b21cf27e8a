//! The coordinate-wise trimmed mean.
//!
//! In every coordinate the t lowest and the t highest values are dropped and the rest averaged:
//! `F(x)_k = 1/(n - 2t) · Σ x_(i)k` over the ranks `i = t+1, …, n-t`. By default t is the declared
//! number of liars f; with `fraction` it is `⌊fraction · n⌋` whatever f is, as in Flower and
//! `SciPy`. Some code lowers f silently where 2f >= n; `excess = "lower"` does.
//!
//! What takes the place of the dropped values is a choice, too: nothing; the nearest value that is
//! kept (`outside = "cap"`, the winsorized mean), which bounds a liar and does not silence it; or
//! the aggregate of the round before (`previous`), which slows the model down where rows disagree.
//! With `order = "magnitude"` the t values nearest to zero and the t farthest from it are dropped:
//! f liars on one side of the honest values may then all be kept.
//!
//! An oracle (`told = "last"`) knows that the last f rows lie. It leaves them out and trims f
//! honest values all the same, the `⌈f/2⌉` lowest and the `⌊f/2⌋` highest: what trimming costs
//! where there is nobody to trim. It is no defence, since nobody tells a server who lies.
//!
//! With t >= f the error is bounded by `‖F(x) - m‖² <= κ σ²`, with m the mean and σ² the variance
//! of the honest rows, and `κ = t / (n - f - t)`. For t = f this is `f / (n - 2f)`, and no rule
//! can promise less.
//!
//! Fails when more lie than are trimmed: one liar too many in a coordinate moves it anywhere. With
//! a `fraction` nothing checks that against f. Needs n > 2f without one.
//!
//! Reference: Yin, Chen, Ramchandran, Bartlett, Byzantine-Robust Distributed Learning: Towards
//! Optimal Statistical Rates, ICML 2018.

use std::sync::Arc;

use ndarray::{Array1, ArrayView2};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::nearest_values::mean_of_rows;
use super::trimming::{mean_by_magnitude, winsorized_mean};
use super::{Aggregate, AggregateError, Aggregator, ByColumns, Claims, Context, Remembers};
use crate::catalog::{ConfigError, Entry};
use crate::kernels::columns::{summarise_ranks_apart, summarise_ranks_of_means};
use crate::kernels::mixing::Members;
use crate::vector::slices_of;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "trimmed_mean",
    summary: "the mean of every coordinate without its f lowest and f highest values",
    reference: "Yin et al., ICML 2018",
    source: include_str!("trimmed_mean.rs"),
    claims: Claims {
        permutation_invariant: true,
        translation_equivariant: true,
        scale_equivariant: true,
        tolerates: |rows| Some(rows.checked_sub(1)? / 2),
        robust: true,
        remembers: Remembers::Nothing,
        uses_byzantine: true,
        uses_samples: false,
    },
    parameters: || schema_for!(TrimmedMean),
    build: |parameters| parameters.build::<dyn Aggregator, TrimmedMean>(TrimmedMean::checked),
};

/// Parameters of the trimmed mean.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct TrimmedMean {
    /// The share of the rows dropped at each end, rounded down, at least 0 and below 0.5.
    /// Absent (default): as many rows as are declared byzantine.
    fraction: Option<f64>,
    /// What is done where dropping f at each end leaves nothing: the rule is `refuse`d (default),
    /// or as many are dropped as leave one value or two (`lower`), whatever f was.
    excess: Excess,
    /// What becomes of values outside of the kept ranks: they are `drop`ped (default), count as the
    /// nearest kept value (`cap`), or as the aggregate of the round `previous`, and in the first
    /// round are dropped.
    outside: Outside,
    /// By what values are ranked: their `value` (default) or their `magnitude`, of equal ones the
    /// positive first.
    order: Order,
    /// Who is known to lie: `nobody` (default), or the `last` f rows, which are left out before f
    /// values of the rest are dropped.
    told: Told,
}

/// Who is known to lie.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Told {
    /// Nobody: any rows may.
    #[default]
    Nobody,
    /// The last f rows.
    Last,
}

/// What becomes of values at the ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Outside {
    /// They do not count.
    #[default]
    Drop,
    /// They count as the nearest value that is kept.
    Cap,
    /// They count as the aggregate of the round before.
    Previous,
}

/// By what values are ranked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Order {
    /// Themselves.
    #[default]
    Value,
    /// Their distance from zero.
    Magnitude,
}

/// What is done where f is too large.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Excess {
    /// The rule refuses.
    #[default]
    Refuse,
    /// Fewer are dropped, and nobody is told.
    Lower,
}

impl TrimmedMean {
    fn checked(self) -> Result<Arc<dyn Aggregator>, ConfigError> {
        match self.fraction {
            Some(fraction) if !(0.0..0.5).contains(&fraction) => {
                let message = format!("`fraction` is {fraction}, but must be in 0.0 .. 0.5");
                Err(ConfigError::new(message)
                    .help("it is dropped at each end: half at each end leaves nothing"))
            }
            _ if self.outside == Outside::Cap && self.order == Order::Magnitude => {
                Err(ConfigError::new("values ranked by magnitude have no nearest one to `cap` at")
                    .help("set order = \"value\", or outside = \"drop\""))
            }
            _ if self.told == Told::Last && !self.is_plain() => {
                Err(ConfigError::new("an oracle drops values and does nothing else")
                    .help("leave out `fraction`, `excess`, `outside` and `order`"))
            }
            _ => Ok(Arc::new(self)),
        }
    }

    /// Whether nothing but the oracle differs from the rule of the paper.
    fn is_plain(&self) -> bool {
        let TrimmedMean { fraction, excess, outside, order, told: _ } = self;
        fraction.is_none()
            && (*excess, *outside, *order) == (Excess::Refuse, Outside::Drop, Order::Value)
    }

    /// How many values are dropped at each end.
    fn dropped(&self, rows: usize, byzantine: usize) -> usize {
        match self.fraction {
            Some(fraction) => (fraction * rows as f64).floor() as usize,
            None if self.excess == Excess::Lower => byzantine.min(rows.saturating_sub(1) / 2),
            None => byzantine,
        }
    }

    /// Whether values at both ends are dropped, and nothing else is done.
    fn only_drops(&self) -> bool {
        (self.outside, self.order, self.told) == (Outside::Drop, Order::Value, Told::Nobody)
    }

    /// The mean of what is kept in every column, and of what takes the place of the rest if that
    /// is found in the column.
    pub(super) fn kept(&self, updates: &[&[f32]], dropped: usize) -> Array1<f32> {
        let rows = updates.len();
        let kept = dropped..rows - dropped;
        match (self.order, self.outside) {
            (Order::Magnitude, _) => {
                summarise_ranks_apart(updates, 0..rows, |rows| mean_by_magnitude(rows, dropped))
            }
            (Order::Value, Outside::Cap) => {
                summarise_ranks_apart(updates, kept, |rows| winsorized_mean(rows, dropped))
            }
            (Order::Value, _) => summarise_ranks_apart(updates, kept, mean_of_rows),
        }
    }
}

impl Aggregator for TrimmedMean {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        let dropped = self.dropped(rows, byzantine);
        if self.fraction.is_none() || rows == 0 {
            let lowered = if self.excess == Excess::Lower { dropped } else { byzantine };
            AggregateError::unless_majority(ENTRY.name, rows, lowered)
        } else if 2 * dropped >= rows {
            let message = format!("dropping {dropped} at each end leaves nothing of {rows} rows");
            Err(AggregateError::Unfit { rule: ENTRY.name, message })
        } else {
            Ok(())
        }
    }

    fn remembers(&self) -> Remembers {
        match self.outside {
            Outside::Previous => Remembers::PreviousAggregate,
            Outside::Drop | Outside::Cap => Remembers::Nothing,
        }
    }

    /// `t / (n - f - t)` for t values dropped at each end, which is attained; nothing if that is
    /// less than the liars, or values are not just dropped.
    fn error_bound(&self, rows: usize, byzantine: usize) -> Option<f64> {
        self.admits(rows, byzantine).ok()?;
        if !self.only_drops() {
            return None;
        }
        let dropped = self.dropped(rows, byzantine);
        let left = rows.checked_sub(byzantine + dropped).filter(|&left| left > 0)?;
        (dropped >= byzantine).then(|| dropped as f64 / left as f64)
    }

    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        let updates = updates.as_standard_layout();
        self.aggregate_apart(&slices_of(&updates.view()), context)
    }

    fn aggregate_apart(
        &self,
        updates: &[&[f32]],
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        let rows = updates.len();
        self.admits(rows, context.byzantine)?;
        let dropped = self.dropped(rows, context.byzantine);
        if self.told == Told::Last {
            let (honest, high) = (rows - dropped, dropped / 2);
            let ranks = dropped - high..honest - high;
            let vector = summarise_ranks_apart(&updates[..honest], ranks, mean_of_rows);
            return Ok(Aggregate { vector, weights: None });
        }
        let mut vector = self.kept(updates, dropped);
        let previous = context.previous.filter(|_| self.outside == Outside::Previous);
        if let Some(previous) = previous {
            if previous.len() != vector.len() {
                let (length, columns) = (previous.len(), vector.len());
                let message =
                    format!("the previous aggregate has {length} values, rows have {columns}");
                return Err(AggregateError::Unfit { rule: ENTRY.name, message });
            }
            let share = 2.0 * dropped as f64 / rows as f64;
            for (value, before) in vector.iter_mut().zip(previous) {
                let before = if before.is_finite() { f64::from(*before) } else { 0.0 };
                *value = (f64::from(*value) * (1.0 - share) + before * share) as f32;
            }
        }
        Ok(Aggregate { vector, weights: None })
    }

    fn by_columns(&self) -> Option<&dyn ByColumns> {
        self.only_drops().then_some(self)
    }
}

impl ByColumns for TrimmedMean {
    fn aggregate_means(
        &self,
        rows: &[&[f32]],
        groups: &Members,
        byzantine: usize,
    ) -> Result<Array1<f32>, AggregateError> {
        self.admits(rows.len(), byzantine)?;
        let dropped = self.dropped(rows.len(), byzantine);
        let ranks = dropped..rows.len() - dropped;
        Ok(summarise_ranks_of_means(rows, groups, ranks, mean_of_rows))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, array};

    use super::*;
    use crate::aggregators::tests::aggregate_with;
    use crate::memory::Memory;
    use crate::node::{NodeId, Round};
    use crate::seed::{Purpose, run_stream};

    #[test]
    fn drops_f_at_each_end() {
        let rows = array![[1.0, 9.0], [2.0, 8.0], [3.0, 1e9], [6.0, 7.0], [-1e9, 6.0]];
        let result = aggregate_with(&TrimmedMean::default(), &rows, 1, None).unwrap();
        assert_eq!(result.vector, array![2.0, 8.0]);
        let result = aggregate_with(&TrimmedMean::default(), &rows, 2, None).unwrap();
        assert_eq!(result.vector, array![2.0, 8.0]);
    }

    #[test]
    fn known_bounds() {
        let bound = |fraction, rows, f| {
            TrimmedMean { fraction, ..TrimmedMean::default() }.error_bound(rows, f)
        };
        assert_eq!(bound(None, 10, 3), Some(0.75));
        assert_eq!(bound(Some(0.4), 10, 3), Some(4.0 / 3.0));
        assert_eq!(bound(Some(0.2), 10, 3), None);
    }

    #[test]
    fn a_fraction_rounds_down_and_ignores_f() {
        let rows = Array2::from_shape_fn((10, 1), |(row, _)| (row * row) as f32);
        let trimmed = TrimmedMean { fraction: Some(0.29), ..TrimmedMean::default() };
        let result = aggregate_with(&trimmed, &rows, 5, None).unwrap();
        assert_eq!(result.vector, array![(4 + 9 + 16 + 25 + 36 + 49) as f32 / 6.0]);
    }

    #[test]
    fn the_worst_case_is_attained() {
        // Honest 0, 0, 0, 1 and a liar at 0: mean 1/4, variance 3/16, error (1/4)², so κ = 1/3.
        let rows = array![[0.0], [0.0], [0.0], [1.0], [0.0]];
        let result = aggregate_with(&TrimmedMean::default(), &rows, 1, None).unwrap();
        let kappa = (result.vector[0] - 0.25).powi(2) / (3.0 / 16.0);
        assert!((kappa - 1.0 / 3.0).abs() < 1e-6);
    }

    fn fraction(fraction: f64) -> TrimmedMean {
        TrimmedMean { fraction: Some(fraction), ..TrimmedMean::default() }
    }

    #[test]
    fn what_is_dropped_may_be_lowered() {
        let lower = TrimmedMean { excess: Excess::Lower, ..TrimmedMean::default() };
        let rows = array![[1.0], [2.0], [9.0], [4.0]];
        assert_eq!(aggregate_with(&lower, &rows, 7, None).unwrap().vector, array![3.0]);
    }

    #[test]
    fn values_at_the_ends_may_count_as_others() {
        let rows = array![[1.0], [2.0], [9.0], [4.0], [-3.0]];
        let of = |outside, previous: Option<f32>| {
            let rule = TrimmedMean { outside, ..TrimmedMean::default() };
            let previous = previous.map(|value| array![value]);
            let senders: Vec<NodeId> = (0..5).map(NodeId).collect();
            let mut context = Context {
                round: Round(2),
                rounds_total: 2,
                byzantine: 1,
                senders: &senders,
                samples: None,
                previous: previous.as_ref().map(|previous| previous.view()),
                trusted: None,
                head: None,
                memory: &mut Memory::default(),
                rng: &mut run_stream(1, Purpose::Aggregation),
            };
            rule.aggregate(rows.view(), &mut context).unwrap().vector[0]
        };
        // Kept are 1, 2 and 4; of five, 1 and 4 count twice, or two others count as 6.
        assert_eq!(of(Outside::Cap, None), 12.0 / 5.0);
        assert_eq!(of(Outside::Previous, None), 7.0 / 3.0);
        assert!((of(Outside::Previous, Some(6.0)) - 19.0 / 5.0).abs() < 1e-6);
        assert!((of(Outside::Previous, Some(f32::NAN)) - 7.0 / 5.0).abs() < 1e-6);
    }

    #[test]
    fn an_oracle_leaves_the_last_rows_out_and_trims_the_others() {
        let oracle = TrimmedMean { told: Told::Last, ..TrimmedMean::default() };
        let rows = array![[1.0], [2.0], [9.0], [4.0], [-3.0], [7.0], [1e9], [1e9], [1e9]];
        // Of -3, 1, 2, 4, 7, 9 the two lowest and the highest go.
        let result = aggregate_with(&oracle, &rows, 3, None).unwrap();
        assert_eq!(result.vector, array![13.0 / 3.0]);
        assert!(aggregate_with(&oracle, &rows, 5, None).is_err());
        assert!(oracle.by_columns().is_none() && oracle.error_bound(9, 3).is_none());
        let fraction = Some(0.1);
        assert!(TrimmedMean { fraction, ..oracle }.checked().is_err());
    }

    #[test]
    fn values_may_be_ranked_by_their_magnitude() {
        // By magnitude: 1, -2, 3, -4, 9.
        let rows = array![[1.0], [-2.0], [9.0], [-4.0], [3.0]];
        let rule = TrimmedMean { order: Order::Magnitude, ..TrimmedMean::default() };
        assert_eq!(aggregate_with(&rule, &rows, 1, None).unwrap().vector, array![-1.0]);
        assert_eq!(rule.error_bound(5, 1), None);
        assert!(rule.by_columns().is_none());
        assert!(TrimmedMean { outside: Outside::Cap, ..rule }.checked().is_err());
    }

    #[test]
    fn impossible_trims_are_refused() {
        let error = fraction(0.5).checked().unwrap_err();
        assert_eq!(error.message, "`fraction` is 0.5, but must be in 0.0 .. 0.5");
        assert!(fraction(f64::NAN).checked().is_err());
        let rows = Array2::zeros((4, 1));
        let error = aggregate_with(&TrimmedMean::default(), &rows, 2, None).unwrap_err();
        let text = "trimmed_mean needs n > 2f = 4 and got n = 4 updates with f = 2 byzantine";
        assert_eq!(error.to_string(), text);
    }
}
