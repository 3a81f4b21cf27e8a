//! Class groups: neighbouring nodes share a range of classes, and every group has its own.
//!
//! The nodes are cut into `groups` runs of neighbouring numbers, the classes into as many ranges;
//! the samples of the k-th range are shuffled and dealt to the k-th run. Where nodes or classes do
//! not divide, the first run or range holds one more. Within a group all nodes hold the same mix,
//! in numbers that differ by at most one; indices are ascending within a node.
//!
//! With two groups on a `dumbbell` of equal halves, each clique knows half of the classes and only
//! what passes the bridge tells it of the others. Sorting all samples instead
//! (`gamma_similarity` with `gamma = 0`) also makes each clique's own nodes strangers to each
//! other, which is harder on medians than the bridge is.
//!
//! Unrealistic in that no class has samples on both sides. Fails when there are more groups than
//! nodes or classes, or fewer samples in a range than nodes that share it.
//!
//! Reference: He, Karimireddy and Jaggi, Byzantine-Robust Decentralized Learning via
//! `ClippedGossip`, arXiv 2202.01545, 2022, the experiments on the dumbbell.

use std::ops::Range;
use std::sync::Arc;

use rand::Rng;
use rand::seq::SliceRandom;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Partition, PartitionError, ascending, check, piece};
use crate::catalog::{ConfigError, Entry};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Partition> = Entry {
    name: "class_groups",
    summary: "groups of neighbouring nodes, each with classes of its own",
    reference: "He et al., arXiv 2202.01545, 2022",
    source: include_str!("class_groups.rs"),
    claims: (),
    parameters: || schema_for!(ClassGroups),
    build: |parameters| {
        parameters.build::<dyn Partition, ClassGroups>(|it| Ok(Arc::new(it.check()?)))
    },
};

/// Parameters of the class groups.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct ClassGroups {
    /// How many groups there are: at least 1, at most as many as nodes and as classes. Default: 2.
    #[schemars(range(min = 1))]
    groups: usize,
}

impl Default for ClassGroups {
    fn default() -> Self {
        ClassGroups { groups: 2 }
    }
}

impl Partition for ClassGroups {
    fn split(
        &self,
        labels: &[u8],
        classes: usize,
        nodes: usize,
        rng: &mut dyn Rng,
    ) -> Result<Vec<Vec<usize>>, PartitionError> {
        check(labels, classes, nodes)?;
        let groups = self.groups;
        if groups > nodes.min(classes) {
            return Err(PartitionError::TooManyGroups { groups, nodes, classes });
        }
        let mut split = Vec::with_capacity(nodes);
        for group in 0..groups {
            let sharing = piece(nodes, groups, group).len();
            let range = piece(classes, groups, group);
            split.extend(dealt(labels, range, sharing, rng)?);
        }
        Ok(ascending(split))
    }
}

/// The samples of some classes, shuffled and dealt to `nodes` nodes.
fn dealt(
    labels: &[u8],
    classes: Range<usize>,
    nodes: usize,
    rng: &mut dyn Rng,
) -> Result<Vec<Vec<usize>>, PartitionError> {
    let held = |&index: &usize| classes.contains(&usize::from(labels[index]));
    let mut indices: Vec<usize> = (0..labels.len()).filter(held).collect();
    let samples = indices.len();
    if samples < nodes {
        let (first, last) = (classes.start, classes.end - 1);
        return Err(PartitionError::TooFewInGroup { samples, first, last, nodes });
    }
    indices.shuffle(rng);
    Ok((0..nodes).map(|node| indices[piece(samples, nodes, node)].to_vec()).collect())
}

impl ClassGroups {
    fn check(self) -> Result<Self, ConfigError> {
        if self.groups == 0 {
            return Err(ConfigError::new("`groups` = 0 leaves nobody to hold the samples")
                .help("give at least one group; one alone is iid"));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use crate::partitions::tests::{counts, refusal, split};

    #[test]
    fn each_half_of_the_nodes_has_half_of_the_classes() {
        let labels: Vec<u8> = (0..4000).map(|index| (index % 10) as u8).collect();
        let given = split("class_groups", "", &labels, 10, 10).unwrap();
        for (node, indices) in given.iter().enumerate() {
            assert_eq!(indices.len(), 400);
            let counts = counts(indices, &labels, 10);
            let (own, others) = counts.split_at(5);
            let (own, others) = if node < 5 { (own, others) } else { (others, own) };
            assert!(own.iter().all(|count| (45..=120).contains(count)), "node {node}: {counts:?}");
            assert_eq!(others, [0; 5], "node {node}");
        }
    }

    #[test]
    fn one_node_for_each_group_by_hand() {
        // Classes 0 and 1, 2 and 3, and 4: the first ranges hold one more.
        let labels = [4, 0, 3, 1, 2, 4, 0];
        let given = split("class_groups", "groups = 3", &labels, 5, 3).unwrap();
        assert_eq!(given, [vec![1, 3, 6], vec![2, 4], vec![0, 5]]);
    }

    #[test]
    fn groups_without_nodes_classes_or_samples_are_refused() {
        let message = |labels: &[u8], nodes| {
            split("class_groups", "groups = 3", labels, 3, nodes).unwrap_err().to_string()
        };
        assert_eq!(
            message(&[0, 1, 2], 2),
            "3 groups of 2 nodes with 3 classes: there can be no more groups than nodes or classes"
        );
        assert_eq!(
            message(&[0, 1, 1, 1, 2], 4),
            "the classes 0 to 0 have 1 samples and 2 nodes share them: each needs at least one"
        );
        assert_eq!(
            refusal("class_groups", "groups = 0"),
            "`groups` = 0 leaves nobody to hold the samples"
        );
    }
}
