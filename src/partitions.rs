//! Partitions: which samples each node holds.

mod class_groups;
mod dirichlet;
mod gamma_similarity;
mod iid;
mod label_sorted;
mod long_tail;
mod shards;

use std::fmt::Debug;
use std::ops::Range;

use rand::Rng;

use crate::catalog::Catalog;

/// All partitions.
pub static CATALOG: Catalog<dyn Partition> = Catalog {
    kind: "partition",
    entries: &[
        &iid::ENTRY,
        &gamma_similarity::ENTRY,
        &dirichlet::ENTRY,
        &shards::ENTRY,
        &label_sorted::ENTRY,
        &class_groups::ENTRY,
        &long_tail::ENTRY,
    ],
};

/// Splits a training set among nodes.
pub trait Partition: Debug + Send + Sync {
    /// For each of `nodes` nodes, the indices of its samples into `labels`, ascending.
    ///
    /// No sample is given to two nodes, and every node gets at least one. All samples are given
    /// out, unless it is what the partition is for that some are held by nobody.
    fn split(
        &self,
        labels: &[u8],
        classes: usize,
        nodes: usize,
        rng: &mut dyn Rng,
    ) -> Result<Vec<Vec<usize>>, PartitionError>;

    /// Which samples of the test set, of these labels, judge; `None`: all of them.
    fn judges_by(&self, _labels: &[u8], _classes: usize) -> Option<Vec<usize>> {
        None
    }
}

/// Why a data set cannot be split as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PartitionError {
    /// There is nobody to hold the samples.
    #[error("{samples} samples cannot be split among 0 nodes: there must be at least one")]
    NoNodes {
        /// How many samples there are.
        samples: usize,
    },
    /// There are fewer samples than nodes.
    #[error("{samples} samples cannot be split among {nodes} nodes: each needs at least one")]
    TooFewSamples {
        /// How many samples there are.
        samples: usize,
        /// How many nodes want some.
        nodes: usize,
    },
    /// There are fewer samples than pieces to cut them into.
    #[error(
        "{samples} samples cannot be cut into {shards} shards, {per_node} for each of {nodes} \
         nodes: each shard needs at least one"
    )]
    TooFewForShards {
        /// How many samples there are.
        samples: usize,
        /// How many shards there would be.
        shards: usize,
        /// How many shards a node holds.
        per_node: usize,
        /// How many nodes there are.
        nodes: usize,
    },
    /// There are more groups than nodes to be in them or classes to tell them apart.
    #[error(
        "{groups} groups of {nodes} nodes with {classes} classes: there can be no more groups than \
         nodes or classes"
    )]
    TooManyGroups {
        /// How many groups there would be.
        groups: usize,
        /// How many nodes there are.
        nodes: usize,
        /// How many classes there are.
        classes: usize,
    },
    /// A group of nodes has fewer samples of its classes than nodes.
    #[error(
        "the classes {first} to {last} have {samples} samples and {nodes} nodes share them: each \
         needs at least one"
    )]
    TooFewInGroup {
        /// How many samples the classes have.
        samples: usize,
        /// The first class.
        first: usize,
        /// The last class.
        last: usize,
        /// How many nodes share them.
        nodes: usize,
    },
    /// A label names a class that the data set does not have.
    #[error("sample {sample} has the label {label}, and there are {classes} classes, from 0")]
    UnknownClass {
        /// The index of the sample.
        sample: usize,
        /// Its label.
        label: u8,
        /// How many classes there are.
        classes: usize,
    },
}

/// Refuses what no partition can split.
fn check(labels: &[u8], classes: usize, nodes: usize) -> Result<(), PartitionError> {
    let samples = labels.len();
    if nodes == 0 {
        return Err(PartitionError::NoNodes { samples });
    }
    if samples < nodes {
        return Err(PartitionError::TooFewSamples { samples, nodes });
    }
    match labels.iter().position(|&label| usize::from(label) >= classes) {
        Some(sample) => {
            Err(PartitionError::UnknownClass { sample, label: labels[sample], classes })
        }
        None => Ok(()),
    }
}

/// The range of the piece `index` when `samples` are cut into `pieces` that differ by at most one;
/// the longer come first.
fn piece(samples: usize, pieces: usize, index: usize) -> Range<usize> {
    let (size, longer) = (samples / pieces, samples % pieces);
    let start = index * size + index.min(longer);
    start..start + size + usize::from(index < longer)
}

/// Sorts each node's indices.
fn ascending(mut split: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
    for indices in &mut split {
        indices.sort_unstable();
    }
    split
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::catalog::Choice;
    use crate::seed::{Purpose, run_stream};

    /// Splits with a member of the catalog.
    pub(super) fn split(
        name: &str,
        parameters: &str,
        labels: &[u8],
        classes: usize,
        nodes: usize,
    ) -> Result<Vec<Vec<usize>>, PartitionError> {
        let choice = Choice::with(name, parameters).unwrap();
        let partition = CATALOG.build(&choice).unwrap().value;
        partition.split(labels, classes, nodes, &mut run_stream(1, Purpose::Partition))
    }

    /// What building a member with `parameters` is refused with.
    pub(super) fn refusal(name: &str, parameters: &str) -> String {
        let choice = Choice::with(name, parameters).unwrap();
        CATALOG.build(&choice).map(|_| ()).unwrap_err().message
    }

    /// How many of `indices` have each label.
    pub(super) fn counts(indices: &[usize], labels: &[u8], classes: usize) -> Vec<usize> {
        let mut counts = vec![0; classes];
        for &index in indices {
            counts[usize::from(labels[index])] += 1;
        }
        counts
    }

    /// How many of these are left when every class keeps half of what the one before keeps.
    fn tail(labels: &[u8]) -> usize {
        let all: Vec<usize> = (0..labels.len()).collect();
        counts(&all, labels, 5).iter().zip(0..).map(|(count, class)| count >> class).sum()
    }

    #[test]
    fn pieces_differ_by_at_most_one() {
        let pieces: Vec<Range<usize>> = (0..4).map(|index| piece(10, 4, index)).collect();
        assert_eq!(pieces, [0..3, 3..6, 6..8, 8..10]);
    }

    #[test]
    fn what_nobody_can_split_is_refused() {
        for entry in CATALOG.entries {
            let message = |labels: &[u8], nodes| {
                split(entry.name, "", labels, 3, nodes).unwrap_err().to_string()
            };
            assert_eq!(
                message(&[0, 1], 0),
                "2 samples cannot be split among 0 nodes: there must be at least one"
            );
            assert_eq!(
                message(&[0, 1], 3),
                "2 samples cannot be split among 3 nodes: each needs at least one"
            );
            assert_eq!(
                message(&[0, 1, 2, 3, 1, 0], 2),
                "sample 3 has the label 3, and there are 3 classes, from 0"
            );
        }
    }

    proptest! {
        #[test]
        fn no_sample_goes_to_two_nodes_and_no_node_is_empty(
            labels in prop::collection::vec(0u8..5, 1..200),
            nodes in 1usize..30,
            gamma in 0.0f64..=1.0,
            exponent in -6.0f64..=6.0,
            per_node in 1usize..4,
            seed in any::<u64>(),
        ) {
            let parameters = |name| match name {
                "gamma_similarity" => format!("gamma = {gamma:?}"),
                "dirichlet" => format!("alpha = {:?}", 10.0f64.powf(exponent)),
                "shards" => format!("per_node = {per_node}"),
                _ => String::new(),
            };
            for entry in CATALOG.entries {
                let choice = Choice::with(entry.name, &parameters(entry.name)).unwrap();
                let partition = CATALOG.build(&choice).unwrap().value;
                let split = |seed| {
                    let mut rng = run_stream(seed, Purpose::Partition);
                    partition.split(&labels, 5, nodes, &mut rng)
                };
                let Ok(given) = split(seed) else {
                    if entry.name == "class_groups" {
                        // Of the classes 0 to 4, the first group has three.
                        let first = labels.iter().filter(|&&label| label < 3).count();
                        let second = labels.len() - first;
                        let short = first < nodes.div_ceil(2) || second < nodes / 2;
                        prop_assert!(nodes < 2 || short);
                        continue;
                    }
                    let needed = nodes * if entry.name == "shards" { per_node } else { 1 };
                    let there = match entry.name {
                        "long_tail" => tail(&labels),
                        _ => labels.len(),
                    };
                    prop_assert!(there < needed, "{}", entry.name);
                    continue;
                };
                prop_assert_eq!(given.len(), nodes);
                for indices in &given {
                    prop_assert!(!indices.is_empty(), "{}: {:?}", entry.name, given);
                    prop_assert!(indices.is_sorted_by(|a, b| a < b), "{}: {:?}", entry.name, given);
                }
                let mut all: Vec<usize> = given.iter().flatten().copied().collect();
                all.sort_unstable();
                if entry.name == "long_tail" {
                    prop_assert!(all.is_sorted_by(|a, b| a < b), "{:?}", all);
                    prop_assert_eq!(all.len(), tail(&labels));
                } else {
                    prop_assert_eq!(all, (0..labels.len()).collect::<Vec<_>>(), "{}", entry.name);
                }
                prop_assert_eq!(split(seed).unwrap(), given, "{}", entry.name);
            }
        }
    }
}
