//! Independent and identically distributed: every node holds a random share of equal size.
//!
//! All samples are shuffled and dealt in equal pieces; where they do not divide, the first nodes
//! hold one more. Indices are ascending within a node.
//!
//! Unrealistic when nodes stand for people, hospitals or places: their data differ in more than
//! chance. It is the easiest case for every robust rule, so a rule that has only been seen here
//! has not been tested.
//!
//! Fails when there are fewer samples than nodes.
//!
//! Reference: McMahan et al., Communication-Efficient Learning of Deep Networks from
//! Decentralized Data, AISTATS 2017.

use std::sync::Arc;

use rand::Rng;
use rand::seq::SliceRandom;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Partition, PartitionError, ascending, check, piece};
use crate::catalog::Entry;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Partition> = Entry {
    name: "iid",
    summary: "a random share of equal size for every node",
    reference: "McMahan et al., AISTATS 2017",
    source: include_str!("iid.rs"),
    claims: (),
    parameters: || schema_for!(Iid),
    build: |parameters| parameters.build::<dyn Partition, Iid>(|it| Ok(Arc::new(it))),
};

/// The partition has no parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Iid {}

impl Partition for Iid {
    fn split(
        &self,
        labels: &[u8],
        classes: usize,
        nodes: usize,
        rng: &mut dyn Rng,
    ) -> Result<Vec<Vec<usize>>, PartitionError> {
        check(labels, classes, nodes)?;
        let mut order: Vec<usize> = (0..labels.len()).collect();
        order.shuffle(rng);
        let pieces = (0..nodes).map(|node| order[piece(labels.len(), nodes, node)].to_vec());
        Ok(ascending(pieces.collect()))
    }
}

#[cfg(test)]
mod tests {
    use crate::partitions::tests::{counts, split};

    #[test]
    fn sizes_differ_by_at_most_one() {
        let given = split("iid", "", &[0; 11], 1, 3).unwrap();
        assert_eq!(given.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 3]);
    }

    #[test]
    fn every_node_sees_every_class_alike() {
        let labels: Vec<u8> = (0..10_000).map(|index| (index / 1000) as u8).collect();
        for indices in split("iid", "", &labels, 10, 10).unwrap() {
            // 100 expected; the standard deviation is 9.
            let counts = counts(&indices, &labels, 10);
            assert!(counts.iter().all(|count| (55..=145).contains(count)), "{counts:?}");
        }
    }
}
