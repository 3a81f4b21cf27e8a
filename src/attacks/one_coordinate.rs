//! All in one coordinate: the mean, but for one coordinate that is far off.
//!
//! `B = mean(x) + factor · s · e_k` over the known updates `x`, where `e_k` is 1 in one
//! coordinate, the last by itself, and 0 in the others. `s` is the length of the honest deviations
//! (`scale = "spread"`) or 1 (`one`). In a model of `d` coordinates honest updates are some
//! `sqrt(d)` deviations of one coordinate apart, so a vector that lies among them by its distance
//! may be that far off in one: what a rule that selects by distance cannot see grows with the
//! model.
//!
//! Without `factor` it is found by trying the rule: what carries its outcome furthest from the
//! mean, on both sides by itself, or by another `search`.
//!
//! Fails against rules that look at every coordinate by itself (the median, the trimmed mean, the
//! second step of Bulyan), and does little to a model by one weight out of thousands, unless it is
//! one that counts or the shift goes on for many rounds.
//!
//! Reference: El Mhamdi, Guerraoui and Rouault, The Hidden Vulnerability of Distributed Learning
//! in Byzantium, ICML 2018.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::line_search::LineSearch;
use super::moments::means;
use super::outcome::{Line, Trial};
use super::scale::Scale;
use super::{Attack, AttackError, Claims, Crafted, Knowledge, View, finite};
use crate::catalog::{ConfigError, Entry};
use crate::memory::Memory;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Attack, Claims> = Entry {
    name: "one_coordinate",
    summary: "the mean, but for one coordinate that is as far off as a distance allows",
    reference: "El Mhamdi, Guerraoui and Rouault, ICML 2018",
    source: include_str!("one_coordinate.rs"),
    claims: Claims { moves_mean: true, stays_inside: false },
    parameters: || schema_for!(OneCoordinate),
    build: |parameters| {
        parameters.build::<dyn Attack, OneCoordinate>(|attack| {
            attack.check()?;
            Ok(Arc::new(attack))
        })
    },
};

/// Parameters of the attack on one coordinate.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct OneCoordinate {
    /// Which coordinate, from 0; beyond the last it is the last. Default: the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    coordinate: Option<usize>,
    /// How far off it is. Default: found by trying the rule, which has to be known then.
    #[serde(skip_serializing_if = "Option::is_none")]
    factor: Option<f64>,
    /// What a factor of 1 is: the length of the honest deviations, `spread` (default), or `one`.
    scale: Scale,
    /// How the factor is found: `two_sided` (default, 48 evaluations) or `doubling`.
    search: LineSearch,
    /// How many copies a try holds. Default: one for each corrupted identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    copies: Option<usize>,
    /// Whether factors are negated before they are tried, for searches with one side; default no.
    negative: bool,
}

impl OneCoordinate {
    fn check(&self) -> Result<(), ConfigError> {
        finite("factor", self.factor.unwrap_or_default())?;
        self.search.check()
    }

    /// The direction of one coordinate, as long as a factor of 1.
    fn direction(&self, view: &View<'_>, mean: &[f64]) -> Result<Vec<f64>, AttackError> {
        let unit = self.scale.unit(ENTRY.name, view.known(), mean)?;
        let mut direction = vec![0.0; mean.len()];
        let last = direction.len().saturating_sub(1);
        if let Some(chosen) = direction.get_mut(self.coordinate.unwrap_or(last).min(last)) {
            *chosen = unit;
        }
        Ok(direction)
    }

    /// The factor that does most to the rule.
    fn best(&self, view: &View<'_>, line: Line<'_>) -> Result<f64, AttackError> {
        let mut trial = Trial::new(ENTRY.name, view, self.copies)?;
        let signed = |factor: f64| if self.negative { -factor } else { factor };
        Ok(signed(self.search.best(|factor| trial.distance(line, signed(factor)))))
    }
}

impl Attack for OneCoordinate {
    fn needs(&self) -> Knowledge {
        if self.factor.is_some() { Knowledge::Colluders } else { Knowledge::OmniscientAndRule }
    }

    fn uses_own(&self, knowledge: Knowledge) -> bool {
        knowledge < Knowledge::Omniscient
    }

    fn admits(
        &self,
        knowledge: Knowledge,
        participants: usize,
        corrupted: usize,
    ) -> Result<(), AttackError> {
        knowledge.require(ENTRY.name, self.scale.needs(), participants, corrupted)
    }

    fn craft(
        &self,
        view: &View<'_>,
        _memory: &mut Memory,
        _rng: &mut dyn Rng,
    ) -> Result<Crafted, AttackError> {
        let mean = means(ENTRY.name, view.known())?;
        let direction = self.direction(view, &mean)?;
        let line = Line { start: Some(&mean), direction: &direction };
        let factor = match self.factor {
            Some(factor) => factor,
            None => self.best(view, line)?,
        };
        Ok(Crafted::same(line.vector(factor), view.identities.len()))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array1, ArrayView2, Axis, array};

    use super::*;
    use crate::attacks::tests::{craft_against, craft_omniscient, middle};

    #[test]
    fn a_given_factor_by_hand() {
        // The mean is (3, 0), the deviations 2 and 1.5: a spread of 2.5.
        let honest = array![[1.0, 1.5], [5.0, -1.5]];
        let attack = OneCoordinate { factor: Some(2.0), ..OneCoordinate::default() };
        assert_eq!(craft_omniscient(&attack, &honest, 1).unwrap(), array![[3.0, 5.0]]);
        let first = OneCoordinate { coordinate: Some(0), scale: Scale::One, ..attack };
        assert_eq!(craft_omniscient(&first, &honest, 1).unwrap(), array![[5.0, 0.0]]);
        assert_eq!(first.needs(), Knowledge::Colluders);
    }

    /// The mean of the rows no further than 10 from the first.
    #[expect(clippy::unnecessary_wraps, reason = "a defence may refuse")]
    fn within_ten(rows: ArrayView2<'_, f32>) -> Result<Array1<f32>, String> {
        let first = rows.row(0).to_owned();
        let near: Vec<usize> = (0..rows.nrows())
            .filter(|&row| {
                let away = &rows.row(row) - &first;
                away.dot(&away) <= 100.0
            })
            .collect();
        Ok(rows.select(Axis(0), &near).mean_axis(Axis(0)).expect("the first is near"))
    }

    #[test]
    fn as_far_as_the_distance_goes() {
        // Nine from the first along the coordinates that stay: 10 in the last is the end.
        let honest = array![[0.0, 0.0, 0.0], [3.0, 4.0, 0.0], [-3.0, -4.0, 0.0]];
        let attack = OneCoordinate::default();
        let sent = craft_against(&attack, &honest, 1, &within_ten).unwrap();
        assert!(sent[[0, 2]].abs() > 9.99 && sent[[0, 2]].abs() <= 10.0, "{sent}");
        assert_eq!((sent[[0, 0]], sent[[0, 1]]), (0.0, 0.0));
        // The median is moved by no more than there is in that coordinate.
        let median = craft_against(&attack, &honest, 1, &middle).unwrap();
        assert!(median.iter().all(|value| value.is_finite()));
    }
}
