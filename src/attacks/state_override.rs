//! State override: one message after which an averaging peer holds a model of the attacker's
//! choice.
//!
//! All liars of peer `i` send `(t - W_ii x_i - sum_j W_ij x_j) / delta_i` for the target `t`, the
//! sum over its honest neighbours `j`, `delta_i` the weight of its liars together. Gossip with
//! these weights then gives exactly `t`. With `weights = "uniform"` the plain mean of all that
//! the peer has does: `((h + b + 1) t - x_i - sum_j x_j) / b` for `h` honest neighbours and `b`
//! liars.
//!
//! It takes an attacker who speaks last and reads all that its victim reads, which means links
//! to all of the victim's neighbours. `target` is `negated` (default), `zero`, `alternating`,
//! `{ constant = VALUE }` or `{ global = FACTOR }`.
//!
//! Fails against every rule that clips, trims or selects: the message has to outweigh all others
//! and lies far from them. What such a rule lets through is a bounded push; `drag` sends that
//! much and no more. A wrong `weights` misses the target, by a factor of the difference.
//!
//! Reference: Pasquini, Raynal and Troncoso, On the (In)security of Peer-to-Peer Decentralized
//! Machine Learning, IEEE Symposium on Security and Privacy 2023; the form for general weights
//! is what Wu, Chen and Ling's code for IOS calls control.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::neighbourhood::{Weights, message, victim_of, weighted_sum, wide};
use super::target::Target;
use super::{Attack, AttackError, Claims, Crafted, Knowledge, View};
use crate::catalog::Entry;
use crate::memory::Memory;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Attack, Claims> = Entry {
    name: "state_override",
    summary: "makes an averaging peer end up with a model of the attacker's choice",
    reference: "Pasquini, Raynal and Troncoso, S&P 2023",
    source: include_str!("state_override.rs"),
    claims: Claims { moves_mean: true, stays_inside: false },
    parameters: || schema_for!(StateOverride),
    build: |parameters| {
        parameters.build::<dyn Attack, StateOverride>(|attack| {
            attack.target.check()?;
            Ok(Arc::new(attack))
        })
    },
};

/// Parameters of the state override.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct StateOverride {
    /// What the victim is taken to weigh models by: `metropolis` (default) or `uniform`.
    weights: Weights,
    /// The model that the victim is to have. Default: `negated`.
    target: Target,
}

impl Default for StateOverride {
    fn default() -> Self {
        StateOverride { weights: Weights::Metropolis, target: Target::default() }
    }
}

impl Attack for StateOverride {
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
        let row = self.weights.row(victim);
        let own = wide(victim.model);
        let honest = weighted_sum(victim, &row.honest);
        let target = self.target.model(view, victim);
        let sent = target.into_iter().zip(own).zip(honest);
        let sent =
            sent.map(|((target, own), honest)| (target - row.own * own - honest) / row.liars);
        Ok(message(sent, view.identities.len()))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::attacks::peers::Peers;

    #[test]
    fn a_plain_mean_by_hand() {
        // 1, 3, 8 and two lies are to have the mean 2: the lies sum to 10 - 12.
        let peers = Peers::chain(array![[3.0], [1.0], [8.0]], 2);
        let attack = StateOverride { weights: Weights::Uniform, target: Target::Constant(2.0) };
        let sent = peers.craft(&attack, 1, None).unwrap();
        assert_eq!(sent, array![[-1.0], [-1.0]]);
    }

    #[test]
    fn gossip_ends_at_the_target_wherever_it_was() {
        let peers = Peers::chain(array![[3.0, -1.0], [1.0, 4.0], [8.0, 0.5]], 1);
        for node in 0..3 {
            let lies = peers.craft(&StateOverride::default(), node, None).unwrap();
            let mixed = peers.gossip(node, &lies);
            // The negated means of the columns.
            for (mixed, target) in mixed.iter().zip([-4.0, -3.5 / 3.0]) {
                assert!((mixed - target).abs() < 1e-5, "node {node}: {mixed} for {target}");
            }
        }
    }
}
