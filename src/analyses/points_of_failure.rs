//! Points of failure: how many parts of a system must fall, for each harm apart.
//!
//! Three numbers that are often taken for each other: **k\***, the fewest parts that must fall
//! together; **c1**, the parts each of which is enough alone; and the **targets**, the parts that
//! an attacker may try. A server is one part of one, k\* = c1 = 1. More parts raise all three, and
//! which of them counts depends on the harm:
//!
//! - availability: parts crash, and so many rounds come to nothing for those who are left that
//!   the share of rounds that do come to something is below a threshold;
//! - integrity: parts are captured and lie, and the worst honest node ends further than a margin
//!   below the worst honest node of the same run with nobody captured, or no better than chance;
//! - confidentiality: parts are captured and listen. It is read off who is sent what, without a
//!   run: a part sees a worker's own vectors if it is that worker or is sent its update or its
//!   model; the harm is done when every worker is seen. What can be learnt from a vector is not
//!   asked here.
//!
//! Availability and integrity are found by running the system with each set of parts that is
//! tried; with several seeds, harm is done if it is in at least half of them. With the prices of
//! parts follow the cheapest set that is enough, and h\*: how many times dearer one server must be
//! to capture than it is for the two systems to cost an attacker the same.
//!
//! Reference: Sultanik et al., Are Blockchains Decentralized?, Trail of Bits 2022, who count the
//! parties that suffice to disrupt a system; the formulas are the systems' own.

pub mod cost;
pub mod effect;
pub mod listening;
pub mod search;

use serde::Serialize;

use self::cost::{Cost, Prices};
use self::effect::{Harm, Yardstick};
use self::search::{Effect, Field, Found, Set, Step, search};
use crate::downfalls::Conduct;
use crate::experiment::plan::Plan;
use crate::experiment::trial::{Outcome, Trial, TrialError, Trials, with_fallen};
use crate::node::NodeId;
use crate::systems::formula::{Bounds, Formula, Known};

/// What is asked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The most runs, over both harms that are run and all seeds.
    pub budget: usize,
    /// How far an honest node's accuracy must drop, 0 to 1.
    pub margin: f64,
    /// The availability below which it has failed, 0 to 1.
    pub threshold: f64,
    /// What a captured part's vectors are multiplied with.
    pub factor: f32,
    /// What it costs to bring down or capture a part.
    pub prices: Prices,
}

/// What was found for one harm.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// k\*: how many parts must fall together.
    pub parts: Bounds,
    /// What the system's formula says.
    pub formula: Option<Known>,
    /// Whether some number is within both.
    pub agrees: Option<bool>,
    /// Sets of the least number that are enough; of interchangeable parts the first stand for all.
    pub sets: Vec<Set>,
    /// c1: the parts each of which is enough alone.
    pub alone: Vec<NodeId>,
    /// Whether every part was tried alone.
    pub alone_is_complete: bool,
    /// The parts that an attacker may try.
    pub targets: usize,
    /// All sets up to this size were looked at.
    pub exhausted: usize,
    /// Sets that were tried.
    pub tried: usize,
    /// What the cheapest set costs.
    pub cost: Cost,
    /// What happens as the parts that hurt most fall, one after the other.
    pub curve: Vec<Step>,
}

/// What was found for a system.
#[derive(Debug, Clone, Serialize)]
pub struct Analysis {
    /// The system.
    pub system: String,
    /// The parts that make it up, with their roles, the most valuable first.
    pub parts: Vec<(NodeId, &'static str)>,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// What the system comes to with nobody fallen.
    pub untouched: Effect,
    /// What parts that crash do.
    pub availability: Finding,
    /// What parts that lie do.
    pub integrity: Finding,
    /// What parts that listen learn.
    pub confidentiality: Finding,
    /// How many runs it took, without those that nobody falls in.
    pub runs: usize,
}

/// Why a system cannot be analysed.
#[derive(Debug, thiserror::Error)]
pub enum AnalysisError {
    /// It makes no sense to ask.
    #[error("{0}")]
    Unsuited(String),
    /// A trial came to nothing.
    #[error(transparent)]
    Trial(#[from] TrialError),
}

/// Searches for the points of failure of a system. `plans` are the same cell, one for each seed,
/// as `experiment::trial::standing` makes them.
pub fn analyse(
    plans: &[Plan],
    trials: &Trials<'_>,
    settings: &Settings,
) -> Result<Analysis, AnalysisError> {
    let first = &plans[0];
    let parts = parts(first);
    if parts.is_empty() || first.wiring.coordinated() {
        return Err(AnalysisError::Unsuited(format!(
            "{} is a yardstick and has no parts that could fall; choose another system",
            first.labels.system
        )));
    }
    let untouched = untouched(plans, trials)?;
    let lab = Laboratory { plans, trials, settings, untouched: &untouched };
    let crash = lab.search(Harm::Availability)?;
    let lie = lab.search(Harm::Integrity)?;
    let formula = first.wiring.formula(&first.rule, first.byzantine);
    let known = |of: fn(Formula) -> Known| formula.clone().map(of);
    let listening = listening::listening(&*first.wiring, &first.roster(), &nodes(&parts));
    Ok(Analysis {
        system: first.labels.system.clone(),
        seeds: plans.iter().map(|plan| plan.seed).collect(),
        untouched: lab.effect(Harm::Integrity, &[], &untouched),
        runs: (crash.trials + lie.trials) * plans.len(),
        availability: finding(crash, known(|formula| formula.availability), &parts, settings),
        integrity: finding(lie, known(|formula| formula.integrity), &parts, settings),
        confidentiality: finding(
            listening,
            known(|formula| formula.confidentiality),
            &parts,
            settings,
        ),
        parts,
    })
}

/// The parts of a system with their roles, the most valuable first.
pub fn parts(plan: &Plan) -> Vec<(NodeId, &'static str)> {
    let roles = plan.wiring.parts();
    let role = |node: NodeId| roles.iter().find(|part| part.node == node).map(|part| part.role);
    let constituents = plan.wiring.constituents().into_iter();
    let standing = constituents.filter(|&node| !plan.threat.corrupts(node));
    standing.map(|node| (node, role(node).unwrap_or(WORKER))).collect()
}

/// What a worker that is a part is called.
pub const WORKER: &str = "worker";

fn nodes(parts: &[(NodeId, &str)]) -> Vec<NodeId> {
    parts.iter().map(|(node, _)| *node).collect()
}

/// The runs in which nobody falls, one for each seed.
fn untouched(plans: &[Plan], trials: &Trials<'_>) -> Result<Vec<Outcome>, AnalysisError> {
    let runs: Vec<Trial> = plans
        .iter()
        .map(|plan| Trial { what: "nobody fallen".to_owned(), plan: plan.clone() })
        .collect();
    let outcomes = trials.run(&runs)?;
    for (plan, outcome) in plans.iter().zip(&outcomes) {
        let (worst, chance) = (outcome.summary.final_accuracy, chance(plan));
        if worst <= chance {
            return Err(AnalysisError::Unsuited(format!(
                "{} comes to {:.1} % with nobody fallen (seed {}), and chance is {:.1} %: there \
                 is nothing to harm; train for longer",
                plan.labels.system,
                100.0 * worst,
                plan.seed,
                100.0 * chance
            )));
        }
    }
    Ok(outcomes)
}

/// The accuracy of guessing.
fn chance(plan: &Plan) -> f64 {
    1.0 / plan.dataset.value.shape().classes.max(1) as f64
}

/// Where sets of parts are tried.
struct Laboratory<'a> {
    plans: &'a [Plan],
    trials: &'a Trials<'a>,
    settings: &'a Settings,
    untouched: &'a [Outcome],
}

impl Laboratory<'_> {
    fn search(&self, harm: Harm) -> Result<Found, AnalysisError> {
        let plan = &self.plans[0];
        let parts = nodes(&parts(plan));
        let honest: Set = plan.honest().into_iter().collect();
        let field = Field {
            interchangeable: plan.wiring.interchangeable(),
            everybody: honest.iter().all(|node| parts.contains(node)).then_some(honest),
            parts,
        };
        // Half of the runs for each harm.
        let budget = self.settings.budget / 2 / self.plans.len();
        search(&field, budget, &mut |sets| self.evaluate(harm, sets))
    }

    fn evaluate(&self, harm: Harm, sets: &[Set]) -> Result<Vec<Effect>, AnalysisError> {
        let (conduct, done) = match harm {
            Harm::Availability => (Conduct::Crash, "crashed"),
            Harm::Integrity => (Conduct::Lie { factor: self.settings.factor }, "captured"),
        };
        let mut runs = Vec::new();
        for set in sets {
            let named: Vec<String> = set.iter().map(NodeId::to_string).collect();
            let what = format!("{} {done}", named.join(", "));
            for plan in self.plans {
                runs.push(Trial { what: what.clone(), plan: with_fallen(plan, conduct, set) });
            }
        }
        let outcomes = self.trials.run(&runs)?;
        let seeds = outcomes.chunks(self.plans.len());
        Ok(sets.iter().zip(seeds).map(|(set, seeds)| self.effect(harm, set, seeds)).collect())
    }

    /// What the fall of a set did, over the seeds.
    fn effect(&self, harm: Harm, set: &[NodeId], outcomes: &[Outcome]) -> Effect {
        let yardsticks = self.plans.iter().zip(self.untouched).map(|(plan, untouched)| Yardstick {
            untouched,
            chance: chance(plan),
            margin: self.settings.margin,
            threshold: self.settings.threshold,
        });
        let effects: Vec<Effect> = yardsticks
            .zip(outcomes)
            .map(|(yardstick, outcome)| yardstick.judge(harm, set, outcome))
            .collect();
        effect::over_seeds(harm, &effects)
    }
}

/// A finding with its formula and its price.
fn finding(
    found: Found,
    formula: Option<Known>,
    parts: &[(NodeId, &'static str)],
    settings: &Settings,
) -> Finding {
    Finding {
        agrees: formula.as_ref().map(|known| known.parts.agrees_with(&found.parts)),
        cost: settings.prices.cheapest(parts, &found.enough, found.parts.at_least),
        parts: found.parts,
        formula,
        sets: found.sets,
        alone: found.alone,
        alone_is_complete: found.alone_is_complete,
        targets: found.targets,
        exhausted: found.exhausted,
        tried: found.trials,
        curve: found.curve,
    }
}
