//! Peers that say too little: nothing at all, half of a message, the same hello again and again.

use byzlab::runtime::wire::proto::Hello;
use byzlab::runtime::wire::proto::envelope::Body;

use super::client::{Client, Talk, absent, chunk, header, hello, share};
use super::lab::{Lab, VALUES, until};

#[test]
fn who_falls_silent_is_lost_and_the_others_go_on() {
    let mut lab = Lab::start(5, 4, 4.0);
    lab.worker(0);
    lab.worker(1);
    let client = Client::new(&lab);
    // One says hello and nothing else, one stops half-way through its update, and one answers
    // the wrong round, which is no answer.
    let mut silent = Talk::open(&client, &lab, 2);
    let mut stalled = Talk::open(&client, &lab, 3);
    let mut wrong = Talk::open(&client, &lab, 4);
    assert_eq!((silent.asked(), stalled.asked(), wrong.asked()), (1, 1, 1));
    stalled.say(vec![header(1, VALUES as u64), chunk(vec![0; 2 * VALUES])]);
    wrong.say(absent(7));
    for talk in [&mut silent, &mut stalled, &mut wrong] {
        assert!(!talk.ended().unwrap(), "the line is closed before the run is over");
    }
    let mut late = Talk::open(&client, &lab, 3);
    // The run may be over before it is told so.
    if let Err(status) = late.ended() {
        assert!(status.message().contains("node 3 is absent from this run"), "{status}");
    }
    let outcome = lab.finish();
    outcome.took_all_of(&[0, 1]);
    for node in [2, 3, 4] {
        assert_eq!(outcome.node(1, node).0, "lost");
        assert_eq!(outcome.node(4, node), ("lost", 0));
        assert!(outcome.has("lost", node));
    }
    assert_eq!(outcome.node(1, 4), ("lost", 1));
    assert_eq!(outcome.reasons(1, 4), ["belongs to round 7"]);
    let timed_out: Vec<&str> = outcome.rounds.iter().map(|row| row["timed_out"].as_str()).collect();
    assert_eq!(timed_out, ["true", "false", "false", "false"]);
}

#[test]
fn who_comes_again_and_again_does_not_hold_up_the_run() {
    let mut lab = Lab::start(3, 3, 4.0);
    lab.worker(0);
    lab.worker(1);
    let client = Client::new(&lab);
    let refused = until("the node that never stays is shown out", || {
        client.converse(Body::Hello(hello(&lab, 2))).ok()?.refused()
    });
    assert!(refused.message().contains("node 2 is absent from this run"), "{refused}");
    let outcome = lab.finish();
    outcome.took_all_of(&[0, 1]);
    assert!(outcome.has("lost", 2));
    let joined = outcome.events.iter().filter(|line| line["event"]["joined"]["node"] == 2);
    assert_eq!(joined.count(), 10);
}

#[test]
fn who_answers_and_does_not_read_is_hung_up_on() {
    const ROUNDS: u32 = 20;
    let mut lab = Lab::start(3, ROUNDS, 4.0);
    lab.worker(0);
    lab.worker(1);
    let client = Client::new(&lab);
    let mut talk = Talk::open(&client, &lab, 2);
    assert_eq!(talk.asked(), 1);
    // From now on it reads nothing: it looks elsewhere which round is open.
    for round in 1..=ROUNDS {
        if !talk.say(share(round, 0.0, 0)) {
            break;
        }
        until("the round is closed", || (lab.closed() >= round as usize).then_some(()));
    }
    let outcome = lab.finish();
    outcome.took_all_of(&[0, 1]);
    assert!(outcome.has("left", 2) && outcome.has("lost", 2), "it would have been sent all models");
    // The windows of the connection and of the line have room for some.
    assert_eq!(outcome.node(1, 2).0, "shared");
    assert_eq!(outcome.node(ROUNDS as usize, 2).0, "lost");
}

#[test]
fn an_adversary_that_does_not_read_its_wiretap_is_hung_up_on() {
    const ROUNDS: u32 = 30;
    let mut lab = Lab::tapped(3, ROUNDS, 4.0);
    lab.worker(1);
    lab.worker(2);
    let client = Client::new(&lab);
    let colluding = Hello { adversary: true, ..hello(&lab, 0) };
    let _tap = client.wiretap(colluding.clone()).unwrap();
    let mut talk = client.converse(Body::Hello(colluding)).unwrap();
    // It answers as long as it is asked.
    let mut rounds = 0;
    while let Some(round) = talk.asked_or_ended() {
        rounds = round;
        talk.say(absent(round));
    }
    let outcome = lab.finish();
    assert!(rounds < ROUNDS, "it would have been sent everything");
    outcome.took_all_of(&[1, 2]);
    assert!(outcome.has("left", 0) && outcome.has("lost", 0));
}
