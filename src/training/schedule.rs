//! How the length of steps changes from round to round.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::node::Round;

/// What the learning rate is multiplied with in a round.
///
/// The factor is part of what a worker shares, and all that comes after it uses the learning rate
/// itself. Rules that compare updates with each other see the same; to a rule with a radius of
/// its own, or one that remembers updates, they are as much shorter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// Multiplied with `factor` after each of these rounds.
    Milestones {
        /// The rounds, ascending.
        rounds: Vec<u32>,
        /// Above 0, at most 1.
        factor: f64,
    },
    /// Multiplied with `factor` after every so many rounds.
    Decay {
        /// Rounds: 1 or more.
        every: u32,
        /// Above 0, at most 1.
        factor: f64,
    },
    /// `1 / (1 + (round - 1) / half)`: half of it after `half` rounds.
    Inverse {
        /// Rounds: above 0.
        half: f64,
    },
}

impl Schedule {
    /// The factor of a round, the first of which is 1.
    pub fn factor(&self, round: Round) -> f64 {
        let before = round.0.saturating_sub(1);
        let power = |factor: f64, times: usize| (0..times).fold(1.0, |product, _| product * factor);
        match self {
            Schedule::Milestones { rounds, factor } => {
                power(*factor, rounds.iter().filter(|milestone| round.0 > **milestone).count())
            }
            Schedule::Decay { every, factor } => {
                power(*factor, (before / (*every).max(1)) as usize)
            }
            Schedule::Inverse { half } => 1.0 / (1.0 + f64::from(before) / half),
        }
    }

    /// What is wrong with its numbers.
    pub fn fault(&self) -> Option<String> {
        let shrinks = |factor: f64| {
            let holds = factor > 0.0 && factor <= 1.0;
            (!holds).then(|| format!("`factor` is {factor} and must be above 0 and at most 1"))
        };
        match self {
            Schedule::Milestones { rounds, .. } if !rounds.is_sorted() => {
                Some(format!("`rounds` are {rounds:?} and must be ascending"))
            }
            Schedule::Decay { every: 0, .. } => Some("`every` is 0 and must be 1 or more".into()),
            Schedule::Milestones { factor, .. } | Schedule::Decay { factor, .. } => {
                shrinks(*factor)
            }
            Schedule::Inverse { half } => {
                let holds = *half > 0.0 && half.is_finite();
                (!holds).then(|| format!("`half` is {half} and must be above 0"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_by_hand() {
        let factors = |schedule: &Schedule| -> Vec<f64> {
            [1, 2, 3, 4, 5].map(|round| schedule.factor(Round(round))).to_vec()
        };
        let milestones = Schedule::Milestones { rounds: vec![2, 4], factor: 0.5 };
        assert_eq!(factors(&milestones), [1.0, 1.0, 0.5, 0.5, 0.25]);
        let decay = Schedule::Decay { every: 2, factor: 0.5 };
        assert_eq!(factors(&decay), [1.0, 1.0, 0.5, 0.5, 0.25]);
        let inverse = Schedule::Inverse { half: 1.0 };
        assert_eq!(factors(&inverse), [1.0, 0.5, 1.0 / 3.0, 0.25, 0.2]);
    }

    #[test]
    fn faults_name_the_number() {
        let fault = |schedule: Schedule| schedule.fault().unwrap();
        let rounds = vec![4, 2];
        assert_eq!(
            fault(Schedule::Milestones { rounds, factor: 0.5 }),
            "`rounds` are [4, 2] and must be ascending"
        );
        assert_eq!(
            fault(Schedule::Decay { every: 1, factor: 1.5 }),
            "`factor` is 1.5 and must be above 0 and at most 1"
        );
        assert_eq!(
            fault(Schedule::Decay { every: 0, factor: 0.5 }),
            "`every` is 0 and must be 1 or more"
        );
        assert_eq!(fault(Schedule::Inverse { half: 0.0 }), "`half` is 0 and must be above 0");
        assert_eq!(Schedule::Inverse { half: 10.0 }.fault(), None);
    }
}
