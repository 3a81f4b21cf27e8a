//! Whom the rule weighted, seen by somebody who knows who lied.

use std::collections::BTreeMap;

use crate::node::NodeId;
use crate::protocol::{Outcome, SenderRecord};

/// How well a round's weights tell liars from the honest. A sender whose weight is 0 was refused
/// by the rule.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Detection {
    /// The share of weight that went to corrupted senders, where the rule decides per row.
    pub(super) corrupted_weight: Option<f64>,
    /// The share of corrupted senders among those refused, where any were.
    pub(super) precision: Option<f64>,
    /// The share of those refused among corrupted senders, where any sent.
    pub(super) recall: Option<f64>,
}

impl Detection {
    /// Judges the weights of a round.
    pub(super) fn of(
        senders: &BTreeMap<NodeId, SenderRecord>,
        corrupted: impl Fn(NodeId) -> bool,
    ) -> Self {
        let shared = senders.values().filter(|sender| sender.outcome == Outcome::Shared);
        let weighted: Vec<(bool, f64)> = shared
            .filter_map(|sender| Some((corrupted(sender.node), f64::from(sender.weight?))))
            .collect();
        let sum = |only: bool| -> f64 {
            let counted = weighted.iter().filter(|(corrupted, _)| *corrupted || !only);
            counted.map(|(_, weight)| weight).sum()
        };
        let count = |corrupted: bool, refused: bool| {
            let wanted = |&&(lies, weight): &&(bool, f64)| {
                (lies || !corrupted) && (weight == 0.0 || !refused)
            };
            weighted.iter().filter(wanted).count() as f64
        };
        let share = |part: f64, whole: f64| (whole > 0.0).then(|| part / whole);
        Detection {
            corrupted_weight: share(sum(true), sum(false)),
            precision: share(count(true, true), count(false, true)),
            recall: share(count(true, true), count(true, false)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Senders 0, 1, … with these weights; the first two are corrupted.
    fn judged(weights: &[Option<f32>]) -> Detection {
        let sender = |(node, weight): (u32, &Option<f32>)| SenderRecord {
            node: NodeId(node),
            outcome: Outcome::Shared,
            loss: None,
            norm: None,
            weight: *weight,
            refusals: 0,
        };
        let senders = (0..).zip(weights).map(sender).map(|sender| (sender.node, sender)).collect();
        Detection::of(&senders, |node| node.0 < 2)
    }

    #[test]
    fn one_liar_of_two_is_refused_and_one_honest_sender_too() {
        let found = judged(&[Some(0.0), Some(0.25), Some(0.75), Some(0.0)]);
        let (weight, precision, recall) = (Some(0.25), Some(0.5), Some(0.5));
        assert_eq!(found, Detection { corrupted_weight: weight, precision, recall });
    }

    #[test]
    fn where_nobody_is_refused_there_is_no_precision() {
        let found = judged(&[Some(0.25), Some(0.25), Some(0.5)]);
        let (weight, precision, recall) = (Some(0.5), None, Some(0.0));
        assert_eq!(found, Detection { corrupted_weight: weight, precision, recall });
    }

    #[test]
    fn rules_without_weights_are_not_judged() {
        assert_eq!(judged(&[None, None, None]), Detection::default());
    }
}
