//! What only happens in a network: it falls apart and heals, nodes are slow or flooded, and
//! identities are bought.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests start programs and read what they leave behind"
)]

mod support;

use byzlab::experiment::plan::Plan;
use byzlab::experiment::source::Source;
use byzlab::experiment::sweep::Sweep;
use support::tables::Comparison;
use support::{Lab, RunFiles};

const BASE: &str = r#"
schema = 1
name = "network"
[data]
set = { digits = { train = 600, test = 200 } }
partition = { gamma_similarity = { gamma = 0.0 } }
[model.softmax]
[training]
rounds = 15
batch = 20
learning_rate = 0.3
momentum = 0.9
[aggregation]
rule = "mean"
[evaluation]
every = 1
"#;

const GOSSIP: &str = "system = { gossip = { workers = 10, topology = { k_regular = { k = 4 } }, \
                      allow_overload = true } }";
const CENTRAL: &str = "system = { central = { workers = 10 } }";
const REPLICATED: &str = "system = { replicated = { workers = 10, replicas = 4 } }";
const FEDERATED: &str = "system = { federated = { workers = 10, regions = 2 } }";

/// Rounds 5 to 10 are apart.
const PARTITION: &str = "faults.partition = { from = 5, until = 10, share = 0.4 }";

/// Two corrupted workers who see everything.
const ATTACK: &str = "threat = { corrupted = 2, attack = \"little_is_enough\" }";

/// Runs the base with these keys in one process.
fn run(lab: &Lab, out: &str, keys: &[&str]) -> RunFiles {
    let keys = keys.iter().flat_map(|key| ["--set", key]);
    lab.finish(out, &keys.chain(["--threads", "1"]).collect::<Vec<_>>());
    lab.only_run(out)
}

/// The numbers of one column of `rounds.csv`, the first round's first.
fn numbers(run: &RunFiles, column: &str) -> Vec<f64> {
    run.column("rounds.csv", column).iter().map(|cell| cell.parse().unwrap()).collect()
}

/// The cells of one node in `nodes.csv`, the first round's first.
fn of_node(run: &RunFiles, node: u32, column: &str) -> Vec<String> {
    let nodes = run.column("nodes.csv", "node");
    let cells = run.column("nodes.csv", column).into_iter();
    nodes.iter().zip(cells).filter(|(of, _)| **of == node.to_string()).map(|it| it.1).collect()
}

fn digest(run: &RunFiles) -> String {
    run.summary()["final_digest"].as_str().unwrap().to_owned()
}

fn accuracy(run: &RunFiles) -> f64 {
    run.summary()["final_accuracy"].as_f64().unwrap()
}

/// Whether a round, from 0, is one of those in which the network is apart.
fn apart(index: usize) -> bool {
    (4..10).contains(&index)
}

#[test]
fn peers_grow_apart_while_they_are_cut_off_and_come_together_again() {
    let lab = Lab::new(BASE);
    let run = run(&lab, "apart", &[GOSSIP, PARTITION]);
    let disagreement = numbers(&run, "disagreement");
    let (before, worst, after) = (disagreement[3], disagreement[9], disagreement[14]);
    assert!(worst > 10.0 * before, "{disagreement:?}");
    assert!(disagreement[3..10].is_sorted(), "{disagreement:?}");
    assert!(disagreement[9..].is_sorted_by(|a, b| a > b), "{disagreement:?}");
    assert!(after < worst / 10.0, "{disagreement:?}");
    // Nobody is absent: fewer meet.
    assert!(numbers(&run, "absent").iter().all(|absent| *absent == 0.0));
    let bytes = numbers(&run, "bytes_total");
    for (index, sent) in bytes.iter().enumerate() {
        assert_eq!(apart(index), *sent < bytes[0], "round {}: {bytes:?}", index + 1);
    }
}

#[test]
fn workers_that_are_cut_off_from_their_server_are_absent_until_it_heals() {
    let lab = Lab::new(BASE);
    let absent = |run: &RunFiles| -> Vec<usize> {
        numbers(run, "absent").into_iter().map(|absent| absent as usize).collect()
    };
    let first = run(&lab, "first", &[CENTRAL, PARTITION]);
    let expected: Vec<usize> = (0..15).map(|index| 4 * usize::from(apart(index))).collect();
    assert_eq!(absent(&first), expected);
    assert!(of_node(&first, 3, "outcome")[4..10].iter().all(|outcome| outcome == "absent"));
    let random = run(&lab, "random", &[CENTRAL, PARTITION, "faults.partition.by = \"random\""]);
    assert_eq!(absent(&random), expected);
    assert_ne!(digest(&first), digest(&random), "others are cut off");
}

#[test]
fn followers_keep_their_model_while_they_are_cut_off_and_catch_up() {
    let lab = Lab::new(BASE);
    for (name, system) in [("replicated", REPLICATED), ("federated", FEDERATED)] {
        let run = run(&lab, name, &[system, PARTITION]);
        let off = of_node(&run, 0, "model_digest");
        let on = of_node(&run, 9, "model_digest");
        for index in 0..15 {
            assert_eq!(apart(index), off[index] != on[index], "{name}, round {}", index + 1);
        }
        assert!(off[4..10].iter().all(|digest| *digest == off[3]), "{name}: {off:?}");
        assert_eq!(numbers(&run, "disagreement")[14], 0.0, "{name}");
        assert_eq!(run.summary()["skipped"], 6, "{name}");
    }
}

#[test]
fn a_flood_that_leaves_no_room_isolates_a_peer() {
    let lab = Lab::new(BASE);
    let flood = "faults.flood = { node = 5, requests = 9, capacity = 0, from = 3 }";
    // The omniscient adversary does not wait for a word that is never said.
    let run = run(&lab, "isolated", &[GOSSIP, flood, ATTACK]);
    let sent = of_node(&run, 5, "bytes_sent");
    let received = of_node(&run, 5, "bytes_received");
    let silent = |bytes: &[String]| bytes.iter().map(|bytes| bytes == "0").collect::<Vec<_>>();
    let expected: Vec<bool> = (1..=15).map(|round| round >= 3).collect();
    assert_eq!((silent(&sent), silent(&received)), (expected.clone(), expected));
    // It trains on by itself, and all others go on without it.
    assert!(of_node(&run, 5, "outcome").iter().all(|outcome| outcome == "shared"));
    assert!(numbers(&run, "completed").iter().all(|completed| *completed == 1.0));
    assert_eq!((&run.summary()["timed_out"], &run.summary()["refused"]), (&0.into(), &0.into()));
}

#[test]
fn a_flooded_server_stops_the_learning_and_a_flooded_replica_does_not() {
    let lab = Lab::new(BASE);
    let flood = "faults.flood = { requests = 1000000, capacity = 10 }";
    let calm = run(&lab, "calm", &[CENTRAL]);
    let drowned = run(&lab, "drowned", &[CENTRAL, flood]);
    assert!(accuracy(&calm) > 0.5, "{}", accuracy(&calm));
    assert!(accuracy(&drowned) < 0.2, "{}", accuracy(&drowned));
    assert_eq!(drowned.summary()["skipped"], 15);
    assert_eq!(drowned.summary().get("diverged"), None, "whom a server does not hear may be well");
    // What one replica does not hear the others tell it.
    let replicated = run(&lab, "replicated", &[REPLICATED, flood]);
    assert_eq!(digest(&replicated), digest(&calm));
    // Half of what is sent gets through, whatever is declared of it.
    let half = run(&lab, "half", &[CENTRAL, "faults.flood = { requests = 90, capacity = 50 }"]);
    let absent: f64 = numbers(&half, "absent").iter().sum();
    assert!((50.0..100.0).contains(&absent), "{absent} of 150");
}

#[test]
fn a_flooded_worker_is_out_of_it_alone() {
    let lab = Lab::new(BASE);
    let flood = "faults.flood = { node = 7, requests = 9, capacity = 0 }";
    let all = |numbers: Vec<f64>, expected: f64| numbers.iter().all(|found| *found == expected);
    // Who is not asked has nothing to say.
    let asked = run(&lab, "asked", &[CENTRAL, flood]);
    assert!(of_node(&asked, 7, "outcome").iter().all(|outcome| outcome == "absent"));
    assert!(all(numbers(&asked, "accepted"), 9.0) && all(numbers(&asked, "completed"), 1.0));
    // Who begins by itself goes on sending what comes of the only model that it ever had.
    let follows = run(&lab, "follows", &[REPLICATED, flood]);
    assert!(of_node(&follows, 7, "outcome").iter().all(|outcome| outcome == "shared"));
    assert!(all(numbers(&follows, "accepted"), 10.0) && all(numbers(&follows, "completed"), 0.9));
    let models = of_node(&follows, 7, "model_digest");
    assert!(models.iter().all(|model| *model == models[0]));
    assert!(of_node(&follows, 7, "test_accuracy")[14] < of_node(&follows, 6, "test_accuracy")[14]);
}

#[test]
fn a_flood_within_capacity_changes_no_bit() {
    let lab = Lab::new(BASE);
    let systems = [("c", CENTRAL), ("r", REPLICATED), ("f", FEDERATED), ("g", GOSSIP)];
    for (name, system) in systems {
        let calm = run(&lab, &format!("{name}-calm"), &[system]);
        let flood = "faults.flood = { requests = 180, capacity = 200 }";
        let flooded = run(&lab, &format!("{name}-flooded"), &[system, flood]);
        assert_eq!(digest(&calm), digest(&flooded), "{system}");
        assert_eq!(calm.summary()["bytes_total"], flooded.summary()["bytes_total"]);
    }
}

#[test]
fn slow_nodes_cost_virtual_time_and_nothing_else() {
    let lab = Lab::new(BASE);
    let seconds = |run: &RunFiles| numbers(run, "virtual_seconds");
    let systems = [
        ("central", CENTRAL, 2.0),
        ("gossip", GOSSIP, 1.0),
        ("alone", "system = { alone = { workers = 10 } }", 0.0),
    ];
    for (name, system, steps) in systems {
        let quick = run(&lab, &format!("{name}-quick"), &[system]);
        let slow = run(&lab, &format!("{name}-slow"), &[system, "faults.slow = { factor = 20 }"]);
        assert_eq!(digest(&quick), digest(&slow), "{name}");
        assert_eq!(quick.summary()["bytes_total"], slow.summary()["bytes_total"], "{name}");
        // The last worker's own bytes at a twentieth of 12.5 MB/s, unless the busiest takes longer.
        let own: Vec<f64> = of_node(&slow, 9, "bytes_sent")
            .iter()
            .zip(of_node(&slow, 9, "bytes_received"))
            .map(|(sent, received)| sent.parse::<f64>().unwrap() + received.parse::<f64>().unwrap())
            .collect();
        let busiest = numbers(&slow, "bytes_busiest");
        for (index, found) in seconds(&slow).into_iter().enumerate() {
            let line = (own[index] * 20.0).max(busiest[index]) / 12.5e6;
            let expected = steps * 0.05 * 20.0 + line;
            assert!((found - expected).abs() < 1e-9, "{name}: {found} for {expected}");
        }
        let longer = seconds(&slow).iter().sum::<f64>() > seconds(&quick).iter().sum();
        assert_eq!(longer, name != "alone");
    }
}

#[test]
fn threads_and_processes_come_to_the_same_bits() {
    let faults = r#"
[threat]
corrupted = 2
attack = "little_is_enough"
[faults]
absences = 0.05
partition = { from = 3, until = 5, share = 0.3, by = "random" }
flood = { requests = 12, capacity = 12, from = 2 }
slow = { nodes = [2, 3], factor = 4.0 }
"#;
    let sweep = format!(
        "[sweep]\nsystem = [{}]\n",
        [GOSSIP, CENTRAL, REPLICATED, FEDERATED]
            .map(|system| system.strip_prefix("system = ").unwrap())
            .join(", ")
    );
    let base = BASE.replace("rounds = 15", "rounds = 8");
    let lab = Lab::new(&format!("{base}{faults}{sweep}"));
    lab.finish("one", &["--threads", "1", "--jobs", "1"]);
    lab.finish("three", &["--threads", "3", "--jobs", "1"]);
    Comparison::of(&lab.path("one"), &lab.path("three")).assert_equal();
    if cfg!(target_os = "linux") {
        lab.finish("real", &["--runtime", "processes", "--jobs", "1"]);
        Comparison::of(&lab.path("one"), &lab.path("real")).assert_equal();
    }
}

#[test]
fn peers_that_were_apart_for_long_meet_again_as_processes() {
    // One side may be a hundred rounds ahead of the other by then.
    let lab = Lab::new(&BASE.replace("rounds = 15", "rounds = 130").replace("= 20", "= 2"));
    let long = ["--set", GOSSIP, "--set", "faults.partition = { from = 2, until = 125 }"];
    let at = |more: &[&'static str]| [&long[..], more].concat();
    lab.finish("local", &at(&["--threads", "1"]));
    if cfg!(target_os = "linux") {
        lab.finish("real", &at(&["--runtime", "processes"]));
        Comparison::of(&lab.path("local"), &lab.path("real")).assert_equal();
    }
}

/// The plan of the base with these keys, or what is wrong with it.
fn plan(keys: &[&str]) -> Result<Plan, String> {
    let base = Source::new("test.toml", BASE.as_bytes()).unwrap();
    let source = keys.iter().fold(base, |source, key| source.set(key));
    let shown = |errors: Vec<_>| source.render_all(&errors, false);
    let cell = Sweep::read(&source).map_err(shown)?.remove(0);
    Plan::check(&cell.config, cell.seed).map_err(shown)
}

#[test]
fn a_budget_buys_as_many_identities_as_it_can_pay() {
    let corrupted =
        |keys: &[&str]| plan(&[&[CENTRAL], keys].concat()).unwrap().threat.corrupted.len();
    let bought = |budget, price| {
        let budget = format!("threat.budget={budget}");
        corrupted(&[&budget, &format!("threat.identity_price={price}")])
    };
    let prices = [(100.0, 11.0), (100.0, 25.0), (0.3, 0.1), (0.0, 1.0), (5.0, 5.1)];
    assert_eq!(prices.map(|(budget, price)| bought(budget, price)), [9, 4, 3, 0, 0]);
    // The same run, whichever way its number was told.
    let three = plan(&[CENTRAL, "threat={budget=10.0, identity_price=3.0}"]).unwrap();
    assert_eq!(three.run_id(), plan(&[CENTRAL, "threat.corrupted=3"]).unwrap().run_id());
    // An override with a number takes the place of the price.
    assert_eq!(corrupted(&["threat={budget=10.0, identity_price=3.0}", "threat.corrupted=1"]), 1);
}

#[test]
fn runs_without_faults_keep_their_names() {
    let resolved = plan(&[CENTRAL]).unwrap().resolved;
    assert_eq!(resolved["faults"], serde_json::json!({ "absences": 0.0 }));
    let keys = [CENTRAL, "faults.flood.node=3", "faults.slow.nodes=[10]", "faults.partition={}"];
    let faults = plan(&keys).unwrap().resolved["faults"].clone();
    let expected = serde_json::json!({
        "absences": 0.0,
        "partition": { "from": 1, "until": 15, "share": 0.5, "by": "first" },
        "slow": { "nodes": [10], "factor": 10.0 },
        "flood": { "node": 3, "requests": 1000, "capacity": 200, "from": 1 },
    });
    assert_eq!(faults, expected);
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    let refusals = [
        ("faults.partition={share=1.0}", "`faults.partition.share` is 1 and must be from 0 to"),
        ("faults.partition={share=0.95}", "cuts off 10 of 10 workers leaves nobody on the other"),
        ("faults.partition={from=0}", "`faults.partition.from` is 0 and must be 1 or more"),
        ("faults.partition={from=9,until=8}", "begins in round 9 and is over after round 8"),
        ("faults.partition={by=\"last\"}", "`faults.partition.by` cannot be `last`"),
        ("faults.partition={till=8}", "no key is called `faults.partition.till`"),
        ("faults.partition=\"yes\"", "`faults.partition`"),
        ("faults.slow={factor=0.5}", "`faults.slow.factor` is 0.5 and must be 1 or more"),
        ("faults.slow={count=11}", "11 of 10 workers cannot be slow"),
        ("faults.slow={nodes=[11]}", "there is no node 11 in central"),
        ("faults.slow={nodes=[1],count=1}", "`faults.slow.count` and `faults.slow.nodes` cannot"),
        ("faults.flood={node=11}", "there are the workers 0 to 9 and server 10"),
        ("faults.flood={node=\"server\"}", "expected a node's number or \"most_valuable\""),
        ("faults.flood={from=0}", "`faults.flood.from` is 0 and must be 1 or more"),
        ("faults.flood={requests=1e3}", "`faults.flood.requests`"),
        ("faults.flood={capacity=9000000000}", "must be from 0 to 1000000000"),
        ("threat.budget=10.0", "`threat.budget` says nothing without `threat.identity_price`"),
        ("threat.identity_price=1.0", "`threat.identity_price` says nothing without"),
        ("threat={budget=-1.0,identity_price=1.0}", "`threat.budget` is -1 and must be 0 or more"),
        (
            "threat={budget=1.0,identity_price=0.0}",
            "`threat.identity_price` is 0 and must be above",
        ),
        ("threat={budget=1.0,identity_price=nan}", "`threat.identity_price` is NaN and must be"),
        (
            "threat={budget=1.0,identity_price=1.0,corrupted=1}",
            "`threat.corrupted` and `threat.budget` cannot stand together",
        ),
        (
            "threat={budget=100.0,identity_price=10.0}",
            "a budget of 100 buys 10 identities at 10 each, and there are 10 workers",
        ),
    ];
    for (key, expected) in refusals {
        let complaint = plan(&[CENTRAL, key]).map(|plan| plan.resolved).unwrap_err();
        assert!(complaint.contains(expected), "{key}:\n{complaint}");
    }
}
