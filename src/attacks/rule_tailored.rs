//! Tailored to the rule: the mean pushed along a direction, by what does most to the rule at hand.
//!
//! `B = mean(x) - gamma · p` over the known updates `x`, the same from every identity, where `p`
//! is the unit mean, its signs, or the standard deviations. By itself all three are tried, on both
//! sides of the mean, and what carries the rule's outcome furthest from the mean is sent: the best
//! of all tries, of which there are at most as many as `search` says for each direction.
//!
//! The authors push as long as that pays (`halving`): steps of half the start, a quarter, … up
//! after a success, down after a failure, and the last success is sent. With `goal = "selected"` a
//! success is that the rule selects every row of theirs. Otherwise it is that the outcome is
//! further from the mean than at the try before, whether or not that was any good: their search
//! may end far from the best it has seen, and never looks beyond twice its start or to the other
//! side.
//!
//! Whose rows a rule selects is seen by marking them: each identity's has 1e-20 in a column of its
//! own behind the model, and what of it is in the outcome is the row's weight. Distances do not
//! feel that. A row is selected if it weighs at least half of what it would in the mean of all. It
//! stands before the honest, so that it wins ties, as with the authors.
//!
//! Fails where the rule leaves little on these lines, which it then measures, and against rules
//! with a memory, which are lent without it. To be `selected` fails against rules that take fewer
//! rows than there are identities (Krum, from two on): then nothing is pushed. It needs to know the
//! rule, and runs it 48 times for each direction.
//!
//! Reference: Shejwalkar and Houmansadr, Manipulating the Byzantine: Optimizing Model Poisoning
//! Attacks and Defenses for Federated Learning, NDSS 2021.

mod marks;

use std::slice;
use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use self::marks::Marked;
use super::line_search::LineSearch;
use super::moments::deviations;
use super::outcome::{Line, Trial, length};
use super::perturbation::{self, Direction};
use super::{Attack, AttackError, Claims, Crafted, Knowledge, View};
use crate::catalog::{ConfigError, Entry};
use crate::memory::Memory;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Attack, Claims> = Entry {
    name: "rule_tailored",
    summary: "the mean pushed along a direction, by what does most to the rule at hand",
    reference: "Shejwalkar and Houmansadr, NDSS 2021",
    source: include_str!("rule_tailored.rs"),
    claims: Claims { moves_mean: true, stays_inside: false },
    parameters: || schema_for!(RuleTailored),
    build: |parameters| {
        parameters.build::<dyn Attack, RuleTailored>(|attack| {
            attack.search.check()?;
            Ok(Arc::new(attack))
        })
    },
};

/// Parameters of the attack that is tailored to the rule.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RuleTailored {
    /// What the mean is pushed along: `unit`, `sign` or `deviation`. Default: all three are tried
    /// and the best is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<Direction>,
    /// What is wanted: `displacement` of the outcome (default), or that all rows are `selected`,
    /// and of those that are the one with the largest displacement.
    goal: Goal,
    /// How the factor is found: `two_sided` (default, 48 evaluations) or `halving` (the authors').
    search: Search,
    /// Whether the deviation is that of a sample (default) or of the population.
    sample: bool,
}

/// What is wanted of the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Goal {
    /// That its outcome is far from the mean.
    Displacement,
    /// That it selects all rows of the identities.
    Selected,
}

/// How the factor is found.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Search {
    /// On both sides of the mean, ever closer around the best so far.
    TwoSided {
        /// How often the rule is tried for a direction.
        evaluations: u32,
    },
    /// As the authors do: up while it pays, down while it does not.
    Halving {
        /// The first factor that is tried, above 0.
        start: f64,
        /// It ends when the last try is this close to the last success, above 0.
        tolerance: f64,
    },
}

impl Default for RuleTailored {
    fn default() -> Self {
        RuleTailored {
            direction: None,
            goal: Goal::Displacement,
            search: Search::TwoSided { evaluations: 48 },
            sample: true,
        }
    }
}

/// The directions that are tried where none is given.
const ALL: [Direction; 3] = [Direction::Unit, Direction::Sign, Direction::Deviation];

impl Search {
    fn check(self) -> Result<(), ConfigError> {
        self.halving().map_or(Ok(()), |halving| halving.check())
    }

    /// The authors' search, if it is that.
    fn halving(self) -> Option<perturbation::Search> {
        let Search::Halving { start, tolerance } = self else { return None };
        let least_step = 0.0;
        Some(perturbation::Search::Halving { start, step: start, tolerance, least_step })
    }

    /// The factor of `line` that it ends with.
    fn factor(self, tries: &mut Tries<'_>, line: Line<'_>, reach: f64) -> f64 {
        match self {
            Search::TwoSided { evaluations } => {
                let search = LineSearch::TwoSided { evaluations };
                reach * search.best(|factor| tries.gain(line, reach * factor))
            }
            Search::Halving { .. } => {
                let search = self.halving().expect("it is that search");
                let mut before = -1.0;
                let gamma = perturbation::search(
                    search,
                    || 0.0,
                    |gamma| {
                        let gain = tries.gain(line, -gamma);
                        match tries {
                            Tries::Outcome(_) => std::mem::replace(&mut before, gain) < gain,
                            Tries::Selection(_) => gain > f64::NEG_INFINITY,
                        }
                    },
                );
                -gamma
            }
        }
    }
}

/// What tries are judged by.
enum Tries<'a> {
    /// By how far the outcome is from the mean.
    Outcome(Trial<'a>),
    /// By that too, but only if all are selected.
    Selection(Marked<'a>),
}

impl Tries<'_> {
    /// What the vector at a factor of a line is worth; minus infinity if it is no success.
    fn gain(&mut self, line: Line<'_>, factor: f64) -> f64 {
        match self {
            Tries::Outcome(trial) => trial.distance(line, factor),
            Tries::Selection(marked) => marked.distance(line.vector(factor).view()),
        }
    }
}

impl RuleTailored {
    fn tries<'a>(&self, view: &'a View<'_>, mean: &'a [f64]) -> Result<Tries<'a>, AttackError> {
        match self.goal {
            Goal::Displacement => Trial::new(ENTRY.name, view, None).map(Tries::Outcome),
            Goal::Selected => Marked::new(ENTRY.name, view, mean).map(Tries::Selection),
        }
    }
}

impl Attack for RuleTailored {
    fn needs(&self) -> Knowledge {
        Knowledge::OmniscientAndRule
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
        knowledge.require(ENTRY.name, 2, participants, corrupted)
    }

    fn craft(
        &self,
        view: &View<'_>,
        _memory: &mut Memory,
        _rng: &mut dyn Rng,
    ) -> Result<Crafted, AttackError> {
        let known = view.known();
        let mean = super::moments::means(ENTRY.name, known)?;
        let spread = length(&deviations(ENTRY.name, known, &mean, usize::from(self.sample))?);
        let mut tries = self.tries(view, &mean)?;
        let directions = self.direction.as_ref().map_or(&ALL[..], slice::from_ref);
        let mut best = (f64::NEG_INFINITY, None);
        for direction in directions {
            let direction = direction.vector(ENTRY.name, known, &mean, self.sample)?;
            let line = Line { start: Some(&mean), direction: &direction };
            let factor = self.search.factor(&mut tries, line, reach(spread, &mean, &direction));
            // With one direction nothing is compared.
            let gain = if directions.len() > 1 { tries.gain(line, factor) } else { 0.0 };
            if gain > best.0 {
                best = (gain, Some(line.vector(factor)));
            }
        }
        let vector = best.1.unwrap_or_else(|| mean.iter().map(|&mean| mean as f32).collect());
        Ok(Crafted::same(vector, view.identities.len()))
    }
}

/// By how much of a direction the honest differ, which is where a search begins: the length of
/// their deviations, or that of their mean where they do not differ.
fn reach(spread: f64, mean: &[f64], direction: &[f64]) -> f64 {
    let along = length(direction);
    let wanted = if spread > 0.0 { spread } else { length(mean) };
    let reach = wanted / along;
    if reach.is_finite() && reach > 0.0 { reach } else { 1.0 }
}

#[cfg(test)]
mod tests;
