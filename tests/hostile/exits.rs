//! Processes that cannot take part say why, and end.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::client::{Client, Talk, absent};
use super::lab::{Lab, Process};

#[test]
fn a_worker_with_another_plan_is_told_what_to_do() {
    let mut lab = Lab::start(3, 2, 20.0);
    let mut other = lab.set().to_vec();
    other.push("training.learning_rate=0.2".to_owned());
    let mut stray = Process::start(lab.worker_command(2, lab.address, &other));
    assert_eq!(stray.end().code(), Some(1));
    let heard = stray.heard();
    let digits = |byte: &u8| format!("{byte:02x}");
    let ours = lab.plan[..8].iter().map(digits).collect::<Vec<_>>().concat();
    assert!(heard.contains("node 2 has another plan than the coordinator"), "{heard}");
    assert!(heard.contains(&format!("{ours} there")), "{heard}");
    assert!(heard.contains("give both the same config, --set and --seeds"), "{heard}");
    assert!(lab.heard().contains("node 2 is turned away"), "{}", lab.heard());
    lab.worker(0);
    lab.worker(1);
    let client = Client::new(&lab);
    let mut talk = Talk::open(&client, &lab, 2);
    for round in 1..=2 {
        assert_eq!(talk.asked(), round);
        talk.say(absent(round));
    }
    let outcome = lab.finish();
    outcome.took_all_of(&[0, 1]);
    assert_eq!(outcome.manifest["turned_away"]["2"], 1);
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (_folder, command) = Lab::idle(&address);
    let mut coordinator = Process::start(command);
    let status = coordinator.end();
    let heard = coordinator.heard();
    assert_eq!(status.code(), Some(1), "{heard}");
    assert!(heard.contains(&format!("cannot listen at {address}")), "{heard}");
    assert!(heard.contains("choose another port, or 0 for any that is free"), "{heard}");
}

#[test]
fn a_worker_waits_five_seconds_for_a_coordinator_and_no_longer() {
    let lab = Lab::start(2, 1, 20.0);
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let began = Instant::now();
    let mut worker = Process::start(lab.worker_command(0, gone, lab.set()));
    let status = worker.end();
    let elapsed = began.elapsed();
    let heard = worker.heard();
    assert_eq!(status.code(), Some(1), "{heard}");
    assert!(heard.contains(&format!("no coordinator answers at {gone}")), "{heard}");
    assert!(heard.contains("byzlab coordinator --listen"), "{heard}");
    assert!(elapsed > Duration::from_secs(4) && elapsed < Duration::from_secs(9), "{elapsed:?}");
}
