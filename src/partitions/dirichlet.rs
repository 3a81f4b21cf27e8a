//! Dirichlet: the samples of each class are shared out in proportions drawn from a Dirichlet
//! distribution.
//!
//! For every class, `p ~ Dirichlet(alpha, …, alpha)` over the nodes; the class's samples are
//! shuffled and cut at the sums of `p`, so all are given out. A small `alpha` gives each class to
//! few nodes; a large one comes near `iid`. Sizes of nodes differ too.
//!
//! A node may come out empty. Then, in node order, each empty node takes the last sample (the
//! one with the highest index) of the node that holds the most, of several the first. Indices
//! are ascending within a node.
//!
//! Unrealistic in that only the shares of labels differ between nodes: two nodes that hold a
//! class hold the same kind of samples of it, which people and places do not. Below 0.1 most
//! nodes hold one or two classes, and what a robust rule then throws out as strange is mostly
//! honest.
//!
//! Fails when there are fewer samples than nodes.
//!
//! Reference: Hsu, Qi and Brown, Measuring the Effects of Non-Identical Data Distribution for
//! Federated Visual Classification, arXiv 1909.06335, 2019, who draw proportions of classes for
//! each node; drawing proportions of nodes for each class, as here and in ByzFL, is by Yurochkin
//! et al., Bayesian Nonparametric Federated Learning of Neural Networks, ICML 2019.

use std::sync::Arc;

use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use rand_distr::{Distribution, Gamma, Open01};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Partition, PartitionError, ascending, check};
use crate::catalog::{ConfigError, Entry};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Partition> = Entry {
    name: "dirichlet",
    summary: "each class is shared out in proportions from a Dirichlet distribution",
    reference: "Hsu, Qi and Brown, arXiv 1909.06335, 2019; Yurochkin et al., ICML 2019",
    source: include_str!("dirichlet.rs"),
    claims: (),
    parameters: || schema_for!(Dirichlet),
    build: |parameters| {
        parameters.build::<dyn Partition, Dirichlet>(|it| Ok(Arc::new(it.check()?)))
    },
};

/// Parameters of the Dirichlet partition.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Dirichlet {
    /// The concentration: 0.000001 to 1000000; the smaller, the more the nodes differ.
    #[schemars(range(min = 1e-6, max = 1e6))]
    alpha: f64,
}

impl Default for Dirichlet {
    fn default() -> Self {
        Dirichlet { alpha: 0.3 }
    }
}

impl Partition for Dirichlet {
    fn split(
        &self,
        labels: &[u8],
        classes: usize,
        nodes: usize,
        rng: &mut dyn Rng,
    ) -> Result<Vec<Vec<usize>>, PartitionError> {
        check(labels, classes, nodes)?;
        let mut members = vec![Vec::new(); classes];
        for (index, &label) in labels.iter().enumerate() {
            members[usize::from(label)].push(index);
        }
        let mut split = vec![Vec::new(); nodes];
        for mut members in members {
            members.shuffle(rng);
            let proportions = proportions(self.alpha, nodes, rng);
            deal(&members, &proportions, &mut split);
        }
        let mut split = ascending(split);
        fill_empty(&mut split);
        Ok(ascending(split))
    }
}

impl Dirichlet {
    fn check(self) -> Result<Self, ConfigError> {
        if (1e-6..=1e6).contains(&self.alpha) {
            return Ok(self);
        }
        let message = format!("`alpha` = {} must be from 0.000001 to 1000000", self.alpha);
        Err(ConfigError::new(message))
    }
}

/// One draw of a symmetric Dirichlet distribution.
///
/// It is a vector of gamma variables over their sum. For a small `alpha` all of them would
/// vanish, so they are drawn as logarithms, from `Gamma(a) = Gamma(a + 1) · U^(1/a)`.
fn proportions(alpha: f64, nodes: usize, rng: &mut dyn Rng) -> Vec<f64> {
    let gamma = Gamma::new(alpha + 1.0, 1.0).expect("alpha is checked");
    let logarithms: Vec<f64> = (0..nodes)
        .map(|_| {
            let uniform: f64 = rng.sample(Open01);
            gamma.sample(rng).ln() + uniform.ln() / alpha
        })
        .collect();
    let largest = logarithms.iter().fold(f64::NEG_INFINITY, |largest, &value| largest.max(value));
    let shares: Vec<f64> = logarithms.iter().map(|value| (value - largest).exp()).collect();
    let total: f64 = shares.iter().sum();
    shares.iter().map(|share| share / total).collect()
}

/// Cuts `members` at the sums of `proportions`, which sum to 1, and appends a piece to each node.
fn deal(members: &[usize], proportions: &[f64], split: &mut [Vec<usize>]) {
    let (mut sum, mut start) = (0.0, 0);
    for (node, proportion) in proportions.iter().enumerate() {
        sum += proportion;
        let cut = (sum * members.len() as f64).round() as usize;
        let last = node + 1 == proportions.len();
        let end = if last { members.len() } else { cut.clamp(start, members.len()) };
        split[node].extend_from_slice(&members[start..end]);
        start = end;
    }
}

/// Gives every empty node the last sample of the node that holds the most.
fn fill_empty(split: &mut [Vec<usize>]) {
    for node in 0..split.len() {
        if split[node].is_empty() {
            let richest = (0..split.len()).rev().max_by_key(|&other| split[other].len());
            let sample = richest.and_then(|richest| split[richest].pop());
            split[node].extend(sample);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partitions::tests::{counts, refusal, split};
    use crate::seed::{Purpose, run_stream};

    #[test]
    fn cuts_by_hand() {
        let mut split = vec![vec![9], vec![], vec![]];
        deal(&[4, 7, 1, 3], &[0.25, 0.0, 0.75], &mut split);
        assert_eq!(split, [vec![9, 4], vec![], vec![7, 1, 3]]);
        deal(&[0, 2], &[0.2, 0.6, 0.2], &mut split);
        assert_eq!(split, [vec![9, 4], vec![0, 2], vec![7, 1, 3]]);
    }

    #[test]
    fn empty_nodes_take_from_the_richest_by_hand() {
        let mut split = vec![vec![], vec![0, 3, 5], vec![1, 2, 4], vec![]];
        fill_empty(&mut split);
        assert_eq!(split, [vec![5], vec![0, 3], vec![1, 2], vec![4]]);
    }

    #[test]
    fn proportions_have_the_moments_of_the_distribution() {
        // Mean 1/n and variance (n - 1) / (n² (n alpha + 1)).
        let mut rng = run_stream(1, Purpose::Partition);
        for alpha in [0.05, 0.3, 1.0, 20.0] {
            let (nodes, draws) = (4, 20_000);
            let firsts: Vec<f64> =
                (0..draws).map(|_| proportions(alpha, nodes, &mut rng)[0]).collect();
            let mean = firsts.iter().sum::<f64>() / f64::from(draws);
            let variance =
                firsts.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / f64::from(draws);
            let expected = 3.0 / (16.0 * (4.0 * alpha + 1.0));
            assert!((mean - 0.25).abs() < 0.012, "alpha {alpha}: mean {mean}");
            assert!((variance / expected - 1.0).abs() < 0.06, "alpha {alpha}: variance {variance}");
        }
    }

    #[test]
    fn extreme_concentrations_stay_proportions() {
        let mut rng = run_stream(2, Purpose::Partition);
        for alpha in [1e-6, 1e6] {
            let shares = proportions(alpha, 10, &mut rng);
            assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{shares:?}");
            let largest = shares.iter().copied().fold(0.0, f64::max);
            assert!(if alpha < 1.0 { largest > 0.999 } else { largest < 0.11 }, "{shares:?}");
        }
    }

    #[test]
    fn a_small_alpha_separates_classes_and_a_large_one_mixes_them() {
        let labels: Vec<u8> = (0..10_000).map(|index| (index % 10) as u8).collect();
        // The share that the most frequent class has in a node, averaged over nodes.
        let skew = |alpha: &str| {
            let given = split("dirichlet", alpha, &labels, 10, 10).unwrap();
            let shares = given.iter().map(|indices| {
                let largest = counts(indices, &labels, 10).into_iter().max().unwrap();
                largest as f64 / indices.len() as f64
            });
            shares.sum::<f64>() / 10.0
        };
        let (small, usual, large) = (skew("alpha = 0.01"), skew(""), skew("alpha = 1000.0"));
        assert!(small > 0.8, "{small}");
        assert!((0.25..0.7).contains(&usual), "{usual}");
        assert!(large < 0.13, "{large}");
    }

    #[test]
    fn alpha_is_checked() {
        for bad in ["0.0", "-1.0", "nan", "inf", "1e7"] {
            let message = refusal("dirichlet", &format!("alpha = {bad}"));
            assert!(message.starts_with("`alpha` = "), "{message}");
            assert!(message.ends_with(" must be from 0.000001 to 1000000"), "{message}");
        }
    }
}
