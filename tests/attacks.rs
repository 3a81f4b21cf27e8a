//! Attacks and poisons in whole runs: what a system makes of them, the same in both runtimes.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests start programs and read what they leave behind"
)]

mod support;

use std::path::Path;

use support::tables::{Comparison, run_folders};
use support::{Lab, RunFiles};

/// Nine workers, of whom two or three are corrupted.
const EXPERIMENT: &str = r#"
schema = 1
name = "attacks"
seeds = [5]
[data]
set = { digits = { train = 600, test = 200 } }
[model.softmax]
[training]
rounds = {rounds}
batch = 20
learning_rate = 0.3
[system]
{system}
[aggregation]
byzantine = 2
rule = "{rule}"
[threat]
{threat}
[evaluation]
every = 3
"#;

const CENTRAL: &str = "central = { workers = 9 }";

fn lab(rounds: u32, system: &str, rule: &str, threat: &str) -> Lab {
    let config = EXPERIMENT
        .replace("{rounds}", &rounds.to_string())
        .replace("{system}", system)
        .replace("{rule}", rule)
        .replace("{threat}", threat);
    Lab::new(&config)
}

fn runs(results: &Path) -> Vec<RunFiles> {
    run_folders(results).into_iter().map(|path| RunFiles { path }).collect()
}

#[test]
fn who_sends_what_is_not_finite_is_refused_and_named() {
    let sweep = "[sweep]\n\"threat.attack\" = [\"infinity\", \"nan\", \
                 { infinity = { negative = true } }]\n";
    let lab = lab(3, CENTRAL, "mean", &format!("corrupted = 2\n{sweep}"));
    lab.finish("one", &[]);
    lab.finish("real", &["--runtime", "processes", "--jobs", "1"]);
    Comparison::of(&lab.path("one"), &lab.path("real")).assert_equal();
    let runs = runs(&lab.path("one"));
    assert_eq!(runs.len(), 3);
    for run in runs {
        assert_eq!(run.column("rounds.csv", "refused"), ["2", "2", "2"]);
        assert_eq!(run.column("rounds.csv", "accepted"), ["7", "7", "7"]);
        let nodes = run.column("nodes.csv", "node");
        let outcomes = run.column("nodes.csv", "outcome");
        let refused: Vec<&str> = nodes
            .iter()
            .zip(&outcomes)
            .filter(|(_, outcome)| *outcome == "refused")
            .map(|(node, _)| node.as_str())
            .collect();
        assert_eq!(refused, ["0", "1", "0", "1", "0", "1"]);
        // The honest go on learning.
        assert!(run.summary()["final_accuracy"].as_f64().unwrap() > 0.3, "{:?}", run.summary());
        assert_eq!(run.events_named("refused").len(), 6);
    }
}

#[test]
fn where_nobody_coordinates_they_are_refused_as_well() {
    for system in
        ["replicated = { workers = 9 }", "gossip = { workers = 9, topology = \"complete\" }"]
    {
        let lab = lab(3, system, "median", "corrupted = 2\nattack = \"nan\"");
        lab.finish("one", &[]);
        let run = lab.only_run("one");
        let refused = run.column("rounds.csv", "refused");
        assert!(refused.iter().all(|refused| refused.parse::<u32>().unwrap() > 0), "{system}");
        assert!(run.summary()["final_accuracy"].as_f64().unwrap() > 0.3, "{system}");
    }
}

/// How often the trigger works, in each round that is judged.
fn success(lab: &Lab, out: &str) -> Vec<String> {
    lab.only_run(out).column("rounds.csv", "attack_success_rate")
}

#[test]
fn a_backdoor_is_measured_and_scaling_opens_it() {
    let poison = "poison = { backdoor_patch = { target = 3, share = 0.1 } }";
    let alone = lab(12, CENTRAL, "mean", &format!("corrupted = 1\n{poison}"));
    alone.finish("one", &[]);
    let alone = success(&alone, "one");
    let scaled = format!("corrupted = 1\n{poison}\nattack = \"scaling\"\nknowledge = \"own_data\"");
    let scaled = lab(12, CENTRAL, "mean", &scaled);
    scaled.finish("one", &[]);
    scaled.finish("real", &["--runtime", "processes", "--jobs", "1"]);
    Comparison::of(&scaled.path("one"), &scaled.path("real")).assert_equal();
    let summary = scaled.only_run("one").summary();
    let scaled = success(&scaled, "one");
    for (round, (alone, scaled)) in (1..).zip(alone.iter().zip(&scaled)) {
        assert_eq!(alone.is_empty(), round % 3 != 0, "round {round}: {alone}");
        assert_eq!(scaled.is_empty(), alone.is_empty());
    }
    let last = |column: &[String]| column.last().unwrap().parse::<f64>().unwrap();
    assert_eq!(summary["attack_success_rate"].as_f64().unwrap(), last(&scaled));
    assert!(last(&scaled) > 0.9, "{scaled:?}");
    assert!(last(&alone) < last(&scaled) - 0.3, "{alone:?} {scaled:?}");
}

#[test]
fn a_distributed_trigger_works_and_a_run_without_one_has_none() {
    let threat = "corrupted = 4\npoison = { distributed_patch = { share = 0.5 } }\n\
                  attack = { scaling = { factor = 2.0 } }";
    let whole = lab(12, CENTRAL, "mean", threat);
    whole.finish("one", &[]);
    let column = success(&whole, "one");
    assert!(column.last().unwrap().parse::<f64>().unwrap() > 0.8, "{column:?}");
    let noise = lab(3, CENTRAL, "mean", "corrupted = 2\npoison = \"feature_noise\"");
    noise.finish("one", &[]);
    let run = noise.only_run("one");
    let rounds = std::fs::read_to_string(run.path.join("rounds.csv")).unwrap();
    assert!(!rounds.contains("attack_success_rate"), "{rounds}");
    let accuracy = run.summary()["final_accuracy"].as_f64().unwrap();
    assert!(accuracy > 0.3, "{accuracy}");
}

#[test]
fn every_system_lends_its_rule_to_who_knows_it() {
    let digest = |system: &str, rule: &str, threat: &str| {
        let lab = lab(3, system, rule, threat);
        lab.finish("one", &[]);
        lab.only_run("one").summary()["final_digest"].as_str().unwrap().to_owned()
    };
    let knows = "corrupted = 2\nknowledge = \"omniscient_and_rule\"\nattack = ";
    for attack in ["\"adaptive\"", "\"optimised_inner_product\"", "{ adaptive = { horizon = 3 } }"]
    {
        let threat = format!("{knows}{attack}");
        let central = digest(CENTRAL, "trimmed_mean", &threat);
        assert_eq!(central, digest("replicated = { workers = 9 }", "trimmed_mean", &threat));
        // With no rule to search with, or another one, it would send something else.
        assert_ne!(central, digest(CENTRAL, "trimmed_mean", "corrupted = 2\nattack = \"mimic\""));
        for system in [
            "gossip = { workers = 9, topology = \"complete\" }",
            "federated = { workers = 9, byzantine = 0 }",
            "committee = { workers = 9 }",
        ] {
            digest(system, "trimmed_mean", &threat);
        }
    }
}

#[test]
fn searching_with_the_rule_does_more_than_not() {
    let accuracy = |threat: &str| {
        let lab = lab(15, CENTRAL, "median", threat);
        lab.finish("one", &[]);
        lab.only_run("one").summary()["final_accuracy"].as_f64().unwrap()
    };
    let searched = "corrupted = 4\nknowledge = \"omniscient_and_rule\"\nattack = ";
    let none = accuracy("corrupted = 0");
    let adaptive = accuracy(&format!("{searched}{{ adaptive = {{ horizon = 5 }} }}"));
    let unknowing = accuracy("corrupted = 4\nattack = \"little_is_enough\"");
    assert!(adaptive < none - 0.3, "{adaptive} with the attack, {none} without");
    assert!(adaptive < unknowing - 0.3, "{adaptive} with the rule, {unknowing} without");
}
