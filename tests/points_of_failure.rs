//! Points of failure and percolation, on systems small enough to know the answer.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests start programs and read what they leave behind"
)]

mod support;

use std::process::Command;

use serde_json::{Value, json};
use support::Lab;

/// A config without its system, threat and rule.
const TINY: &str = r#"schema = 1
name = "tiny"
seeds = [1]

[data]
set = { digits = { train = 600, test = 200 } }

[model.softmax]

[training]
rounds = 5
batch = 20
learning_rate = 0.5
"#;

fn tiny(rest: &str) -> Lab {
    Lab::new(&format!("{TINY}\n{rest}"))
}

/// `byzlab analyse NAME` on the lab's experiment.
fn analyse(lab: &Lab, name: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_byzlab"));
    command.args(["analyse", name]).arg(lab.path("experiment.toml")).args(arguments);
    command.current_dir(lab.path(""));
    command
}

/// What it prints as JSON, one value for each combination of swept values.
fn found(lab: &Lab, name: &str, arguments: &[&str]) -> Vec<Value> {
    let mut command = analyse(lab, name, arguments);
    let ended = lab
        .start("analyse", {
            command.arg("--json");
            command
        })
        .end();
    assert!(ended.status.success(), "{}", ended.errors);
    ended.output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The exit code and what is said of it.
fn refused(lab: &Lab, name: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let ended = lab.start("refused", analyse(lab, name, arguments)).end();
    assert_eq!(ended.output, "");
    (ended.status.code(), ended.errors)
}

const HARMS: [&str; 3] = ["availability", "integrity", "confidentiality"];

fn of_each<'a>(analysis: &'a Value, pointer: &str) -> [&'a Value; 3] {
    HARMS.map(|harm| analysis["analysis"][harm].pointer(pointer).unwrap())
}

fn exactly(parts: usize) -> Value {
    json!({ "at_least": parts, "at_most": parts })
}

#[test]
fn one_server_is_one_point_of_failure() {
    let lab = tiny("[system.central]\nworkers = 5\n\n[aggregation]\nrule = \"mean\"");
    let analyses = found(&lab, "points_of_failure", &[]);
    let analysis = &analyses[0];
    assert_eq!(of_each(analysis, "/parts"), [&exactly(1); 3]);
    assert_eq!(of_each(analysis, "/alone"), [&json!([5]); 3]);
    assert_eq!(of_each(analysis, "/targets"), [&json!(1); 3]);
    assert_eq!(of_each(analysis, "/agrees"), [&json!(true); 3]);
    assert_eq!(of_each(analysis, "/cost/hardening"), [&json!(1.0); 3]);
    assert_eq!(analysis["analysis"]["runs"], 2);
    assert_eq!(analysis["analysis"]["parts"], json!([[5, "server"]]));
    // Nobody hears of anything once it is down, and of nothing true once it lies.
    let fallen = |harm: &str| &analysis["analysis"][harm]["curve"][0]["effect"];
    assert_eq!(fallen("availability")["availability"], 0.0);
    assert_eq!(fallen("integrity")["availability"], 1.0);
    assert_eq!(fallen("integrity")["beyond"], 1.0);
}

#[test]
fn four_replicas_stand_one() {
    let replicas = "[system.replicated]\nworkers = 5\n\n[aggregation]\nrule = \"mean\"";
    let lab = tiny(replicas);
    let analyses = found(&lab, "points_of_failure", &["--price", "replica=3"]);
    let analysis = &analyses[0];
    let least = of_each(analysis, "/parts");
    assert_eq!(least, [&exactly(2), &exactly(2), &exactly(1)]);
    assert_eq!(of_each(analysis, "/formula/parts"), least);
    assert_eq!(of_each(analysis, "/alone"), [&json!([]), &json!([]), &json!([5, 6, 7, 8])]);
    assert_eq!(of_each(analysis, "/targets"), [&json!(4); 3]);
    assert_eq!(of_each(analysis, "/sets/0"), [&json!([5, 6]), &json!([5, 6]), &json!([5])]);
    let hardening = of_each(analysis, "/cost/hardening");
    assert_eq!(hardening, [&json!(6.0), &json!(6.0), &json!(3.0)]);
    // One of four that are alike was tried for all of a size.
    assert_eq!(of_each(analysis, "/tried"), [&json!(4), &json!(4), &json!(0)]);
    let lies = analysis["analysis"]["integrity"]["curve"].as_array().unwrap();
    let failed: Vec<bool> =
        lies.iter().map(|step| step["effect"]["fails"].as_bool().unwrap()).collect();
    assert_eq!(failed, [false, true, true, true]);
    assert_eq!(lies[0]["effect"]["beyond"], 0.0, "one liar of four moves nobody");
}

#[test]
fn peers_have_no_server_to_lose() {
    let lab =
        tiny("[system.gossip]\nworkers = 6\ntopology = \"ring\"\n\n[aggregation]\nrule = \"mean\"");
    let analyses = found(&lab, "points_of_failure", &[]);
    let analysis = &analyses[0];
    assert_eq!(of_each(analysis, "/agrees"), [&json!(true); 3]);
    let [availability, integrity, confidentiality] = of_each(analysis, "/parts");
    // Every set was tried: whoever is left goes on with the mean of those who are left.
    assert_eq!((availability, confidentiality), (&exactly(6), &exactly(2)));
    // The mean does nothing against a neighbour that lies, whichever it is.
    assert_eq!(integrity, &exactly(1));
    assert_eq!(of_each(analysis, "/alone")[1], &json!([0, 1, 2, 3, 4, 5]));
}

#[test]
fn a_rule_that_refuses_too_few_rows_stalls_peers() {
    let lab = tiny(
        "[system.gossip]\nworkers = 6\ntopology = \"ring\"\n\n\
         [aggregation]\nbyzantine = 1\nrule = \"median\"",
    );
    let analyses = found(&lab, "points_of_failure", &["--budget", "120"]);
    let availability = &analyses[0]["analysis"]["availability"];
    assert_eq!(availability["agrees"], true);
    assert_eq!(availability["formula"]["parts"], json!({ "at_least": 1, "at_most": 6 }));
    // One crash stalls two of five, two that are opposite stall all four that are left.
    assert_eq!(availability["parts"], exactly(2));
    // Found on the way of the greedy attacker, who begins at node 0; other pairs are not tried.
    assert_eq!(availability["sets"], json!([[0, 3]]));
}

#[test]
fn seeds_threads_and_sweeps_change_nothing_else() {
    let sweep = "[aggregation]\nrule = \"mean\"\n\n[sweep]\n\
                 system = [{ central = { workers = 4 } }, { alone = { workers = 2 } }]";
    let lab = tiny(sweep);
    let one = found(&lab, "points_of_failure", &["--threads", "1", "--seeds", "1,2"]);
    let two = found(&lab, "points_of_failure", &["--threads", "2", "--seeds", "1,2"]);
    assert_eq!(one, two);
    assert_eq!(one[0]["analysis"]["seeds"], json!([1, 2]));
    assert_eq!(one[0]["cell"], json!({ "system": { "central": { "workers": 4 } } }));
    // Who hears nobody can only be taken by itself.
    assert_eq!(of_each(&one[1], "/parts"), [&exactly(2); 3]);
    assert!(!lab.path("results").exists(), "trials are removed with their folder");
}

#[test]
fn what_others_keep_in_the_folder_stays() {
    let lab = tiny("[system.central]\nworkers = 4\n\n[aggregation]\nrule = \"mean\"");
    let kept = lab.path("kept");
    std::fs::create_dir(&kept).unwrap();
    found(&lab, "points_of_failure", &["--out", kept.to_str().unwrap()]);
    assert_eq!(std::fs::read_dir(&kept).unwrap().count(), 0);
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let lab = tiny("[system.oracle]\nworkers = 3\n\n[aggregation]\nrule = \"mean\"");
    let (code, said) = refused(&lab, "points_of_failure", &[]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("oracle is a yardstick"), "{said}");
    let central = ["--set", "system={central={workers=3}}"];
    for (more, reason) in [
        (&["--budget", "1"][..], "too small"),
        (&["--price", "replica=2"], "no part is a `replica`"),
        (&["--margin", "0"], "--margin is above 0"),
        (&["--set", "training.learning_rate=1e-9"], "there is nothing to harm"),
    ] {
        let (code, said) = refused(&lab, "points_of_failure", &[&central[..], more].concat());
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(reason), "{said}");
    }
    let (code, said) = refused(&lab, "percolation", &central);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("has no peers"), "{said}");
    let gossip = ["--set", "system={gossip={workers=3}}"];
    assert!(refused(&lab, "percolation", &gossip).1.contains("nobody attacks"));
}

fn peers(topology: &str) -> Lab {
    tiny(&format!(
        "[system.gossip]\nworkers = 6\nallow_overload = true\ntopology = \"{topology}\"\n\n\
         [aggregation]\nbyzantine = 1\nrule = \"median\"\n\n\
         [threat]\ncorrupted = 2\nattack = \"sign_flip\""
    ))
}

/// The cases as captured, predicted and fallen nodes.
fn cases(lab: &Lab, arguments: &[&str]) -> Vec<[Vec<u64>; 3]> {
    let analyses = found(lab, "percolation", arguments);
    let nodes = |list: &Value| -> Vec<u64> {
        list.as_array().unwrap().iter().map(|node| node.as_u64().unwrap()).collect()
    };
    let cases = analyses[0]["analysis"]["cases"].as_array().unwrap();
    cases
        .iter()
        .map(|case| ["captured", "predicted", "fell"].map(|key| nodes(&case[key])))
        .collect()
}

/// Each tolerates one liar of two neighbours: who stands between two captured falls, and every
/// other one captured takes all that are left.
#[test]
fn a_ring_falls_between_the_captured() {
    let lab = peers("ring");
    let pairs = cases(&lab, &[]);
    let [captured, predicted, fell] = &pairs[0];
    assert_eq!((captured, predicted), (&vec![0, 2], &vec![1]));
    assert!(fell.contains(&1), "{fell:?}");
    for [captured, predicted, fell] in cases(&lab, &["--together", "3"]) {
        assert!(captured == [0, 2, 4] || captured == [1, 3, 5], "{captured:?}");
        assert_eq!(predicted.len(), 3);
        assert_eq!(predicted, fell);
    }
}

/// Each tolerates one liar of five neighbours: it is nobody or all.
#[test]
fn a_complete_graph_falls_whole_or_not_at_all() {
    let lab = peers("complete");
    for [_, predicted, fell] in cases(&lab, &["--together", "1"]) {
        assert!(predicted.is_empty() && fell.is_empty(), "{predicted:?} {fell:?}");
    }
    for [captured, predicted, fell] in cases(&lab, &["--together", "3"]) {
        let rest: Vec<u64> = (0..6).filter(|node| !captured.contains(node)).collect();
        assert_eq!((&predicted, &fell), (&rest, &rest));
    }
}

#[test]
fn both_analyses_print_tables_of_80_columns() {
    let lab = peers("ring");
    for (name, words) in [
        ("points_of_failure", &["k*", "by formula", "h*", "Parts that crash", "c1:"][..]),
        ("percolation", &["predicted", "precision", "surprised"]),
    ] {
        let command =
            analyse(&lab, name, &["--budget", "40"][..2 * usize::from(name != "percolation")]);
        let ended = lab.start(name, command).end();
        assert!(ended.status.success(), "{}", ended.errors);
        for word in words {
            assert!(ended.output.contains(word), "{word}\n{}", ended.output);
        }
        let long = ended.output.lines().find(|line| line.chars().count() > 80);
        assert_eq!(long, None);
    }
}
