//! The model that an attacker wants its victim to have.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::neighbourhood::wide;
use super::{Victim, View, finite};
use crate::catalog::ConfigError;

/// A model of the attacker's choice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Target {
    /// The mean of all honest models of the round, negated: it prefers what they rule out. It
    /// moves with the honest.
    #[default]
    Negated,
    /// Zeros: a model that knows nothing.
    Zero,
    /// `+1, -1, +1, …`: a model that has to do with no data.
    Alternating,
    /// This value in every coordinate.
    Constant(f64),
    /// This many times the model that the view calls global, from which the peers set out.
    Global(f64),
}

impl Target {
    /// Refuses numbers that are none.
    pub(super) fn check(self) -> Result<(), ConfigError> {
        match self {
            Target::Constant(value) | Target::Global(value) => finite("target", value),
            Target::Negated | Target::Zero | Target::Alternating => Ok(()),
        }
    }

    /// The model, length `d`.
    pub(super) fn model(self, view: &View<'_>, victim: &Victim<'_>) -> Vec<f64> {
        let length = victim.model.len();
        match self {
            Target::Negated => negated_mean(victim),
            Target::Zero => vec![0.0; length],
            Target::Alternating => {
                (0..length).map(|index| if index % 2 == 0 { 1.0 } else { -1.0 }).collect()
            }
            Target::Constant(value) => vec![value; length],
            Target::Global(factor) => {
                wide(view.global).into_iter().map(|value| factor * value).collect()
            }
        }
    }
}

/// The mean of all honest models, negated.
fn negated_mean(victim: &Victim<'_>) -> Vec<f64> {
    let mut sums = vec![0.0; victim.model.len()];
    for model in victim.everyone.rows() {
        for (sum, &value) in sums.iter_mut().zip(model) {
            *sum -= f64::from(value);
        }
    }
    let count = victim.everyone.nrows().max(1) as f64;
    sums.into_iter().map(|sum| sum / count).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::attacks::peers::Peers;

    #[test]
    fn every_target_by_hand() {
        let peers = Peers::chain(array![[0.0, 2.0], [1.0, 0.0], [5.0, 1.0]], 1);
        let cases = [
            (Target::Negated, [-2.0, -1.0]),
            (Target::Zero, [0.0, 0.0]),
            (Target::Alternating, [1.0, -1.0]),
            (Target::Constant(0.25), [0.25, 0.25]),
            // The fixture's peers set out from ones.
            (Target::Global(-3.0), [-3.0, -3.0]),
        ];
        for (target, expected) in cases {
            peers.with_view(0, None, |view| {
                let victim = view.victim.as_ref().unwrap();
                assert_eq!(target.model(view, victim), expected, "{target:?}");
            });
        }
    }

    #[test]
    fn targets_are_written_as_words_or_numbers() {
        #[derive(Deserialize)]
        struct Written {
            target: Target,
        }
        let read = |text: &str| toml::from_str::<Written>(text).map(|written| written.target);
        assert_eq!(read("target = 'alternating'"), Ok(Target::Alternating));
        assert_eq!(read("target = { constant = 0.5 }"), Ok(Target::Constant(0.5)));
        assert_eq!(read("target = { global = -1.0 }"), Ok(Target::Global(-1.0)));
        assert!(read("target = 'somewhere'").is_err());
        assert!(Target::Constant(f64::NAN).check().is_err());
    }
}
