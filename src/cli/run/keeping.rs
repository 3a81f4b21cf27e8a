//! The table of results beside an experiment, and the cells of it that are run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::super::experiment::Experiment;
use super::super::usage::Usage;
use crate::experiment::run::{Cell, Options};
use crate::experiment::store::results::{ResultRow, Results};
use crate::experiment::store::{self, Summary};
use crate::experiment::sweep::label;
use crate::runtime::RunError;

/// A table that grows as cells finish.
pub(super) struct Keeping {
    file: PathBuf,
    config: String,
    runs: Vec<String>,
    results: Mutex<(Results, Option<RunError>)>,
}

impl Keeping {
    /// Goes on with the table in `file`, if there is one.
    ///
    /// What a row says can be run again from the experiment's file alone, so nothing but seeds may
    /// be changed on the command line.
    pub(super) fn new(experiment: &Experiment, file: &Path) -> anyhow::Result<Self> {
        if experiment.changed {
            let message = "--results keeps what the experiment's file comes to as it is: write \
                           the change of --set into the file, or choose cells with --cell";
            return Err(Usage::new(message).into());
        }
        let results = match file.exists() {
            true => Results::read(&store::read_text(file)?)
                .map_err(|what| Usage::new(format!("{}: {what}", file.display())))?,
            false => Results::default(),
        };
        Ok(Keeping {
            file: file.to_owned(),
            config: experiment.file.clone(),
            runs: experiment.cells.iter().map(|cell| cell.plan.run_id()).collect(),
            results: Mutex::new((results, None)),
        })
    }

    /// Keeps what a cell came to.
    pub(super) fn keep(&self, cell: &Cell, summary: &Summary, options: &Options) {
        let folder = options.folder(&summary.run_id);
        let mut kept = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        let (results, fault) = &mut *kept;
        let written = row(&self.config, cell, summary, &folder).and_then(|row| {
            results.put(row);
            results.sort(&self.config, &self.runs);
            store::write_atomically(&self.file, results.to_text().as_bytes())
        });
        if let Err(error) = written {
            fault.get_or_insert(error);
        }
    }

    /// Says what could not be kept.
    pub(super) fn conclude(self) -> anyhow::Result<()> {
        let (_, fault) = self.results.into_inner().unwrap_or_else(PoisonError::into_inner);
        fault.map_or(Ok(()), |error| Err(error.into()))
    }
}

/// What a finished cell came to. The commit is the program's that ran it.
fn row(config: &str, cell: &Cell, summary: &Summary, folder: &Path) -> Result<ResultRow, RunError> {
    let manifest = store::manifest(folder)?;
    let text = |key: &str| manifest.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let features = manifest.get("cpu_features").and_then(Value::as_array);
    let features = features.into_iter().flatten().filter_map(Value::as_str);
    let version = manifest.get("results_version").and_then(Value::as_u64).unwrap_or_default();
    let named = |(key, value): &(String, Value)| (key.clone(), label(value));
    let (curve, averaged) = store::curves(folder)?;
    Ok(ResultRow {
        config: config.to_owned(),
        run_id: summary.run_id.clone(),
        seed: summary.seed,
        swept: cell.swept.iter().map(named).collect(),
        rounds: summary.rounds,
        results_version: version as u32,
        commit: text("commit"),
        cpu_features: features.collect::<Vec<_>>().join(" "),
        seconds: summary.seconds,
        final_digest: summary.final_digest.clone(),
        curve,
        averaged,
    })
}

/// The cells that are asked for, or all.
pub(super) fn chosen(experiment: &Experiment, asked: &[String]) -> anyhow::Result<BTreeSet<usize>> {
    if asked.is_empty() {
        return Ok((0..experiment.cells.len()).collect());
    }
    let runs: Vec<String> = experiment.cells.iter().map(|cell| cell.plan.run_id()).collect();
    let mut chosen = BTreeSet::new();
    for asked in asked {
        let found = found(&runs, asked).map_err(Usage::new)?;
        chosen.insert(found);
    }
    Ok(chosen)
}

/// The cell of that number, or of the run that begins like this.
fn found(runs: &[String], asked: &str) -> Result<usize, String> {
    if let Some(index) = asked.parse().ok().filter(|index| *index < runs.len()) {
        return Ok(index);
    }
    let begins: Vec<usize> =
        (0..runs.len()).filter(|&index| runs[index].starts_with(asked)).collect();
    // Cells that repeat each other are one run.
    match begins.as_slice() {
        [first, rest @ ..] if rest.iter().all(|&index| runs[index] == runs[*first]) => Ok(*first),
        [] => Err(format!(
            "no cell has the number `{asked}` or a run id that begins with it; there are {} cells",
            runs.len()
        )),
        several => {
            Err(format!("the run ids of {} cells begin with `{asked}`: give more", several.len()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_go_by_number_or_by_the_beginning_of_their_run() {
        let runs = ["12ab", "12cd", "5e", "12ab"].map(str::to_owned);
        assert_eq!(found(&runs, "1"), Ok(1));
        assert_eq!(found(&runs, "12a"), Ok(0), "the same run twice is one");
        assert_eq!(found(&runs, "5e"), Ok(2));
        assert!(found(&runs, "12").unwrap_err().contains("3 cells begin with `12`"));
        assert!(found(&runs, "7").unwrap_err().contains("there are 4 cells"));
    }
}
