//! A run's folder: what is kept, how it is written, how it is taken up again.
//!
//! One folder a run, one writer, plain files. Rows are appended; a checkpoint remembers how long
//! every file was, and a resumed run cuts off what came after. `DONE` or `FAILED.json` is written
//! last, by renaming, so a folder says for certain whether its run is over.
#![allow(clippy::disallowed_methods, reason = "this is the module that owns a run's files")]

mod ledger;
mod node_row;
pub mod results;
mod summary;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde::{Deserialize, Serialize};

pub use self::node_row::NodeRow;
pub use self::summary::{Summary, Totals};
use super::event::{Line, RunEvent};
use crate::ledger::file::FILE_NAME as LEDGER;
use crate::node::Round;
use crate::protocol::MachineState;
use crate::runtime::{RunError, Seat, States, checkpoint, npy};

/// One row of `rounds.csv`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RoundRow {
    /// The run.
    pub run_id: String,
    /// The round, from 1.
    pub round: u32,
    /// Share of right answers on the test set, 0 to 1, of the worst honest node; empty where it was
    /// not measured.
    pub test_accuracy: Option<f64>,
    /// Mean cross-entropy of that node on the test set; empty where it was not measured.
    pub test_loss: Option<f64>,
    /// Mean over the honest of the loss that they declared.
    pub train_loss: Option<f64>,
    /// The digest of the model after the round, BLAKE3 in hexadecimal.
    pub model_digest: String,
    /// How many updates were rows.
    pub accepted: usize,
    /// How many messages were refused.
    pub refused: u32,
    /// How many identities were absent, lost ones among them.
    pub absent: usize,
    /// Why the model stayed, where the rule refused the rows.
    pub skipped: Option<String>,
    /// Whether a deadline closed the round.
    pub timed_out: bool,
    /// Encoded bytes from the workers.
    pub bytes_up: u64,
    /// Encoded bytes to the workers.
    pub bytes_down: u64,
    /// The accuracy that a tenth of the honest nodes do not exceed.
    pub accuracy_p10: Option<f64>,
    /// The median accuracy over honest nodes.
    pub accuracy_median: Option<f64>,
    /// The mean accuracy over honest nodes.
    pub accuracy_mean: Option<f64>,
    /// The accuracy of the mean of all honest models, which nobody holds.
    pub averaged_model_accuracy: Option<f64>,
    /// The mean squared distance of honest models to their mean.
    pub disagreement: Option<f64>,
    /// The share of honest workers for which the round came to something.
    pub completed: f64,
    /// Encoded bytes that all nodes sent.
    pub bytes_total: u64,
    /// Encoded bytes that the busiest node sent and was sent.
    pub bytes_busiest: u64,
    /// How long the round takes on the configured network, in seconds; training takes none.
    pub virtual_seconds: f64,
    /// A digest of the bytes along every edge.
    pub traffic_digest: String,
    /// The share of weight that went to corrupted senders, where the rule decides per row.
    pub corrupted_weight: Option<f64>,
    /// The share of corrupted senders among those to whom the rule gave no weight.
    pub detection_precision: Option<f64>,
    /// The share of those to whom the rule gave no weight among corrupted senders.
    pub detection_recall: Option<f64>,
    /// How far the aggregate is from the mean of what the honest sent, where that is measured.
    pub distance_to_honest_mean: Option<f64>,
    /// The square of that over the variance of what the honest sent.
    pub measured_robustness: Option<f64>,
    /// What that can come to at most with this rule and so many liars, where a bound is known.
    pub robustness_bound: Option<f64>,
    /// The least accuracy on a class of the worst honest node, where that is measured.
    pub worst_class_accuracy: Option<f64>,
    /// The accuracies on all classes of that node, separated by spaces; `-` for a class without
    /// test samples.
    pub class_accuracies: Option<String>,
    /// The share of test samples with the poison's trigger that the honest node which obeys it
    /// most takes for the attacker's class; empty where nothing was measured, and no column at all
    /// in a run without a trigger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attack_success_rate: Option<Option<f64>>,
    /// Share of right answers on the training samples that were held out, 0 to 1, of the honest
    /// node that does worst on them; empty where it was not measured, and no column at all where
    /// none were held out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_accuracy: Option<Option<f64>>,
    /// Mean cross-entropy of that node on them, likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validation_loss: Option<Option<f64>>,
}

/// The file that marks a run as being written.
const LOCK: &str = "lock";

/// The files that rows are appended to.
const APPENDED: [&str; 3] = ["rounds.csv", "nodes.csv", "events.jsonl"];

/// A run's folder, open for writing.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    ledger: Option<BufWriter<File>>,
    /// How long the ledger was at the checkpoint that the run goes on from.
    ledger_length: u64,
    rounds: csv::Writer<File>,
    nodes: csv::Writer<File>,
    events: BufWriter<File>,
    began: Instant,
    /// Held for as long as the run is written.
    _lock: File,
}

/// What a checkpoint holds beside the machines.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Mark {
    /// Of the files that are always there, and of the ledger where one is kept.
    lengths: Vec<u64>,
    totals: Totals,
    states: Vec<(String, Vec<u8>)>,
}

impl Mark {
    fn is_of(&self, seats: &BTreeSet<Seat>) -> bool {
        let kept: BTreeSet<&str> = self.states.iter().map(|(seat, _)| seat.as_str()).collect();
        let wanted: Vec<String> = seats.iter().map(Seat::to_string).collect();
        kept == wanted.iter().map(String::as_str).collect()
    }
}

/// A run as its last checkpoint left it.
#[derive(Debug)]
pub struct Resumed {
    /// The last round that was finished.
    pub round: Round,
    /// The machines' states.
    pub states: BTreeMap<String, MachineState>,
    /// The totals so far.
    pub totals: Totals,
}

impl RunFolder {
    /// Opens a folder: goes on from its last checkpoint if it has one, else begins anew.
    ///
    /// Only a checkpoint of just these `seats` is of use. The runtimes keep different ones, so a
    /// run that changes from one to the other begins anew, and comes to the same bits.
    pub fn open(
        path: &Path,
        config: &str,
        seats: &BTreeSet<Seat>,
    ) -> Result<(RunFolder, Option<Resumed>), RunError> {
        create_folder(path)?;
        let lock = locked(path)?;
        write_atomically(&path.join("config.toml"), config.as_bytes())?;
        let _ = fs::remove_file(path.join("FAILED.json"));
        let checkpoints = path.join("checkpoint");
        let marks = checkpoint::read::<Mark>(&checkpoints, "run")?;
        let mark = marks.into_iter().rfind(|(_, mark)| mark.is_of(seats));
        if mark.is_none() {
            // What it vouches for is about to be cut off.
            checkpoint::remove(&checkpoints, "run");
        }
        let lengths = mark.as_ref().map_or_else(|| vec![0; 3], |(_, mark)| mark.lengths.clone());
        let ledger_length = lengths.get(APPENDED.len()).copied().unwrap_or(0);
        let mut files = Vec::new();
        for (name, length) in APPENDED.iter().zip(lengths) {
            files.push(open_cut(&path.join(name), length)?);
        }
        let events = BufWriter::new(files.pop().expect("three files"));
        let fresh = mark.is_none();
        let writer = |file| csv::WriterBuilder::new().has_headers(fresh).from_writer(file);
        let nodes = writer(files.pop().expect("three files"));
        let rounds = writer(files.pop().expect("three files"));
        let folder = RunFolder {
            path: path.to_owned(),
            ledger: None,
            ledger_length,
            rounds,
            nodes,
            events,
            began: Instant::now(),
            _lock: lock,
        };
        let resumed = mark.map(|(round, mark)| Resumed {
            round,
            states: mark
                .states
                .into_iter()
                .map(|(seat, bytes)| (seat, MachineState { round, bytes }))
                .collect(),
            totals: mark.totals,
        });
        Ok((folder, resumed))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Seconds since the run or its resumption began.
    pub fn seconds(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Appends a round.
    pub fn round(&mut self, row: &RoundRow) -> Result<(), RunError> {
        self.rounds.serialize(row).map_err(|error| self.csv_error("rounds.csv", error))
    }

    /// Appends a node's round.
    pub fn node(&mut self, row: &NodeRow) -> Result<(), RunError> {
        self.nodes.serialize(row).map_err(|error| self.csv_error("nodes.csv", error))
    }

    /// Appends an event.
    pub fn event(&mut self, event: RunEvent) -> Result<(), RunError> {
        let line = Line { seconds: self.seconds(), event };
        let text = serde_json::to_string(&line).expect("events serialise");
        writeln!(self.events, "{text}").map_err(|error| self.file_error("events.jsonl", error))
    }

    /// Keeps the machines' states with the present length of every file.
    pub fn checkpoint(
        &mut self,
        round: Round,
        states: &States,
        totals: &Totals,
    ) -> Result<(), RunError> {
        self.flush()?;
        let mut lengths = Vec::new();
        for name in APPENDED.into_iter().chain(self.ledger.as_ref().map(|_| LEDGER)) {
            let path = self.path.join(name);
            let length = fs::metadata(&path).map_err(|error| RunError::file(&path, error))?.len();
            lengths.push(length);
        }
        let states =
            states.iter().map(|(seat, state)| (seat.to_string(), state.bytes.clone())).collect();
        let mark = Mark { lengths, totals: totals.clone(), states };
        checkpoint::write(&self.path.join("checkpoint"), "run", round, &mark)
    }

    /// Lets others read all that is written so far.
    pub fn flush(&mut self) -> Result<(), RunError> {
        if let Some(ledger) = &mut self.ledger {
            ledger.flush().map_err(|error| self.file_error(LEDGER, error))?;
        }
        self.rounds.flush().map_err(|error| self.file_error("rounds.csv", error))?;
        self.nodes.flush().map_err(|error| self.file_error("nodes.csv", error))?;
        self.events.flush().map_err(|error| self.file_error("events.jsonl", error))
    }

    /// Ends a run that came to its last round.
    pub fn done(
        mut self,
        manifest: &serde_json::Value,
        model: &[f32],
        summary: &Summary,
    ) -> Result<(), RunError> {
        self.flush()?;
        write_atomically(&self.path.join("manifest.json"), pretty(manifest).as_bytes())?;
        let path = self.path.join("model.npy");
        npy::write_vector(&path, model.into())
            .map_err(|error| RunError::file(&path, std::io::Error::other(error)))?;
        let summary = serde_json::to_value(summary).expect("summaries serialise");
        write_atomically(&self.path.join("DONE"), pretty(&summary).as_bytes())?;
        let _ = fs::remove_dir_all(self.path.join("checkpoint"));
        let _ = fs::remove_file(self.path.join(LOCK));
        Ok(())
    }

    fn csv_error(&self, name: &str, error: csv::Error) -> RunError {
        self.file_error(name, std::io::Error::other(error))
    }

    fn file_error(&self, name: &str, error: std::io::Error) -> RunError {
        RunError::file(self.path.join(name), error)
    }
}

/// Ends a run that cannot be finished, with the reason, while other runs go on.
pub fn failed(path: &Path, reason: &str) -> Result<(), RunError> {
    create_folder(path)?;
    let failure = serde_json::json!({ "reason": reason });
    write_atomically(&path.join("FAILED.json"), pretty(&failure).as_bytes())
}

/// What a finished run came to, if this folder holds one.
pub fn summary(path: &Path) -> Option<Summary> {
    serde_json::from_slice(&fs::read(path.join("DONE")).ok()?).ok()
}

/// What a finished run was run by.
pub fn manifest(path: &Path) -> Result<serde_json::Value, RunError> {
    let path = path.join("manifest.json");
    serde_json::from_str(&read_text(&path)?)
        .map_err(|error| RunError::file(&path, std::io::Error::other(error)))
}

/// The accuracies that a finished run was found to have, by round: of the worst honest node, and
/// of the mean of the honest models if there is no coordinator.
pub fn curves(path: &Path) -> Result<(results::Curve, results::Curve), RunError> {
    let path = path.join("rounds.csv");
    let fault = |error: csv::Error| RunError::file(&path, std::io::Error::other(error));
    let mut rows = csv::Reader::from_path(&path).map_err(fault)?;
    let (mut worst, mut averaged) = (results::Curve::new(), results::Curve::new());
    for row in rows.deserialize::<Evaluated>() {
        let row = row.map_err(fault)?;
        worst.extend(row.test_accuracy.map(|accuracy| (row.round, accuracy)));
        averaged.extend(row.averaged_model_accuracy.map(|accuracy| (row.round, accuracy)));
    }
    Ok((worst, averaged))
}

/// The columns of a round that curves are made of.
#[derive(Deserialize)]
struct Evaluated {
    round: u32,
    test_accuracy: Option<f64>,
    averaged_model_accuracy: Option<f64>,
}

/// Removes a run, finished or not.
pub fn remove(path: &Path) -> Result<(), RunError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(RunError::file(path, error))
        }
        _ => Ok(()),
    }
}

/// Makes a folder with all above it.
pub fn create_folder(path: &Path) -> Result<(), RunError> {
    fs::create_dir_all(path).map_err(|error| RunError::file(path, error))
}

/// Writes a file so that it is there whole or not at all.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), RunError> {
    let part = path.with_extension("part");
    fs::write(&part, bytes).map_err(|error| RunError::file(&part, error))?;
    fs::rename(&part, path).map_err(|error| RunError::file(path, error))
}

/// Reads a text file.
pub fn read_text(path: &Path) -> Result<String, RunError> {
    fs::read_to_string(path).map_err(|error| RunError::file(path, error))
}

fn pretty(value: &serde_json::Value) -> String {
    format!("{value:#}\n")
}

/// Takes the folder for this process; the system gives it back when the process ends, however.
fn locked(path: &Path) -> Result<File, RunError> {
    let path = path.join(LOCK);
    let file = File::create(&path).map_err(|error| RunError::file(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(RunError::Busy(path.display().to_string())),
        Err(TryLockError::Error(error)) => Err(RunError::file(&path, error)),
    }
}

/// Opens a file for appending, cut to what a checkpoint vouches for.
fn open_cut(path: &Path, length: u64) -> Result<File, RunError> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|error| RunError::file(path, error))?;
    file.set_len(length).map_err(|error| RunError::file(path, error))?;
    Ok(file)
}

/// The seat that a checkpoint's name belongs to, among those of a cast.
pub fn state_of(states: &BTreeMap<String, MachineState>, seat: Seat) -> Option<&MachineState> {
    states.get(&seat.to_string())
}

/// Reads a file, but no more than `bytes_max` bytes of it.
pub fn read_bounded(path: &Path, bytes_max: usize) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_has_one_writer() {
        let folder = tempfile::tempdir().unwrap();
        let first = RunFolder::open(folder.path(), "", &BTreeSet::new()).unwrap();
        let second = RunFolder::open(folder.path(), "", &BTreeSet::new()).unwrap_err();
        assert!(second.to_string().contains("another process"), "{second}");
        drop(first);
        assert!(RunFolder::open(folder.path(), "", &BTreeSet::new()).is_ok());
    }

    #[test]
    fn what_came_after_the_checkpoint_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let event = |round| RunEvent::Finished { round: Round(round) };
        let (mut run, resumed) = RunFolder::open(folder.path(), "", &BTreeSet::new()).unwrap();
        assert!(resumed.is_none());
        run.event(event(1)).unwrap();
        let totals = Totals { skipped: 1, refused: 2, timed_out: 3, ..Totals::default() };
        run.checkpoint(Round(1), &States::new(), &totals).unwrap();
        run.event(event(2)).unwrap();
        drop(run);
        let (run, resumed) = RunFolder::open(folder.path(), "", &BTreeSet::new()).unwrap();
        let resumed = resumed.unwrap();
        assert_eq!((resumed.round, resumed.totals), (Round(1), totals));
        drop(run);
        let text = read_text(&folder.path().join("events.jsonl")).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}
