//! Runs in one process.

use std::fs;
use std::path::Path;

use crate::support::Lab;
use crate::{assert_undisturbed, config};

const ROUNDS: u32 = 1500;

/// Keeps a checkpoint after every round.
const EVERY_ROUND: &[&str] = &["--threads", "1", "--checkpoint-seconds", "0"];

#[test]
fn a_killed_run_goes_on() {
    let lab = Lab::new(&config(ROUNDS));
    for rounds in [20, 300] {
        let running = lab.start("killed", lab.run("out", EVERY_ROUND));
        lab.only_run("out").wait_for_rounds(rounds);
        running.kill();
    }
    let run = lab.only_run("out");
    assert!(!run.path.join("DONE").exists());
    lab.finish("out", EVERY_ROUND);
    // Each part says where it went on; what came after its checkpoint is cut off with the rows.
    let resumed = run.events_named("resumed");
    assert_eq!(resumed.len(), 2, "{resumed:?}");
    // The rows of a round are written a moment before its checkpoint.
    assert!(resumed[0]["round"].as_u64() >= Some(19), "{resumed:?}");
    assert!(resumed[1]["round"].as_u64() >= Some(299), "{resumed:?}");
    assert!(!run.path.join("checkpoint").exists());
    assert_undisturbed(&lab, "out");
}

#[test]
fn a_run_killed_before_its_first_checkpoint_begins_anew() {
    let lab = Lab::new(&config(ROUNDS));
    let running = lab.start("killed", lab.run("out", &["--threads", "1"]));
    let run = lab.only_run("out");
    // Rows reach the disk when the buffer is full, long before the ten seconds of a checkpoint.
    run.wait_for_rounds(20);
    running.kill();
    assert!(!run.path.join("checkpoint").exists());
    lab.finish("out", &["--threads", "1"]);
    assert!(run.events_named("resumed").is_empty());
    assert_undisturbed(&lab, "out");
}

#[test]
fn an_interrupted_run_stops_after_the_open_round_and_goes_on() {
    let lab = Lab::new(&config(ROUNDS));
    let running = lab.start("stopped", lab.run("out", EVERY_ROUND));
    let run = lab.only_run("out");
    run.wait_for_rounds(20);
    crate::support::signal("INT", running.pid());
    let ended = running.end();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.errors);
    let message = "error: stopped with 0 of 1 cells done; the same command goes on from there";
    assert!(ended.errors.contains(message), "{}", ended.errors);
    let stopped = run.rounds_written();
    assert!(stopped < ROUNDS as usize);
    lab.finish("out", EVERY_ROUND);
    assert_eq!(run.events_named("resumed")[0]["round"], stopped);
    assert_undisturbed(&lab, "out");
}

#[test]
fn a_torn_checkpoint_is_not_believed() {
    let lab = Lab::new(&config(ROUNDS));
    let running = lab.start("killed", lab.run("out", EVERY_ROUND));
    let run = lab.only_run("out");
    run.wait_for_rounds(50);
    running.kill();
    let [older, newest] =
        ["run.older", "run.newest"].map(|name| run.path.join("checkpoint").join(name));
    let older = round_of(&older);
    // There is none if it was killed between two renamings.
    let bytes = fs::read(&newest).unwrap_or_default();
    fs::write(newest, &bytes[..bytes.len() / 2]).unwrap();
    lab.finish("out", EVERY_ROUND);
    assert_eq!(run.events_named("resumed")[0]["round"], older);
    assert_undisturbed(&lab, "out");
}

#[test]
fn without_any_whole_checkpoint_a_run_begins_anew() {
    let lab = Lab::new(&config(ROUNDS));
    let running = lab.start("killed", lab.run("out", EVERY_ROUND));
    let run = lab.only_run("out");
    run.wait_for_rounds(50);
    running.kill();
    for name in ["run.older", "run.newest"] {
        fs::write(run.path.join("checkpoint").join(name), b"not a checkpoint").unwrap();
    }
    lab.finish("out", EVERY_ROUND);
    assert!(run.events_named("resumed").is_empty());
    assert_undisturbed(&lab, "out");
}

/// The round that a checkpoint's header names.
fn round_of(path: &Path) -> u32 {
    u32::from_le_bytes(fs::read(path).unwrap()[8..12].try_into().unwrap())
}

#[test]
fn the_momentum_of_a_server_is_part_of_its_checkpoint() {
    let lab = Lab::new(
        &config(ROUNDS).replace("momentum = 0.9\n", "momentum = 0.9\nmomentum_at = \"server\"\n"),
    );
    let running = lab.start("killed", lab.run("out", EVERY_ROUND));
    lab.only_run("out").wait_for_rounds(50);
    running.kill();
    lab.finish("out", EVERY_ROUND);
    assert_eq!(lab.only_run("out").events_named("resumed").len(), 1);
    assert_undisturbed(&lab, "out");
}

#[test]
fn workers_that_are_not_drawn_are_found_again_as_they_were() {
    let drawn = "momentum = 0.9\nclients_per_round = 5\n";
    let lab = Lab::new(&config(ROUNDS).replace("momentum = 0.9\n", drawn));
    let running = lab.start("killed", lab.run("out", EVERY_ROUND));
    lab.only_run("out").wait_for_rounds(50);
    running.kill();
    lab.finish("out", EVERY_ROUND);
    assert_eq!(lab.only_run("out").events_named("resumed").len(), 1);
    assert_undisturbed(&lab, "out");
}
