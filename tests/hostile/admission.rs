//! A member of the roster sends what is no update: each offence costs it its turn or is turned
//! down, is counted in its round, and is told with its numbers.

use std::thread::sleep;

use bytes::Bytes;
use byzlab::runtime::wire::proto::envelope::Body;
use byzlab::runtime::wire::proto::{Finished, Train};

use super::client::{A_MOMENT, Client, Talk, Words, absent, chunk, header, hello, share};
use super::lab::{Lab, VALUES};

/// What is sent in one round, what becomes of the sender, and what is told.
struct Offence {
    words: fn(&Lab, u32) -> Vec<Words>,
    outcome: &'static str,
    refused: u32,
    told: &'static str,
}

fn whole(bytes: usize) -> Body {
    chunk(vec![0; bytes])
}

const OFFENCES: [Offence; 17] = [
    Offence {
        words: |_, round| vec![share(round, f32::NAN, 17).into()],
        outcome: "refused",
        refused: 1,
        told: "value 17 is not a finite number",
    },
    Offence {
        words: |_, round| vec![share(round, f32::INFINITY, VALUES - 1).into()],
        outcome: "refused",
        refused: 1,
        told: "value 7849 is not a finite number",
    },
    Offence {
        words: |_, round| vec![share(round, f32::NEG_INFINITY, 0).into()],
        outcome: "refused",
        refused: 1,
        told: "value 0 is not a finite number",
    },
    // A header that promises another number of values; the chunk that it announces is dropped.
    Offence {
        words: |_, round| vec![vec![header(round, 7849), whole(4 * 7849)].into()],
        outcome: "refused",
        refused: 1,
        told: "has 7849 values where the model has 7850",
    },
    // Five gigabytes, by their announcement.
    Offence {
        words: |_, round| vec![vec![header(round, 5 << 28), whole(30_000)].into()],
        outcome: "refused",
        refused: 1,
        told: "has 1342177280 values where the model has 7850",
    },
    // More bytes than were promised, by less than a value and by one.
    Offence {
        words: |_, round| vec![vec![header(round, VALUES as u64), whole(4 * VALUES + 1)].into()],
        outcome: "refused",
        refused: 1,
        told: "31401 bytes where the model has 31400",
    },
    Offence {
        words: |_, round| {
            vec![vec![header(round, VALUES as u64), whole(4 * VALUES - 4), whole(8)].into()]
        },
        outcome: "refused",
        refused: 1,
        told: "31404 bytes where the model has 31400",
    },
    // Fewer bytes than were promised, then the next message.
    Offence {
        words: |_, round| {
            vec![vec![header(round, VALUES as u64), whole(2 * VALUES)].into(), absent(round).into()]
        },
        outcome: "refused",
        refused: 1,
        told: "a new message before the last one was whole",
    },
    Offence {
        words: |_, round| vec![vec![header(round, VALUES as u64), whole(0)].into()],
        outcome: "refused",
        refused: 1,
        told: "an empty chunk",
    },
    // Other rounds are turned down and the sender still has its turn.
    Offence {
        words: |_, round| vec![share(round - 3, 0.0, 0).into(), absent(round).into()],
        outcome: "absent",
        refused: 1,
        told: "belongs to round 7",
    },
    Offence {
        words: |_, round| vec![share(u32::MAX, 0.0, 0).into(), share(round, 0.0, 0).into()],
        outcome: "shared",
        refused: 1,
        told: "belongs to round 4294967295",
    },
    Offence {
        words: |_, _| vec![whole(64).into()],
        outcome: "refused",
        refused: 1,
        told: "a chunk that belongs to no message",
    },
    // What only a server says.
    Offence {
        words: |_, round| {
            let train = Body::Train(Train { round, values: VALUES as u64 });
            vec![vec![train, whole(4 * VALUES)].into(), share(round, 0.0, 0).into()]
        },
        outcome: "shared",
        refused: 1,
        told: "not this sender's to say",
    },
    Offence {
        words: |_, _| vec![Body::Finished(Finished {}).into()],
        outcome: "refused",
        refused: 1,
        told: "a message that has no place in a round",
    },
    Offence {
        words: |lab, _| vec![Body::Hello(hello(lab, 2)).into()],
        outcome: "refused",
        refused: 1,
        told: "a message that has no place in a round",
    },
    Offence {
        words: |_, _| vec![Bytes::new().into()],
        outcome: "refused",
        refused: 1,
        told: "an envelope with nothing in it",
    },
    // An unknown field is no offence to protobuf, but an envelope without a body is one.
    Offence {
        words: |_, _| vec![Bytes::from_static(&[0x7a, 0x02, 0x68, 0x69]).into()],
        outcome: "refused",
        refused: 1,
        told: "an envelope with nothing in it",
    },
];

#[test]
fn what_is_no_update_is_counted_against_its_sender_and_the_run_goes_on() {
    let mut lab = Lab::start(3, OFFENCES.len() as u32, 20.0);
    lab.worker(0);
    lab.worker(1);
    let client = Client::new(&lab);
    let mut talk = Talk::open(&client, &lab, 2);
    for (index, offence) in OFFENCES.iter().enumerate() {
        let round = talk.asked();
        assert_eq!(round as usize, index + 1);
        for words in (offence.words)(&lab, round) {
            assert!(talk.say(words));
        }
    }
    assert!(talk.ended().unwrap());
    let outcome = lab.finish();
    for (index, offence) in OFFENCES.iter().enumerate() {
        let round = index + 1;
        let told = outcome.reasons(round, 2);
        assert_eq!(outcome.node(round, 2), (offence.outcome, offence.refused), "{}", offence.told);
        assert!(told[0].contains(offence.told), "round {round}: {told:?}");
    }
    outcome.took_all_of(&[0, 1]);
    assert_eq!(outcome.strangers(), 0);
}

/// Bytes that cannot be decoded.
const NONSENSE: &[u8] = &[0x1a, 0xff, 0xff, 0xff, 0xff, 0xff];

#[test]
fn bytes_that_are_no_protobuf_end_the_turn_and_the_line_but_not_the_run() {
    let mut lab = Lab::start(3, 4, 20.0);
    lab.worker(0);
    lab.worker(1);
    let client = Client::new(&lab);
    let mut talk = Talk::open(&client, &lab, 2);
    assert_eq!(talk.asked(), 1);
    talk.say(Bytes::from_static(NONSENSE));
    // It may come back, and do better, or break off in the middle of a message.
    let mut talk = Talk::open(&client, &lab, 2);
    assert_eq!(talk.asked(), 2);
    talk.say(share(2, 0.0, 0));
    assert_eq!(talk.asked(), 3);
    talk.say(vec![header(3, VALUES as u64), whole(100)]);
    sleep(A_MOMENT);
    drop(talk);
    let mut talk = Talk::open(&client, &lab, 2);
    assert_eq!(talk.asked(), 3);
    talk.say(share(3, 0.0, 0));
    assert_eq!(talk.asked(), 4);
    // An envelope of more than a coordinator ever reads at once.
    talk.say(vec![header(4, VALUES as u64), whole(5 << 20)]);
    let outcome = lab.finish();
    assert_eq!(outcome.node(1, 2), ("refused", 1));
    assert!(outcome.reasons(1, 2)[0].contains("malformed"), "{:?}", outcome.reasons(1, 2));
    assert_eq!(outcome.node(2, 2), ("shared", 0));
    assert_eq!(outcome.node(3, 2), ("shared", 0));
    assert_eq!(outcome.node(4, 2), ("refused", 1));
    assert!(outcome.reasons(4, 2)[0].contains("too large"), "{:?}", outcome.reasons(4, 2));
    outcome.took_all_of(&[0, 1]);
}

#[test]
fn the_first_answer_of_a_round_counts_and_the_second_is_refused() {
    let mut lab = Lab::start(4, 2, 20.0);
    lab.worker(0);
    lab.worker(1);
    let client = Client::new(&lab);
    let (mut twice, mut late) = (Talk::open(&client, &lab, 2), Talk::open(&client, &lab, 3));
    assert_eq!((twice.asked(), late.asked()), (1, 1));
    twice.say(share(1, 0.0, 0));
    twice.say(share(1, 9.0, 0));
    // The round stays open until the last has answered.
    sleep(A_MOMENT);
    late.say(absent(1));
    assert_eq!((twice.asked(), late.asked()), (2, 2));
    twice.say(absent(2));
    twice.say(share(2, 9.0, 0));
    sleep(A_MOMENT);
    late.say(absent(2));
    let outcome = lab.finish();
    assert_eq!(outcome.node(1, 2), ("shared", 1));
    assert_eq!(outcome.node(2, 2), ("absent", 1));
    assert_eq!(outcome.reasons(1, 2), ["answered this round before"]);
    assert_eq!(outcome.reasons(2, 2), ["answered this round before"]);
    outcome.took_all_of(&[0, 1]);
}

#[test]
fn the_adversary_is_shown_what_was_taken_and_waits_for_nothing_else() {
    let mut lab = Lab::tapped(3, 4, 6.0);
    lab.adversary();
    lab.worker(1);
    let client = Client::new(&lab);
    let mut talk = Talk::open(&client, &lab, 2);
    assert_eq!(talk.asked(), 1);
    // Honest by its number, and its answer is none: it is absent for the adversary as well.
    talk.say(whole(64));
    assert_eq!(talk.asked(), 2);
    talk.say(share(2, f32::NAN, 0));
    assert_eq!(talk.asked(), 3);
    // What was refused before the answer is not the answer.
    talk.say(absent(1));
    talk.say(absent(4));
    talk.say(share(3, 0.5, 0));
    assert_eq!(talk.asked(), 4);
    talk.say(share(4, 0.5, 0));
    let outcome = lab.finish();
    outcome.took_all_of(&[0, 1]);
    let mine: Vec<(&str, u32)> = (1..=4).map(|round| outcome.node(round, 2)).collect();
    assert_eq!(mine, [("refused", 1), ("refused", 1), ("shared", 2), ("shared", 0)]);
    assert!(outcome.rounds.iter().all(|row| row["timed_out"] == "false"));
    // It answers with the negated mean of what it was shown: its own norm tells whose it was.
    let norm = |round: usize, node: u32| -> f64 {
        let wanted = (round.to_string(), node.to_string());
        let mut rows = outcome.nodes.iter();
        let row = rows.find(|row| (&row["round"], &row["node"]) == (&wanted.0, &wanted.1));
        row.unwrap()["norm"].parse().unwrap()
    };
    for round in [1, 2] {
        assert!((norm(round, 0) - norm(round, 1)).abs() < 1e-6, "round {round}");
    }
    for round in [3, 4] {
        assert!((norm(round, 0) - norm(round, 1)).abs() > 1e-3, "round {round}");
    }
}
