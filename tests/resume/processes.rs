//! Runs whose participants are processes on this machine.

use std::time::{Duration, Instant};

use crate::support::{Lab, Running, is_alive, signal, wait_for};
use crate::{assert_undisturbed, config};

const ROUNDS: u32 = 300;

const REAL: &[&str] = &["--runtime", "processes"];

fn start(lab: &Lab, arguments: &[&str]) -> Running {
    let mut given = REAL.to_vec();
    given.extend(arguments);
    lab.start("real", lab.run("out", &given))
}

fn finish(running: Running) {
    let ended = running.end();
    assert!(ended.status.success(), "{}", ended.errors);
}

/// A node of each kind: an honest one, another, and one that the adversary speaks for.
fn two_honest_and_a_corrupted(lab: &Lab) -> [u64; 3] {
    let run = lab.only_run("out");
    let (nodes, roles) = (run.column("nodes.csv", "node"), run.column("nodes.csv", "role"));
    let of_role = |role: &str| -> Vec<u64> {
        let found = nodes.iter().zip(&roles).filter(|(_, found)| *found == role);
        found.map(|(node, _)| node.parse().unwrap()).take(3).collect()
    };
    let (honest, corrupted) = (of_role("worker"), of_role("corrupted"));
    [honest[0], honest[1], corrupted[0]]
}

/// Kills the processes of `victims`, indices into honest, honest, corrupted, in the middle of a
/// run, and expects them back and the run undisturbed.
fn kill_in_the_middle(victims: &[usize]) {
    kill_in_the_middle_of(&config(ROUNDS), victims);
}

fn kill_in_the_middle_of(config: &str, victims: &[usize]) {
    let lab = Lab::new(config);
    let running = start(&lab, &[]);
    let run = lab.only_run("out");
    let before = run.wait_for_processes(7);
    run.wait_for_rounds(50);
    let nodes = two_honest_and_a_corrupted(&lab);
    for &victim in victims {
        signal("KILL", before[&nodes[victim]]);
    }
    finish(running);
    let after = run.processes();
    for &victim in victims {
        assert_ne!(before[&nodes[victim]], after[&nodes[victim]], "it was started again");
    }
    assert!(run.events_named("lost").is_empty());
    assert_undisturbed(&lab, "out");
}

/// Who is killed while it is not drawn, or drawn, or has been drawn before, comes back as it was.
#[test]
fn killed_workers_come_back_where_some_are_drawn_for_each_round() {
    let drawn = "momentum = 0.9\nclients_per_round = 5\n";
    kill_in_the_middle_of(&config(ROUNDS).replace("momentum = 0.9\n", drawn), &[0, 1, 2]);
}

#[test]
fn a_killed_worker_comes_back() {
    kill_in_the_middle(&[0]);
}

#[test]
fn a_killed_adversary_comes_back() {
    kill_in_the_middle(&[2]);
}

#[test]
fn three_processes_killed_at_once_come_back() {
    kill_in_the_middle(&[0, 1, 2]);
}

#[test]
fn a_worker_may_be_killed_as_often_as_it_is_started_again() {
    let lab = Lab::new(&config(ROUNDS));
    let running = start(&lab, &["--respawn", "3"]);
    let run = lab.only_run("out");
    run.wait_for_processes(7);
    run.wait_for_rounds(20);
    let [node, ..] = two_honest_and_a_corrupted(&lab);
    let mut process = run.processes()[&node];
    for _ in 0..3 {
        signal("KILL", process);
        process = wait_for("the worker to come back", || {
            Some(run.processes()[&node]).filter(|new| *new != process)
        });
    }
    finish(running);
    assert_undisturbed(&lab, "out");
}

#[test]
fn children_end_with_their_parent_and_the_same_command_goes_on() {
    let lab = Lab::new(&config(ROUNDS));
    let running = start(&lab, &[]);
    let run = lab.only_run("out");
    let children = run.wait_for_processes(7);
    run.wait_for_rounds(50);
    running.kill();
    let killed = Instant::now();
    let all_gone = || !children.values().any(|&child| is_alive(child));
    wait_for("the children to end", || all_gone().then_some(()));
    assert!(killed.elapsed() < Duration::from_secs(10), "{:?}", killed.elapsed());
    finish(start(&lab, &[]));
    assert!(run.events_named("resumed")[0]["round"].as_u64() >= Some(49));
    assert_undisturbed(&lab, "out");
}

#[test]
fn everything_killed_at_once_goes_on() {
    let lab = Lab::new(&config(ROUNDS));
    let running = start(&lab, &[]);
    let run = lab.only_run("out");
    let children = run.wait_for_processes(7);
    run.wait_for_rounds(50);
    running.kill();
    for &child in children.values() {
        // It may have noticed by itself that its parent is gone.
        let _ = std::process::Command::new("kill").args(["-KILL", &child.to_string()]).output();
    }
    finish(start(&lab, &[]));
    assert_undisturbed(&lab, "out");
}

#[test]
fn an_interrupted_run_goes_on() {
    let lab = Lab::new(&config(ROUNDS));
    let running = start(&lab, &[]);
    let run = lab.only_run("out");
    let children = run.wait_for_processes(7);
    run.wait_for_rounds(50);
    signal("INT", running.pid());
    let ended = running.end();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.errors);
    assert!(ended.errors.contains("the same command goes on from there"), "{}", ended.errors);
    assert!(!children.values().any(|&child| is_alive(child)));
    finish(start(&lab, &[]));
    assert_eq!(run.events_named("resumed").len(), 1);
    assert_undisturbed(&lab, "out");
}

#[test]
fn a_worker_that_stays_dead_is_lost_and_the_run_goes_on() {
    let lab = Lab::new(&config(ROUNDS));
    let running = start(&lab, &["--respawn", "0", "--patience", "1"]);
    let run = lab.only_run("out");
    let processes = run.wait_for_processes(7);
    run.wait_for_rounds(20);
    let [node, ..] = two_honest_and_a_corrupted(&lab);
    signal("KILL", processes[&node]);
    finish(running);
    assert_lost(&lab, node);
}

#[test]
fn a_worker_that_sleeps_too_long_is_lost_and_stays_out_when_it_wakes() {
    let lab = Lab::new(&config(ROUNDS));
    let running = start(&lab, &["--patience", "1"]);
    let run = lab.only_run("out");
    let processes = run.wait_for_processes(7);
    run.wait_for_rounds(20);
    let [node, ..] = two_honest_and_a_corrupted(&lab);
    signal("STOP", processes[&node]);
    wait_for("it to be lost", || run.events_named("lost").pop());
    signal("CONT", processes[&node]);
    finish(running);
    assert_lost(&lab, node);
}

/// A node is lost in one round, which is marked, and absent in all that follow.
fn assert_lost(lab: &Lab, node: u64) {
    let run = lab.only_run("out");
    let lost = run.events_named("lost");
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert_eq!(lost[0]["node"], node);
    let round = lost[0]["round"].as_u64().unwrap() + 1;
    let late = run.column("rounds.csv", "timed_out");
    let late: Vec<u64> =
        (1..).zip(&late).filter(|(_, late)| *late == "true").map(|(round, _)| round).collect();
    assert_eq!(late, [round]);
    assert_eq!(run.summary()["timed_out"], 1);
    assert_eq!(run.summary()["rounds"], ROUNDS);
    let (rounds, nodes) = (run.column("nodes.csv", "round"), run.column("nodes.csv", "node"));
    for ((at, who), outcome) in rounds.iter().zip(&nodes).zip(run.column("nodes.csv", "outcome")) {
        if *who == node.to_string() {
            let gone = at.parse::<u64>().unwrap() >= round;
            assert_eq!(outcome == "lost", gone, "round {at}: {outcome}");
        }
    }
}

#[test]
fn a_run_may_change_the_runtime_in_between() {
    let lab = Lab::new(&config(ROUNDS));
    let local = ["--threads", "1", "--checkpoint-seconds", "0"];
    let running = lab.start("local", lab.run("out", &local));
    let run = lab.only_run("out");
    run.wait_for_rounds(50);
    running.kill();
    // The states of one runtime are of no use to the other: it begins anew, and says so.
    let running = start(&lab, &[]);
    run.wait_for_processes(7);
    run.wait_for_rounds(50);
    running.kill();
    assert_eq!(run.events()[0].0, "started");
    assert_eq!(run.events()[0].1["runtime"], "processes");
    lab.finish("out", &local);
    assert_eq!(run.events()[0].1["runtime"], "local");
    assert_undisturbed(&lab, "out");
}
