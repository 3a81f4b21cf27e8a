//! Peers that say too little: nothing at all, half of a message, the same hello again and again.

use std::thread::sleep;
use std::time::{Duration, Instant};

use byzlab::runtime::wire::proto::Hello;
use byzlab::runtime::wire::proto::envelope::Body;

use super::client::{Client, Talk, absent, chunk, header, hello, share};
use super::frames::Socket;
use super::lab::{Lab, VALUES, until};

#[test]
fn who_falls_silent_is_lost_and_the_last_one_goes_on() {
    let mut lab = Lab::start(5, 4, 4.0);
    lab.worker(0);
    let client = Client::new(&lab);
    // One never comes, one says hello and nothing else, one stops half-way through its update,
    // and one answers the wrong round, which is no answer.
    let mut silent = Talk::open(&client, &lab, 2);
    let mut stalled = Talk::open(&client, &lab, 3);
    let mut wrong = Talk::open(&client, &lab, 4);
    assert_eq!((silent.asked(), stalled.asked(), wrong.asked()), (1, 1, 1));
    stalled.say(vec![header(1, VALUES as u64), chunk(vec![0; 2 * VALUES])]);
    wrong.say(absent(7));
    for talk in [&mut silent, &mut stalled, &mut wrong] {
        assert!(!talk.ended().unwrap(), "the line is closed before the run is over");
    }
    let outcome = lab.finish();
    outcome.took_all_of(&[0]);
    for node in [1, 2, 3, 4] {
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
    let mut lab = Lab::start(4, 3, 6.0);
    lab.worker(0);
    lab.worker(1);
    let client = Client::new(&lab);
    let refused = until("the node that never stays is shown out", || {
        client.converse(Body::Hello(hello(&lab, 2))).ok()?.refused()
    });
    assert!(refused.message().contains("node 2 is absent from this run"), "{refused}");
    let mut patient = Talk::open(&client, &lab, 3);
    for round in 1..=3 {
        assert_eq!(patient.asked(), round);
        patient.say(absent(round));
    }
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

#[test]
fn who_never_ends_its_hello_is_shown_out() {
    let mut lab = Lab::start(3, 2, 8.0);
    lab.worker(0);
    lab.worker(1);
    let client = Client::new(&lab);
    let mut talk = Talk::open(&client, &lab, 2);
    assert_eq!(talk.asked(), 1);
    // Strangers: one opens a conversation and is silent, one drips the first bytes of a hello.
    let mut silent = Socket::call(lab.address);
    let mut slow = Socket::call(lab.address);
    slow.data(&[0, 0, 0, 0, 90]);
    let began = Instant::now();
    // Who is known may stay, but its second conversation gets no further either.
    let status = std::thread::scope(|scope| {
        let second = scope.spawn(|| client.converse(Vec::<Body>::new()).err().unwrap());
        while slow.data(&[0x0a]) {
            sleep(Duration::from_millis(50));
        }
        assert!(silent.closed(Duration::from_secs(5)));
        second.join().unwrap()
    });
    assert!(began.elapsed() < Duration::from_secs(7), "{:?}", began.elapsed());
    assert_eq!(status.message(), "a conversation begins with a hello");
    talk.say(absent(1));
    assert_eq!(talk.asked(), 2);
    talk.say(absent(2));
    let outcome = lab.finish();
    outcome.took_all_of(&[0, 1]);
    assert_eq!(outcome.node(2, 2), ("absent", 0));
    assert!(outcome.strangers() >= 3, "{}", outcome.strangers());
}
