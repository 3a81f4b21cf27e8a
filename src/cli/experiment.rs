//! What `run`, `coordinator` and `worker` share: an experiment file, read and checked.

use std::path::{Path, PathBuf};

use clap::Args;

use super::usage::Usage;
use crate::catalog::ConfigError;
use crate::experiment::plan::Plan;
use crate::experiment::run::Cell;
use crate::experiment::source::Source;
use crate::experiment::store;
use crate::experiment::sweep::Sweep;

/// Problems that are shown at once; more would scroll the first ones away.
const SHOWN_MAX: usize = 20;

/// An experiment file and what is changed in it.
#[derive(Debug, Clone, Args)]
pub struct ExperimentArguments {
    /// The experiment file
    #[arg(value_name = "CONFIG")]
    pub config: PathBuf,
    /// Replaces a value: `training.rounds=10`, `aggregation.rule=krum`; ends a sweep over the key
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Replaces the seeds: `1,2,3`
    #[arg(long, value_name = "SEEDS", value_delimiter = ',')]
    pub seeds: Vec<u64>,
    /// Looks for data files in this folder first, then in $BYZLAB_DATA, then in the user's cache
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// An experiment that can be run.
#[derive(Debug)]
pub struct Experiment {
    /// Its name.
    pub name: String,
    /// The name of its file, without the folder.
    pub file: String,
    /// Whether anything but seeds was changed on the command line.
    pub changed: bool,
    /// Its question.
    pub question: Option<String>,
    /// The text it was read from.
    pub source: Source,
    /// Its cells.
    pub cells: Vec<Cell>,
}

impl ExperimentArguments {
    /// Reads the file, expands the sweep and checks every cell; all problems come in one message.
    pub fn read(&self) -> anyhow::Result<Experiment> {
        let bytes = read_bytes(&self.config)?;
        let path = self.config.display().to_string();
        let mut source = Source::new(path, &bytes).map_err(Usage::from)?;
        for assignment in &self.set {
            source = source.set(assignment);
        }
        if !self.seeds.is_empty() {
            source = source.seeds(&self.seeds);
        }
        let shown = |problems: Vec<ConfigError>| refusal(&source, &problems);
        let read = Sweep::read(&source).map_err(shown)?;
        let mut cells = Vec::new();
        let mut problems = Vec::new();
        for cell in &read {
            match Plan::check(&cell.config, cell.seed) {
                Ok(plan) => cells.push(Cell { swept: cell.swept.clone(), plan }),
                Err(found) => problems.extend(found),
            }
        }
        if !problems.is_empty() {
            return Err(shown(problems).into());
        }
        let (name, question) = read
            .first()
            .map(|cell| (cell.config.name.clone(), cell.config.question.clone()))
            .unwrap_or_default();
        let file = self.config.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Experiment { name, file, changed: !self.set.is_empty(), question, source, cells })
    }

    /// The arguments that make a child read the same.
    pub fn for_a_child(&self) -> Vec<String> {
        let mut arguments = vec![self.config.display().to_string()];
        for assignment in &self.set {
            arguments.extend(["--set".to_owned(), assignment.clone()]);
        }
        if !self.seeds.is_empty() {
            let seeds: Vec<String> = self.seeds.iter().map(u64::to_string).collect();
            arguments.extend(["--seeds".to_owned(), seeds.join(",")]);
        }
        if let Some(folder) = &self.data_dir {
            arguments.extend(["--data-dir".to_owned(), folder.display().to_string()]);
        }
        arguments
    }
}

/// Everything that is wrong, each problem once.
fn refusal(source: &Source, problems: &[ConfigError]) -> Usage {
    let mut told: Vec<ConfigError> = Vec::new();
    for problem in problems {
        if !told.contains(problem) {
            told.push(problem.clone());
        }
    }
    let colour = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let more = told.len().saturating_sub(SHOWN_MAX);
    told.truncate(SHOWN_MAX);
    let mut text = format!("the config cannot be run\n\n{}", source.render_all(&told, colour));
    if more > 0 {
        text.push_str(&format!("\n\nand {more} more"));
    }
    Usage::new(text)
}

fn read_bytes(path: &Path) -> anyhow::Result<Vec<u8>> {
    store::read_bounded(path, crate::experiment::source::BYTES_MAX + 1).map_err(|error| {
        let path = path.display();
        Usage::new(format!("{path}: {error}; name an experiment file, a TOML file")).into()
    })
}
