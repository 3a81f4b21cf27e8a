//! Peers that say too much: a coordinator neither holds it nor listens for ever.

use byzlab::runtime::wire::proto::envelope::Body;

use super::client::{Client, Talk, absent, chunk, header, hello, share};
use super::frames::Socket;
use super::lab::{Lab, VALUES};

/// What a coordinator of this small experiment may come to hold, in MiB.
const MEMORY_MAX: u64 = 100;

/// Refusals after which a node is shown out.
const REFUSALS_MAX: u32 = 1000;

#[test]
fn a_flood_after_a_refusal_ends_with_its_sender_shown_out() {
    let mut lab = Lab::start(5, 3, 20.0);
    lab.worker(0);
    lab.worker(1);
    let client = Client::new(&lab);
    // As long as somebody owes an answer the round stays open.
    let mut holder = Talk::open(&client, &lab, 4);
    // The one announces five gigabytes and sends as many of them as it is let.
    let mut large = Talk::open(&client, &lab, 2);
    assert_eq!(large.asked(), 1);
    let mut sent = 0_u64;
    large.say(header(1, 5 << 28));
    while sent < 5 << 30 && large.say(chunk(vec![0x3c; 256 * 1024])) {
        sent += 256 * 1024;
    }
    assert!(sent < 1 << 30, "it could send {sent} bytes");
    // The other sends chunks of nothing.
    let mut small = Talk::open(&client, &lab, 3);
    assert_eq!(small.asked(), 1);
    let mut chunks = 0_u64;
    while chunks < 1_000_000 && small.say(chunk(Vec::new())) {
        chunks += 1;
    }
    assert!(chunks < 1_000_000);
    assert!(lab.most_memory() < MEMORY_MAX, "{} MiB", lab.most_memory());
    for round in 1..=3 {
        assert_eq!(holder.asked(), round);
        holder.say(absent(round));
    }
    let outcome = lab.finish();
    outcome.took_all_of(&[0, 1]);
    for node in [2, 3] {
        assert!(outcome.has("lost", node));
        assert_eq!(outcome.node(1, node), ("refused", REFUSALS_MAX));
        assert_eq!(outcome.node(3, node), ("lost", 0));
    }
    let reasons = outcome.reasons(1, 2);
    assert_eq!(reasons[0], "has 1342177280 values where the model has 7850");
    assert!(reasons[1].contains("more chunks of a refused message"), "{reasons:?}");
    // What is repeated is counted, and not told again each time.
    let told = outcome.events.iter().filter(|line| !line["event"]["refused"].is_null());
    assert_eq!(told.count(), 2 * 3);
}

#[test]
fn the_announcement_of_four_gigabytes_in_one_message_is_refused_at_once() {
    let mut lab = Lab::start(3, 2, 20.0);
    lab.worker(0);
    lab.worker(1);
    let mut socket = Socket::call(lab.address);
    assert!(socket.say(Body::Hello(hello(&lab, 2))));
    // Most of the model comes; then a length prefix, the largest that a gRPC message can have.
    assert!(socket.hear(3 * VALUES));
    assert!(socket.data(&[0, 0xff, 0xff, 0xff, 0xff]));
    let client = Client::new(&lab);
    let mut talk = Talk::open(&client, &lab, 2);
    assert_eq!(talk.asked(), 2);
    talk.say(share(2, 0.0, 0));
    assert!(lab.most_memory() < MEMORY_MAX, "{} MiB", lab.most_memory());
    let outcome = lab.finish();
    outcome.took_all_of(&[0, 1]);
    assert_eq!(outcome.node(1, 2), ("refused", 1));
    let reasons = outcome.reasons(1, 2);
    assert!(reasons[0].contains("4294967295 bytes"), "{reasons:?}");
    assert_eq!(outcome.node(2, 2), ("shared", 0));
}

#[test]
fn the_beginnings_of_many_messages_fill_no_memory() {
    let mut lab = Lab::start(3, 2, 20.0);
    // Strangers that begin messages of the largest size and never end them.
    let beginning = vec![0; 16 * 1024];
    let mut strangers: Vec<Socket> = (0..100).map(|_| Socket::call(lab.address)).collect();
    let mut sent = 0_u64;
    for stranger in &mut strangers {
        stranger.data(&[0, 0, 6, 0, 0]);
        for _ in 0..24 {
            if !stranger.data(&beginning) {
                break;
            }
            sent += beginning.len() as u64;
        }
    }
    assert!(sent > 0);
    for node in 0..3 {
        lab.worker(node);
    }
    assert!(lab.most_memory() < MEMORY_MAX, "{} MiB", lab.most_memory());
    let outcome = lab.finish();
    outcome.took_all_of(&[0, 1, 2]);
    assert_eq!(outcome.strangers(), 100);
}
