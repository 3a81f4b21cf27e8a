//! `byzlab run`: runs an experiment, and says what came of it.

mod keeping;

use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use self::keeping::{Keeping, chosen};
use super::experiment::{Experiment, ExperimentArguments};
use super::print;
use crate::experiment::data::{Provider, Reach};
use crate::experiment::distributed::{self, Coordination};
use crate::experiment::run::{self, Cell, CellEnd, CellLine, Options};
use crate::experiment::store::{self, Summary};
use crate::experiment::sweep::label;
use crate::report::{CellResult, table};
use crate::runtime::files::DataFolders;
use crate::runtime::process::Recipe;
use crate::runtime::{self, token};

/// Runs an experiment file: every cell of its sweep, on one of the two runtimes.
///
/// The same command again goes on where it was stopped, and skips what is done.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    experiment: ExperimentArguments,
    /// Who plays the workers
    #[arg(long, value_enum, default_value_t = Runtime::Local)]
    runtime: Runtime,
    #[command(flatten)]
    output: OutputArguments,
    /// How often a worker process that is killed is started again
    #[arg(long, value_name = "TIMES", default_value_t = 3)]
    respawn: u32,
}

/// What is run where, and how it is told.
#[derive(Debug, Args)]
pub struct OutputArguments {
    /// The folder of results [default: results/NAME, as the experiment is called]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Cells that run at the same time [default: one a thread]
    #[arg(long, value_name = "J")]
    pub jobs: Option<usize>,
    /// Threads in all [default: one a core]
    #[arg(long, value_name = "T")]
    pub threads: Option<usize>,
    /// Runs again what is done
    #[arg(long)]
    pub rerun: bool,
    /// Runs these cells alone: a run id or its beginning, or a number of sweep.lock.json
    #[arg(long = "cell", value_name = "CELL")]
    pub cells: Vec<String>,
    /// Keeps what every finished cell came to as a row of this table, for `byzlab compare`
    #[arg(long, value_name = "FILE")]
    pub results: Option<PathBuf>,
    /// Prints one JSON object for each finished cell
    #[arg(long)]
    pub json: bool,
    /// Seconds that a process may stay away, from the start on, or owe an answer, before it is
    /// given up: enough to start workers by hand takes more
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    pub patience: f64,
    /// Seconds between the checkpoints of a local run
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0, hide = true)]
    pub checkpoint_seconds: f64,
}

/// Who plays the workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Runtime {
    /// This process plays everybody: fast
    Local,
    /// Every worker is a process of its own that talks gRPC: real
    Processes,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let experiment = arguments.experiment.read()?;
    let data_dir = arguments.experiment.data_dir.clone();
    match arguments.runtime {
        Runtime::Local => {
            let reach = Reach::Everything;
            execute(&experiment, &arguments.output, provider(data_dir, reach), None)
        }
        Runtime::Processes => {
            let coordination = children(arguments, &experiment)?;
            let data = provider(data_dir, Reach::OwnShards);
            execute(&experiment, &arguments.output, data, Some(coordination))
        }
    }
}

/// A provider of samples out of the user's folders.
pub fn provider(data_dir: Option<PathBuf>, reach: Reach) -> Provider {
    Provider::new(Box::new(DataFolders::from_environment(data_dir)), reach)
}

/// A coordinator on this machine, with a child for every seat.
fn children(arguments: &Arguments, experiment: &Experiment) -> anyhow::Result<Coordination> {
    let output = &arguments.output;
    let out = output.folder(experiment);
    let runs = out.join("runs");
    let mut child = vec!["worker".to_owned()];
    child.extend(arguments.experiment.for_a_child());
    child.extend(["--state".to_owned(), runs.display().to_string()]);
    child.extend(["--patience".to_owned(), output.patience.to_string()]);
    Ok(Coordination {
        listen: "127.0.0.1:0".to_owned(),
        tokens: token::draw(all_workers(experiment))?,
        patience: output.patience(),
        children: Some(Recipe {
            program: super::this_program()?,
            arguments: child,
            logs: out.join("logs"),
            respawn: arguments.respawn,
        }),
    })
}

/// Everybody who needs a secret in any cell.
pub fn all_workers(experiment: &Experiment) -> Vec<crate::node::NodeId> {
    let nodes = experiment.cells.iter().flat_map(|cell| {
        let plan = &cell.plan;
        // A coordinator plays the parts of its system itself.
        let parts = if plan.wiring.coordinated() { Vec::new() } else { plan.wiring.parts() };
        let workers = plan.roster().ids().to_vec();
        workers.into_iter().chain(parts.into_iter().map(|part| part.node))
    });
    nodes.collect::<BTreeSet<_>>().into_iter().collect()
}

impl OutputArguments {
    /// The experiment's folder.
    pub fn folder(&self, experiment: &Experiment) -> PathBuf {
        self.out.clone().unwrap_or_else(|| Path::new("results").join(&experiment.name))
    }

    /// The patience with processes.
    pub fn patience(&self) -> Duration {
        Duration::from_secs_f64(self.patience.clamp(0.0, 1e9))
    }

    fn options(&self, experiment: &Experiment, stop: Arc<AtomicBool>) -> Options {
        let threads = self.threads.unwrap_or_else(runtime::cores).max(1);
        Options {
            out: self.folder(experiment),
            jobs: self.jobs.unwrap_or(threads).max(1),
            threads,
            rerun: self.rerun,
            checkpoint_seconds: self.checkpoint_seconds,
            stop,
        }
    }
}

/// Runs the cells, keeps the user informed, and prints the tables.
pub fn execute(
    experiment: &Experiment,
    output: &OutputArguments,
    data: Provider,
    coordination: Option<Coordination>,
) -> anyhow::Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    runtime::signal::on_interrupt(Arc::clone(&stop))?;
    let options = output.options(experiment, stop);
    let chosen = chosen(experiment, &output.cells)?;
    keep_sweep(experiment, &options)?;
    let doubts: BTreeSet<String> =
        experiment.cells.iter().flat_map(|cell| cell.plan.doubts()).collect();
    for doubt in &doubts {
        tracing::warn!("{doubt}");
    }
    let keeping = output.results.as_deref().map(|file| Keeping::new(experiment, file));
    let keeping = keeping.transpose()?;
    let telling = Telling::new(experiment, &options, output.json, keeping);
    let on_end = |index: usize, end: &CellEnd| telling.end(index, end);
    let pending = run::pending(&experiment.cells, &options, &chosen, &on_end)?;
    match &coordination {
        None => run::run_local(&experiment.cells, &pending, &data, &options, &on_end)?,
        Some(coordination) => {
            let mut announce = |address: std::net::SocketAddr| telling.announce(address);
            distributed::coordinate(
                &experiment.cells,
                &pending,
                &data,
                &options,
                coordination,
                &mut announce,
                &on_end,
            )?;
        }
    }
    telling.conclude(experiment, output.json)
}

/// A finished cell, as tables read it.
fn result_of(cell: &Cell, summary: &Summary, short: bool) -> CellResult {
    let named = |(key, value): &(String, serde_json::Value)| match key.as_str() {
        "system" if short => (key.clone(), summary.system.clone()),
        _ => (key.clone(), label(value)),
    };
    CellResult {
        swept: cell.swept.iter().map(named).collect(),
        seed: summary.seed,
        accuracy: summary.final_accuracy,
        unattacked: summary.attack == "none" && summary.downfall == "none",
    }
}

/// Whether the short names of systems (`gossip:ring`) tell all systems of a sweep apart.
fn systems_have_short_names(cells: &[Cell]) -> bool {
    let mut named: BTreeMap<&str, &serde_json::Value> = BTreeMap::new();
    cells.iter().all(|cell| {
        let swept = cell.swept.iter().find(|(key, _)| key == "system");
        swept.is_some_and(|(_, value)| {
            *named.entry(cell.plan.labels.system.as_str()).or_insert(value) == value
        })
    })
}

/// Writes the sweep as it was typed, and its expansion.
fn keep_sweep(experiment: &Experiment, options: &Options) -> anyhow::Result<()> {
    store::create_folder(&options.out)?;
    let mut text = experiment.source.file().to_owned();
    for line in experiment.source.overrides() {
        text.push_str(&format!("\n# overridden on the command line: {line}\n"));
    }
    store::write_atomically(&options.out.join("sweep.toml"), text.as_bytes())?;
    let cells: Vec<serde_json::Value> = experiment
        .cells
        .iter()
        .enumerate()
        .map(|(index, cell)| {
            let swept: BTreeMap<&str, &serde_json::Value> =
                cell.swept.iter().map(|(key, value)| (key.as_str(), value)).collect();
            let run_id = cell.plan.run_id();
            json!({ "index": index, "run_id": run_id, "cell": swept, "seed": cell.plan.seed })
        })
        .collect();
    let lock = format!("{:#}\n", json!({ "name": experiment.name, "cells": cells }));
    store::write_atomically(&options.out.join("sweep.lock.json"), lock.as_bytes())?;
    Ok(())
}

/// Keeps the user informed while cells end on several threads.
struct Telling<'a> {
    cells: &'a [Cell],
    options: &'a Options,
    json: bool,
    bar: ProgressBar,
    ends: Mutex<BTreeMap<usize, CellEnd>>,
    before: AtomicUsize,
    keeping: Option<Keeping>,
}

impl<'a> Telling<'a> {
    fn new(
        experiment: &'a Experiment,
        options: &'a Options,
        json: bool,
        keeping: Option<Keeping>,
    ) -> Self {
        let bar = if std::io::stderr().is_terminal() {
            let style =
                ProgressStyle::with_template("{bar:30} {pos}/{len} cells  {elapsed}  {msg}")
                    .expect("the template is sound");
            ProgressBar::new(experiment.cells.len() as u64).with_style(style)
        } else {
            ProgressBar::hidden()
        };
        Telling {
            cells: &experiment.cells,
            options,
            json,
            bar,
            ends: Mutex::default(),
            before: AtomicUsize::new(0),
            keeping,
        }
    }

    fn announce(&self, address: std::net::SocketAddr) {
        self.bar.set_message(format!("coordinator at {address}"));
        tracing::info!("the coordinator listens at {address}");
    }

    fn end(&self, index: usize, end: &CellEnd) {
        self.bar.inc(1);
        match end {
            CellEnd::Done { summary, before } => {
                self.before.fetch_add(usize::from(*before), Ordering::Relaxed);
                self.line(index, summary);
                if let Some(keeping) = &self.keeping {
                    keeping.keep(&self.cells[index], summary, self.options);
                }
                if let Some(verdict) = summary.verdict() {
                    let run_id = &summary.run_id;
                    self.bar.suspend(|| tracing::warn!("cell {index} ({run_id}): {verdict}"));
                }
            }
            CellEnd::Failed { reason } => {
                let run_id = self.cells[index].plan.run_id();
                self.bar.suspend(|| tracing::error!("cell {index} ({run_id}) failed: {reason}"));
            }
            CellEnd::Interrupted => {}
        }
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.insert(index, end.clone());
    }

    fn line(&self, index: usize, summary: &Summary) {
        if !self.json {
            return;
        }
        let folder = self.options.folder(&summary.run_id);
        let line = CellLine::new(&self.cells[index], summary, &folder);
        let text = serde_json::to_string(&line).expect("lines serialise");
        // A reader that went away is noticed when the tables are printed.
        let _ = self.bar.suspend(|| print(&format!("{text}\n")));
    }

    /// Prints the tables, and says what is missing from them.
    fn conclude(self, experiment: &Experiment, json: bool) -> anyhow::Result<()> {
        self.bar.finish_and_clear();
        let ends = self.ends.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut done = Vec::new();
        let short = systems_have_short_names(&experiment.cells);
        let (mut failed, mut interrupted) = (0, 0);
        for (index, cell) in experiment.cells.iter().enumerate() {
            // A cell that repeats another's run is done when that is.
            let summary = match ends.get(&index) {
                Some(CellEnd::Done { summary, .. }) => Some((**summary).clone()),
                Some(CellEnd::Failed { .. }) => {
                    failed += 1;
                    None
                }
                Some(CellEnd::Interrupted) => {
                    interrupted += 1;
                    None
                }
                None => store::summary(&self.options.folder(&cell.plan.run_id())),
            };
            done.extend(summary.map(|summary| result_of(cell, &summary, short)));
        }
        if !json {
            let title = experiment.question.as_deref().unwrap_or(&experiment.name);
            print(&table::render(title, &done))?;
            print(&format!("\nresults: {}\n", self.options.out.display()))?;
        }
        self.keeping.map_or(Ok(()), Keeping::conclude)?;
        if failed > 0 {
            anyhow::bail!(
                "{failed} of {} cells failed; each says why in its FAILED.json under {}",
                experiment.cells.len(),
                self.options.out.join("runs").display()
            );
        }
        if interrupted > 0 || self.options.stop.load(Ordering::Relaxed) {
            anyhow::bail!(
                "stopped with {} of {} cells done; the same command goes on from there",
                done.len(),
                experiment.cells.len()
            );
        }
        Ok(())
    }
}
