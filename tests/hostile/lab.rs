//! A coordinator and honest workers as processes, and what their run left behind.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::sleep;
use std::time::{Duration, Instant};

use byzlab::experiment::plan::{Plan, plan_digest};
use byzlab::experiment::source::Source;
use byzlab::experiment::sweep::Sweep;
use serde_json::Value;
use tempfile::TempDir;

/// How long anything in these tests may take at most.
pub(super) const DEADLINE: Duration = Duration::from_secs(50);

/// Values of the model that is trained here: 784 pixels and a bias for each of ten classes.
pub(super) const VALUES: usize = 7850;

pub(super) const CONFIG: &str = r#"
schema = 1
name = "hostile"
seeds = [1]

[data]
set = { digits = { train = 200, test = 50 } }

[model.softmax]

[training]
rounds = 3
batch = 10
learning_rate = 0.1

[system.central]
workers = 3

[aggregation]
byzantine = 0
rule = "mean"

[threat]
placement = "first"
"#;

fn set(workers: usize, rounds: u32) -> Vec<String> {
    vec![format!("system.central.workers={workers}"), format!("training.rounds={rounds}")]
}

/// The command of a coordinator that keeps everything in this folder.
fn coordinator(folder: &Path, set: &[String], listen: &str, patience: f64) -> Command {
    let config = folder.join("config.toml");
    std::fs::write(&config, CONFIG).unwrap();
    let mut command = byzlab("coordinator", &config, set);
    command.args(["--listen", listen, "--threads", "1"]);
    command.args(["--patience", &patience.to_string()]);
    command.arg("--tokens").arg(folder.join("tokens"));
    command.arg("--out").arg(folder.join("out"));
    command
}

/// The program, reading this experiment with these keys replaced.
pub(super) fn byzlab(command: &str, config: &Path, set: &[String]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_byzlab"));
    program.arg(command).arg(config);
    for assignment in set {
        program.args(["--set", assignment]);
    }
    program.stdin(Stdio::null()).stdout(Stdio::null());
    program
}

/// A process whose standard error is kept; it ends with its owner.
pub(super) struct Process {
    child: Child,
    heard: Arc<Mutex<String>>,
}

impl Process {
    pub(super) fn start(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let heard = Arc::new(Mutex::new(String::new()));
        let (log, stderr) = (Arc::clone(&heard), child.stderr.take().unwrap());
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                log.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Process { child, heard }
    }

    pub(super) fn heard(&self) -> String {
        self.heard.lock().unwrap().clone()
    }

    /// Waits until it ends by itself.
    pub(super) fn end(&mut self) -> ExitStatus {
        let status = until("the process ends", || self.child.try_wait().unwrap());
        // The thread that listens needs a moment for the last words.
        sleep(Duration::from_millis(20));
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Looks again and again until there is something to see.
pub(super) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(began.elapsed() < DEADLINE, "waited too long until {what}");
        sleep(Duration::from_millis(10));
    }
}

/// A coordinator that listens, and the honest workers of its run.
pub(super) struct Lab {
    folder: TempDir,
    set: Vec<String>,
    coordinator: Process,
    workers: Vec<Process>,
    pub(super) address: SocketAddr,
    pub(super) tokens: BTreeMap<u32, Vec<u8>>,
    /// The digest of the plan, as a peer that has read the same experiment knows it.
    pub(super) plan: Vec<u8>,
    pub(super) run_id: String,
}

impl Lab {
    /// Starts a coordinator for so many workers and rounds, that waits for `patience` seconds.
    pub(super) fn start(workers: usize, rounds: u32, patience: f64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let set = set(workers, rounds);
        let command = coordinator(folder.path(), &set, "127.0.0.1:0", patience);
        Self::listening(folder, set, command)
    }

    /// The same, with the first worker corrupted by an adversary that reads along.
    pub(super) fn tapped(workers: usize, rounds: u32, patience: f64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut set = set(workers, rounds);
        let threat = [("corrupted", "1"), ("knowledge", "omniscient"), ("attack", "sign_flip")];
        set.extend(threat.map(|(key, value)| format!("threat.{key}={value}")));
        let command = coordinator(folder.path(), &set, "127.0.0.1:0", patience);
        Self::listening(folder, set, command)
    }

    /// The same, for a coordinator that may not have more than so many files open at a time.
    #[cfg(unix)]
    pub(super) fn with_files(workers: usize, rounds: u32, patience: f64, files: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let set = set(workers, rounds);
        let command = coordinator(folder.path(), &set, "127.0.0.1:0", patience);
        let mut limited = Command::new("sh");
        limited.args(["-c", &format!("ulimit -n {files} && exec \"$@\""), "sh"]);
        limited.arg(command.get_program()).args(command.get_args());
        limited.stdin(Stdio::null()).stdout(Stdio::null());
        Self::listening(folder, set, limited)
    }

    /// A coordinator's process that is still to be started, and its folder.
    pub(super) fn idle(listen: &str) -> (TempDir, Command) {
        let folder = tempfile::tempdir().unwrap();
        let command = coordinator(folder.path(), &set(2, 1), listen, 5.0);
        (folder, command)
    }

    fn listening(folder: TempDir, set: Vec<String>, command: Command) -> Self {
        let mut coordinator = Process::start(command);
        let address = until("the coordinator listens", || {
            let heard = coordinator.heard();
            assert!(coordinator.child.try_wait().unwrap().is_none(), "it ended: {heard}");
            let (_, rest) = heard.split_once("the coordinator listens at ")?;
            rest.split_once('\n')?.0.trim().parse().ok()
        });
        let tokens = read_tokens(&folder.path().join("tokens"));
        let planned = plan(&set);
        Lab {
            plan: plan_digest([&planned]).as_bytes().to_vec(),
            run_id: planned.run_id(),
            folder,
            set,
            coordinator,
            workers: Vec::new(),
            address,
            tokens,
        }
    }

    /// Starts an honest worker.
    pub(super) fn worker(&mut self, node: u32) {
        let worker = Process::start(self.worker_command(node, self.address, &self.set));
        self.workers.push(worker);
    }

    /// Starts the adversary that speaks for the corrupted.
    pub(super) fn adversary(&mut self) {
        let mut command = byzlab("worker", &self.folder.path().join("config.toml"), &self.set);
        command.args(["--connect", &self.address.to_string(), "--adversary"]);
        command.args(["--patience", "20"]);
        command.arg("--tokens").arg(self.folder.path().join("tokens"));
        command.arg("--state").arg(self.folder.path().join("state"));
        self.workers.push(Process::start(command));
    }

    /// The command of a worker that reads the experiment with these keys replaced.
    pub(super) fn worker_command(&self, node: u32, address: SocketAddr, set: &[String]) -> Command {
        let mut command = byzlab("worker", &self.folder.path().join("config.toml"), set);
        command.args(["--connect", &address.to_string(), "--node", &node.to_string()]);
        command.args(["--patience", "20"]);
        command.arg("--tokens").arg(self.folder.path().join("tokens"));
        command.arg("--state").arg(self.folder.path().join("state"));
        command
    }

    /// What the experiment's keys are replaced with.
    pub(super) fn set(&self) -> &[String] {
        &self.set
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder of the only run.
    fn run(&self) -> PathBuf {
        let runs = std::fs::read_dir(self.path("out/runs")).unwrap();
        let mut runs: Vec<PathBuf> = runs.map(|entry| entry.unwrap().path()).collect();
        assert_eq!(runs.len(), 1);
        runs.remove(0)
    }

    /// Whether the run's files are open.
    #[cfg(unix)]
    pub(super) fn has_begun(&self) -> bool {
        let runs = std::fs::read_dir(self.path("out/runs")).into_iter().flatten();
        runs.flatten().any(|run| run.path().join("events.jsonl").exists())
    }

    /// How many rounds are closed and on disk.
    pub(super) fn closed(&self) -> usize {
        let rows = std::fs::read_to_string(self.run().join("rounds.csv")).unwrap_or_default();
        rows.lines().count().saturating_sub(1)
    }

    /// The most memory that the coordinator has held so far, in MiB; nothing where the system
    /// does not tell.
    pub(super) fn most_memory(&self) -> u64 {
        if !cfg!(target_os = "linux") {
            return 0;
        }
        let path = format!("/proc/{}/status", self.coordinator.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
    }

    pub(super) fn heard(&self) -> String {
        self.coordinator.heard()
    }

    /// Waits for the coordinator's and the honest workers' good ends.
    pub(super) fn finish(mut self) -> Outcome {
        let status = self.coordinator.end();
        assert!(status.success(), "{status}: {}", self.coordinator.heard());
        for worker in &mut self.workers {
            let status = worker.end();
            assert!(status.success(), "a worker: {status}: {}", worker.heard());
        }
        let run = self.run();
        assert!(run.join("DONE").exists(), "{}", self.coordinator.heard());
        let text = |name: &str| std::fs::read_to_string(run.join(name)).unwrap();
        let outcome = Outcome {
            rounds: rows(&text("rounds.csv")),
            nodes: rows(&text("nodes.csv")),
            events: text("events.jsonl").lines().map(|line| line.parse().unwrap()).collect(),
            manifest: text("manifest.json").parse().unwrap(),
        };
        outcome.check_totals(&text("DONE").parse().unwrap());
        outcome
    }
}

/// The only cell of the experiment.
fn plan(set: &[String]) -> Plan {
    let source = Source::new("config.toml", CONFIG.as_bytes()).unwrap();
    let source = set.iter().fold(source, |source, assignment| source.set(assignment));
    let cells = Sweep::read(&source).unwrap();
    Plan::check(&cells[0].config, cells[0].seed).unwrap()
}

fn read_tokens(path: &Path) -> BTreeMap<u32, Vec<u8>> {
    let parse = |line: &str| {
        let (node, digits) = line.split_once(' ').unwrap();
        let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        (node.parse().unwrap(), (0..digits.len()).step_by(2).map(byte).collect())
    };
    std::fs::read_to_string(path).unwrap().lines().map(parse).collect()
}

type Row = BTreeMap<String, String>;

fn rows(text: &str) -> Vec<Row> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.deserialize().map(Result::unwrap).collect()
}

/// What a finished run left behind.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) rounds: Vec<Row>,
    pub(super) nodes: Vec<Row>,
    pub(super) events: Vec<Value>,
    pub(super) manifest: Value,
}

impl Outcome {
    /// A node's outcome in a round, and how many of its messages were refused.
    pub(super) fn node(&self, round: usize, node: u32) -> (&str, u32) {
        let wanted = (round.to_string(), node.to_string());
        let mut rows = self.nodes.iter();
        let row = rows.find(|row| (&row["round"], &row["node"]) == (&wanted.0, &wanted.1));
        let row = row.unwrap_or_else(|| panic!("node {node} has no row in round {round}"));
        (&row["outcome"], row["refused"].parse().unwrap())
    }

    /// What is told of a node's refusals in a round.
    pub(super) fn reasons(&self, round: usize, node: u32) -> Vec<&str> {
        let refused = self.events.iter().map(|line| &line["event"]["refused"]);
        let of_node = refused.filter(|event| event["from"] == node && event["round"] == round);
        of_node.map(|event| event["reason"].as_str().unwrap()).collect()
    }

    /// Whether an event of this kind names the node.
    pub(super) fn has(&self, kind: &str, node: u32) -> bool {
        self.events.iter().any(|line| line["event"][kind]["node"] == node)
    }

    /// How many offences of strangers from this machine are counted.
    pub(super) fn strangers(&self) -> u64 {
        self.manifest["strangers"]["127.0.0.1"].as_u64().unwrap_or(0)
    }

    /// Every round took the shares of all of these and refused nothing of theirs.
    pub(super) fn took_all_of(&self, honest: &[u32]) {
        for round in 1..=self.rounds.len() {
            for &node in honest {
                assert_eq!(self.node(round, node), ("shared", 0), "node {node}, round {round}");
            }
        }
    }

    /// The tables agree with the summary on what was refused.
    fn check_totals(&self, done: &Value) {
        let sum = |rows: &[Row]| -> u64 {
            rows.iter().map(|row| row["refused"].parse::<u64>().unwrap()).sum()
        };
        assert_eq!(sum(&self.rounds), sum(&self.nodes));
        assert_eq!(Some(sum(&self.rounds)), done["refused"].as_u64());
        assert_eq!(Some(self.rounds.len() as u64), done["rounds"].as_u64());
    }
}
