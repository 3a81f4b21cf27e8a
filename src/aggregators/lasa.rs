//! Layer-adaptive sparsified aggregation (LASA): in every layer those are averaged whose largest
//! values are as long as most and point to as many sides.
//!
//! Rows longer than the median norm are scaled down to it. Of each row the share `keep` of the
//! coordinates of largest magnitude is looked at. In a layer, a row then has a norm and a balance
//! of signs, `Σ sign / Σ |sign|`; both are compared with the median of all rows in units of their
//! standard deviation, and the layers of rows that are less than `magnitude` and `direction` away
//! are averaged, with all of their coordinates. Where nobody passes, all are.
//!
//! `layers` are the lengths of the layers in the order of the vector. Without them the model is one
//! layer: this rule sees a vector and not what it is made of.
//!
//! Fails where liars are outliers in neither number, such as copies of an honest row with signs
//! changed in pairs. A deviation that liars widen lets them through: one row with a huge balance
//! hides others. What passes is averaged, so that a liar who passes is bounded by the median norm
//! and by nothing else. Needs n > 2f.
//!
//! Reference: Xu, Zhang, Hu, Achieving Byzantine-Resilient Federated Learning via Layer-Adaptive
//! Sparsified Model Aggregation, WACV 2025.

use std::ops::Range;
use std::sync::Arc;

use ndarray::{Array1, ArrayView2, s};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Aggregate, AggregateError, Aggregator, Claims, Context, Remembers};
use crate::catalog::{ConfigError, Entry};
use crate::kernels::means::weighted_sum;
use crate::kernels::row_norms::{each_row, lower_median, median, row_norms};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Aggregator, Claims> = Entry {
    name: "lasa",
    summary: "layer by layer the mean of whose largest values have a usual norm and sign balance",
    reference: "Xu et al., WACV 2025",
    source: include_str!("lasa.rs"),
    claims: Claims {
        permutation_invariant: true,
        translation_equivariant: false,
        scale_equivariant: true,
        tolerates: |rows| Some(rows.checked_sub(1)? / 2),
        robust: false,
        remembers: Remembers::Nothing,
        uses_byzantine: false,
        uses_samples: false,
    },
    parameters: || schema_for!(Lasa),
    build: |parameters| parameters.build::<dyn Aggregator, Lasa>(Lasa::checked),
};

/// Parameters of layer-adaptive sparsified aggregation.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Lasa {
    /// How many coordinates each layer has, in order, together as many as an update. Empty
    /// (default): one layer.
    layers: Vec<usize>,
    /// The share of coordinates of largest magnitude that is looked at, above 0 and up to 1,
    /// rounded down (default 0.7).
    keep: f64,
    /// How far a norm may be from the median, in standard deviations, above 0 (default 1).
    magnitude: f64,
    /// How far a balance of signs may be from the median, in standard deviations, above 0 (default
    /// 1).
    direction: f64,
}

impl Default for Lasa {
    fn default() -> Self {
        Lasa { layers: Vec::new(), keep: 0.7, magnitude: 1.0, direction: 1.0 }
    }
}

/// What is looked at of a row in one layer.
#[derive(Debug, Clone, Copy, Default)]
struct Look {
    squared: f64,
    signs: i64,
    values: u64,
}

impl Lasa {
    fn checked(self) -> Result<Arc<dyn Aggregator>, ConfigError> {
        if !(self.keep > 0.0 && self.keep <= 1.0) {
            let message = format!("`keep` = {}, and it must be above 0 and up to 1", self.keep);
            return Err(ConfigError::new(message));
        }
        for (name, value) in [("magnitude", self.magnitude), ("direction", self.direction)] {
            if !(value > 0.0 && value.is_finite()) {
                let message = format!("`{name}` = {value}, and it must be above 0");
                return Err(ConfigError::new(message));
            }
        }
        Ok(Arc::new(self))
    }

    /// Where the layers stand.
    fn ranges(&self, columns: usize) -> Result<Vec<Range<usize>>, AggregateError> {
        let whole = [columns];
        let layers = if self.layers.is_empty() { &whole[..] } else { &self.layers };
        let total = layers.iter().fold(0usize, |total, length| total.saturating_add(*length));
        if total != columns {
            let message =
                format!("`layers` have {total} coordinates together and updates {columns}");
            return Err(AggregateError::Unfit { rule: ENTRY.name, message });
        }
        let mut start = 0;
        let range = |length: &usize| {
            start += length;
            start - length..start
        };
        Ok(layers.iter().map(range).collect())
    }

    /// Which rows are averaged in a layer, by what is looked at of each there and by how much it
    /// was scaled; all if nobody passes. Rows of factor 0 never are.
    fn passing(&self, looks: &[Look], factors: &[f64]) -> Vec<bool> {
        let counted: Vec<bool> = factors.iter().map(|&factor| factor > 0.0).collect();
        let norm = |(look, factor): (&Look, &f64)| look.squared.sqrt() * factor;
        let norms: Vec<f64> = looks.iter().zip(factors).map(norm).collect();
        let balances: Vec<f64> = looks.iter().map(|look| look.balance()).collect();
        let usual_norm = usual(&norms, &counted, self.magnitude);
        let usual_balance = usual(&balances, &counted, self.direction);
        let passes: Vec<bool> =
            usual_norm.iter().zip(usual_balance).map(|(norm, balance)| *norm && balance).collect();
        if passes.contains(&true) { passes } else { counted }
    }
}

impl Look {
    /// The balance of signs; none where there are none.
    fn balance(self) -> f64 {
        if self.values == 0 { 0.0 } else { self.signs as f64 / self.values as f64 }
    }
}

impl Aggregator for Lasa {
    fn admits(&self, rows: usize, byzantine: usize) -> Result<(), AggregateError> {
        AggregateError::unless_majority(ENTRY.name, rows, byzantine)
    }

    fn rescales(&self) -> bool {
        true
    }

    /// There are weights where there is one layer.
    fn aggregate(
        &self,
        updates: ArrayView2<'_, f32>,
        context: &mut Context<'_>,
    ) -> Result<Aggregate, AggregateError> {
        let (rows, columns) = updates.dim();
        self.admits(rows, context.byzantine)?;
        let layers = self.ranges(columns)?;
        let factors = factors(&row_norms(updates));
        let looked_at = (self.keep * columns as f64) as usize;
        let looks = each_row(updates, |_, row| look(row, looked_at, &layers));
        let mut vector = Array1::zeros(columns);
        let mut weights = None;
        for (place, layer) in layers.iter().enumerate() {
            let own: Vec<Look> = looks.iter().map(|looks| looks[place]).collect();
            let passes = self.passing(&own, &factors);
            let count = passes.iter().filter(|&&passes| passes).count().max(1) as f64;
            let share = |(&passes, factor): (&bool, &f64)| {
                if passes { (factor / count) as f32 } else { 0.0 }
            };
            let shares: Vec<f32> = passes.iter().zip(&factors).map(share).collect();
            let part = weighted_sum(updates.slice(s![.., layer.clone()]), &shares);
            vector.slice_mut(s![layer.clone()]).assign(&part);
            let equal = passes.iter().map(|&p| if p { (1.0 / count) as f32 } else { 0.0 });
            weights = (layers.len() == 1 && passes.contains(&true)).then(|| equal.collect());
        }
        Ok(Aggregate { vector, weights })
    }
}

/// What scales each row down to the lower median norm of the finite ones; 0 for others.
fn factors(norms: &[f64]) -> Vec<f64> {
    let finite: Vec<f64> = norms.iter().copied().filter(|norm| norm.is_finite()).collect();
    let bound = lower_median(&finite);
    let factor = |&norm: &f64| match norm.is_finite() {
        true if norm > bound => bound / norm,
        true => 1.0,
        false => 0.0,
    };
    norms.iter().map(factor).collect()
}

/// What is looked at of a row in each layer: its `count` values of largest magnitude, of equal ones
/// the first.
fn look(row: &[f32], count: usize, layers: &[Range<usize>]) -> Vec<Look> {
    let mut magnitudes: Vec<f32> = row.iter().map(|value| value.abs()).collect();
    let least = match count {
        0 => f32::INFINITY,
        _ => *magnitudes.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a)).1,
    };
    let above = row.iter().filter(|value| value.abs() > least).count();
    let mut equal = count.saturating_sub(above);
    let mut taken = |value: f32| {
        let last = value.abs() == least && equal > 0;
        equal -= usize::from(last);
        last || value.abs() > least
    };
    let mut layer = |range: &Range<usize>| {
        let mut look = Look::default();
        for &value in row[range.clone()].iter().filter(|&&value| taken(value)) {
            look.squared += f64::from(value).powi(2);
            look.signs += i64::from(value > 0.0) - i64::from(value < 0.0);
            look.values += u64::from(value != 0.0);
        }
        look
    };
    layers.iter().map(&mut layer).collect()
}

/// Which of those that count are less than so many standard deviations from their median; all of
/// them if they do not differ.
fn usual(numbers: &[f64], counted: &[bool], limit: f64) -> Vec<bool> {
    let own = numbers.iter().zip(counted).filter(|(_, counted)| **counted);
    let own: Vec<f64> = own.map(|(number, _)| *number).collect();
    let (middle, count) = (median(&own), own.len().max(1) as f64);
    let mean = own.iter().sum::<f64>() / count;
    let variance = own.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / count;
    let deviation = variance.sqrt();
    let is_usual = |(number, counted): (&f64, &bool)| {
        *counted && (deviation == 0.0 || (number - middle).abs() / deviation < limit)
    };
    numbers.iter().zip(counted).map(is_usual).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::aggregators::tests::aggregate_with;

    #[test]
    fn what_is_looked_at() {
        let looks = look(&[3.0, -1.0, 0.0, -4.0, 1.0], 3, &[0..2, 2..5]);
        assert_eq!((looks[0].squared, looks[0].signs, looks[0].values), (10.0, 0, 2));
        assert_eq!((looks[1].squared, looks[1].signs, looks[1].values), (16.0, -1, 1));
        assert_eq!(look(&[1.0, 2.0], 0, &[0..1, 1..2])[0].balance(), 0.0);
    }

    #[test]
    fn unusual_layers_are_left_out() {
        // All are as long as the first. In the first layer the norms are equal and the balances 1,
        // 1, 1 and -1, of deviation 0.87: the last is 2.3 away. In the second all are equal but for
        // the third row, whose balance is opposite.
        let rows = array![
            [3.0, 4.0, 1.0, 1.0],
            [4.0, 3.0, 1.0, 1.0],
            [3.0, 4.0, -1.0, -1.0],
            [-3.0, -4.0, 1.0, 1.0]
        ];
        let layers = Lasa { layers: vec![2, 2], keep: 1.0, ..Lasa::default() };
        let result = aggregate_with(&layers, &rows, 0, None).unwrap();
        let expected = array![10.0 / 3.0, 11.0 / 3.0, 1.0, 1.0];
        assert!((&result.vector - &expected).iter().all(|off| off.abs() < 1e-6));
        assert_eq!(result.weights, None);
        // As one layer the balances are 1, 1, 0, 0, of which the median is 0.5 and the deviation,
        // too: nobody is less than one of it away, and all are averaged.
        let whole = Lasa { keep: 1.0, ..Lasa::default() };
        let result = aggregate_with(&whole, &rows, 0, None).unwrap();
        assert_eq!(result.weights, Some(array![0.25, 0.25, 0.25, 0.25]));
        assert_eq!(result.vector, array![1.75, 1.75, 0.5, 0.5]);
    }

    #[test]
    fn long_rows_are_scaled_down() {
        let rows = array![[1.0], [1.0], [1.0], [1e30]];
        let all = Lasa { keep: 1.0, ..Lasa::default() };
        assert_eq!(aggregate_with(&all, &rows, 1, None).unwrap().vector, array![1.0]);
        let strange = array![[f32::NAN], [f32::INFINITY]];
        assert_eq!(aggregate_with(&all, &strange, 0, None).unwrap().vector, array![0.0]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let layers = Lasa { layers: vec![2, 2], ..Lasa::default() };
        let error = aggregate_with(&layers, &array![[1.0]], 0, None).unwrap_err().to_string();
        assert_eq!(error, "lasa: `layers` have 4 coordinates together and updates 1");
        for keep in [0.0, 1.5, f64::NAN] {
            assert!(Lasa { keep, ..Lasa::default() }.checked().is_err());
        }
        assert!(Lasa { direction: 0.0, ..Lasa::default() }.checked().is_err());
    }
}
