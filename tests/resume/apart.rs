//! A coordinator and workers that were started by hand, each with a folder of its own.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::support::{Lab, Running, mnist, wait_for};
use crate::{assert_undisturbed, config};

const ROUNDS: u32 = 300;

/// A coordinator's address and how everybody is started.
struct Apart {
    lab: Lab,
    address: String,
    folders: [Option<String>; 2],
}

impl Apart {
    fn new(config: &str) -> Self {
        // A port that was free a moment ago: the coordinator must come back at the same one.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        Apart { lab: Lab::new(config), address, folders: [None, None] }
    }

    fn coordinator(&self) -> Running {
        let mut command = self.lab.command("coordinator", &["--listen", &self.address]);
        command.arg("--tokens").arg(self.lab.path("tokens")).arg("--out").arg(self.lab.path("out"));
        if let [Some(folder), _] = &self.folders {
            command.args(["--data-dir", folder]).env_remove("BYZLAB_DATA");
        }
        let mut running = self.lab.start("coordinator", command);
        wait_for("the coordinator to listen", || {
            assert!(running.is_running(), "{}", running.said());
            running.said().contains("the coordinator listens at").then_some(())
        });
        running
    }

    /// The worker of a seat, with its states in a folder of its own.
    fn worker(&self, seat: &[&str]) -> Running {
        let name = seat.join("");
        let mut command = self.lab.command("worker", &["--connect", &self.address]);
        command.arg("--tokens").arg(self.lab.path("tokens"));
        command.arg("--state").arg(self.lab.path(&format!("state{name}"))).args(seat);
        if let [_, Some(folder)] = &self.folders {
            command.args(["--data-dir", folder]).env_remove("BYZLAB_DATA");
        }
        self.lab.start(&name, command)
    }

    /// A worker for every node that is not corrupted, and the adversary.
    fn workers(&self, nodes: u32, corrupted: &[u32]) -> Vec<Running> {
        let honest = (0..nodes).filter(|node| !corrupted.contains(node));
        let mut workers: Vec<Running> =
            honest.map(|node| self.worker(&["--node", &node.to_string()])).collect();
        if !corrupted.is_empty() {
            workers.push(self.worker(&["--adversary"]));
        }
        workers
    }
}

/// The same experiment with the first two corrupted, so that seats are known beforehand.
fn placed(rounds: u32) -> String {
    config(rounds).replace("\"random\"", "\"first\"")
}

fn assert_succeeded(running: Running) {
    let ended = running.end();
    assert!(ended.status.success(), "{}", ended.errors);
}

#[test]
fn a_killed_coordinator_comes_back_to_workers_that_wait() {
    let apart = Apart::new(&placed(ROUNDS));
    let coordinator = apart.coordinator();
    let workers = apart.workers(7, &[0, 1]);
    let run = apart.lab.only_run("out");
    run.wait_for_rounds(30);
    coordinator.kill();
    let coordinator = apart.coordinator();
    run.wait_for_rounds(120);
    coordinator.kill();
    let coordinator = apart.coordinator();
    assert_succeeded(coordinator);
    workers.into_iter().for_each(assert_succeeded);
    assert_eq!(run.events_named("resumed").len(), 2);
    assert_undisturbed(&apart.lab, "out");
}

#[test]
fn a_killed_worker_goes_on_from_its_own_folder() {
    let apart = Apart::new(&placed(ROUNDS));
    let coordinator = apart.coordinator();
    let mut workers = apart.workers(7, &[0, 1]);
    let run = apart.lab.only_run("out");
    run.wait_for_rounds(50);
    // The last is the adversary, the first an honest worker.
    workers.pop().unwrap().kill();
    workers.remove(0).kill();
    workers.push(apart.worker(&["--adversary"]));
    workers.push(apart.worker(&["--node", "2"]));
    assert_succeeded(coordinator);
    workers.into_iter().for_each(assert_succeeded);
    assert!(run.events_named("lost").is_empty());
    assert_undisturbed(&apart.lab, "out");
}

#[test]
fn a_run_may_begin_anew_while_workers_remember_the_old_one() {
    let apart = Apart::new(&placed(ROUNDS));
    let coordinator = apart.coordinator();
    let workers = apart.workers(7, &[0, 1]);
    let run = apart.lab.only_run("out");
    run.wait_for_rounds(50);
    coordinator.kill();
    workers.into_iter().for_each(Running::kill);
    fs::remove_dir_all(apart.lab.path("out")).unwrap();
    let coordinator = apart.coordinator();
    let workers = apart.workers(7, &[0, 1]);
    assert_succeeded(coordinator);
    workers.into_iter().for_each(assert_succeeded);
    assert_undisturbed(&apart.lab, "out");
}

#[test]
fn the_coordinator_needs_no_training_data() {
    let Some(mnist) = mnist() else {
        let _ = std::io::Write::write_all(&mut std::io::stderr(), b"skipped: MNIST is not there\n");
        return;
    };
    let config = placed(3).replace("digits = { train = 100, test = 20 }", "mnist = {}");
    let mut apart = Apart::new(&config);
    let folders = ["t10k", "train"].map(|start| {
        let folder = apart.lab.path(start);
        fs::create_dir_all(folder.join("mnist")).unwrap();
        link_files(&mnist, start, &folder.join("mnist"));
        Some(folder.display().to_string())
    });
    apart.folders = folders;
    let coordinator = apart.coordinator();
    let workers = apart.workers(7, &[0, 1]);
    assert_succeeded(coordinator);
    workers.into_iter().for_each(assert_succeeded);
    let all = mnist.parent().unwrap().display().to_string();
    apart.lab.finish("local", &["--data-dir", &all]);
    let [local, out] = ["local", "out"].map(|name| apart.lab.path(name));
    crate::support::tables::Comparison::of(&local, &out).assert_equal();
}

/// Makes the files of a folder whose names begin so available in another.
fn link_files(from: &Path, start: &str, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().starts_with(start) {
            symlink(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}
