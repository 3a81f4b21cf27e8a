//! Label-sorted: all samples are sorted by label and cut into one piece for each node.
//!
//! The pieces follow each other: the first node holds the first classes, the last node the last
//! ones, in sizes that differ by at most one (where the samples do not divide, the first nodes
//! hold one more). Within a class samples keep their order, so nothing is drawn and every seed
//! has the same split; indices are ascending within a node. With as many nodes as classes each
//! holds about one class; with more, neighbours in the numbering share one.
//!
//! Published experiments cut the samples over the honest alone and let the corrupted hold samples
//! of all classes: `data.holders = "honest"` does that.
//!
//! Unrealistic in that hardly any two nodes have a class in common: no rule can tell a liar from
//! the only node that holds a class. `gamma_similarity` softens it, `shards` deals the pieces out
//! at random.
//!
//! Fails when there are fewer samples than nodes.
//!
//! Reference: Karimireddy, He and Jaggi, Byzantine-Robust Learning on Heterogeneous Datasets via
//! Bucketing, ICLR 2022, its experiments, and the authors' published code.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Partition, PartitionError, ascending, check, piece};
use crate::catalog::Entry;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Partition> = Entry {
    name: "label_sorted",
    summary: "sorted by label and cut into one piece for each node, in order",
    reference: "Karimireddy, He and Jaggi, ICLR 2022",
    source: include_str!("label_sorted.rs"),
    claims: (),
    parameters: || schema_for!(LabelSorted),
    build: |parameters| parameters.build::<dyn Partition, LabelSorted>(|it| Ok(Arc::new(it))),
};

/// The partition has no parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct LabelSorted {}

impl Partition for LabelSorted {
    fn split(
        &self,
        labels: &[u8],
        classes: usize,
        nodes: usize,
        _rng: &mut dyn Rng,
    ) -> Result<Vec<Vec<usize>>, PartitionError> {
        check(labels, classes, nodes)?;
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.sort_by_key(|&index| labels[index]);
        let pieces = (0..nodes).map(|node| order[piece(labels.len(), nodes, node)].to_vec());
        Ok(ascending(pieces.collect()))
    }
}

#[cfg(test)]
mod tests {
    use crate::partitions::tests::{counts, split};

    #[test]
    fn neighbours_share_the_classes_between_them() {
        // Sorted: 1 and 4 of class 0, 2, 5 and 6 of class 1, 0 and 3 of class 2.
        let labels = [2, 0, 1, 2, 0, 1, 1];
        let given = split("label_sorted", "", &labels, 3, 3).unwrap();
        assert_eq!(given, [vec![1, 2, 4], vec![5, 6], vec![0, 3]]);
    }

    #[test]
    fn it_is_gamma_similarity_at_0_but_for_who_of_a_class_goes_where() {
        let labels: Vec<u8> = (0..1000).map(|index| (index % 10) as u8).collect();
        let sorted = split("label_sorted", "", &labels, 10, 25).unwrap();
        let gamma = split("gamma_similarity", "gamma = 0.0", &labels, 10, 25).unwrap();
        assert_ne!(sorted, gamma);
        for (ours, theirs) in sorted.iter().zip(&gamma) {
            assert_eq!(counts(ours, &labels, 10), counts(theirs, &labels, 10));
        }
    }
}
