//! Child processes: one per seat, alive through a sweep, gone when their parent is.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::token::{Tokens, to_text};
use super::{RunError, Seat};

/// Between two looks at the children.
const TENDING: Duration = Duration::from_millis(100);

/// How children are started.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The program, this one.
    pub program: PathBuf,
    /// Its arguments up to those that name the seat.
    pub arguments: Vec<String>,
    /// Where each child's standard error goes.
    pub logs: PathBuf,
    /// How often a child that died is started again.
    pub respawn: u32,
}

/// The children of a sweep.
#[derive(Debug)]
pub struct Children {
    recipe: Recipe,
    secrets: BTreeMap<Seat, Tokens>,
    running: BTreeMap<Seat, Running>,
}

/// A child, and the pipe that it lives by: it ends when its standard input closes.
#[derive(Debug)]
struct Running {
    child: Child,
    lifeline: ChildStdin,
    starts: u32,
}

impl Children {
    /// Starts a child for each seat, and gives it the secrets that it needs on its standard input.
    pub fn start(recipe: Recipe, secrets: BTreeMap<Seat, Tokens>) -> Result<Self, RunError> {
        std::fs::create_dir_all(&recipe.logs)
            .map_err(|error| RunError::file(&recipe.logs, error))?;
        let mut children = Children { recipe, secrets, running: BTreeMap::new() };
        let seats: Vec<Seat> = children.secrets.keys().copied().collect();
        for seat in seats {
            children.spawn(seat, 0)?;
        }
        Ok(children)
    }

    fn spawn(&mut self, seat: Seat, starts: u32) -> Result<(), RunError> {
        let log = self.recipe.logs.join(format!("{seat}.log"));
        let log = open_log(&log)?;
        let mut command = Command::new(&self.recipe.program);
        command.args(&self.recipe.arguments);
        match seat {
            Seat::Node(node) => command.args(["--node", &node.to_string()]),
            Seat::Adversary => command.arg("--adversary"),
        };
        command.args(["--tokens", "-"]);
        // One heap for its few threads, where the allocator is glibc's: each further one keeps
        // whole models that were freed.
        command.env("MALLOC_ARENA_MAX", "1");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
        own_group(&mut command);
        let failed =
            |error: std::io::Error| RunError::Network(format!("{seat} cannot be started: {error}"));
        let mut child = command.spawn().map_err(failed)?;
        let mut lifeline = child.stdin.take().expect("standard input is piped");
        // An empty line ends the secrets; the pipe stays open for as long as the child is wanted.
        let secrets = format!("{}\n", to_text(&self.secrets[&seat]));
        lifeline.write_all(secrets.as_bytes()).map_err(failed)?;
        self.running.insert(seat, Running { child, lifeline, starts: starts + 1 });
        Ok(())
    }

    /// Starts those again that were killed, as often as the recipe says, and leaves those gone
    /// that were killed more often: the run goes on without them. Returns who ended by itself,
    /// with the end of its log.
    fn tend(&mut self) -> Result<Vec<(Seat, String)>, RunError> {
        let mut dead = Vec::new();
        for (&seat, running) in &mut self.running {
            if let Ok(Some(status)) = running.child.try_wait() {
                dead.push((seat, running.starts, status));
            }
        }
        let mut gone = Vec::new();
        for (seat, starts, status) in dead {
            self.running.remove(&seat);
            // Who ended by itself would do so again; who was killed may go on.
            if status.code().is_some() {
                let log = self.recipe.logs.join(format!("{seat}.log"));
                gone.push((seat, format!("{status}: {}", last_line(&log))));
            } else if starts <= self.recipe.respawn {
                tracing::warn!("{seat} was killed ({status}); starting it again");
                self.spawn(seat, starts)?;
            } else {
                tracing::warn!("{seat} was killed ({status}) and is left so");
            }
        }
        Ok(gone)
    }

    /// Ends all children: closes their standard inputs and waits.
    pub fn end(mut self) {
        self.close();
    }

    fn close(&mut self) {
        let mut children = Vec::new();
        for (_, Running { child, lifeline, .. }) in std::mem::take(&mut self.running) {
            drop(lifeline);
            children.push(child);
        }
        for mut child in children {
            // A child that does not end by itself is of no more use.
            for _ in 0..200 {
                if !matches!(child.try_wait(), Ok(None)) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        self.close();
    }
}

/// Does `work` while the children are watched: those that were killed are started again, and
/// `gone` is told of any that ended by itself, which means that it cannot take part.
pub fn tended<T>(
    children: Option<Children>,
    gone: impl Fn(Seat, String) + Sync,
    work: impl FnOnce() -> T,
) -> (T, Option<Children>) {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut children = children;
            while let Some(watched) = children.as_mut().filter(|_| !over.load(Ordering::Relaxed)) {
                match watched.tend() {
                    Ok(ended) => ended.into_iter().for_each(|(seat, why)| gone(seat, why)),
                    Err(error) => gone(Seat::Adversary, error.to_string()),
                }
                std::thread::sleep(TENDING);
            }
            children
        });
        let result = work();
        over.store(true, Ordering::Relaxed);
        (result, watch.join().ok().flatten())
    })
}

/// Keeps Ctrl-C from reaching the children: the parent decides when they end.
fn own_group(command: &mut Command) {
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        command.process_group(0);
    }
    #[cfg(not(unix))]
    let _ = command;
}

fn open_log(path: &Path) -> Result<File, RunError> {
    let mut options = std::fs::OpenOptions::new();
    options.create(true).append(true);
    options.open(path).map_err(|error| RunError::file(path, error))
}

fn last_line(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no word").to_owned()
}
