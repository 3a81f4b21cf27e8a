//! Label flip: a corrupted node trains honestly on labels that are wrong.
//!
//! By itself it reverses them: of `c` classes, `y` becomes `c - 1 - y`. With `to`, labels become
//! that class instead; with `from`, only the labels of that class change. `from = 1, to = 7` is
//! the targeted flip that makes a model read ones as sevens. With `random = true` each label that
//! changes becomes one of the other classes, drawn for itself.
//!
//! Fails when the liars are few: their updates are gradients of a real loss, no larger than those
//! of the honest, so under the mean they cost about their share and no more. With an odd number of
//! classes the middle one is its own reverse. Its strength is that it needs no knowledge of
//! anybody, and that among heterogeneous nodes a rule cannot tell it from an unusual one.
//!
//! Reference: Biggio, Nelson and Laskov, Support Vector Machines Under Adversarial Label Noise,
//! ACML 2011; the reversal as in Fang et al., Local Model Poisoning Attacks to Byzantine-Robust
//! Federated Learning, USENIX Security 2020, and in ByzFL; the targeted flip as in Tolpegin et
//! al., Data Poisoning Attacks Against Federated Learning Systems, ESORICS 2020.

use std::sync::Arc;

use rand::{Rng, RngExt};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::Poison;
use crate::catalog::{ConfigError, Entry};
use crate::dataset::{Samples, Shape};

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Poison> = Entry {
    name: "label_flip",
    summary: "trains honestly on reversed labels, or on one class taken for another",
    reference: "Biggio, Nelson and Laskov, ACML 2011; Fang et al., USENIX Security 2020",
    source: include_str!("label_flip.rs"),
    claims: (),
    parameters: || schema_for!(LabelFlip),
    build: |parameters| parameters.build::<dyn Poison, LabelFlip>(|it| Ok(Arc::new(it.check()?))),
};

/// Parameters of the label flip.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct LabelFlip {
    /// The only class whose labels change, from 0. Default: all change.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<u8>,
    /// The class that they become, from 0. Default: the reverse, `classes - 1 - label`.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<u8>,
    /// Whether labels become any other class, each drawn for itself; default no.
    #[serde(skip_serializing_if = "is_false")]
    random: bool,
}

/// What is not asked for is left out of a run's name.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Poison for LabelFlip {
    fn suits(&self, shape: Shape) -> Result<(), ConfigError> {
        for (field, class) in [("from", self.from), ("to", self.to)] {
            if let Some(class) = class.filter(|&class| usize::from(class) >= shape.classes) {
                return Err(ConfigError::new(format!(
                    "`{field}` = {class} is no class: there are {}, from 0",
                    shape.classes
                )));
            }
        }
        Ok(())
    }

    fn poison(&self, samples: &mut Samples, shape: Shape, _place: usize, rng: &mut dyn Rng) {
        self.suits(shape).expect("a poison that does not suit is refused before the run");
        let changes = |label| self.from.is_none_or(|from| from == label);
        for label in samples.labels.iter_mut().filter(|label| changes(**label)) {
            *label = match self.to {
                None if self.random => another(*label, shape.classes, rng),
                None => (shape.classes - 1 - usize::from(*label)) as u8,
                Some(to) => to,
            };
        }
    }
}

impl LabelFlip {
    fn check(self) -> Result<Self, ConfigError> {
        if self.random && self.to.is_some() {
            let message = "`random` = true has no effect where `to` names the class";
            return Err(ConfigError::new(message).help("give one of the two"));
        }
        match (self.from, self.to) {
            (Some(from), Some(to)) if from == to => Err(ConfigError::new(format!(
                "`to` = {to} is the class that the labels have already, and nothing would change"
            ))),
            _ => Ok(self),
        }
    }
}

/// Any class but this one; this one where there is no other.
fn another(label: u8, classes: usize, rng: &mut dyn Rng) -> u8 {
    if classes < 2 {
        return label;
    }
    let drawn = rng.random_range(0..classes - 1) as u8;
    if drawn < label { drawn } else { drawn + 1 }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::catalog::Choice;
    use crate::poisons::CATALOG;
    use crate::seed::{Purpose, run_stream};

    fn build(parameters: &str) -> Result<Arc<dyn Poison>, ConfigError> {
        let choice = Choice::with("label_flip", parameters).unwrap();
        CATALOG.build(&choice).map(|member| member.value)
    }

    fn shape(classes: usize) -> Shape {
        Shape { height: 1, width: 2, channels: 1, classes }
    }

    fn flipped(parameters: &str, classes: usize, labels: &[u8]) -> Vec<u8> {
        let inputs = Array2::from_elem((labels.len(), 2), 0.5);
        let mut samples = Samples { inputs: inputs.clone(), labels: labels.to_vec() };
        let mut rng = run_stream(1, Purpose::Poison);
        build(parameters).unwrap().poison(&mut samples, shape(classes), 0, &mut rng);
        assert_eq!(samples.inputs, inputs, "inputs stay");
        samples.labels
    }

    #[test]
    fn by_itself_it_reverses() {
        assert_eq!(flipped("", 10, &[0, 1, 4, 5, 9, 9]), [9, 8, 5, 4, 0, 0]);
        assert_eq!(flipped("", 3, &[0, 1, 2]), [2, 1, 0]);
    }

    #[test]
    fn targets_by_hand() {
        let labels = [1, 7, 3, 1];
        assert_eq!(flipped("from = 1\nto = 7", 10, &labels), [7, 7, 3, 7]);
        assert_eq!(flipped("from = 1", 10, &labels), [8, 7, 3, 8]);
        assert_eq!(flipped("to = 7", 10, &labels), [7, 7, 7, 7]);
    }

    #[test]
    fn at_random_every_other_class_comes_up() {
        let labels = [1; 300];
        let flipped_to = flipped("random = true", 4, &labels);
        for class in [0, 2, 3] {
            let count = flipped_to.iter().map(|&label| usize::from(label == class)).sum::<usize>();
            // Six standard deviations about a hundred.
            assert!((50..=150).contains(&count), "{class}: {count}");
        }
        assert!(!flipped_to.contains(&1));
        assert_eq!(flipped("random = true\nfrom = 2", 4, &[0, 1, 3]), [0, 1, 3]);
        assert!(build("random = true\nto = 2").is_err());
    }

    #[test]
    fn what_does_nothing_is_refused() {
        assert_eq!(
            build("from = 3\nto = 3").unwrap_err().message,
            "`to` = 3 is the class that the labels have already, and nothing would change"
        );
    }

    #[test]
    fn classes_that_are_not_there_do_not_suit() {
        let poison = build("from = 1\nto = 10").unwrap();
        assert_eq!(
            poison.suits(shape(10)).unwrap_err().message,
            "`to` = 10 is no class: there are 10, from 0"
        );
        assert_eq!(poison.suits(shape(11)), Ok(()));
    }
}
