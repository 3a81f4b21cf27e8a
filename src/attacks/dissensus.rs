//! Dissensus: pushes a peer away from where its honest neighbours pull it, as far as it takes.
//!
//! All liars of peer `i` send `x_i - epsilon · sum_j W_ij (x_j - x_i) / delta_i`, the sum over
//! its honest neighbours `j`, `delta_i` the weight of its liars together. With
//! `weights = "uniform"` every message counts the same: `x_i - epsilon · sum_j (x_j - x_i) / b`
//! for `b` liars.
//!
//! Under gossip with these weights, `epsilon = 1` leaves every victim exactly where it is, and
//! more drives the peers apart; less only slows their agreement down. Works best on a peer that
//! holds two parts of the graph together. The default of 1.5 is that of the authors' MNIST runs.
//!
//! Fails against rules that measure how far a message is from the victim's own model and clip or
//! drop what is far (`self_centred_clipping`, `clipped_summation`, `trimmed_summation`,
//! `nearest_neighbour_averaging`, `balance`), while the liars weigh little: the fewer they are,
//! the further their message lies. It also fades as the peers agree, since it is a multiple of
//! their differences, and a wrong `weights` misses the balance.
//!
//! Reference: He, Karimireddy and Jaggi, Byzantine-Robust Decentralized Learning via
//! `ClippedGossip`, arXiv 2202.01545, 2022.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::neighbourhood::{Weights, message, pull, victim_of, wide};
use super::{Attack, AttackError, Claims, Crafted, Knowledge, Victim, View, finite};
use crate::catalog::Entry;
use crate::memory::Memory;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Attack, Claims> = Entry {
    name: "dissensus",
    summary: "pushes each peer away from where its honest neighbours pull it",
    reference: "He, Karimireddy and Jaggi, arXiv 2202.01545, 2022",
    source: include_str!("dissensus.rs"),
    claims: Claims { moves_mean: true, stays_inside: false },
    parameters: || schema_for!(Dissensus),
    build: |parameters| {
        parameters.build::<dyn Attack, Dissensus>(|attack| {
            finite("epsilon", attack.epsilon)?;
            Ok(Arc::new(attack))
        })
    },
};

/// Parameters of dissensus.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Dissensus {
    /// The size of the push, as a multiple of the honest neighbours' pull. Default: 1.5.
    epsilon: f64,
    /// What the victim is taken to weigh models by: `metropolis` (default) or `uniform`.
    weights: Weights,
}

impl Default for Dissensus {
    fn default() -> Self {
        Dissensus { epsilon: 1.5, weights: Weights::Metropolis }
    }
}

impl Attack for Dissensus {
    fn needs(&self) -> Knowledge {
        Knowledge::Omniscient
    }

    fn uses_own(&self, _knowledge: Knowledge) -> bool {
        false
    }

    fn directed(&self) -> bool {
        true
    }

    fn craft(
        &self,
        view: &View<'_>,
        _memory: &mut Memory,
        _rng: &mut dyn Rng,
    ) -> Result<Crafted, AttackError> {
        let victim = victim_of(ENTRY.name, view)?;
        Ok(message(push(victim, self.epsilon, self.weights), view.identities.len()))
    }
}

/// The victim's model less `epsilon` times the pull of its honest neighbours, made up for the
/// weight that liars have; length `d`.
pub(super) fn push(victim: &Victim<'_>, epsilon: f64, weights: Weights) -> Vec<f64> {
    let row = weights.row(victim);
    let factor = epsilon / row.liars;
    let own = wide(victim.model);
    own.into_iter().zip(pull(victim, &row.honest)).map(|(own, pull)| own - factor * pull).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::attacks::peers::Peers;

    #[test]
    fn an_end_of_a_chain_by_hand() {
        // One liar each. Node 0 has degree 2, node 1 has 3: the edge weighs 1/4, the liar 1/3.
        let peers = Peers::chain(array![[0.0], [4.0], [4.0]], 1);
        let sent = peers.craft(&Dissensus::default(), 0, None).unwrap();
        assert_eq!(sent, array![[-4.5]]);
        let uniform = Dissensus { epsilon: 1.0, weights: Weights::Uniform };
        assert_eq!(peers.craft(&uniform, 0, None).unwrap(), array![[-4.0]]);
    }

    #[test]
    fn with_epsilon_one_gossip_stands_still() {
        let peers = Peers::chain(array![[0.0, 1.0], [4.0, -1.0], [9.0, 2.5]], 2);
        let attack = Dissensus { epsilon: 1.0, ..Default::default() };
        for node in 0..3 {
            let lies = peers.craft(&attack, node, None).unwrap();
            assert_eq!(lies.nrows(), 2);
            let mixed = peers.gossip(node, &lies);
            for (mixed, &own) in mixed.iter().zip(peers.models.row(node as usize)) {
                assert!((mixed - f64::from(own)).abs() < 1e-6, "node {node}: {mixed} for {own}");
            }
        }
    }

    #[test]
    fn peers_that_agree_are_sent_what_they_have() {
        let peers = Peers::chain(array![[2.0], [2.0], [2.0]], 1);
        let sent = peers.craft(&Dissensus { epsilon: 50.0, ..Default::default() }, 1, None);
        assert_eq!(sent.unwrap(), array![[2.0]]);
    }
}
