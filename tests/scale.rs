//! How much it takes: many processes on one machine, and the memory of one of them.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests start programs and look at them from outside"
)]

mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use support::tables::Comparison;
use support::{Lab, kilobytes};

/// The most that a worker may have resident at any time, in kilobytes. The aim is 20,000. Two
/// thirds are pages of the program, which all workers of a machine share, and it has grown with the
/// catalogs: a worker of the release build comes to 20,000 to 22,000, one of this build to 24,000.
const RESIDENT_MAX: u64 = 28_000;

/// The most of that which is a worker's own: its data, a few vectors as long as the model, and the
/// buffers of its connection; an adversary holds what it would have sent beside what it sends.
const OWN_MAX: u64 = 10_000;

fn config(workers: usize, rounds: u32, train: usize, model: &str) -> String {
    format!(
        r#"
schema = 1
name = "scale"
[data]
set = {{ digits = {{ train = {train}, test = 100 }} }}
[{model}]
[training]
rounds = {rounds}
batch = 25
learning_rate = 0.1
momentum = 0.9
[system.central]
workers = {workers}
[aggregation]
byzantine = 2
rule = "median"
[threat]
corrupted = 2
attack = "sign_flip"
knowledge = "own_data"
[evaluation]
every = 1000
"#
    )
}

#[test]
fn a_hundred_processes_take_part() {
    let lab = Lab::new(&config(100, 3, 1000, "model.softmax"));
    lab.finish("real", &["--runtime", "processes"]);
    lab.finish("local", &["--threads", "1"]);
    Comparison::of(&lab.path("local"), &lab.path("real")).assert_equal();
    let recorded = lab.only_run("real").recorded_processes();
    let processes: BTreeSet<u32> = recorded.into_values().flatten().collect();
    assert_eq!(processes.len(), 101, "a hundred workers and the coordinator");
}

#[test]
fn a_worker_with_a_network_of_a_hundred_thousand_parameters_is_small() {
    let lab = Lab::new(&config(13, 2000, 10_000, "model.mlp]\nhidden = [128"));
    let running = lab.start("real", lab.run("real", &["--runtime", "processes"]));
    let run = lab.only_run("real");
    let processes = run.wait_for_processes(13);
    run.wait_for_rounds(20);
    let mut told = String::new();
    let resident: Vec<u64> = processes.values().map(|&it| kilobytes(it, "VmHWM")).collect();
    for (node, kilobytes) in processes.keys().zip(&resident) {
        let _ = write!(told, "node {node}: {kilobytes} kB; ");
    }
    assert!(resident.iter().all(|&kilobytes| kilobytes < RESIDENT_MAX), "{told}");
    let own: Vec<u64> = processes.values().map(|&it| kilobytes(it, "RssAnon")).collect();
    assert!(own.iter().all(|&kilobytes| kilobytes < OWN_MAX), "own: {own:?}");
    running.kill();
}
