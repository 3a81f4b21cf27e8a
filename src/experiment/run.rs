//! Runs the cells of an experiment: which are done, which are to be run, on which runtime.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use serde_json::{Value, json};

use super::casting;
use super::data::{LoadError, Provider};
use super::plan::Plan;
use super::recorder::{Recorder, Settings};
use super::store::{self, RunFolder, Summary};
use crate::RESULTS_VERSION;
use crate::node::Round;
use crate::runtime::{self, Machines, RunError, Seat};

/// One cell: what was swept in it, and the plan.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The swept keys and their values, in the order of the axes.
    pub swept: Vec<(String, Value)>,
    /// The checked plan.
    pub plan: Plan,
}

/// How cells are run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The experiment's folder.
    pub out: PathBuf,
    /// Cells that run at the same time.
    pub jobs: usize,
    /// Threads in all.
    pub threads: usize,
    /// Whether finished runs are run again.
    pub rerun: bool,
    /// Seconds between the checkpoints of a local run.
    pub checkpoint_seconds: f64,
    /// Set when everything is to stop.
    pub stop: Arc<AtomicBool>,
}

impl Options {
    /// The folder of a run.
    pub fn folder(&self, run_id: &str) -> PathBuf {
        self.out.join("runs").join(run_id)
    }
}

/// What became of a cell.
#[derive(Debug, Clone)]
pub enum CellEnd {
    /// It is complete, now or from an earlier run.
    Done {
        /// What it came to.
        summary: Box<Summary>,
        /// Whether it had been complete before.
        before: bool,
    },
    /// It cannot be completed; the others go on.
    Failed {
        /// Why.
        reason: String,
    },
    /// It was stopped and can be resumed.
    Interrupted,
}

/// A finished cell as `--json` prints it.
#[derive(Debug, Serialize)]
pub struct CellLine<'a> {
    /// The run.
    pub run_id: &'a str,
    /// The swept keys and their values.
    pub cell: BTreeMap<&'a str, &'a Value>,
    /// The degree of decentralization.
    pub system: &'a str,
    /// Which runtime drove it.
    pub runtime: &'a str,
    /// The rule.
    pub rule: &'a str,
    /// The attack, or `none`.
    pub attack: &'a str,
    /// What became of the system's parts, or `none`.
    pub downfall: &'a str,
    /// The partition.
    pub partition: &'a str,
    /// The seed.
    pub seed: u64,
    /// How many rounds were closed.
    pub rounds: u32,
    /// Accuracy of the worst honest node on the test set after the last round, 0 to 1.
    pub final_accuracy: f64,
    /// Mean cross-entropy on the test set after the last round.
    pub final_loss: f64,
    /// The same on the training samples that were held out; absent where none were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub final_validation_accuracy: Option<f64>,
    /// Mean cross-entropy on them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub final_validation_loss: Option<f64>,
    /// The digest of the last model, or over all models in node order.
    pub final_digest: &'a str,
    /// The accuracy that a tenth of the honest nodes do not exceed.
    pub accuracy_p10: f64,
    /// The median accuracy over honest nodes.
    pub accuracy_median: f64,
    /// The mean accuracy over honest nodes.
    pub accuracy_mean: f64,
    /// The accuracy of the mean of all honest models, which nobody holds.
    pub averaged_model_accuracy: f64,
    /// The mean squared distance of honest models to their mean.
    pub disagreement: f64,
    /// The share of rounds for which more of the corrupted were drawn than were declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overdrawn: Option<f64>,
    /// The share of rounds, over honest workers, that came to something.
    pub availability: f64,
    /// How long the run takes on the configured network, in seconds.
    pub virtual_seconds: f64,
    /// Encoded bytes that all nodes sent.
    pub bytes_total: u64,
    /// Encoded bytes of the busiest node of each round.
    pub bytes_busiest: u64,
    /// Rounds in which the rule refused the rows.
    pub skipped: u32,
    /// Messages that were refused.
    pub refused: u64,
    /// The run's folder.
    pub out: String,
}

impl<'a> CellLine<'a> {
    /// The line of a cell that is done.
    pub fn new(cell: &'a Cell, summary: &'a Summary, folder: &Path) -> Self {
        CellLine {
            run_id: &summary.run_id,
            cell: cell.swept.iter().map(|(key, value)| (key.as_str(), value)).collect(),
            system: &summary.system,
            runtime: &summary.runtime,
            rule: &summary.rule,
            attack: &summary.attack,
            downfall: &summary.downfall,
            partition: &summary.partition,
            seed: summary.seed,
            rounds: summary.rounds,
            final_accuracy: summary.final_accuracy,
            final_loss: summary.final_loss,
            final_validation_accuracy: summary.final_validation_accuracy,
            final_validation_loss: summary.final_validation_loss,
            final_digest: &summary.final_digest,
            accuracy_p10: summary.accuracy_p10,
            accuracy_median: summary.accuracy_median,
            accuracy_mean: summary.accuracy_mean,
            averaged_model_accuracy: summary.averaged_model_accuracy,
            disagreement: summary.disagreement,
            overdrawn: summary.overdrawn,
            availability: summary.availability,
            virtual_seconds: summary.virtual_seconds,
            bytes_total: summary.bytes_total,
            bytes_busiest: summary.bytes_busiest,
            skipped: summary.skipped,
            refused: summary.refused,
            out: folder.display().to_string(),
        }
    }
}

/// Told of every cell that ends, from whichever thread ran it.
pub type OnEnd<'a> = dyn Fn(usize, &CellEnd) + Sync + 'a;

/// The `chosen` cells that are still to be run: neither done before, nor the same run as an earlier
/// cell.
///
/// The ends of those that are done are told at once.
pub fn pending(
    cells: &[Cell],
    options: &Options,
    chosen: &BTreeSet<usize>,
    on_end: &OnEnd<'_>,
) -> Result<Vec<usize>, RunError> {
    let mut seen = BTreeSet::new();
    let mut pending = Vec::new();
    for (index, cell) in cells.iter().enumerate() {
        let run_id = cell.plan.run_id();
        let folder = options.folder(&run_id);
        if !chosen.contains(&index) {
            continue;
        }
        if options.rerun && seen.insert(run_id.clone()) {
            store::remove(&folder)?;
            pending.push(index);
            continue;
        }
        match store::summary(&folder) {
            Some(summary) => {
                on_end(index, &CellEnd::Done { summary: Box::new(summary), before: true });
            }
            None if seen.insert(run_id) => pending.push(index),
            None => {}
        }
    }
    Ok(pending)
}

/// Runs cells in this process, several at a time.
pub fn run_local(
    cells: &[Cell],
    pending: &[usize],
    data: &Provider,
    options: &Options,
    on_end: &OnEnd<'_>,
) -> Result<(), RunError> {
    let work = |index: usize| {
        let end = if options.stop.load(Ordering::Relaxed) {
            CellEnd::Interrupted
        } else {
            end_of(run_one(&cells[index].plan, data, options), &cells[index].plan, options)
        };
        on_end(index, &end);
    };
    runtime::local::for_each(pending, options.jobs, options.threads, work)
}

/// Runs one cell in this process, from its last checkpoint if it has one.
fn run_one(plan: &Plan, data: &Provider, options: &Options) -> Result<Summary, CellError> {
    let folder = options.folder(&plan.run_id());
    let held_out = data.held_out(plan)?;
    let mut machines = Machines::new();
    let seats = plan.cast().seats();
    for &seat in &seats {
        machines.insert(seat, casting::machine(plan, seat, data)?);
    }
    let (folder, resumed) = RunFolder::open(&folder, &config_toml(plan), &seats)?;
    let (closed, totals) = match &resumed {
        Some(resumed) => (resumed.round, resumed.totals.clone()),
        None => (Round(0), store::Totals::default()),
    };
    if let Some(resumed) = &resumed {
        for (seat, machine) in &mut machines {
            restore(*seat, machine.as_mut(), resumed)?;
        }
    }
    let settings = Settings {
        runtime: "local",
        checkpoint_every_round: false,
        checkpoint_seconds: options.checkpoint_seconds,
        stop: Arc::clone(&options.stop),
    };
    let mut recorder = Recorder::new(plan.clone(), held_out, folder, settings, closed, totals);
    recorder.begin()?;
    if plan.wiring.coordinated() {
        runtime::local::run(&plan.cast(), machines, &mut recorder)?;
    } else {
        runtime::lockstep::run(&plan.cast(), machines, &mut recorder)?;
    }
    Ok(recorder.finish(&manifest(plan, "local", options.threads))?)
}

/// Gives a machine the state that a checkpoint kept of its seat.
pub(super) fn restore(
    seat: Seat,
    machine: &mut dyn crate::protocol::Machine,
    resumed: &store::Resumed,
) -> Result<(), RunError> {
    let Some(state) = store::state_of(&resumed.states, seat) else { return Ok(()) };
    machine.restore(state).map_err(|error| RunError::Machine { seat, error })
}

/// Why a cell ended early.
#[derive(Debug, thiserror::Error)]
pub enum CellError {
    /// Its samples could not be had.
    #[error(transparent)]
    Data(#[from] LoadError),
    /// It could not be run to its end.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Turns a cell's result into its end, and leaves `FAILED.json` behind where it failed.
pub fn end_of(result: Result<Summary, CellError>, plan: &Plan, options: &Options) -> CellEnd {
    match result {
        Ok(summary) => CellEnd::Done { summary: Box::new(summary), before: false },
        Err(CellError::Run(RunError::Interrupted)) => CellEnd::Interrupted,
        // The folder is another process's: nothing is left in it.
        Err(CellError::Run(error @ RunError::Busy(_))) => {
            CellEnd::Failed { reason: error.to_string() }
        }
        Err(error) => {
            let reason = error.to_string();
            // The reason is told as well; a folder that cannot be written adds nothing to it.
            let _ = store::failed(&options.folder(&plan.run_id()), &reason);
            CellEnd::Failed { reason }
        }
    }
}

/// The cell's own config file: resolved, and runnable by itself.
pub fn config_toml(plan: &Plan) -> String {
    let table = toml::to_string(&plan.resolved).expect("a resolved config has no nulls");
    format!("# One cell, with every default written out.\n{table}")
}

/// What was run by what.
pub fn manifest(plan: &Plan, runtime: &str, threads: usize) -> Value {
    json!({
        "run_id": plan.run_id(),
        "version": env!("CARGO_PKG_VERSION"),
        "commit": env!("BYZLAB_COMMIT"),
        "target": env!("BYZLAB_TARGET"),
        "results_version": RESULTS_VERSION,
        "cpu_features": runtime::cpu_features(),
        "runtime": runtime,
        "threads": threads,
        "data": plan.dataset.resolved(),
        "scale": plan.scale,
        "data_files": plan
            .dataset
            .value
            .files(crate::dataset::Split::Train)
            .iter()
            .chain(&plan.dataset.value.files(crate::dataset::Split::Test))
            .map(|file| json!({ "name": file.name, "sha256": file.digest() }))
            .collect::<Vec<Value>>(),
        "finished_unix_seconds": runtime::unix_seconds(),
    })
}
