//! Gamma-similarity: a share `gamma` of each node's samples is random, the rest is sorted.
//!
//! All samples are shuffled. Each node is due an equal number `m` of them (where they do not
//! divide, the first nodes one more). Of these, `round(gamma m)` come from the front of the
//! shuffled samples; what is left is sorted by label and dealt on in node order. `gamma = 1` is
//! `iid`; `gamma = 0` gives each node one or two classes. Indices are ascending within a node.
//!
//! Unrealistic in that all nodes hold equally many samples and that neighbours in the numbering
//! hold neighbouring classes: where identities are corrupted from the first on, so are the first
//! classes. At `gamma = 0` no rule can tell a liar from the only node that holds a class.
//!
//! Fails when there are fewer samples than nodes.
//!
//! Reference: Karimireddy et al., SCAFFOLD, ICML 2020, section 7 (data that are s % similar);
//! ByzFL calls it `gamma_similarity_niid`.

use std::sync::Arc;

use rand::Rng;
use rand::seq::SliceRandom;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Partition, PartitionError, ascending, check, piece};
use crate::catalog::{ConfigError, Entry};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Partition> = Entry {
    name: "gamma_similarity",
    summary: "a share of each node's samples is random, the rest is sorted by label",
    reference: "Karimireddy et al., ICML 2020",
    source: include_str!("gamma_similarity.rs"),
    claims: (),
    parameters: || schema_for!(GammaSimilarity),
    build: |parameters| {
        parameters.build::<dyn Partition, GammaSimilarity>(|it| Ok(Arc::new(it.check()?)))
    },
};

/// Parameters of gamma-similarity.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct GammaSimilarity {
    /// The share of each node's samples that is random: 0 to 1.
    #[schemars(range(min = 0, max = 1))]
    gamma: f64,
}

impl Default for GammaSimilarity {
    fn default() -> Self {
        GammaSimilarity { gamma: 0.5 }
    }
}

impl Partition for GammaSimilarity {
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
        let due = |node| piece(labels.len(), nodes, node).len();
        let random = |node| (self.gamma * due(node) as f64).round() as usize;
        let (mixed, sorted) = order.split_at_mut((0..nodes).map(random).sum());
        sorted.sort_by_key(|&index| labels[index]);
        let (mut mixed, mut sorted) = (&*mixed, &*sorted);

        let mut split = Vec::with_capacity(nodes);
        for node in 0..nodes {
            let (first, rest) = mixed.split_at(random(node));
            let (second, others) = sorted.split_at(due(node) - random(node));
            split.push([first, second].concat());
            (mixed, sorted) = (rest, others);
        }
        Ok(ascending(split))
    }
}

impl GammaSimilarity {
    fn check(self) -> Result<Self, ConfigError> {
        if (0.0..=1.0).contains(&self.gamma) {
            return Ok(self);
        }
        let message = format!("`gamma` = {} is no share: it must be from 0 to 1", self.gamma);
        Err(ConfigError::new(message))
    }
}

#[cfg(test)]
mod tests {
    use crate::partitions::tests::{counts, refusal, split};

    #[test]
    fn at_0_the_samples_are_sorted() {
        let labels = [2, 0, 1, 2, 0, 1];
        let given = split("gamma_similarity", "gamma = 0.0", &labels, 3, 3).unwrap();
        assert_eq!(given, [[1, 4], [2, 5], [0, 3]]);
    }

    #[test]
    fn at_1_it_is_iid() {
        let labels: Vec<u8> = (0..100).map(|index| (index % 4) as u8).collect();
        let all = split("gamma_similarity", "gamma = 1.0", &labels, 4, 7).unwrap();
        assert_eq!(all, split("iid", "", &labels, 4, 7).unwrap());
    }

    #[test]
    fn between_the_shares_are_kept() {
        // Sorted, node 0 would hold class 0 alone; half of its 1000 are, and a tenth of the rest.
        let labels: Vec<u8> = (0..10_000).map(|index| (index % 10) as u8).collect();
        let given = split("gamma_similarity", "gamma = 0.5", &labels, 10, 10).unwrap();
        for (node, indices) in given.iter().enumerate() {
            assert_eq!(indices.len(), 1000);
            let counts = counts(indices, &labels, 10);
            assert!((480..=620).contains(&counts[node]), "{counts:?}");
        }
    }

    #[test]
    fn gamma_is_checked() {
        for bad in ["-0.1", "1.5", "nan", "inf"] {
            let expected = format!(
                "`gamma` = {} is no share: it must be from 0 to 1",
                match bad {
                    "nan" => "NaN",
                    other => other,
                }
            );
            assert_eq!(refusal("gamma_similarity", &format!("gamma = {bad}")), expected);
        }
    }
}
