//! Shards: samples are sorted by label, cut into shards, and every node is dealt a few at random.
//!
//! With `per_node = k` there are `k · nodes` shards of equal size (where the samples do not divide,
//! the first shards hold one more), each of one class or of two neighbouring ones. With two shards
//! per node most nodes hold two classes. Within a class, samples keep their order; indices are
//! ascending within a node.
//!
//! Unrealistic in that a node knows nothing at all of most classes while all nodes hold equally
//! many samples; it is the hard end of what federated averaging was first tested on.
//!
//! Fails when there are fewer samples than shards.
//!
//! Reference: McMahan et al., Communication-Efficient Learning of Deep Networks from
//! Decentralized Data, AISTATS 2017, section 3 (200 shards of 300, two for each of 100 clients).

use std::sync::Arc;

use rand::Rng;
use rand::seq::SliceRandom;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Partition, PartitionError, ascending, check, piece};
use crate::catalog::{ConfigError, Entry};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Partition> = Entry {
    name: "shards",
    summary: "sorted by label, cut into shards, and each node is dealt a few at random",
    reference: "McMahan et al., AISTATS 2017",
    source: include_str!("shards.rs"),
    claims: (),
    parameters: || schema_for!(Shards),
    build: |parameters| parameters.build::<dyn Partition, Shards>(|it| Ok(Arc::new(it.check()?))),
};

/// Parameters of the shards.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Shards {
    /// How many shards each node holds: at least 1.
    #[schemars(range(min = 1))]
    per_node: usize,
}

impl Default for Shards {
    fn default() -> Self {
        Shards { per_node: 2 }
    }
}

impl Partition for Shards {
    fn split(
        &self,
        labels: &[u8],
        classes: usize,
        nodes: usize,
        rng: &mut dyn Rng,
    ) -> Result<Vec<Vec<usize>>, PartitionError> {
        check(labels, classes, nodes)?;
        let (samples, per_node) = (labels.len(), self.per_node);
        let shards = per_node.saturating_mul(nodes);
        if samples < shards {
            return Err(PartitionError::TooFewForShards { samples, shards, per_node, nodes });
        }
        let mut order: Vec<usize> = (0..samples).collect();
        order.sort_by_key(|&index| labels[index]);
        let mut dealt: Vec<usize> = (0..shards).collect();
        dealt.shuffle(rng);
        let hands = dealt.chunks(per_node).map(|hand| {
            let pieces = hand.iter().map(|&shard| &order[piece(samples, shards, shard)]);
            pieces.flatten().copied().collect()
        });
        Ok(ascending(hands.collect()))
    }
}

impl Shards {
    fn check(self) -> Result<Self, ConfigError> {
        if self.per_node == 0 {
            return Err(ConfigError::new("`per_node` = 0 leaves every node without samples")
                .help("give each node at least one shard"));
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use crate::partitions::tests::{counts, refusal, split};

    #[test]
    fn one_shard_each_is_one_class_each() {
        let labels = [2, 0, 1, 2, 0, 1];
        let mut given = split("shards", "per_node = 1", &labels, 3, 3).unwrap();
        given.sort();
        assert_eq!(given, [[0, 3], [1, 4], [2, 5]]);
    }

    #[test]
    fn two_shards_are_two_classes_at_most() {
        let labels: Vec<u8> = (0..6000).map(|index| (index % 10) as u8).collect();
        let given = split("shards", "", &labels, 10, 100).unwrap();
        for indices in &given {
            assert_eq!(indices.len(), 60);
            let classes = counts(indices, &labels, 10).into_iter().filter(|count| *count > 0);
            assert!((1..=2).contains(&classes.count()));
        }
        let mixed = given.iter().filter(|indices| {
            counts(indices, &labels, 10).into_iter().filter(|count| *count > 0).count() == 2
        });
        assert!(mixed.count() > 70, "the shards are dealt at random");
    }

    #[test]
    fn too_few_samples_and_no_shards_are_refused() {
        let error = split("shards", "per_node = 3", &[0, 1, 0, 1, 0], 2, 2).unwrap_err();
        assert_eq!(
            error.to_string(),
            "5 samples cannot be cut into 6 shards, 3 for each of 2 nodes: each shard needs at \
             least one"
        );
        assert_eq!(
            refusal("shards", "per_node = 0"),
            "`per_node` = 0 leaves every node without samples"
        );
    }
}
