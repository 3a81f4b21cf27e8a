//! Worst class: the accuracy on the class that is answered worst.
//!
//! A targeted attack that ruins one class of ten costs a tenth of the accuracy and all of this.
//! With `evaluation.classes` a run records it beside the accuracy on every class.
//!
//! Fails where a class has few test samples: the least of many noisy shares lies below what any
//! of them is worth. Classes without samples are left out.
//!
//! Reference: the standard definition; recall of each class, as in Sokolova and Lapalme,
//! Information Processing and Management 2009.

use std::sync::Arc;

use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::accuracy::highest;
use super::{Facts, Metric};
use crate::catalog::Entry;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Metric> = Entry {
    name: "worst_class",
    summary: "the accuracy on the class that is answered worst",
    reference: "Sokolova, Lapalme, Information Processing and Management 2009",
    source: include_str!("worst_class.rs"),
    claims: (),
    parameters: || schema_for!(WorstClass),
    build: |parameters| parameters.build::<dyn Metric, WorstClass>(|it| Ok(Arc::new(it))),
};

/// The worst class has no parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct WorstClass {}

impl Metric for WorstClass {
    fn measure(&self, facts: &Facts<'_>) -> f64 {
        class_accuracies(facts).into_iter().flatten().fold(f64::NAN, f64::min)
    }
}

/// The share of right answers to the samples of each class; nothing for a class without samples.
pub(super) fn class_accuracies(facts: &Facts<'_>) -> Vec<Option<f64>> {
    let mut counts = vec![(0u64, 0u64); facts.scores.ncols()];
    for (row, &label) in facts.scores.rows().into_iter().zip(facts.labels) {
        let label = usize::from(label);
        if let Some((right, asked)) = counts.get_mut(label) {
            *asked += 1;
            *right += u64::from(highest(row) == Some(label));
        }
    }
    let share = |(right, asked): (u64, u64)| (asked > 0).then(|| right as f64 / asked as f64);
    counts.into_iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn by_hand() {
        let scores = array![[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]];
        let facts = Facts { scores: scores.view(), labels: &[0, 1, 1, 1] };
        assert_eq!(class_accuracies(&facts), [Some(1.0), Some(2.0 / 3.0), None]);
        assert_eq!(WorstClass {}.measure(&facts), 2.0 / 3.0);
    }
}
