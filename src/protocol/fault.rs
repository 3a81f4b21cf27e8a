//! Planned faults: who is absent in which round, drawn from the seed before anybody trains.

use rand::RngExt;

use crate::node::{NodeId, Round};
use crate::seed::{Purpose, stream};

/// The faults that a run plans for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Faults {
    /// The run's seed.
    pub seed: u64,
    /// The probability that a node has nothing to share in a round, `0..1`.
    pub absences: f64,
}

impl Faults {
    /// Whether `node` is to be absent in `round`. Every runtime draws the same answer.
    pub fn absent(&self, round: Round, node: NodeId) -> bool {
        self.absences > 0.0
            && stream(self.seed, Purpose::Absence, round, node).random::<f64>() < self.absences
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absences_have_the_planned_rate_and_are_repeatable() {
        let faults = Faults { seed: 3, absences: 0.25 };
        let draws: Vec<bool> = (0..4000)
            .map(|index| faults.absent(Round(index / 40 + 1), NodeId(index % 40)))
            .collect();
        let again: Vec<bool> = (0..4000)
            .map(|index| faults.absent(Round(index / 40 + 1), NodeId(index % 40)))
            .collect();
        let absent = draws.iter().filter(|absent| **absent).count();
        assert!((900..1100).contains(&absent), "{absent} of 4000");
        assert_eq!(draws, again);
        assert!(!Faults { seed: 3, absences: 0.0 }.absent(Round(1), NodeId(1)));
    }
}
