//! Isolation: shuts one honest peer `v` out of what the others learn.
//!
//! What the liars of peer `i` send depends on who `i` is:
//!
//! - a neighbour of `v`: `x_i - W_iv / delta_i · clip(x_v - x_i, tau)`, which mirrors the pull of
//!   `v` so that both cancel; `delta_i` is the weight of the liars together, and
//!   `clip(z, tau) = min(1, tau / |z|) z`;
//! - `v` itself: the message of `dissensus` with `epsilon = 1`, which cancels all its neighbours;
//! - anybody else: its own model, which does little.
//!
//! Under gossip the other peers go on as if `v` had said what they have already. `tau` is for
//! clipping at a fixed threshold; with none nothing is clipped. The mirror is exact under gossip,
//! and under clipping where the liars weigh at least as much as `v` does.
//!
//! Fails where liars do not reach every neighbour of `v`, for then its knowledge comes through;
//! against rules whose threshold follows the distances, or that trim on one side; and, towards
//! `v` itself, against the rules that stop `dissensus`. An excluded peer that is corrupted or
//! does not exist leaves nothing but echoes.
//!
//! Reference: after Raynal, Pasquini and Troncoso, Can Decentralized Learning be more robust than
//! Federated Learning?, arXiv 2303.03829, 2023, who exclude a user of their choice; the formula
//! is ours.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::dissensus::push;
use super::neighbourhood::{Weights, message, victim_of, wide};
use super::{Attack, AttackError, Claims, Crafted, Knowledge, Victim, View};
use crate::catalog::{ConfigError, Entry};
use crate::memory::Memory;
use crate::node::NodeId;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Attack, Claims> = Entry {
    name: "isolation",
    summary: "cancels whatever one chosen peer says, and whatever it is told",
    reference: "after Raynal, Pasquini and Troncoso, arXiv 2303.03829, 2023",
    source: include_str!("isolation.rs"),
    claims: Claims { moves_mean: true, stays_inside: false },
    parameters: || schema_for!(Isolation),
    build: |parameters| {
        parameters.build::<dyn Attack, Isolation>(|attack| {
            attack.check()?;
            Ok(Arc::new(attack))
        })
    },
};

/// Parameters of the isolation.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Isolation {
    /// The peer that is shut out, by its number. Default: 0.
    excluded: u32,
    /// The Euclidean distance at which the neighbours clip what it says. Default: they do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    tau: Option<f64>,
}

impl Isolation {
    fn check(&self) -> Result<(), ConfigError> {
        match self.tau {
            Some(tau) if !(tau.is_finite() && tau > 0.0) => Err(ConfigError::new(format!(
                "`tau` must be a finite number above 0, got {tau}; leave it out if nobody clips"
            ))),
            _ => Ok(()),
        }
    }

    /// The victim's model less what the excluded neighbour adds to it, made up for the weight
    /// that liars have.
    fn mirror(&self, victim: &Victim<'_>, place: usize) -> Vec<f64> {
        let own = wide(victim.model);
        let towards = wide(victim.models.row(place));
        let away = own.iter().zip(&towards).map(|(own, to)| (to - own) * (to - own)).sum::<f64>();
        let away = away.sqrt();
        let kept = self.tau.filter(|&tau| tau < away).map_or(1.0, |tau| tau / away);
        let factor = kept * victim.weights[place] / victim.liar_weight;
        own.iter().zip(&towards).map(|(own, to)| own - factor * (to - own)).collect()
    }
}

impl Attack for Isolation {
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
        let excluded = NodeId(self.excluded);
        let sent = if victim.node == excluded {
            push(victim, 1.0, Weights::Metropolis)
        } else if let Ok(place) = victim.neighbours.binary_search(&excluded) {
            self.mirror(victim, place)
        } else {
            wide(victim.model)
        };
        Ok(message(sent, view.identities.len()))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::attacks::peers::Peers;
    use crate::catalog::Choice;

    #[test]
    fn each_part_of_a_chain_by_hand() {
        // One liar each: edges to the ends weigh 1/4, liars of the ends 1/3, of the middle 1/4.
        let peers = Peers::chain(array![[0.0], [4.0], [6.0], [6.5]], 1);
        let attack = Isolation::default();
        let sent = |node| peers.craft(&attack, node, None).unwrap()[[0, 0]];
        assert_eq!(sent(0), -3.0);
        assert_eq!(sent(1), 8.0);
        assert_eq!((sent(2), sent(3)), (6.0, 6.5));
        let clipped = Isolation { excluded: 0, tau: Some(1.5) };
        assert_eq!(peers.craft(&clipped, 1, None).unwrap(), array![[5.5]]);
    }

    #[test]
    fn nobody_follows_the_excluded_and_it_follows_nobody() {
        let edges = [(0, 1), (0, 2), (1, 2), (2, 3), (1, 3)];
        let mut peers =
            Peers::new(&edges, array![[0.0, 1.0], [4.0, 0.5], [6.0, -1.0], [6.5, 2.0]], 2);
        let attack = Isolation { excluded: 1, tau: None };
        let mixed = |peers: &Peers, node: u32| {
            peers.gossip(node, &peers.craft(&attack, node, None).unwrap())
        };
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
        let before: Vec<Vec<f64>> = (0..4).map(|node| mixed(&peers, node)).collect();
        assert!(close(&before[1], &[4.0, 0.5]), "{:?}", before[1]);
        peers.models.row_mut(1).fill(-9.0);
        for node in [0, 2, 3] {
            let after = mixed(&peers, node);
            assert!(close(&after, &before[node as usize]), "{node}: {after:?}");
        }
    }

    #[test]
    fn thresholds_that_are_none_are_refused() {
        for tau in ["nan", "inf", "0.0", "-1.0"] {
            let choice = Choice::with("isolation", &format!("tau = {tau}")).unwrap();
            let error = crate::attacks::CATALOG.build(&choice).unwrap_err();
            assert!(error.message.starts_with("`tau` must be"), "{}", error.message);
        }
    }
}
