//! Compares what two runs of an experiment left behind: every column but the process ids.
#![allow(unreachable_pub, reason = "a module of several programs")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The only column in which runs of the same cell may differ.
const PROCESS: &str = "pid";

/// Differences that are told; the rest are counted.
const TOLD_MAX: usize = 10;

/// What a comparison of two folders of results came to.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Runs that were compared.
    pub cells: usize,
    /// Rows that were compared, of both tables.
    pub rows: usize,
    /// How many rows, files or runs differ or are missing on one side.
    pub differences: usize,
    /// The first of them.
    pub told: Vec<String>,
}

impl Comparison {
    /// Compares all runs in two folders of results.
    pub fn of(left: &Path, right: &Path) -> Comparison {
        let mut comparison = Comparison::default();
        let (ids, others) = (run_ids(left), run_ids(right));
        for missing in ids.symmetric_difference(&others) {
            comparison.differ(format!("run {missing} is missing on one side"));
        }
        for id in ids.intersection(&others) {
            comparison.cells += 1;
            comparison.run(&left.join("runs").join(id), &right.join("runs").join(id));
        }
        comparison
    }

    /// Panics with the first differences if there are any, or if nothing was compared.
    #[allow(dead_code, reason = "the example that includes this file prints instead")]
    pub fn assert_equal(&self) {
        assert_eq!(self.differences, 0, "{}", self.told.join("\n"));
        assert!(self.cells > 0 && self.rows > 0, "nothing was compared: {self:?}");
    }

    fn run(&mut self, left: &Path, right: &Path) {
        for name in ["rounds.csv", "nodes.csv"] {
            self.table(&left.join(name), &right.join(name));
        }
        let model = |folder: &Path| fs::read(folder.join("model.npy")).unwrap_or_default();
        if model(left).is_empty() || model(left) != model(right) {
            self.differ(format!("{} has another model.npy", left.display()));
        }
    }

    fn table(&mut self, left: &Path, right: &Path) {
        let (rows, others) = (rows_without_processes(left), rows_without_processes(right));
        self.rows += rows.len().max(others.len());
        if rows.len() != others.len() {
            let (one, other) = (rows.len(), others.len());
            self.differ(format!("{}: {one} rows against {other}", left.display()));
        }
        for (number, (row, other)) in rows.iter().zip(&others).enumerate() {
            if row != other {
                let place = format!("{}, row {number}", left.display());
                self.differ(format!("{place}:\n  {row:?}\n  {other:?}"));
            }
        }
    }

    fn differ(&mut self, what: String) {
        self.differences += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push(what);
        }
    }
}

/// A table's rows, the header first, without the column of process ids.
fn rows_without_processes(path: &Path) -> Vec<Vec<String>> {
    let Ok(mut reader) = csv::ReaderBuilder::new().has_headers(false).from_path(path) else {
        return Vec::new();
    };
    let records: Vec<csv::StringRecord> = reader.records().map_while(Result::ok).collect();
    let skipped = records.first().and_then(|header| header.iter().position(|it| it == PROCESS));
    let row = |record: &csv::StringRecord| {
        let fields = record.iter().enumerate().filter(|(column, _)| Some(*column) != skipped);
        fields.map(|(_, field)| field.to_owned()).collect()
    };
    records.iter().map(row).collect()
}

/// The names of the runs in a folder of results.
fn run_ids(results: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(results.join("runs")).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// The folders of the runs in a folder of results.
#[allow(dead_code, reason = "not every program that includes this file looks at single runs")]
pub fn run_folders(results: &Path) -> Vec<PathBuf> {
    run_ids(results).into_iter().map(|id| results.join("runs").join(id)).collect()
}
