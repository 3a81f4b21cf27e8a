//! Parity: one process with any number of threads, or one process for each participant, the
//! same bits. Every column of `rounds.csv` and `nodes.csv` is compared but the process ids.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests start programs and read what they leave behind"
)]

mod support;

use std::collections::BTreeSet;
use std::path::PathBuf;

use support::tables::{Comparison, run_folders};
use support::{Lab, RunFiles};

/// A part of the grid of `experiments/parity.toml`, with everything that could tell runtimes
/// apart: absences, momentum, several local steps, random placement, random draws.
const GRID: &str = r#"
schema = 1
name = "parity"
seeds = [3]
[data]
set = { digits = { train = 300, test = 50 } }
partition = { gamma_similarity = { gamma = 0.5 } }
[model.softmax]
[training]
rounds = 4
batch = 10
learning_rate = 0.3
momentum = 0.9
local_steps = 2
[system.central]
workers = 9
[aggregation]
byzantine = 2
rule = "mean"
[threat]
corrupted = 2
placement = "random"
[faults]
absences = 0.1
[evaluation]
every = 3
"#;

/// Runs a grid in every way that must not matter, and compares; returns the number of cells.
fn assert_parity(lab: &Lab) -> usize {
    lab.finish("one", &["--threads", "1", "--jobs", "1"]);
    lab.finish("two", &["--threads", "2", "--jobs", "1"]);
    lab.finish("jobs", &["--threads", "3", "--jobs", "3"]);
    lab.finish("real", &["--runtime", "processes", "--jobs", "1"]);
    let one = lab.path("one");
    for other in ["two", "jobs", "real"] {
        Comparison::of(&one, &lab.path(other)).assert_equal();
    }
    run_folders(&one).len()
}

#[test]
fn models_rules_attacks() {
    let sweep = r#"
[sweep]
"model" = ["softmax", { mlp = { hidden = [8] } }]
"aggregation.rule" = ["median", "trimmed_mean", "krum"]
"threat.attack" = ["little_is_enough", "gaussian"]
"#;
    assert_eq!(assert_parity(&Lab::new(&format!("{GRID}{sweep}"))), 12);
}

#[test]
fn knowledge_and_colluders() {
    let sweep = r#"
[sweep]
"threat.knowledge" = ["own_data", "colluders", "omniscient", "omniscient_and_rule"]
"threat.attack" = ["sign_flip", { inner_product = { epsilon = 4.0 } }]
"#;
    assert_eq!(assert_parity(&Lab::new(&format!("{GRID}{sweep}"))), 8);
}

#[test]
fn poison_and_nobody() {
    let sweep = r#"
[sweep]
"threat.poison" = ["none", "label_flip"]
"threat.attack" = ["none", "little_is_enough"]
"training.momentum" = [0.0, 0.9]
"#;
    assert_eq!(assert_parity(&Lab::new(&format!("{GRID}{sweep}"))), 8);
}

#[test]
fn several_cells_at_once_on_processes() {
    let sweep = r#"
[sweep]
"aggregation.rule" = ["mean", "multi_krum"]
"threat.knowledge" = ["own_data", "omniscient"]
"threat.attack" = ["sign_flip"]
"#;
    let lab = Lab::new(&format!("{GRID}{sweep}"));
    lab.finish("local", &["--threads", "1"]);
    lab.finish("real", &["--runtime", "processes", "--jobs", "4"]);
    Comparison::of(&lab.path("local"), &lab.path("real")).assert_equal();
}

#[test]
fn rounds_in_which_hardly_anybody_is_there() {
    // Rules refuse what they get, and an attack sits out what it cannot be made of.
    let grid =
        GRID.replace("absences = 0.1", "absences = 0.7").replace("rounds = 4", "rounds = 12");
    let sweep = r#"
[sweep]
"aggregation.rule" = ["mean", "krum"]
"threat.attack" = ["little_is_enough"]
"threat.knowledge" = ["colluders", "omniscient"]
"#;
    let lab = Lab::new(&format!("{grid}{sweep}"));
    assert_eq!(assert_parity(&lab), 4);
    let skipped = |run: PathBuf| RunFiles { path: run }.summary()["skipped"].as_u64().unwrap();
    assert!(run_folders(&lab.path("real")).into_iter().map(skipped).any(|skipped| skipped > 0));
}

#[test]
fn every_worker_is_a_process_and_colluders_share_one() {
    let lab = Lab::new(&GRID.replace("corrupted = 2", "corrupted = 2\nattack = \"sign_flip\""));
    let run = lab.start("real", lab.run("real", &["--runtime", "processes"]));
    let coordinator = run.pid();
    let ended = run.end();
    assert!(ended.status.success(), "{}", ended.errors);
    let run = lab.only_run("real");
    let recorded = run.recorded_processes();
    assert_eq!(recorded.len(), 10, "nine workers and a server");
    assert!(recorded.values().all(|processes| processes.len() == 1), "{recorded:?}");
    let roles = run.column("nodes.csv", "role");
    let nodes = run.column("nodes.csv", "node");
    let of_role = |role: &str| -> BTreeSet<u32> {
        let nodes = nodes.iter().zip(&roles).filter(|(_, found)| *found == role);
        nodes.flat_map(|(node, _)| recorded[&node.parse().unwrap()].clone()).collect()
    };
    let (workers, corrupted) = (of_role("worker"), of_role("corrupted"));
    assert_eq!((workers.len(), corrupted.len()), (7, 1));
    let mut all = workers;
    all.extend(corrupted);
    all.insert(coordinator);
    assert_eq!(all.len(), 9, "no two seats share a process");
    assert_eq!(recorded[&9], BTreeSet::from([coordinator]));
}

#[test]
fn corrupted_nodes_that_act_alone_are_processes_of_their_own() {
    let alone = "corrupted = 2\nattack = \"sign_flip\"\nknowledge = \"own_data\"";
    let lab = Lab::new(&GRID.replace("corrupted = 2", alone));
    lab.finish("real", &["--runtime", "processes"]);
    let recorded = lab.only_run("real").recorded_processes();
    let processes: BTreeSet<u32> = recorded.values().flatten().copied().collect();
    assert_eq!((recorded.len(), processes.len()), (10, 10));
}

/// Systems without a coordinator: neighbours talk to each other, and nobody waits for a server.
#[test]
fn systems() {
    let config = GRID.replace("[system.central]\nworkers = 9\n", "[system.central]\nworkers = 8\n");
    let sweep = r#"
[sweep]
"system" = [
    { alone = { workers = 8 } },
    { oracle = { workers = 8 } },
    { replicated = { workers = 8, replicas = 4 } },
    { federated = { workers = 8, regions = 2, byzantine = 1, checked = true } },
    { gossip = { workers = 8, topology = "ring", allow_overload = true } },
    { gossip = { workers = 8, topology = { k_regular = { k = 4 } }, anew = true, allow_overload = true } },
]
"threat.attack" = [{ inner_product = { epsilon = 4.0 } }]
"threat.equivocate" = [false, true]
"#;
    assert_eq!(assert_parity(&Lab::new(&format!("{config}{sweep}"))), 12);
}

/// Momentum that is kept by whoever moves the model, in every system that has somebody who does.
#[test]
fn momentum_at_the_server() {
    let config = GRID.replace("momentum = 0.9\n", "momentum = 0.9\nmomentum_at = \"server\"\n");
    let sweep = r#"
[sweep]
"system" = [
    { central = { workers = 9 } },
    { oracle = { workers = 9 } },
    { replicated = { workers = 9, replicas = 4 } },
    { federated = { workers = 9, regions = 3, byzantine = 1, checked = true } },
    { committee = { workers = 9, size = 4 } },
]
"threat.attack" = [{ inner_product = { epsilon = 4.0 } }]
"#;
    let lab = Lab::new(&format!("{config}{sweep}"));
    assert_eq!(assert_parity(&lab), 5);
    // A committee tells the momentum from models, and is off by a rounding.
    let digests: BTreeSet<String> = run_folders(&lab.path("one"))
        .into_iter()
        .map(|path| RunFiles { path }.summary())
        .filter(|summary| ["central", "replicated"].contains(&summary["system"].as_str().unwrap()))
        .map(|summary| summary["final_digest"].to_string())
        .collect();
    assert_eq!(digests.len(), 1, "a central server and its replicas take the same steps");
}

/// A few of the workers in every round, drawn anew: as many in each, the same on both runtimes,
/// whether a server asks them or they know by themselves.
#[test]
fn workers_drawn_for_each_round() {
    let config = GRID.replace("rounds = 4\n", "rounds = 9\nclients_per_round = 4\n");
    let config = config.replace("byzantine = 2", "byzantine = 1").replace("absences = 0.1", "");
    let sweep = r#"
[sweep]
"system" = [
    { central = { workers = 9 } },
    { oracle = { workers = 9 } },
    { replicated = { workers = 9, replicas = 4 } },
]
"aggregation.rule" = ["trimmed_mean"]
"threat.knowledge" = ["colluders", "omniscient"]
"threat.attack" = ["none", "little_is_enough"]
"#;
    let lab = Lab::new(&format!("{config}{sweep}"));
    // Without an attack the knowledge changes a name and nothing else.
    assert_eq!(assert_parity(&lab), 12);
    let mut digests: BTreeSet<String> = BTreeSet::new();
    for path in run_folders(&lab.path("one")) {
        let run = RunFiles { path };
        let summary = run.summary();
        let drawn = run.column("nodes.csv", "outcome");
        let count = |name: &str| drawn.iter().filter(|outcome| *outcome == name).count();
        if summary["system"] == "oracle" {
            continue;
        }
        // Of colluders, one that is drawn alone has too little to work on and stays silent.
        assert_eq!(count("shared") + count("absent"), 4 * 9, "{summary}");
        assert_eq!(count("not_drawn"), 5 * 9, "{summary}");
        assert!(count("absent") == 0 || summary["attack"] != "none", "{summary}");
        assert!(summary["overdrawn"].as_f64().is_some_and(|share| share < 1.0), "{summary}");
        if summary["attack"] == "none" {
            digests.insert(summary["final_digest"].to_string());
        }
    }
    assert_eq!(digests.len(), 1, "a central server and its replicas draw the same workers");
    // A server that may fall does not ask.
    let falls = config.replace("placement = \"random\"", "downfall = { crash = { from = 3 } }");
    assert_eq!(assert_parity(&Lab::new(&falls)), 1);
}

/// Attacks that speak to one peer at a time, and parts that fall.
#[test]
fn peers_and_fallen_parts() {
    let sweep = r#"
[sweep]
"system" = [
    { gossip = { workers = 9, topology = { k_regular = { k = 4 } }, allow_overload = true } },
    { gossip = { workers = 9, topology = "complete" } },
]
"threat.attack" = ["dissensus", "drag", "spectral"]
"#;
    assert_eq!(assert_parity(&Lab::new(&format!("{GRID}{sweep}"))), 6);
    let sweep = r#"
[sweep]
"system" = [
    { central = { workers = 9 } },
    { replicated = { workers = 9, replicas = 4 } },
    { federated = { workers = 9, regions = 3, byzantine = 1 } },
    { gossip = { workers = 9, topology = { k_regular = { k = 4 } }, allow_overload = true } },
]
"threat.attack" = ["sign_flip"]
"threat.downfall" = [{ crash = { from = 2 } }, "capture", { capture = { differently = true } }]
"#;
    assert_eq!(assert_parity(&Lab::new(&format!("{GRID}{sweep}"))), 12);
}

/// Thirty-two peers, each a process that talks to thirty-one others.
#[test]
fn thirty_two_peers() {
    let config = GRID.replace(
        "[system.central]\nworkers = 9\n",
        "[system.gossip]\nworkers = 32\ntopology = \"complete\"\n",
    );
    let config = config.replace("rule = \"mean\"", "rule = \"median\"");
    let config = config.replace("[faults]", "attack = \"sign_flip\"\nequivocate = true\n[faults]");
    let lab = Lab::new(&config.replace("train = 300", "train = 640"));
    assert_eq!(assert_parity(&lab), 1);
    let spoken: std::collections::BTreeSet<u32> =
        lab.only_run("real").recorded_processes().into_values().flatten().collect();
    // Thirty honest peers, and one process for the two that collude.
    assert_eq!(spoken.len(), 31);
}
