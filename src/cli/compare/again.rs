//! A committed cell, run again to the same digest.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::super::experiment::ExperimentArguments;
use super::super::print;
use super::super::run::provider;
use super::super::usage::Usage;
use super::Arguments;
use crate::RESULTS_VERSION;
use crate::experiment::data::Reach;
use crate::experiment::run::{self, CellEnd, Options};
use crate::experiment::store::results::{ResultRow, Results};
use crate::runtime;

/// Runs the cells whose run id begins like this, one after the other, with all threads.
pub(super) fn run(
    folder: &Path,
    results: &Results,
    asked: &str,
    arguments: &Arguments,
) -> anyhow::Result<()> {
    let is_asked = |row: &&ResultRow| asked == "all" || row.run_id.starts_with(asked);
    let rows: Vec<&ResultRow> = results.rows.iter().filter(is_asked).collect();
    if rows.is_empty() {
        let runs = results.rows.len();
        let file = folder.join("results.csv");
        let message =
            format!("none of the {runs} runs in {} begins with `{asked}`", file.display());
        return Err(Usage::new(message).into());
    }
    let mut differ = 0;
    for row in &rows {
        let digest = digest(folder, row, arguments)?;
        let same = digest == row.final_digest;
        differ += usize::from(!same);
        let word = if same { "the same digest" } else { "ANOTHER DIGEST" };
        print(&format!("{}  {word}  {}\n", row.run_id, &digest))?;
        if !same {
            print(&said(row))?;
        }
    }
    if differ > 0 {
        anyhow::bail!("{differ} of {} cells come to another digest", rows.len());
    }
    Ok(())
}

/// What may have made a difference.
fn said(row: &ResultRow) -> String {
    let here = runtime::cpu_features().join(" ");
    format!(
        "  the table has {}\n  by commit {} with {}; here: commit {} with {here}\n",
        row.final_digest,
        row.commit,
        row.cpu_features,
        env!("BYZLAB_COMMIT"),
    )
}

/// Runs a row's cell anew.
fn digest(folder: &Path, row: &ResultRow, arguments: &Arguments) -> anyhow::Result<String> {
    if row.results_version != RESULTS_VERSION {
        anyhow::bail!(
            "run {} has the bits of results version {}, and this program makes those of {}: run \
             the cell anew with `byzlab run {} --results {}`",
            row.run_id,
            row.results_version,
            RESULTS_VERSION,
            folder.join(&row.config).display(),
            folder.join("results.csv").display(),
        );
    }
    let experiment = ExperimentArguments {
        config: folder.join(&row.config),
        set: Vec::new(),
        seeds: vec![row.seed],
        data_dir: arguments.data_dir.clone(),
    };
    let experiment = experiment.read()?;
    let index = experiment.cells.iter().position(|cell| cell.plan.run_id() == row.run_id);
    let Some(index) = index else {
        anyhow::bail!(
            "no cell of {} is run {} any more: it was changed since",
            folder.join(&row.config).display(),
            row.run_id
        );
    };
    let out = arguments.out.clone();
    let stop = Arc::new(AtomicBool::new(false));
    runtime::signal::on_interrupt(Arc::clone(&stop))?;
    let options = Options {
        out: out.unwrap_or_else(|| Path::new("results").join(format!("{}_again", experiment.name))),
        jobs: 1,
        threads: runtime::cores(),
        rerun: true,
        checkpoint_seconds: 10.0,
        stop,
    };
    let end = std::sync::Mutex::new(None);
    let on_end = |_: usize, found: &CellEnd| {
        let mut end = end.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *end = Some(found.clone());
    };
    let cells = &experiment.cells;
    let pending = run::pending(cells, &options, &[index].into(), &on_end)?;
    let data = provider(arguments.data_dir.clone(), Reach::Everything);
    run::run_local(cells, &pending, &data, &options, &on_end)?;
    match end.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        Some(CellEnd::Done { summary, .. }) => Ok(summary.final_digest),
        Some(CellEnd::Failed { reason }) => anyhow::bail!("run {} failed: {reason}", row.run_id),
        _ => anyhow::bail!("run {} was stopped", row.run_id),
    }
}
