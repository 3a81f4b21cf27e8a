//! Trials: variations of a planned run that a search asks for, run and thrown away.
//!
//! A trial is a run like any other, in a folder of its own. What it came to is read, and the
//! folders are removed when the search is over; a search that was stopped finds them again and
//! goes on.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::json;

use super::config::Config;
use super::data::Provider;
use super::plan::Plan;
use super::run::{self, Cell, CellEnd, Options};
use super::store::{self, NodeRow, Summary};
use crate::attacks::Attack;
use crate::catalog::{Choice, ConfigError};
use crate::downfalls::{Conduct, Fall};
use crate::node::{NodeId, Round};
use crate::runtime::RunError;

/// What a trial came to.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The run as a whole.
    pub summary: Summary,
    /// The accuracy of each honest node's model after the last round, 0 to 1.
    pub accuracies: BTreeMap<NodeId, f64>,
}

/// Why trials came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// A trial could not be run to its end.
    #[error("a trial with {what} failed: {reason}")]
    Failed {
        /// What is special about it.
        what: String,
        /// Why it failed.
        reason: String,
    },
    /// The user has seen enough.
    #[error("stopped; the same command goes on from there")]
    Stopped,
    /// The folder of trials cannot be used.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// A run that is to be made.
#[derive(Debug, Clone)]
pub struct Trial {
    /// What is special about it, for messages: `nodes 10, 11 captured`.
    pub what: String,
    /// The run.
    pub plan: Plan,
}

/// Where trials are run.
pub struct Trials<'a> {
    data: &'a Provider,
    options: Options,
    /// The folders above that were not there before.
    above: Vec<PathBuf>,
    on_end: &'a (dyn Fn() + Sync),
}

impl fmt::Debug for Trials<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Trials").field("options", &self.options).finish_non_exhaustive()
    }
}

impl<'a> Trials<'a> {
    /// Trials in the folder `options.out`, which is theirs alone. `on_end` is called whenever one
    /// ends, from whichever thread ran it.
    pub fn new(data: &'a Provider, options: Options, on_end: &'a (dyn Fn() + Sync)) -> Self {
        let above = options.out.ancestors().skip(1).take_while(|folder| !folder.exists());
        Trials { above: above.map(PathBuf::from).collect(), data, options, on_end }
    }

    /// Runs trials, several at a time; the outcomes are in their order.
    pub fn run(&self, trials: &[Trial]) -> Result<Vec<Outcome>, TrialError> {
        let cell = |trial: &Trial| Cell { swept: Vec::new(), plan: trial.plan.clone() };
        let cells: Vec<Cell> = trials.iter().map(cell).collect();
        let failed: Mutex<BTreeMap<usize, CellEnd>> = Mutex::default();
        let on_end = |index: usize, end: &CellEnd| {
            (self.on_end)();
            if !matches!(end, CellEnd::Done { .. }) {
                failed.lock().unwrap_or_else(PoisonError::into_inner).insert(index, end.clone());
            }
        };
        let all = (0..cells.len()).collect();
        let pending = run::pending(&cells, &self.options, &all, &on_end)?;
        run::run_local(&cells, &pending, self.data, &self.options, &on_end)?;
        let failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
        match failed.into_iter().next() {
            Some((index, CellEnd::Failed { reason })) => {
                Err(TrialError::Failed { what: trials[index].what.clone(), reason })
            }
            Some(_) => Err(TrialError::Stopped),
            None => trials.iter().map(|trial| self.outcome(trial)).collect(),
        }
    }

    /// Removes what all trials have left.
    pub fn remove(&self) -> Result<(), RunError> {
        store::remove(&self.options.out)?;
        for folder in &self.above {
            // It stays if somebody has put something into it.
            let _ = std::fs::remove_dir(folder);
        }
        Ok(())
    }

    fn outcome(&self, trial: &Trial) -> Result<Outcome, TrialError> {
        let folder = self.options.folder(&trial.plan.run_id());
        let failed = |reason| TrialError::Failed { what: trial.what.clone(), reason };
        let summary =
            store::summary(&folder).ok_or_else(|| failed("it left no summary".to_owned()))?;
        let rows = store::read_text(&folder.join("nodes.csv"))?;
        let accuracies = last_accuracies(&rows, summary.rounds)
            .map_err(|error| failed(format!("nodes.csv: {error}")))?;
        Ok(Outcome { summary, accuracies })
    }
}

/// The accuracies of the last round in `nodes.csv`.
fn last_accuracies(rows: &str, last: u32) -> Result<BTreeMap<NodeId, f64>, csv::Error> {
    let mut accuracies = BTreeMap::new();
    for row in csv::Reader::from_reader(rows.as_bytes()).deserialize() {
        let row: NodeRow = row?;
        if let Some(accuracy) = row.test_accuracy.filter(|_| row.round == last) {
            accuracies.insert(NodeId(row.node), accuracy);
        }
    }
    Ok(accuracies)
}

/// The plan of a config in whose runs parts can fall, and none do: the downfall that the config
/// asks for, if any, is put aside, and models are judged at the end alone.
pub fn standing(config: &Config, seed: u64) -> Result<Plan, Vec<ConfigError>> {
    let mut config = config.clone();
    config.evaluation.every = config.training.rounds;
    let nobody = Choice::with("crash", "count = 0").map_err(|error| vec![error])?;
    config.threat.downfall = Some(nobody);
    Plan::check(&config, seed)
}

/// The same run with `nodes`, ascending, fallen from the first round on.
///
/// A search looks beyond what rules are prepared for: that a run would be refused for more
/// corrupted neighbours than some peer's rule tolerates is not looked at again.
pub fn with_fallen(plan: &Plan, conduct: Conduct, nodes: &[NodeId]) -> Plan {
    let mut plan = plan.clone();
    let ids: Vec<u32> = nodes.iter().map(|node| node.0).collect();
    let (name, mut parameters) = match conduct {
        Conduct::Crash => ("crash", json!({})),
        Conduct::Lie { factor } => ("capture", json!({ "factor": factor })),
        Conduct::LieDifferently { factor } => {
            ("capture", json!({ "factor": factor, "differently": true }))
        }
    };
    parameters["count"] = json!(ids.len());
    parameters["nodes"] = json!(ids);
    plan.resolved["threat"]["downfall"] = json!({ name: parameters });
    name.clone_into(&mut plan.labels.downfall);
    plan.threat.fall = Some(Fall { from: Round(1), conduct });
    plan.threat.fallen = nodes.to_vec();
    plan
}

/// The same run with `nodes`, ascending, corrupted in place of those whom the plan corrupts;
/// `attack` is what they do. With no nodes everybody is honest.
pub fn with_corrupted(plan: &Plan, attack: Option<Arc<dyn Attack>>, nodes: &[NodeId]) -> Plan {
    let mut plan = plan.clone();
    let ids: Vec<u32> = nodes.iter().map(|node| node.0).collect();
    plan.resolved["threat"]["corrupted"] = json!(ids.len());
    plan.resolved["threat"]["placement"] = json!({ "list": { "nodes": ids } });
    plan.threat.attack = attack.filter(|_| !nodes.is_empty());
    if nodes.is_empty() {
        plan.threat.poison = None;
        "none".clone_into(&mut plan.labels.attack);
    }
    plan.threat.corrupted = nodes.to_vec();
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_round_counts() {
        let head = "run_id,round,node,role,outcome,loss,norm,weight,refused,bytes_sent,\
                    bytes_received,model_digest,pid,test_accuracy\n";
        let rows = "a,1,0,worker,,,,,0,1,1,,7,0.25\na,2,0,worker,,,,,0,1,1,,7,0.5\n\
                    a,2,1,fallen,,,,,0,1,1,,7,\na,2,2,worker,,,,,0,1,1,,7,0.75\n";
        let accuracies = last_accuracies(&format!("{head}{rows}"), 2).unwrap();
        assert_eq!(accuracies, BTreeMap::from([(NodeId(0), 0.5), (NodeId(2), 0.75)]));
    }
}
