//! `byzlab data`: which data sets there are, whether their files are right, and getting them.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::list::wrap;
use crate::catalog::ConfigError;
use crate::dataset::Split;
use crate::datasets::{CATALOG, DataError, Dataset, FROM_PATHS, File, Manifest};
use crate::runtime::fetch::{Fetcher, Progress, addresses};
use crate::runtime::files::DataFolders;

/// Lists, checks and fetches data sets.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Shows every data set: built in, found where, or missing
    List(List),
    /// Reads all files of the sets and holds them to their digests; fails if one is not right
    Check(Check),
    /// Downloads the files of a set that are missing or broken
    Fetch(Fetch),
}

/// What `data list` takes.
#[derive(Debug, Args)]
pub struct List {
    /// Looks in this folder first
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Prints JSON
    #[arg(long)]
    pub json: bool,
}

/// What `data check` takes.
#[derive(Debug, Args)]
pub struct Check {
    /// The sets to check; all if none is named
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Looks in this folder first
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Prints JSON
    #[arg(long)]
    pub json: bool,
}

/// What `data fetch` takes.
#[derive(Debug, Args)]
pub struct Fetch {
    /// The set to fetch
    pub name: String,
    /// Fetches into this folder, if the files are not found anywhere else
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Asks this address in place of the manifest's; it serves the files by their names
    #[arg(long = "mirror", value_name = "URL")]
    pub mirrors: Vec<String>,
    /// Touches no network: says what would be fetched, and from where
    #[arg(long)]
    pub offline: bool,
}

/// Runs the command that was given.
pub fn run(arguments: Arguments) -> anyhow::Result<()> {
    let mut output = io::stdout().lock();
    match arguments.command {
        Command::List(list) => list.run(&mut output),
        Command::Check(check) => check.run(&mut output),
        Command::Fetch(fetch) => fetch.run(&mut output),
    }
}

impl List {
    /// Prints one line per set. Files are found, not read.
    pub fn run(&self, output: &mut dyn Write) -> anyhow::Result<()> {
        let folders = DataFolders::from_environment(self.data_dir.clone());
        let sets = every_set()?;
        let rows: Vec<Listed> = sets.iter().map(|set| Listed::of(set, &folders)).collect();
        if self.json {
            return print_json(output, &rows);
        }
        let mut table = vec![["SET", "SAMPLES", "SIZE", "WHERE"].map(str::to_owned)];
        table.extend(rows.iter().map(Listed::cells));
        print_table(output, &table)?;
        for (name, licence) in rows.iter().filter_map(|row| Some((row.name, row.licence?))) {
            let lines = wrap(&format!("Licence of {name}: {licence}."), 80);
            writeln!(output, "\n{}", lines.join("\n"))?;
        }
        let own = FROM_PATHS.join(", ");
        writeln!(output, "\nFrom files of your own, which an experiment names by `path`: {own}.")?;
        Ok(())
    }
}

impl Check {
    /// Prints one line per file, and fails if one is not right.
    pub fn run(&self, output: &mut dyn Write) -> anyhow::Result<()> {
        let folders = DataFolders::from_environment(self.data_dir.clone());
        let sets = if self.names.is_empty() { every_set()? } else { named_sets(&self.names)? };
        let rows: Vec<Checked> =
            sets.iter().flat_map(Set::files).map(|file| Checked::of(file, &folders)).collect();
        if self.json {
            print_json(output, &rows)?;
        } else {
            for set in sets.iter().filter(|set| set.manifest().is_none()) {
                writeln!(output, "{}: built in, nothing to check", set.name)?;
            }
            for row in &rows {
                writeln!(output, "{}", row.line())?;
            }
        }
        let wrong = rows.iter().filter(|row| row.state != State::Right).count();
        if wrong > 0 {
            bail!("{wrong} of {} files are missing or broken", rows.len());
        }
        Ok(())
    }
}

impl Fetch {
    /// Fetches what is not there, and says where everything is.
    pub fn run(&self, output: &mut dyn Write) -> anyhow::Result<()> {
        let folders = DataFolders::from_environment(self.data_dir.clone());
        let set = set(&self.name)?;
        let Some(manifest) = set.manifest() else {
            writeln!(output, "{} is built in: there is nothing to fetch", set.name)?;
            return Ok(());
        };
        let files = set.files();
        let absent: Vec<&File> =
            files.iter().copied().filter(|file| folders.check(file).is_err()).collect();
        if absent.is_empty() {
            let places = places(&files, &folders).join(", ");
            writeln!(output, "{} is already there and right, in {places}", set.name)?;
            return Ok(());
        }
        let mirrors = if self.mirrors.is_empty() { &manifest.mirrors } else { &self.mirrors };
        if self.offline {
            bail!(would_fetch(&absent, mirrors, &folders));
        }
        let mut display = Display::new();
        let fetched = Fetcher::new()
            .fetch(&files, mirrors, &folders, &mut |progress| display.show(progress))
            .with_context(|| format!("{} was not fetched", set.name))?;
        drop(display);
        for path in &fetched {
            writeln!(output, "{}", path.display())?;
        }
        writeln!(output, "licence: {}", manifest.licence)?;
        Ok(())
    }
}

/// A member of the catalog, made with its defaults.
struct Set {
    name: &'static str,
    dataset: std::sync::Arc<dyn Dataset>,
}

impl Set {
    fn manifest(&self) -> Option<&'static Manifest> {
        self.dataset.manifest()
    }

    fn files(&self) -> Vec<&'static File> {
        [Split::Train, Split::Test].iter().flat_map(|&split| self.dataset.files(split)).collect()
    }
}

fn set(name: &str) -> Result<Set, ConfigError> {
    let member = CATALOG.build_default(name)?;
    Ok(Set { name: member.name, dataset: member.value })
}

fn named_sets(names: &[String]) -> Result<Vec<Set>, ConfigError> {
    names.iter().map(|name| set(name)).collect()
}

/// All sets that are what they are without an experiment that names their files.
fn every_set() -> Result<Vec<Set>, ConfigError> {
    let names = CATALOG.entries.iter().map(|entry| entry.name);
    names.filter(|name| !FROM_PATHS.contains(name)).map(set).collect()
}

/// One row of `data list`.
#[derive(Debug, Serialize)]
struct Listed {
    name: &'static str,
    train: usize,
    test: usize,
    built_in: bool,
    /// Bytes of the unpacked files.
    bytes: u64,
    /// Folders in which files of the set were found.
    found: Vec<String>,
    missing: Vec<&'static str>,
    licence: Option<&'static str>,
    origin: Option<&'static str>,
}

impl Listed {
    fn of(set: &Set, folders: &DataFolders) -> Self {
        let files = set.files();
        let missing = files.iter().filter(|file| folders.find(file).is_err());
        Listed {
            name: set.name,
            train: set.dataset.len(Split::Train),
            test: set.dataset.len(Split::Test),
            built_in: set.manifest().is_none(),
            bytes: files.iter().map(|file| file.bytes).sum(),
            found: places(&files, folders),
            missing: missing.map(|file| file.name.as_str()).collect(),
            licence: set.manifest().map(|manifest| manifest.licence.as_str()),
            origin: set.manifest().map(|manifest| manifest.origin.as_str()),
        }
    }

    fn cells(&self) -> [String; 4] {
        let size = if self.built_in { "-".to_owned() } else { megabytes(self.bytes) };
        let found = self.found.join(", ");
        let place = match (self.built_in, self.missing.len(), found.is_empty()) {
            (true, ..) => "built in".to_owned(),
            (false, 0, _) => found,
            (false, _, true) => format!("missing: byzlab data fetch {}", self.name),
            (false, count, false) => format!("{found}; {count} missing"),
        };
        [self.name.to_owned(), format!("{} + {}", self.train, self.test), size, place]
    }
}

/// Whether a file is what its manifest promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Right,
    Missing,
    Broken,
}

/// One row of `data check`.
#[derive(Debug, Serialize)]
struct Checked {
    file: String,
    state: State,
    /// Where it is, or what is wrong.
    detail: String,
}

impl Checked {
    fn of(file: &File, folders: &DataFolders) -> Self {
        let (state, detail) = match folders.check(file) {
            Ok(path) => (State::Right, path.display().to_string()),
            Err(error @ DataError::Missing { .. }) => (State::Missing, error.to_string()),
            Err(error) => (State::Broken, error.to_string()),
        };
        Checked { file: file.path(), state, detail }
    }

    fn line(&self) -> String {
        match self.state {
            State::Right => format!("right    {}", self.detail),
            State::Missing => format!("missing  {}", self.detail),
            State::Broken => format!("broken   {}", self.detail),
        }
    }
}

/// The folders in which `files` are found, each once.
fn places(files: &[&File], folders: &DataFolders) -> Vec<String> {
    let paths = files.iter().filter_map(|file| folders.find(file).ok());
    let mut places: Vec<String> =
        paths.map(|path| path.parent().unwrap_or(Path::new("")).display().to_string()).collect();
    places.sort();
    places.dedup();
    places
}

/// What `--offline` answers when something is missing.
fn would_fetch(absent: &[&File], mirrors: &[String], folders: &DataFolders) -> String {
    let home = folders.home().map_or("no folder".to_owned(), |home| home.display().to_string());
    let mut lines = vec![format!("--offline fetches nothing; without it, into {home}:")];
    let mut served: Vec<File> = absent.iter().map(|file| file.served()).collect();
    served.dedup();
    for file in &served {
        let (path, size) = (file.path(), megabytes(file.bytes));
        let size = if file.is_packed() { size } else { format!("{size} unpacked") };
        lines.push(format!("  {path} ({size}), from the first that serves it of"));
        lines.extend(mirrors.iter().map(|mirror| format!("    {}", addresses(mirror, file)[0])));
    }
    lines.join("\n")
}

/// `47.0 MB`, or `60.0 kB` for what is small.
fn megabytes(bytes: u64) -> String {
    if bytes < 100_000 {
        format!("{:.1} kB", bytes as f64 / 1e3)
    } else {
        format!("{:.1} MB", bytes as f64 / 1e6)
    }
}

fn print_json(output: &mut dyn Write, rows: &impl Serialize) -> anyhow::Result<()> {
    writeln!(output, "{}", serde_json::to_string_pretty(rows)?)?;
    Ok(())
}

/// Columns as wide as their widest cell.
fn print_table<const N: usize>(output: &mut dyn Write, rows: &[[String; N]]) -> anyhow::Result<()> {
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    for row in rows {
        let cells: Vec<String> =
            row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        writeln!(output, "{}", cells.join("  ").trim_end())?;
    }
    Ok(())
}

/// What is shown of a download: a bar on a terminal, a line per address elsewhere.
struct Display {
    bar: Option<ProgressBar>,
    address: String,
}

impl Display {
    fn new() -> Self {
        let bar = io::stderr().is_terminal().then(ProgressBar::no_length);
        if let Some(bar) = &bar {
            let style = "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}";
            bar.set_style(ProgressStyle::with_template(style).expect("the template is a constant"));
        }
        Display { bar, address: String::new() }
    }

    fn show(&mut self, progress: Progress<'_>) {
        let is_new = self.address != progress.address;
        if is_new {
            progress.address.clone_into(&mut self.address);
        }
        match &self.bar {
            Some(bar) => {
                if is_new {
                    bar.reset();
                    bar.set_message(progress.file.path());
                }
                if let Some(total) = progress.total {
                    bar.set_length(total);
                }
                bar.set_position(progress.received);
            }
            // Progress is for the eye: that standard error is closed must not stop a download.
            None if is_new => drop(writeln!(io::stderr(), "fetching {}", progress.address)),
            None => {}
        }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
