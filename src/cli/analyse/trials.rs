//! What analyses that run an experiment's cells share: the cells, a folder, a bar.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;
use indicatif::ProgressBar;
use serde_json::Value;

use crate::cli::experiment::{Experiment, ExperimentArguments};
use crate::cli::run::provider;
use crate::cli::usage::Usage;
use crate::experiment::data::Reach;
use crate::experiment::plan::Plan;
use crate::experiment::run::Options;
use crate::experiment::sweep::{Sweep, label};
use crate::experiment::trial::{self, TrialError, Trials};
use crate::runtime;

/// Seconds between the checkpoints of a trial.
const CHECKPOINT_SECONDS: f64 = 60.0;

/// An experiment whose cells are tried in many variations.
#[derive(Debug, Args)]
pub(super) struct TrialArguments {
    #[command(flatten)]
    experiment: ExperimentArguments,
    /// The folder for trials, which are removed when all is done [default: results/NAME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Threads in all; the result does not depend on it [default: one a core]
    #[arg(long, value_name = "T")]
    threads: Option<usize>,
    /// Prints one JSON object for each combination of swept values
    #[arg(long)]
    pub(super) json: bool,
}

/// One combination of swept values: the same cell, once for each seed.
pub(super) struct Group {
    /// The swept keys and their values.
    pub(super) swept: Vec<(String, Value)>,
    /// The plans, in the order of the seeds.
    pub(super) plans: Vec<Plan>,
}

impl Group {
    /// The swept values as a JSON object.
    pub(super) fn cell(&self) -> BTreeMap<&str, &Value> {
        self.swept.iter().map(|(key, value)| (key.as_str(), value)).collect()
    }

    /// The swept values in few characters, after what they belong to: nothing, or ` (key=value)`.
    pub(super) fn suffix(&self) -> String {
        let swept = self.swept.iter().filter(|(key, _)| key != "system");
        let shown: Vec<String> =
            swept.map(|(key, value)| format!("{key}={}", label(value))).collect();
        if shown.is_empty() { String::new() } else { format!(" ({})", shown.join(", ")) }
    }
}

/// Why an analysis ended early.
pub(super) enum End {
    /// The user asked for what cannot be done.
    Usage(String),
    /// A trial came to nothing.
    Trial(TrialError),
}

impl TrialArguments {
    /// The cells, put together by their swept values; nobody falls in them yet.
    pub(super) fn groups(&self) -> anyhow::Result<(Experiment, Vec<Group>)> {
        let experiment = self.experiment.read()?;
        let refused = |problems: Vec<_>| {
            let colour = std::io::stderr().is_terminal();
            let shown = experiment.source.render_all(&problems, colour);
            Usage::new(format!("the config cannot be analysed\n\n{shown}"))
        };
        let mut groups: Vec<Group> = Vec::new();
        for cell in Sweep::read(&experiment.source).map_err(refused)? {
            let plan = trial::standing(&cell.config, cell.seed).map_err(refused)?;
            match groups.last_mut().filter(|group| group.swept == cell.swept) {
                Some(group) => group.plans.push(plan),
                None => groups.push(Group { swept: cell.swept, plans: vec![plan] }),
            }
        }
        Ok((experiment, groups))
    }

    /// Has `work` done for each group, with trials in a folder of their own that is removed
    /// afterwards, unless the user stopped it.
    pub(super) fn each<T>(
        &self,
        name: &str,
        experiment: &Experiment,
        groups: &[Group],
        mut work: impl FnMut(&Group, &Trials<'_>) -> Result<T, End>,
    ) -> anyhow::Result<Vec<T>> {
        let stop = Arc::new(AtomicBool::new(false));
        runtime::signal::on_interrupt(Arc::clone(&stop))?;
        let out = self.out.clone().unwrap_or_else(|| Path::new("results").join(&experiment.name));
        let threads = self.threads.unwrap_or_else(runtime::cores).max(1);
        let options = Options {
            out: out.join(name),
            jobs: threads,
            threads,
            rerun: false,
            checkpoint_seconds: CHECKPOINT_SECONDS,
            stop,
        };
        let data = provider(self.experiment.data_dir.clone(), Reach::Everything);
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::new_spinner().with_message("trials")
        } else {
            ProgressBar::hidden()
        };
        let on_end = || bar.inc(1);
        let trials = Trials::new(&data, options, &on_end);
        let done: Result<Vec<T>, End> = groups.iter().map(|group| work(group, &trials)).collect();
        bar.finish_and_clear();
        if !matches!(done, Err(End::Trial(TrialError::Stopped))) {
            trials.remove()?;
        }
        done.map_err(|end| match end {
            End::Usage(message) => Usage::new(message).into(),
            End::Trial(error) => error.into(),
        })
    }
}
