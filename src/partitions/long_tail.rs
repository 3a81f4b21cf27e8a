//! Long tail: each class keeps a share of its samples that shrinks from class to class, and another
//! partition splits what is kept.
//!
//! Class `i`, from 0, with `c` samples keeps its first `floor(c · ratio^i)` in the order of the
//! data set, for every seed the same. The others are held by nobody. `then` splits the kept ones
//! as if there were no others: `iid` makes every node's samples long-tailed alike,
//! `label_sorted` gives the rare classes to one node.
//!
//! With `test` the test set is cut in the same way. Published figures on long-tailed data are
//! measured on such a test set, where the rare classes hardly count; without it, a balanced test
//! set shows what becomes of them.
//!
//! Unrealistic in that rarity follows the number of a class. A class whose share is below one
//! sample is gone: with ratio 0.5, class 9 keeps one of 512.
//!
//! Fails when less is left than the inner partition needs.
//!
//! Reference: Karimireddy, He and Jaggi, Byzantine-Robust Learning on Heterogeneous Datasets via
//! Bucketing, ICLR 2022, its experiments, and the authors' published code, which has ratio 0.5.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{CATALOG, Partition, PartitionError, check};
use crate::catalog::{ConfigError, Entry, Nested};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Partition> = Entry {
    name: "long_tail",
    summary: "class i keeps a share ratio^i of its samples; another partition splits those",
    reference: "Karimireddy, He and Jaggi, ICLR 2022",
    source: include_str!("long_tail.rs"),
    claims: (),
    parameters: || schema_for!(Parameters),
    build: |parameters| {
        parameters.build::<dyn Partition, Parameters>(|given| Ok(Arc::new(given.make()?)))
    },
};

/// Parameters of the long tail.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    /// The share that a class keeps of what the class before it keeps: above 0, at most 1.
    #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
    ratio: f64,
    /// How the kept samples are split: a partition.
    then: Nested,
    /// Whether the test set is cut in the same way.
    test: bool,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters { ratio: 0.5, then: Nested::named("iid"), test: false }
    }
}

/// The long tail with the partition of what is kept.
#[derive(Debug)]
struct LongTail {
    ratio: f64,
    then: Arc<dyn Partition>,
    test: bool,
}

impl Parameters {
    fn make(self) -> Result<LongTail, ConfigError> {
        let ratio = self.ratio;
        if !(ratio > 0.0 && ratio <= 1.0) {
            let message = format!("`ratio` = {ratio} is no share: it must be above 0, at most 1");
            return Err(ConfigError::new(message));
        }
        let choice = self.then.choice()?;
        if choice.name == ENTRY.name {
            return Err(ConfigError::new("`then` of a long tail cannot be another long tail")
                .help("multiply the ratios"));
        }
        let then = CATALOG.build(&choice).map_err(|error| ConfigError {
            message: format!("`then`: {}", error.message),
            span: None,
            ..error
        })?;
        Ok(LongTail { ratio, then: then.value, test: self.test })
    }
}

impl Partition for LongTail {
    fn split(
        &self,
        labels: &[u8],
        classes: usize,
        nodes: usize,
        rng: &mut dyn Rng,
    ) -> Result<Vec<Vec<usize>>, PartitionError> {
        check(labels, classes, nodes)?;
        let kept = self.kept(labels, classes);
        let labels: Vec<u8> = kept.iter().map(|&index| labels[index]).collect();
        let mut split = self.then.split(&labels, classes, nodes, rng)?;
        for place in split.iter_mut().flatten() {
            *place = kept[*place];
        }
        Ok(split)
    }

    fn judges_by(&self, labels: &[u8], classes: usize) -> Option<Vec<usize>> {
        self.test.then(|| self.kept(labels, classes))
    }
}

impl LongTail {
    /// The samples that are kept, ascending.
    fn kept(&self, labels: &[u8], classes: usize) -> Vec<usize> {
        let mut room = vec![0usize; classes];
        for &label in labels {
            room[usize::from(label)] += 1;
        }
        let mut share = 1.0;
        for room in &mut room {
            *room = (*room as f64 * share).floor() as usize;
            share *= self.ratio;
        }
        let mut takes = |label: u8| {
            let room = &mut room[usize::from(label)];
            let takes = *room > 0;
            *room -= usize::from(takes);
            takes
        };
        (0..labels.len()).filter(|&index| takes(labels[index])).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::catalog::Choice;
    use crate::partitions::CATALOG;
    use crate::partitions::tests::{counts, refusal, split};

    /// Four samples of each of three classes, taking turns.
    const LABELS: [u8; 12] = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2];

    #[test]
    fn half_of_the_half_by_hand() {
        // Class 0 keeps 4, class 1 the first 2 and class 2 the first.
        let sorted = split("long_tail", "then = \"label_sorted\"", &LABELS, 3, 2).unwrap();
        assert_eq!(sorted, [vec![0, 3, 6, 9], vec![1, 2, 4]]);
        let whole = split("long_tail", "ratio = 1.0", &LABELS, 3, 4).unwrap();
        assert_eq!(whole, split("iid", "", &LABELS, 3, 4).unwrap());
    }

    #[test]
    fn on_ten_classes_of_a_thousand() {
        let labels: Vec<u8> = (0..10_000).map(|index| (index % 10) as u8).collect();
        let given = split("long_tail", "", &labels, 10, 24).unwrap().concat();
        let expected = [1000, 500, 250, 125, 62, 31, 15, 7, 3, 1];
        assert_eq!(counts(&given, &labels, 10), expected);
    }

    #[test]
    fn the_test_set_is_cut_only_where_that_is_asked_for() {
        let judges_by = |parameters: &str| {
            let choice = Choice::with("long_tail", parameters).unwrap();
            CATALOG.build(&choice).unwrap().value.judges_by(&LABELS, 3)
        };
        assert_eq!(judges_by(""), None);
        assert_eq!(judges_by("test = true"), Some(vec![0, 1, 2, 3, 4, 6, 9]));
    }

    #[test]
    fn too_little_left_and_wrong_parameters_are_refused() {
        let error = split("long_tail", "ratio = 0.25", &LABELS, 3, 6).unwrap_err();
        let expected = "5 samples cannot be split among 6 nodes: each needs at least one";
        assert_eq!(error.to_string(), expected);
        for bad in ["0.0", "-1.0", "1.5", "nan"] {
            let message = refusal("long_tail", &format!("ratio = {bad}"));
            assert!(message.ends_with("is no share: it must be above 0, at most 1"), "{message}");
        }
        assert_eq!(
            refusal("long_tail", "then = \"iidd\""),
            "`then`: no partition is called `iidd`"
        );
        assert_eq!(
            refusal("long_tail", "then = \"long_tail\""),
            "`then` of a long tail cannot be another long tail"
        );
    }
}
