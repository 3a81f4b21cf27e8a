//! Percolation: which honest peers are predicted to fall when some are captured, and which do.
//!
//! A peer's rule reckons with so many liars among its neighbours. With one more it goes where they
//! want; it then sends what they sent it, and is a liar to its own neighbours. So captured peers
//! take others with them by bootstrap percolation: a peer falls as soon as more of its neighbours
//! have fallen than its rule tolerates, and nothing else counts. The prediction knows the graph and
//! the rule's count, and nothing of the data, the attack or how far a rule bends before it
//! breaks. What a peer tolerates is what its rule is told to expect, or as many as it can stand
//! among so few neighbours.
//!
//! Whether that is so is seen by running it: the same nodes corrupted, with the config's attack,
//! against the same run with everybody honest. A peer has fallen if its accuracy has dropped by
//! more than the margin. On a graph that is always the same the prediction is where percolation
//! comes to rest; a run may end before.
//!
//! Fails, that is predicts too much, where lies are bounded (clipping), gentle, or slower than the
//! run is long; and too little where a rule breaks below its count: on sparse graphs with data
//! that differ from peer to peer.
//!
//! Reference: Chalupa, Leath, Reich, Bootstrap Percolation on a Bethe Lattice, Journal of Physics
//! C 1979, for the process; Feige, Krivelevich, Reichman, Contagious Sets in Random Graphs, Annals
//! of Applied Probability 2017, for how few nodes are enough.

pub mod spread;

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Serialize;

use self::spread::Spread;
use crate::attacks::Attack;
use crate::experiment::plan::Plan;
use crate::experiment::trial::{Outcome, Trial, TrialError, Trials, with_corrupted};
use crate::node::NodeId;

/// What is asked.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many nodes are captured together, each time.
    pub together: usize,
    /// How many sets are tried at most: around the most valuable nodes first.
    pub sets: usize,
    /// How far an honest node's accuracy must drop to have fallen, 0 to 1.
    pub margin: f64,
}

/// Some captured nodes: who was to fall with them, and who did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Case {
    /// The seed.
    pub seed: u64,
    /// The captured nodes, ascending.
    pub captured: Vec<NodeId>,
    /// The honest nodes that were predicted to fall, ascending.
    pub predicted: Vec<NodeId>,
    /// The honest nodes that fell, ascending.
    pub fell: Vec<NodeId>,
    /// How many nodes are honest.
    pub honest: usize,
}

impl Case {
    /// How many fell that were predicted to.
    pub fn both(&self) -> usize {
        self.fell.iter().filter(|node| self.predicted.contains(node)).count()
    }
}

/// All cases together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Score {
    /// Honest nodes, over all cases.
    pub honest: usize,
    /// Those that were predicted to fall.
    pub predicted: usize,
    /// Those that fell.
    pub fell: usize,
    /// Those that fell and were predicted to.
    pub both: usize,
    /// The share of those predicted that fell; none where nobody was.
    pub precision: Option<f64>,
    /// The share of those that fell that had been predicted; none where nobody fell.
    pub recall: Option<f64>,
    /// The share of those predicted safe that fell all the same; none where nobody was.
    pub surprised: Option<f64>,
}

impl Score {
    /// Adds up cases.
    pub fn of(cases: &[Case]) -> Self {
        let sum = |of: fn(&Case) -> usize| cases.iter().map(of).sum::<usize>();
        let (honest, both) = (sum(|case| case.honest), sum(Case::both));
        let (predicted, fell) = (sum(|case| case.predicted.len()), sum(|case| case.fell.len()));
        let share = |part: usize, of: usize| (of > 0).then(|| part as f64 / of as f64);
        Score {
            honest,
            predicted,
            fell,
            both,
            precision: share(both, predicted),
            recall: share(both, fell),
            surprised: share(fell - both, honest - predicted),
        }
    }
}

/// What was found for a system.
#[derive(Debug, Clone, Serialize)]
pub struct Analysis {
    /// The system.
    pub system: String,
    /// The rule.
    pub rule: String,
    /// The attack.
    pub attack: String,
    /// The least and the greatest number of liars that a peer's rule reckons with.
    pub tolerated: (usize, usize),
    /// One case for each set of captured nodes and seed.
    pub cases: Vec<Case>,
    /// All together.
    pub score: Score,
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

/// Predicts and runs. `plans` are the same cell, one for each seed, with an attack.
pub fn analyse(
    plans: &[Plan],
    trials: &Trials<'_>,
    settings: &Settings,
) -> Result<Analysis, AnalysisError> {
    let first = &plans[0];
    let mut cases = Vec::new();
    let mut tolerated = (usize::MAX, 0);
    for plan in plans {
        let (spread, attack) = suited(plan, settings)?;
        let (least, most) = spread.tolerated();
        tolerated = (tolerated.0.min(least), tolerated.1.max(most));
        cases.extend(of_seed(plan, &spread, &attack, trials, settings)?);
    }
    Ok(Analysis {
        system: first.labels.system.clone(),
        rule: first.labels.rule.clone(),
        attack: first.labels.attack.clone(),
        tolerated,
        score: Score::of(&cases),
        cases,
    })
}

/// The spread in a plan's system and the plan's attack, if both are there and can be had.
fn suited(plan: &Plan, settings: &Settings) -> Result<(Spread, Arc<dyn Attack>), AnalysisError> {
    let unsuited = |message: String| Err(AnalysisError::Unsuited(message));
    let workers = plan.roster().len();
    let system = &plan.labels.system;
    let Some(spread) = Spread::of(plan) else {
        return unsuited(format!("{system} has no peers that could take each other with them"));
    };
    let Some(attack) = plan.threat.attack.clone() else {
        return unsuited(
            "nobody attacks: set `threat.corrupted` to 1 or more and choose a `threat.attack`"
                .to_owned(),
        );
    };
    if !(1..workers).contains(&settings.together) {
        return unsuited(format!(
            "{} of {workers} nodes cannot be captured together: from 1 to {} can",
            settings.together,
            workers - 1
        ));
    }
    match attack.admits(plan.threat.knowledge, workers, settings.together) {
        Ok(()) => Ok((spread, attack)),
        Err(refusal) => unsuited(refusal.to_string()),
    }
}

/// The cases of one seed.
fn of_seed(
    plan: &Plan,
    spread: &Spread,
    attack: &Arc<dyn Attack>,
    trials: &Trials<'_>,
    settings: &Settings,
) -> Result<Vec<Case>, TrialError> {
    let captured = captured(plan, spread, settings);
    let trial = |nodes: &[NodeId]| {
        let named: Vec<String> = nodes.iter().map(NodeId::to_string).collect();
        let what = format!("nodes {} corrupted (seed {})", named.join(", "), plan.seed);
        Trial { what, plan: with_corrupted(plan, Some(Arc::clone(attack)), nodes) }
    };
    let runs: Vec<Trial> =
        std::iter::once(trial(&[])).chain(captured.iter().map(|nodes| trial(nodes))).collect();
    let outcomes = trials.run(&runs)?;
    let (honest, attacked) = outcomes.split_first().expect("there is a run without an attack");
    Ok(captured
        .into_iter()
        .zip(attacked)
        .map(|(captured, outcome)| Case {
            seed: plan.seed,
            predicted: spread.taken_by(&captured).into_iter().collect(),
            fell: fallen(honest, outcome, settings.margin),
            honest: outcome.accuracies.len(),
            captured,
        })
        .collect())
}

/// The sets that are captured: around each of the most valuable nodes the others with which it is
/// predicted to take most; each set once.
fn captured(plan: &Plan, spread: &Spread, settings: &Settings) -> Vec<Vec<NodeId>> {
    let valuable = plan.wiring.valuable();
    let mut sets: Vec<Vec<NodeId>> = Vec::new();
    for &node in &valuable {
        if sets.len() == settings.sets {
            break;
        }
        let set: Vec<NodeId> =
            spread.grown(node, settings.together, &valuable).into_iter().collect();
        if !sets.contains(&set) {
            sets.push(set);
        }
    }
    sets
}

/// The nodes whose accuracy has dropped by more than the margin, ascending.
fn fallen(honest: &Outcome, attacked: &Outcome, margin: f64) -> Vec<NodeId> {
    let dropped = attacked.accuracies.iter().filter(|(node, accuracy)| {
        honest.accuracies.get(node).is_some_and(|before| **accuracy < before - margin)
    });
    dropped.map(|(node, _)| *node).collect()
}

/// Nodes that have fallen or been captured.
type Taken = BTreeSet<NodeId>;

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(ids: &[u32]) -> Vec<NodeId> {
        ids.iter().copied().map(NodeId).collect()
    }

    #[test]
    fn scores_by_hand() {
        let case = |predicted: &[u32], fell: &[u32]| Case {
            seed: 1,
            captured: nodes(&[0]),
            predicted: nodes(predicted),
            fell: nodes(fell),
            honest: 9,
        };
        let score = Score::of(&[case(&[1, 2, 3], &[2, 3, 4]), case(&[1], &[1])]);
        assert_eq!((score.predicted, score.fell, score.both), (4, 4, 3));
        assert_eq!((score.precision, score.recall), (Some(0.75), Some(0.75)));
        assert_eq!(score.surprised, Some(1.0 / 14.0));
        let nothing = Score::of(&[case(&[], &[])]);
        assert_eq!((nothing.precision, nothing.recall, nothing.surprised), (None, None, Some(0.0)));
    }
}
