//! What tests with real processes share: a folder, the program, patience with a limit.
#![allow(dead_code, unreachable_pub, reason = "every test program uses another part of this")]

pub mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

/// The longest that anything here may take, on a machine that is busy with other things.
pub const LIMIT: Duration = Duration::from_secs(120);

/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);

/// Waits for something that must happen.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        sleep(LOOK);
    }
}

/// A folder with one experiment in it.
#[derive(Debug)]
pub struct Lab {
    folder: tempfile::TempDir,
    config: PathBuf,
}

impl Lab {
    /// A lab for an experiment file with this text.
    pub fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("experiment.toml");
        fs::write(&path, config).unwrap();
        Lab { folder, config: path }
    }

    /// A path in the lab's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program with a command, the experiment, and more arguments.
    pub fn command(&self, command: &str, arguments: &[&str]) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_byzlab"));
        program.arg(command).arg(&self.config).args(arguments);
        program.current_dir(self.folder.path());
        program
    }

    /// `byzlab run` into the folder `out`.
    pub fn run(&self, out: &str, arguments: &[&str]) -> Command {
        let mut command = self.command("run", arguments);
        command.arg("--out").arg(self.path(out));
        command
    }

    /// Starts a command; `name` is for its logs.
    pub fn start(&self, name: &str, mut command: Command) -> Running {
        let file = |end: &str| self.path(&format!("{name}.{end}"));
        let (output, errors) = (file("out"), file("err"));
        command.stdin(Stdio::null());
        command.stdout(File::create(&output).unwrap()).stderr(File::create(&errors).unwrap());
        Running { child: command.spawn().unwrap(), output, errors }
    }

    /// Runs into the folder `out` and expects it to succeed; returns standard output.
    pub fn finish(&self, out: &str, arguments: &[&str]) -> String {
        let ended = self.start(out, self.run(out, arguments)).end();
        assert!(ended.status.success(), "{arguments:?}: {}", ended.errors);
        ended.output
    }

    /// The only run in the folder `out`, once it is there.
    pub fn only_run(&self, out: &str) -> RunFiles {
        let out = self.path(out);
        wait_for("a run's folder", || {
            let mut folders = tables::run_folders(&out);
            assert!(folders.len() <= 1, "{folders:?}");
            folders.pop().map(|path| RunFiles { path })
        })
    }
}

/// A program under way; it is killed when the test is over.
#[derive(Debug)]
pub struct Running {
    child: Child,
    output: PathBuf,
    errors: PathBuf,
}

/// A program that has ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub output: String,
    pub errors: String,
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// What it has said on standard error so far.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.errors).unwrap_or_default()
    }

    /// Kills it where it stands, and waits until it is gone.
    pub fn kill(mut self) {
        assert!(self.is_running(), "it ended before it could be killed: {}", self.said());
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it ends.
    pub fn end(mut self) -> Ended {
        let deadline = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "it does not end; it said: {}", self.said());
            sleep(LOOK);
        };
        let output = fs::read_to_string(&self.output).unwrap();
        Ended { status, output, errors: self.said() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal (`KILL`, `INT`, `STOP`) to a process.
pub fn signal(name: &str, process: u32) {
    let status = Command::new("kill").args([format!("-{name}"), process.to_string()]).status();
    assert!(status.unwrap().success(), "no process {process} to send {name} to");
}

/// Whether a process is there and not just its entry in the table of processes.
pub fn is_alive(process: u32) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{process}/stat")) else { return false };
    let state = status.rsplit(')').next().and_then(|rest| rest.split_whitespace().next());
    !matches!(state, Some("Z" | "X") | None)
}

/// A value of `/proc/<process>/status` in kilobytes.
pub fn kilobytes(process: u32, key: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The files of one run.
#[derive(Debug)]
pub struct RunFiles {
    pub path: PathBuf,
}

impl RunFiles {
    /// How many rows of rounds stand on disk.
    pub fn rounds_written(&self) -> usize {
        let text = fs::read_to_string(self.path.join("rounds.csv")).unwrap_or_default();
        text.lines().count().saturating_sub(1)
    }

    /// Waits until so many rounds stand on disk.
    pub fn wait_for_rounds(&self, rounds: usize) {
        wait_for("the rounds to be written", || (self.rounds_written() >= rounds).then_some(()));
    }

    /// The events that are whole, each as its name and content.
    pub fn events(&self) -> Vec<(String, Value)> {
        let text = fs::read_to_string(self.path.join("events.jsonl")).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut events = Vec::new();
        for line in lines {
            let event = line["event"].as_object().unwrap().clone();
            events.extend(event);
        }
        events
    }

    /// The contents of the events of one name.
    pub fn events_named(&self, name: &str) -> Vec<Value> {
        let named = self.events().into_iter().filter(|(found, _)| found == name);
        named.map(|(_, content)| content).collect()
    }

    /// The process that each node last joined with.
    pub fn processes(&self) -> BTreeMap<u64, u32> {
        let joined = self.events_named("joined");
        let pair = |event: &Value| {
            Some((event["node"].as_u64()?, u32::try_from(event["process"].as_u64()?).ok()?))
        };
        joined.iter().filter_map(pair).collect()
    }

    /// Waits until `nodes` nodes have joined; returns their processes.
    pub fn wait_for_processes(&self, nodes: usize) -> BTreeMap<u64, u32> {
        wait_for("everybody to join", || {
            let processes = self.processes();
            (processes.len() == nodes).then_some(processes)
        })
    }

    /// The values of one column, in row order.
    pub fn column(&self, table: &str, column: &str) -> Vec<String> {
        let mut reader = csv::Reader::from_path(self.path.join(table)).unwrap();
        let index = reader.headers().unwrap().iter().position(|name| name == column).unwrap();
        reader.records().map(|record| record.unwrap()[index].to_owned()).collect()
    }

    /// The processes that spoke for each node, by `nodes.csv`.
    pub fn recorded_processes(&self) -> BTreeMap<u32, BTreeSet<u32>> {
        let nodes = self.column("nodes.csv", "node");
        let processes = self.column("nodes.csv", "pid");
        let mut recorded: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for (node, process) in nodes.iter().zip(&processes) {
            recorded.entry(node.parse().unwrap()).or_default().insert(process.parse().unwrap());
        }
        recorded
    }

    /// The content of `DONE`.
    pub fn summary(&self) -> Value {
        serde_json::from_slice(&fs::read(self.path.join("DONE")).unwrap()).unwrap()
    }
}

/// Where real MNIST lies, if it does: `$BYZLAB_DATA`, else a folder beside this package's.
pub fn mnist() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/datasets");
    let roots = [std::env::var_os("BYZLAB_DATA").map(PathBuf::from), Some(beside)];
    let found = roots.into_iter().flatten().map(|root| root.join("mnist"));
    found.into_iter().find(|folder| folder.is_dir())
}
