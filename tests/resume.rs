//! Kill and resume: whatever is killed, whenever, the run ends in the bits of an undisturbed one.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests start and kill programs and read what they leave behind"
)]

mod support;

#[path = "resume/apart.rs"]
mod apart;
#[path = "resume/cells.rs"]
mod cells;
#[path = "resume/local.rs"]
mod local;
#[path = "resume/processes.rs"]
mod processes;

use support::Lab;

/// Momentum, absences and an omniscient adversary: everybody has a state to lose.
fn config(rounds: u32) -> String {
    format!(
        r#"
schema = 1
name = "resume"
[data]
set = {{ digits = {{ train = 100, test = 20 }} }}
[model.softmax]
[training]
rounds = {rounds}
batch = 5
learning_rate = 0.1
momentum = 0.9
[system.central]
workers = 7
[aggregation]
byzantine = 2
rule = "trimmed_mean"
[threat]
corrupted = 2
placement = "random"
attack = "little_is_enough"
[faults]
absences = 0.05
[evaluation]
every = 100
"#
    )
}

/// Compares the run in `out` with an undisturbed one in one process.
fn assert_undisturbed(lab: &Lab, out: &str) {
    lab.finish("undisturbed", &["--threads", "1"]);
    support::tables::Comparison::of(&lab.path("undisturbed"), &lab.path(out)).assert_equal();
}
