//! How far the aggregate is from the mean of what the honest sent, measured where all is known.

use std::collections::{BTreeMap, BTreeSet};

use crate::node::{NodeId, Round};
use crate::protocol::Message;
use crate::vector::{Shared, as_slice};

/// The updates of the rounds that are open, as far as they are to be measured.
#[derive(Debug)]
pub(super) struct Updates {
    measured: bool,
    rounds: BTreeMap<Round, BTreeMap<NodeId, Shared>>,
}

/// What a round's aggregate came to beside the updates of the honest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measured {
    /// How far it is from their mean, in the unit of updates.
    pub(super) distance: f64,
    /// The square of that over their variance, where they differ.
    pub(super) error: Option<f64>,
}

impl Updates {
    /// Keeps nothing unless `measured`.
    pub(super) fn new(measured: bool) -> Self {
        Updates { measured, rounds: BTreeMap::new() }
    }

    /// Notes what somebody shared; a repetition changes nothing.
    pub(super) fn note(&mut self, from: NodeId, message: &Message) {
        if let Message::Share { round, update, .. } = message
            && self.measured
        {
            self.rounds.entry(*round).or_default().insert(from, update.clone());
        }
    }

    /// Who shared what in `round`, which is over.
    pub(super) fn take(&mut self, round: Round) -> BTreeMap<NodeId, Shared> {
        let later = self.rounds.split_off(&round.next());
        std::mem::replace(&mut self.rounds, later).remove(&round).unwrap_or_default()
    }
}

/// Measures an aggregate against what the honest sent, summed in node order in `f64`; nothing
/// where none of them sent anything.
pub(super) fn measure(
    updates: &BTreeMap<NodeId, Shared>,
    honest: &BTreeSet<NodeId>,
    aggregate: &Shared,
) -> Option<Measured> {
    let rows: Vec<&[f32]> = updates
        .iter()
        .filter(|(node, _)| honest.contains(node))
        .map(|(_, update)| as_slice(update))
        .collect();
    let count = rows.len() as f64;
    let mut mean = vec![0.0f64; rows.first()?.len()];
    for row in &rows {
        mean.iter_mut().zip(*row).for_each(|(mean, value)| *mean += f64::from(*value) / count);
    }
    let squared = |row: &[f32]| -> f64 {
        row.iter().zip(&mean).map(|(value, mean)| (f64::from(*value) - mean).powi(2)).sum()
    };
    let variance = rows.iter().map(|row| squared(row)).sum::<f64>() / count;
    let off = squared(as_slice(aggregate));
    Some(Measured { distance: off.sqrt(), error: (variance > 0.0).then(|| off / variance) })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ndarray::Array1;

    use super::*;

    fn shared(values: &[f32]) -> Shared {
        Arc::new(Array1::from(values.to_vec()))
    }

    #[test]
    fn by_hand() {
        // The honest mean is (1, 2), their variance 1, the aggregate is 2 away.
        let rows = [[0.0, 2.0], [2.0, 2.0], [50.0, 50.0]];
        let updates: BTreeMap<NodeId, Shared> =
            (0..).map(NodeId).zip(rows.iter().map(|row| shared(row))).collect();
        let honest = BTreeSet::from([NodeId(0), NodeId(1), NodeId(7)]);
        let measured = measure(&updates, &honest, &shared(&[1.0, 4.0]));
        assert_eq!(measured, Some(Measured { distance: 2.0, error: Some(4.0) }));
        assert_eq!(measure(&updates, &BTreeSet::new(), &shared(&[1.0, 4.0])), None);
        let alone = measure(&updates, &BTreeSet::from([NodeId(0)]), &shared(&[0.0, 2.0]));
        assert_eq!(alone, Some(Measured { distance: 0.0, error: None }));
    }

    #[test]
    fn only_the_round_that_is_over_is_taken() {
        let share = |round| Message::Share {
            round: Round(round),
            update: shared(&[1.0]),
            loss: 0.0,
            samples: 1,
        };
        let mut updates = Updates::new(true);
        updates.note(NodeId(0), &share(1));
        updates.note(NodeId(0), &share(1));
        updates.note(NodeId(1), &share(2));
        assert_eq!(updates.take(Round(1)).len(), 1);
        assert_eq!(updates.take(Round(2)).len(), 1);
        let mut none = Updates::new(false);
        none.note(NodeId(0), &share(1));
        assert!(none.take(Round(1)).is_empty());
    }
}
