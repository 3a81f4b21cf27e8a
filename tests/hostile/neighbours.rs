//! Peers of a run without a coordinator: who comes to their doors uninvited changes no bit.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use byzlab::runtime::wire::proto::envelope::Body;
use byzlab::runtime::wire::proto::exchange_client::ExchangeClient;
use byzlab::runtime::wire::proto::{Envelope, Introduction, Share};
use tonic::Code;
use tonic::transport::Endpoint;

use super::frames::{PREFACE, SETTINGS, Socket, frame};
use crate::support::tables::Comparison;
use crate::support::{Lab, kilobytes, wait_for};

const PEERS: usize = 6;

const CONFIG: &str = r#"
schema = 1
name = "neighbours"
[data]
set = { digits = { train = 600, test = 100 } }
[model.softmax]
[training]
rounds = 200
batch = 5
learning_rate = 0.05
[system.gossip]
workers = 6
topology = "complete"
[aggregation]
byzantine = 1
rule = "trimmed_mean"
[evaluation]
every = 100
"#;

/// Where a process listens: the sockets that it holds, looked up among those that listen.
fn door_of(process: u32) -> SocketAddr {
    wait_for("a peer's door", || {
        let files = fs::read_dir(format!("/proc/{process}/fd")).ok()?;
        let links = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        let held: BTreeSet<String> = links
            .filter_map(|link| {
                Some(link.to_str()?.strip_prefix("socket:[")?.trim_end_matches(']').to_owned())
            })
            .collect();
        let table = fs::read_to_string(format!("/proc/{process}/net/tcp")).ok()?;
        table.lines().skip(1).find_map(|line| {
            let columns: Vec<&str> = line.split_whitespace().collect();
            // The state 0A is LISTEN; the port stands in hexadecimal digits.
            let port = columns[1].split(':').nth(1)?;
            let listens = columns[3] == "0A" && held.contains(columns[9]);
            listens
                .then(|| SocketAddr::from(([127, 0, 0, 1], u16::from_str_radix(port, 16).unwrap())))
        })
    })
}

/// Opens a line with these words and returns how it was refused.
fn refused(address: SocketAddr, words: Vec<Body>) -> Code {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let mut client = ExchangeClient::new(endpoint.connect().await.unwrap());
        let words: Vec<Envelope> =
            words.into_iter().map(|body| Envelope { body: Some(body) }).collect();
        client.deliver(tokio_stream::iter(words)).await.expect_err("a stranger was heard").code()
    })
}

#[test]
fn strangers_at_the_doors_of_peers_change_nothing() {
    let lab = Lab::new(CONFIG);
    let running = lab.start("real", lab.run("real", &["--runtime", "processes"]));
    let run = lab.only_run("real");
    run.wait_for_rounds(2);
    let processes = run.wait_for_processes(PEERS);
    let run_id = run.path.file_name().unwrap().to_str().unwrap().to_owned();
    let introduction = |from, secret: &[u8]| {
        let secret = secret.to_vec();
        Body::Introduction(Introduction { run_id: run_id.clone(), from, to: 1, tap: false, secret })
    };
    let lie = || Body::Share(Share { round: 5, values: 7850, loss: 0.0, samples: 1 });
    let door = door_of(processes[&1]);
    let mut crowd = Vec::new();
    for noise in [vec![0xff; 50_000], [PREFACE, &[0xff; 9]].concat()] {
        let mut socket = Socket::connect(door);
        socket.send(&noise);
        crowd.push(socket);
    }
    // A message that announces 4 GiB.
    let mut huge = Socket::call_path(door, "/byzlab.v1.Exchange/Deliver");
    huge.data(&[0, 0xff, 0xff, 0xff, 0xff]);
    crowd.push(huge);
    crowd.extend((0..40).map(|_| Socket::connect(door)));
    // A neighbour's name with a wrong secret, a name that is nobody's, no introduction at all.
    assert_eq!(refused(door, vec![introduction(0, &[7; 32]), lie()]), Code::Unauthenticated);
    assert_eq!(refused(door, vec![introduction(99, &[]), lie()]), Code::Unauthenticated);
    assert_eq!(refused(door, vec![lie()]), Code::Unauthenticated);
    let mut settings = Socket::connect(door);
    settings.send(&[PREFACE, &frame(SETTINGS, 0, 0, &[1; 7])].concat());
    assert!(settings.closed(Duration::from_secs(40)), "a broken frame may stay");
    assert!(run.rounds_written() < 200, "the run was over before the strangers had left");
    let held = kilobytes(processes[&1], "VmHWM");
    let ended = running.end();
    assert!(ended.status.success(), "{}", ended.errors);
    assert!(run.events_named("lost").is_empty(), "a stranger drove somebody out");
    lab.finish("local", &["--threads", "1"]);
    Comparison::of(&lab.path("local"), &lab.path("real")).assert_equal();
    assert!(held < 40_000, "{held} kB with a crowd at the door");
}
