//! The small version of a paper's experiments on real MNIST, and what its cells came to.

use std::fs;
use std::path::Path;

use byzlab::experiment::store::results::{ResultRow, Results, Statistic};

use crate::support::{Lab, mnist};

/// What `experiments/papers/<paper>/small.toml` comes to; nothing where MNIST is not there.
pub(super) fn small(paper: &str) -> Option<Kept> {
    let Some(data) = mnist() else {
        #[allow(clippy::print_stderr, reason = "a skipped test must say so")]
        {
            eprintln!("skipped: MNIST is not there; see `byzlab data fetch mnist`");
        }
        return None;
    };
    let papers = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments/papers");
    let lab = Lab::new(&fs::read_to_string(papers.join(paper).join("small.toml")).unwrap());
    let folder = data.parent().unwrap().to_str().unwrap().to_owned();
    let file = lab.path("results.csv");
    // A call for each cell: a busy machine takes longer for all of them than a test waits.
    let run = |cell: usize| {
        let cell = cell.to_string();
        let arguments = ["--cell", &cell, "--results", file.to_str().unwrap()];
        lab.finish("out", &[&arguments[..], &["--data-dir", &folder]].concat());
    };
    run(0);
    let lock = fs::read(lab.path("out").join("sweep.lock.json")).unwrap();
    let lock: serde_json::Value = serde_json::from_slice(&lock).unwrap();
    (1..lock["cells"].as_array().unwrap().len()).for_each(run);
    Some(Kept(Results::read(&fs::read_to_string(file).unwrap()).unwrap()))
}

/// The results of a small version.
#[derive(Debug)]
pub(super) struct Kept(Results);

impl Kept {
    /// A statistic of the only cell whose swept values begin like all of these.
    #[track_caller]
    pub(super) fn of(&self, statistic: Statistic, values: &[&str]) -> f64 {
        let named = |row: &&ResultRow| {
            values.iter().all(|value| row.swept.iter().any(|(_, found)| found.starts_with(value)))
        };
        let rows: Vec<&ResultRow> = self.0.rows.iter().filter(named).collect();
        let [row] = rows[..] else { panic!("{} cells are {values:?}", rows.len()) };
        statistic.of(row.curve_of(statistic)).unwrap()
    }

    /// The greatest accuracy of the cell with just this value, under an attack.
    #[track_caller]
    pub(super) fn greatest_where(&self, value: &str, attack: &str) -> f64 {
        let has = |row: &&ResultRow| row.swept.iter().any(|(_, found)| found == value);
        let only = Kept(Results { rows: self.0.rows.iter().filter(has).cloned().collect() });
        only.greatest(&[attack])
    }

    /// The greatest accuracy of a cell.
    #[track_caller]
    pub(super) fn greatest(&self, values: &[&str]) -> f64 {
        self.of(Statistic::Maximum, values)
    }

    /// The accuracy of a cell over its last five evaluations.
    #[track_caller]
    pub(super) fn last_five(&self, values: &[&str]) -> f64 {
        self.of(Statistic::LastFive, values)
    }
}
