//! What survives a real kill: SIGKILL by process id, and then the events say what became of the
//! others. Beside it stands what the system's page in `explain` promises.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests start and kill programs and read what they leave behind"
)]

mod support;

use std::collections::BTreeSet;
use std::process::Command;

use byzlab::ledger::file::{self, FILE_NAME};
use byzlab::node::NodeId;
use support::{Lab, RunFiles, is_alive, signal, wait_for};

/// Rounds of a run, enough to be killed in the middle of.
const ROUNDS: usize = 400;

/// Rounds of a committee, whose dead member has its turn to propose in every seventh.
const ROUNDS_OF_COMMITTEE: u32 = 40;

fn config(system: &str) -> String {
    format!(
        r#"
schema = 1
name = "survival"
[data]
set = {{ digits = {{ train = 600, test = 100 }} }}
[model.softmax]
[training]
rounds = {ROUNDS}
batch = 5
learning_rate = 0.05
momentum = 0.9
[aggregation]
byzantine = 1
rule = "trimmed_mean"
[evaluation]
every = 50
{system}
"#
    )
}

const ALONE: [&str; 4] = ["--runtime", "processes", "--respawn", "0"];

/// Starts the experiment on processes, kills the processes of `victims` once a few rounds are
/// done, and returns what is left of the run.
fn kill(lab: &Lab, nodes: usize, victims: &[u64]) -> RunFiles {
    let running = lab.start("real", lab.run("real", &ALONE));
    let run = lab.only_run("real");
    run.wait_for_rounds(20);
    let processes = run.wait_for_processes(nodes);
    assert!(run.rounds_written() < ROUNDS, "the run is over before anybody is killed");
    for victim in victims {
        signal("KILL", processes[victim]);
    }
    wait_for("the victims' deaths", || {
        victims.iter().all(|victim| !is_alive(processes[victim])).then_some(())
    });
    let ended = running.end();
    assert!(ended.status.success(), "{}", ended.errors);
    let lost: BTreeSet<u64> =
        run.events_named("lost").iter().filter_map(|event| event["node"].as_u64()).collect();
    assert_eq!(lost, victims.iter().copied().collect());
    assert_eq!(run.rounds_written(), ROUNDS);
    run
}

/// The page of a system, on one line.
fn page(system: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_byzlab")).args(["explain", system]).output();
    String::from_utf8(output.unwrap().stdout)
        .unwrap()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// How many nodes hold a model of their own after the last round.
fn holders(run: &RunFiles) -> usize {
    let last = ROUNDS.to_string();
    let rounds = run.column("nodes.csv", "round");
    let accuracies = run.column("nodes.csv", "test_accuracy");
    let held = rounds.iter().zip(&accuracies);
    held.filter(|(round, accuracy)| **round == last && !accuracy.is_empty()).count()
}

#[test]
fn three_of_twenty_peers() {
    let system = "
[system.gossip]
workers = 20
topology = { k_regular = { k = 8 } }
";
    let lab = Lab::new(&config(system));
    let run = kill(&lab, 20, &[3, 8, 15]);
    assert_eq!(holders(&run), 17);
    let summary = run.summary();
    assert!(summary["final_accuracy"].as_f64().unwrap() > 0.5, "{summary}");
    assert!(summary["timed_out"].as_u64().unwrap() >= 1, "{summary}");
    assert!(page("gossip").contains("the others go on"));
}

#[test]
fn f_of_the_replicas() {
    let system = "
[system.replicated]
workers = 6
replicas = 4
";
    let lab = Lab::new(&config(system));
    let run = kill(&lab, 10, &[8]);
    // The others agree as if nothing had happened, to the last bit.
    lab.finish("undisturbed", &["--threads", "1"]);
    let undisturbed = lab.only_run("undisturbed").summary();
    assert_eq!(run.summary()["final_digest"], undisturbed["final_digest"]);
    assert_eq!(run.summary()["skipped"], 0);
    assert!(page("replicated").contains("k* = f + 1 crashes stop everybody"));
}

#[test]
fn more_replicas_than_f() {
    let system = "
[system.replicated]
workers = 6
replicas = 4
";
    let lab = Lab::new(&config(system));
    let run = kill(&lab, 10, &[6, 7, 8]);
    let summary = run.summary();
    // One replica is left, and nobody believes a single one.
    assert!(summary["skipped"].as_u64().unwrap() > 100, "{summary}");
    assert!(summary["availability"].as_f64().unwrap() < 0.9, "{summary}");
}

/// Kills member 3 of a committee of seven, and says whether that was in the middle of a vote: the
/// block of a round lists its update, and it never came to that round's end.
fn kill_a_member(lab: &Lab, out: &str, after: usize) -> (RunFiles, bool) {
    let running = lab.start(out, lab.run(out, &[&ALONE[..], &["--rerun"]].concat()));
    let run = lab.only_run(out);
    run.wait_for_rounds(after);
    let processes = run.wait_for_processes(7);
    signal("KILL", processes[&3]);
    let ended = running.end();
    assert!(ended.status.success(), "{}", ended.errors);
    let rounds = run.column("nodes.csv", "round");
    let nodes = run.column("nodes.csv", "node");
    let digests = run.column("nodes.csv", "model_digest");
    let settled = (0..rounds.len()).filter(|row| nodes[*row] == "3" && !digests[*row].is_empty());
    let last = settled.map(|row| rounds[row].parse::<u32>().unwrap()).max().unwrap();
    let text = std::fs::read(run.path.join(FILE_NAME)).unwrap();
    let mut listed = 0;
    let chain = file::read(&text[..], |entry, _| {
        if entry.block.list.iter().any(|listed| listed.sender == NodeId(3)) {
            listed = entry.block.round.0;
        }
    });
    assert_eq!(chain.unwrap().height().0, ROUNDS_OF_COMMITTEE, "a round has no block");
    (run, listed > last)
}

#[test]
fn a_committee_member_in_the_middle_of_a_vote() {
    let system = "
[system.committee]
workers = 7
size = 7
timeout = 300
";
    let text = config(system)
        .replace(&format!("rounds = {ROUNDS}"), &format!("rounds = {ROUNDS_OF_COMMITTEE}"))
        .replace("every = 50", "every = 1");
    let lab = Lab::new(&text);
    // When the vote is on cannot be seen from outside, so it is killed at other times until it was.
    let tries = (0..8).map(|attempt| kill_a_member(&lab, &format!("try{attempt}"), 5 + attempt));
    let mut hit = tries.filter(|(_, in_the_middle)| *in_the_middle);
    let (run, _) = hit.next().expect("none of eight kills fell into a vote");
    // The other six are enough: every round has its block, and they end with one model.
    assert_eq!(run.summary()["skipped"], 0);
    assert_eq!(run.rounds_written(), ROUNDS_OF_COMMITTEE as usize);
    let rounds = run.column("nodes.csv", "round");
    let digests = run.column("nodes.csv", "model_digest");
    let last = (0..rounds.len()).filter(|row| rounds[*row] == ROUNDS_OF_COMMITTEE.to_string());
    let held: Vec<&String> = last.map(|row| &digests[row]).filter(|it| !it.is_empty()).collect();
    assert_eq!(held.len(), 6);
    assert!(held.iter().all(|digest| *digest == held[0]), "{held:?}");
    assert!(page("committee").contains("f + 1 members of one committee stop the round"));
}

#[test]
fn the_bridge() {
    let system = "
[system.federated]
workers = 9
regions = 3
";
    // Workers are nodes 0 to 8, regions 9 to 11; the bridge comes last.
    let lab = Lab::new(&config(system));
    let run = kill(&lab, 13, &[12]);
    let summary = run.summary();
    assert_eq!(holders(&run), 9);
    assert!(summary["disagreement"].as_f64().unwrap() > 0.0, "the regions have not gone apart");
    assert!(summary["final_accuracy"].as_f64().unwrap() > 0.5, "{summary}");
    let promised = "Without bridges everybody learns on from their own region's data";
    assert!(page("federated").contains(promised));
}

#[test]
fn the_one_server() {
    let system = "
[system.central]
workers = 6
";
    let lab = Lab::new(&config(system));
    let running = lab.start("real", lab.run("real", &ALONE));
    let run = lab.only_run("real");
    run.wait_for_rounds(20);
    let processes = run.wait_for_processes(6);
    running.kill();
    wait_for("its workers to leave", || {
        processes.values().all(|process| !is_alive(*process)).then_some(())
    });
    // Nothing survives its server: no later round, no end.
    let rounds = run.rounds_written();
    assert!(rounds < ROUNDS && !run.path.join("DONE").exists(), "{rounds} rounds");
    assert!(run.events_named("finished").is_empty());
    assert!(page("central").contains("nobody learns while it is down"));
}
