//! `byzlab compare`: published numbers beside our own, from a folder that holds both.

mod again;

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use super::print;
use super::usage::Usage;
use crate::experiment::store;
use crate::experiment::store::results::Results;
use crate::report::expected::{self, Comparison, Place};

/// Sets published numbers beside our own.
///
/// The folder holds experiment files, `expected.csv` with what was published, and `results.csv`
/// with what the experiments came to (`byzlab run CONFIG --results FILE`). The exit code is 1 if
/// one of ours lies outside of its band; cells that have not been run are told, and are no failure.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The folder with expected.csv and results.csv
    #[arg(long, value_name = "FOLDER")]
    expected: PathBuf,
    /// Runs one committed cell again, by its run id or its beginning, and compares the digests;
    /// `all` runs all of them
    #[arg(long, value_name = "RUN")]
    again: Option<String>,
    /// Where a cell that is run again leaves its files [default: results/NAME_again]
    #[arg(long, value_name = "DIR", requires = "again")]
    out: Option<PathBuf>,
    /// Looks for data files in this folder first, then in $BYZLAB_DATA, then in the user's cache
    #[arg(long, value_name = "DIR", requires = "again")]
    data_dir: Option<PathBuf>,
    /// Prints one JSON object for each number
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let folder = &arguments.expected;
    let results = results(folder)?;
    if let Some(run) = &arguments.again {
        return again::run(folder, &results, run, arguments);
    }
    let file = folder.join("expected.csv");
    let named = |what: String| Usage::new(format!("{}: {what}", file.display()));
    let text = store::read_text(&file).map_err(|error| Usage::new(error.to_string()))?;
    let expectations = expected::read(&text).map_err(named)?;
    let comparisons = expected::compare(&expectations, &results).map_err(named)?;
    if arguments.json {
        for comparison in &comparisons {
            print(&format!("{}\n", line(comparison)))?;
        }
    } else {
        let name = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy();
        print(&expected::render(&name, &comparisons))?;
    }
    let outside = comparisons.iter().filter(|found| found.place() == Place::Outside).count();
    if outside > 0 {
        anyhow::bail!("{outside} of {} numbers lie outside of their band", comparisons.len());
    }
    Ok(())
}

/// The folder's own results; none where no cell is there yet.
fn results(folder: &Path) -> anyhow::Result<Results> {
    let file = folder.join("results.csv");
    if !file.exists() {
        return Ok(Results::default());
    }
    let text = store::read_text(&file)?;
    let results = Results::read(&text);
    Ok(results.map_err(|what| Usage::new(format!("{}: {what}", file.display())))?)
}

fn line(comparison: &Comparison) -> serde_json::Value {
    let expectation = &comparison.expectation;
    let keys: std::collections::BTreeMap<&str, &str> =
        expectation.keys.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    json!({
        "cell": keys,
        "metric": expectation.metric.name(),
        "over": expectation.over.to_string(),
        "ours": comparison.ours,
        "theirs": expectation.expected,
        "difference": comparison.difference(),
        "low": expectation.low,
        "high": expectation.high,
        "place": match comparison.place() {
            Place::Inside => "inside",
            Place::Outside => "outside",
            Place::Missing => "missing",
        },
        "cells": comparison.cells,
        "seeds": comparison.seeds,
        "source": expectation.source,
    })
}
