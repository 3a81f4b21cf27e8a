//! What the fall of some parts did: a run against the same run with nobody fallen.

use super::search::Effect;
use crate::experiment::trial::Outcome;
use crate::node::NodeId;

/// The harm that is looked for in runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// Rounds come to nothing.
    Availability,
    /// Honest nodes hold models that are worse than they would be.
    Integrity,
}

/// What runs of one seed are held against.
#[derive(Debug, Clone, Copy)]
pub struct Yardstick<'a> {
    /// The same run with nobody fallen.
    pub untouched: &'a Outcome,
    /// The accuracy of guessing.
    pub chance: f64,
    /// How far an accuracy must drop.
    pub margin: f64,
    /// The availability below which it has failed.
    pub threshold: f64,
}

impl Yardstick<'_> {
    /// What the fall of `fallen` did in one run.
    pub fn judge(&self, harm: Harm, fallen: &[NodeId], outcome: &Outcome) -> Effect {
        let availability = outcome.summary.availability;
        let worst = outcome.summary.final_accuracy;
        let beyond = self.beyond(fallen, outcome);
        let fails = match harm {
            Harm::Availability => availability < self.threshold,
            Harm::Integrity => {
                worst < self.untouched.summary.final_accuracy - self.margin || worst <= self.chance
            }
        };
        let effect = Effect { fails, availability, worst, beyond, harm: [0.0; 3] };
        Effect { harm: order(harm, &effect), ..effect }
    }

    /// The share of nodes that are left whose accuracy has dropped by more than the margin.
    fn beyond(&self, fallen: &[NodeId], outcome: &Outcome) -> f64 {
        let left = self.untouched.accuracies.iter().filter(|(node, _)| !fallen.contains(node));
        let (mut nodes, mut dropped) = (0usize, 0usize);
        for (node, before) in left {
            let Some(after) = outcome.accuracies.get(node) else { continue };
            nodes += 1;
            dropped += usize::from(*after < before - self.margin);
        }
        dropped as f64 / nodes.max(1) as f64
    }
}

/// How bad an attacker's choice is, compared from the front. Who wants integrity to fail hurts
/// one node until it has, and as many as possible from then on.
fn order(harm: Harm, effect: &Effect) -> [f64; 3] {
    let Effect { fails, availability, worst, beyond, .. } = *effect;
    match (harm, fails) {
        (Harm::Availability, _) => [-availability, beyond, -worst],
        (Harm::Integrity, false) => [0.0, -worst, beyond],
        (Harm::Integrity, true) => [1.0, beyond, -worst],
    }
}

/// The effect over the seeds: harm is done if it is in at least half of them; numbers are means.
pub fn over_seeds(harm: Harm, effects: &[Effect]) -> Effect {
    let mean =
        |of: fn(&Effect) -> f64| effects.iter().map(of).sum::<f64>() / effects.len().max(1) as f64;
    let failing = effects.iter().filter(|effect| effect.fails).count();
    let availability = mean(|effect| effect.availability);
    let (worst, beyond) = (mean(|effect| effect.worst), mean(|effect| effect.beyond));
    let fails = failing > 0 && 2 * failing >= effects.len();
    let effect = Effect { fails, availability, worst, beyond, harm: [0.0; 3] };
    Effect { harm: order(harm, &effect), ..effect }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    fn outcome(availability: f64, accuracies: &[(u32, f64)]) -> Outcome {
        let worst = accuracies.iter().map(|(_, value)| *value).fold(1.0, f64::min);
        let summary = json!({
            "run_id": "", "system": "", "runtime": "", "rule": "", "attack": "", "downfall": "",
            "partition": "", "seed": 1, "rounds": 1, "final_accuracy": worst, "final_loss": 0.0,
            "final_digest": "", "accuracy_p10": 0.0, "accuracy_median": 0.0,
            "accuracy_mean": 0.0, "averaged_model_accuracy": 0.0, "disagreement": 0.0,
            "availability": availability, "virtual_seconds": 0.0, "bytes_total": 0,
            "bytes_busiest": 0, "skipped": 0, "refused": 0, "timed_out": 0, "seconds": 0.0,
        });
        Outcome {
            summary: serde_json::from_value(summary).unwrap(),
            accuracies: accuracies
                .iter()
                .map(|&(node, value)| (NodeId(node), value))
                .collect::<BTreeMap<_, _>>(),
        }
    }

    fn judge(harm: Harm, fallen: &[u32], after: &Outcome) -> Effect {
        let untouched = outcome(1.0, &[(0, 0.8), (1, 0.9), (2, 0.7), (3, 0.8)]);
        let fallen: Vec<NodeId> = fallen.iter().copied().map(NodeId).collect();
        let yardstick =
            Yardstick { untouched: &untouched, chance: 0.1, margin: 0.2, threshold: 0.5 };
        yardstick.judge(harm, &fallen, after)
    }

    #[test]
    fn a_drop_beyond_the_margin_by_hand() {
        // Node 1 has dropped by 0.3, node 3 by 0.1; the worst is 0.6 where it was 0.7.
        let after = outcome(0.25, &[(0, 0.8), (1, 0.6), (3, 0.7)]);
        let effect = judge(Harm::Integrity, &[2], &after);
        assert!(!effect.fails);
        assert_eq!((effect.worst, effect.beyond), (0.6, 1.0 / 3.0));
        assert!(judge(Harm::Availability, &[2], &after).fails);
        let effect = judge(Harm::Integrity, &[2], &outcome(1.0, &[(0, 0.8), (1, 0.45), (3, 0.8)]));
        assert!(effect.fails);
        assert!(!judge(Harm::Availability, &[2], &outcome(0.5, &[(0, 0.1)])).fails);
    }

    #[test]
    fn half_of_the_seeds_are_enough() {
        let good = judge(Harm::Integrity, &[], &outcome(1.0, &[(0, 0.8)]));
        let bad = judge(Harm::Integrity, &[], &outcome(1.0, &[(0, 0.1)]));
        let both = over_seeds(Harm::Integrity, &[good, bad]);
        assert!(both.fails && (both.worst - 0.45).abs() < 1e-12);
        assert!(!over_seeds(Harm::Integrity, &[good, good, bad]).fails);
    }
}
