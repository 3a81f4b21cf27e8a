//! Neurotoxin: an attack that keeps to coordinates which the honest hardly use, so that they do
//! not undo it.
//!
//! Of what would be sent, the `top` share of coordinates is set to 0 in which the reference is
//! largest by absolute value. The reference is the model's last movement (`reference = "global"`,
//! default; nothing is masked before there is one) or the mean of the honest updates of this round
//! (`known`), where those are read. What would be sent is the identity's own update, trained on
//! poisoned data, or what another `attack` makes. Exactly `floor(top · d)` coordinates are set to
//! 0, of equal ones those that come first.
//!
//! Fails to make a strong attack of a weak one: it makes a backdoor last longer after the attacker
//! is gone. Rules that look at directions see a vector that is orthogonal to where the others go.
//!
//! Reference: Zhang et al., Neurotoxin: Durable Backdoors in Federated Learning, ICML 2022.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::moments::means;
use super::nested::nested;
use super::plain::plain;
use super::{Attack, AttackError, Claims, Crafted, Knowledge, View};
use crate::catalog::{ConfigError, Entry, Nested};
use crate::memory::Memory;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Attack, Claims> = Entry {
    name: "neurotoxin",
    summary: "its own, poisoned update, but for the coordinates that the honest use most",
    reference: "Zhang et al., ICML 2022",
    source: include_str!("neurotoxin.rs"),
    claims: Claims { moves_mean: false, stays_inside: true },
    parameters: || schema_for!(Parameters),
    build: |parameters| {
        parameters.build::<dyn Attack, Parameters>(|given| Ok(Arc::new(given.make()?)))
    },
};

/// Parameters of Neurotoxin.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Parameters {
    /// The share of coordinates that are left alone, 0 to 1; default 0.05.
    top: f64,
    /// The share of coordinates that may be changed, in place of `top`: `floor(keep · d)` of them,
    /// and all others are left alone. Default: what `top` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    keep: Option<f64>,
    /// By what coordinates are judged: the last movement of the `global` model (default), or the
    /// mean of the updates that are `known`.
    reference: Reference,
    /// The attack whose vectors are masked. Default: none, and it is the identity's own update.
    #[serde(skip_serializing_if = "Option::is_none")]
    attack: Option<Nested>,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters { top: 0.05, keep: None, reference: Reference::Global, attack: None }
    }
}

/// By what coordinates are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Reference {
    /// The model's last movement.
    Global,
    /// The mean of the known updates.
    Known,
}

/// The attack with its inner one.
#[derive(Debug)]
struct Neurotoxin {
    top: f64,
    keep: Option<f64>,
    reference: Reference,
    inner: Option<Arc<dyn Attack>>,
}

impl Parameters {
    fn make(self) -> Result<Neurotoxin, ConfigError> {
        for (field, share) in [("top", Some(self.top)), ("keep", self.keep)] {
            if let Some(share) = share.filter(|share| !(0.0..=1.0).contains(share)) {
                return Err(ConfigError::new(format!("`{field}` must be 0 to 1, got {share}")));
            }
        }
        let inner = self.attack.as_ref().map(nested).transpose()?;
        Ok(Neurotoxin { top: self.top, keep: self.keep, reference: self.reference, inner })
    }
}

/// The name under which the last model is remembered.
const MODEL: &str = "neurotoxin.model";

impl Neurotoxin {
    /// How many of so many coordinates are left alone.
    fn masked(&self, columns: usize) -> usize {
        // A hair more, since 0.29 of 100 is 28.999… in binary.
        let share = |share: f64| (share * columns as f64 + 1e-9).floor() as usize;
        self.keep.map_or_else(|| share(self.top), |keep| columns - share(keep).min(columns))
    }

    /// What coordinates are judged by; `None` before there is any.
    fn judged(
        &self,
        view: &View<'_>,
        memory: &mut Memory,
    ) -> Result<Option<Vec<f64>>, AttackError> {
        match self.reference {
            Reference::Known => means(ENTRY.name, view.known()).map(Some),
            Reference::Global => {
                let before = memory.get(MODEL).filter(|before| before.len() == view.global.len());
                let movement = before.map(|before| {
                    let pairs = before.iter().zip(view.global);
                    pairs.map(|(&before, &now)| f64::from(before) - f64::from(now)).collect()
                });
                memory.set(MODEL, view.global.to_vec());
                Ok(movement)
            }
        }
    }
}

/// The coordinates that are set to 0: the `count` largest by absolute value, the first of equals.
fn largest(values: &[f64], count: usize) -> Vec<usize> {
    let size = |place: usize| {
        let size = values[place].abs();
        if size.is_nan() { f64::INFINITY } else { size }
    };
    let mut places: Vec<usize> = (0..values.len()).collect();
    if count < places.len() && count > 0 {
        places.select_nth_unstable_by(count - 1, |&a, &b| {
            size(b).total_cmp(&size(a)).then(a.cmp(&b))
        });
    }
    places.truncate(count);
    places
}

impl Attack for Neurotoxin {
    fn needs(&self) -> Knowledge {
        self.inner.as_ref().map_or(Knowledge::OwnData, |inner| inner.needs())
    }

    fn uses_own(&self, knowledge: Knowledge) -> bool {
        let reads = self.reference == Reference::Known && knowledge < Knowledge::Omniscient;
        reads || self.inner.as_ref().is_none_or(|inner| inner.uses_own(knowledge))
    }

    fn directed(&self) -> bool {
        self.inner.as_ref().is_some_and(|inner| inner.directed())
    }

    fn admits(
        &self,
        knowledge: Knowledge,
        participants: usize,
        corrupted: usize,
    ) -> Result<(), AttackError> {
        self.inner.as_ref().map_or(Ok(()), |it| it.admits(knowledge, participants, corrupted))
    }

    fn doubt(&self, participants: usize, corrupted: usize) -> Option<String> {
        self.inner.as_ref()?.doubt(participants, corrupted)
    }

    fn craft(
        &self,
        view: &View<'_>,
        memory: &mut Memory,
        rng: &mut dyn Rng,
    ) -> Result<Crafted, AttackError> {
        let judged = self.judged(view, memory)?;
        let mut rows = match &self.inner {
            None => plain(ENTRY.name, view)?,
            Some(inner) => match inner.craft(view, memory, rng)?.per_node() {
                Some(rows) => rows,
                None => return Ok(Crafted::Silence),
            },
        };
        if let Some(judged) = judged {
            let count = self.masked(judged.len());
            for column in largest(&judged, count) {
                rows.column_mut(column).fill(0.0);
            }
        }
        Ok(Crafted::PerNode(rows))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, array};

    use super::*;
    use crate::attacks::tests::{Stage, build};

    #[test]
    fn what_the_model_moves_most_is_left_alone() {
        let attack = build("neurotoxin", "top = 0.5");
        let own = array![[1.0, 2.0, 3.0, 4.0]];
        let mut stage = Stage { own: Some(own), ..Stage::default() };
        let honest = Array1::zeros(4).insert_axis(ndarray::Axis(0));
        stage.global = Some(array![0.0, 0.0, 0.0, 0.0]);
        let first = stage.craft(&*attack, &honest, 1).unwrap();
        assert_eq!(first, array![[1.0, 2.0, 3.0, 4.0]]);
        stage.global = Some(array![0.1, -5.0, 0.0, 3.0]);
        let second = stage.craft(&*attack, &honest, 1).unwrap();
        assert_eq!(second, array![[1.0, 0.0, 3.0, 0.0]]);
    }

    #[test]
    fn another_attack_is_masked_by_what_is_known() {
        let attack =
            build("neurotoxin", "top = 0.5\nreference = \"known\"\nattack = \"sign_flip\"");
        let sent = Stage::default().craft(&*attack, &array![[1.0, -8.0], [3.0, 0.0]], 1).unwrap();
        assert_eq!(sent, array![[-2.0, 0.0]]);
    }

    #[test]
    fn of_equal_coordinates_the_first_are_masked() {
        assert_eq!(largest(&[1.0, -2.0, 2.0, 2.0], 2), [1, 2]);
        assert_eq!(largest(&[1.0, f64::NAN], 1), [1]);
        assert_eq!(largest(&[1.0], 0), [0usize; 0]);
    }
}
