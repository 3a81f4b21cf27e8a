//! Peers that claim what is not theirs: another's identity, none at all, another's seat, a
//! wiretap, a run that does not exist, another plan.

use byzlab::runtime::wire::proto::envelope::Body;
use byzlab::runtime::wire::proto::{AttendRequest, Credential, Hello};
use tonic::Code;

use super::client::{Client, Talk, absent, credential, header, hello};
use super::lab::{CONFIG, Lab, Process, VALUES, byzlab};

#[test]
fn who_proves_no_identity_is_a_stranger() {
    let mut lab = Lab::start(4, 3, 20.0);
    for node in 0..3 {
        lab.worker(node);
    }
    let own = lab.tokens[&3].clone();
    let claim = |node: u32, token: Vec<u8>| Credential { node, token, ..credential(&lab, 3) };
    let mut doubled = own.clone();
    doubled.extend(&own);
    let stolen = [
        (claim(2, own.clone()), "wrong secret for node 2"),
        (claim(3, vec![0x5a; 32]), "wrong secret for node 3"),
        (claim(3, Vec::new()), "wrong secret for node 3"),
        (claim(3, own[..31].to_vec()), "wrong secret for node 3"),
        (claim(3, doubled), "wrong secret for node 3"),
        (claim(3, vec![0; 10_000]), "wrong secret for node 3"),
        (claim(4, own.clone()), "wrong secret for node 4"),
        (claim(u32::MAX, own.clone()), "wrong secret for node 4294967295"),
    ];
    for (credential, told) in &stolen {
        // Each on a connection of its own, and by every way in.
        let client = Client::new(&lab);
        let credential = Some(credential.clone());
        let request = AttendRequest {
            credential: credential.clone(),
            adversary: false,
            address: String::new(),
        };
        let hello = Hello { credential, ..hello(&lab, 3) };
        let refused = [
            client.attend(request).err().unwrap(),
            client.wiretap(hello.clone()).err().unwrap(),
            client.converse(Body::Hello(hello)).err().unwrap(),
        ];
        for status in refused {
            assert_eq!((status.code(), status.message()), (Code::Unauthenticated, *told));
        }
    }
    let client = Client::new(&lab);
    let nameless = Hello { credential: None, ..hello(&lab, 3) };
    let status = client.converse(Body::Hello(nameless)).err().unwrap();
    assert_eq!((status.code(), status.message()), (Code::Unauthenticated, "no credential"));
    let unasked = client.converse(header(1, VALUES as u64)).err().unwrap();
    assert_eq!(unasked.message(), "a conversation begins with a hello");
    let nonsense = client.converse(bytes::Bytes::from_static(&[0x0a, 0xff])).err().unwrap();
    assert_eq!(nonsense.message(), "a conversation begins with a hello");
    drop(client);

    // The true holder of the identity has kept its seat.
    let client = Client::new(&lab);
    let mut talk = Talk::open(&client, &lab, 3);
    for round in 1..=3 {
        assert_eq!(talk.asked(), round);
        talk.say(absent(round));
    }
    assert!(talk.ended().unwrap());
    let outcome = lab.finish();
    outcome.took_all_of(&[0, 1, 2]);
    // Three ways in and one departure each; three more ways in and one departure.
    assert_eq!(outcome.strangers(), stolen.len() as u64 * 4 + 3 + 1);
    assert_eq!(outcome.nodes.iter().filter(|row| row["refused"] != "0").count(), 0);
}

#[test]
fn a_known_identity_gets_no_more_than_its_own_part() {
    let mut lab = Lab::start(3, 2, 20.0);
    lab.worker(0);
    lab.worker(1);
    let client = Client::new(&lab);
    let mut talk = Talk::open(&client, &lab, 2);
    assert_eq!(talk.asked(), 1);

    // What has no place in any run is counted for the coordinator as a whole.
    let attend = |adversary, credential| {
        client
            .attend(AttendRequest {
                credential: Some(credential),
                adversary,
                address: String::new(),
            })
            .err()
            .unwrap()
    };
    let status = attend(true, credential(&lab, 2));
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(status.message(), "adversary never speaks for node 2 in this experiment");
    let other_plan = Credential { plan: vec![0xab; 32], ..credential(&lab, 2) };
    let status = attend(false, other_plan);
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("digest abababababababab here"), "{}", status.message());
    let no_plan = Credential { plan: Vec::new(), ..credential(&lab, 2) };
    assert!(attend(false, no_plan).message().contains("another plan"));
    let other_version = Credential { results_version: 99, ..credential(&lab, 2) };
    let status = attend(false, other_version);
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("version 99"), "{}", status.message());
    let elsewhere = Hello { run_id: "../../etc\n\u{1b}[2J".to_owned(), ..hello(&lab, 2) };
    let status = client.converse(Body::Hello(elsewhere)).err().unwrap();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "run etc2J is not open"));

    // What it may not have in this run is counted in the run, and it keeps its turn.
    let colluding = Hello { adversary: true, ..hello(&lab, 2) };
    let seat = "adversary does not speak for node 2 in this run";
    let status = client.converse(Body::Hello(colluding.clone())).err().unwrap();
    assert_eq!((status.code(), status.message()), (Code::PermissionDenied, seat));
    let status = client.wiretap(colluding).err().unwrap();
    assert_eq!((status.code(), status.message()), (Code::PermissionDenied, seat));
    let status = client.wiretap(hello(&lab, 2)).err().unwrap();
    let wiretap = "node 2 has no wiretap in the plan of this run";
    assert_eq!((status.code(), status.message()), (Code::PermissionDenied, wiretap));

    talk.say(absent(1));
    assert_eq!(talk.asked(), 2);
    talk.say(absent(2));
    assert!(talk.ended().unwrap());
    let outcome = lab.finish();
    outcome.took_all_of(&[0, 1]);
    assert_eq!(outcome.node(1, 2), ("absent", 3));
    let denied = |what: &str| format!("denied: {what}");
    assert_eq!(outcome.reasons(1, 2), [denied(seat), denied(seat), denied(wiretap)]);
    assert_eq!(outcome.node(2, 2), ("absent", 0));
    // Whoever comes before the run is open is turned away as well.
    assert_eq!(outcome.manifest["turned_away"]["2"], 5 + talk.early);
    assert_eq!(outcome.strangers(), 0);
}

#[test]
fn a_worker_of_a_larger_cell_is_not_the_server_of_a_smaller_one() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("config.toml");
    let sweep = "[sweep]\n\"system.central.workers\" = [2, 3]\n";
    std::fs::write(&config, format!("{CONFIG}\n{sweep}")).unwrap();
    let mut run = byzlab("run", &config, &[]);
    run.args(["--runtime", "processes", "--jobs", "1"]).arg("--out").arg(folder.path().join("out"));
    let mut run = Process::start(run);
    assert!(run.end().success(), "{}", run.heard());
    let mut joined = Vec::new();
    for entry in std::fs::read_dir(folder.path().join("out/runs")).unwrap() {
        let events = std::fs::read_to_string(entry.unwrap().path().join("events.jsonl")).unwrap();
        let events = events.lines().map(|line| line.parse::<serde_json::Value>().unwrap());
        let mut nodes: Vec<u64> =
            events.filter_map(|line| line["event"]["joined"]["node"].as_u64()).collect();
        nodes.sort_unstable();
        joined.push(nodes);
    }
    joined.sort();
    assert_eq!(joined, [vec![0, 1], vec![0, 1, 2]]);
}
