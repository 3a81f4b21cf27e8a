//! Committees at work: the bits of a server without faults, the same ledger on both runtimes, and
//! what falls with whom.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests start programs and read what they leave behind"
)]

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use byzlab::ledger::chain::{Chain, Entry};
use byzlab::ledger::file::{self, FILE_NAME};
use support::tables::{Comparison, run_folders};
use support::{Lab, RunFiles};

/// A run on a committee; everything else is put in by the tests.
fn config(system: &str, rule: &str, threat: &str, more: &str) -> String {
    format!(
        r#"
schema = 1
name = "committee"
seeds = [5]
[data]
set = {{ digits = {{ train = 300, test = 50 }} }}
[model.softmax]
[training]
rounds = 6
batch = 10
learning_rate = 0.3
momentum = 0.9
[system.{system}
[aggregation]
byzantine = 1
rule = "{rule}"
[threat]
{threat}
[evaluation]
every = 3
{more}
"#
    )
}

/// The ledger of a run, which must be sound.
fn ledger(run: &Path) -> (Chain, Vec<Entry>) {
    let mut entries = Vec::new();
    let text = fs::read(run.join(FILE_NAME)).unwrap();
    let chain = file::read(&text[..], |entry, _| entries.push(entry.clone())).unwrap();
    (chain, entries)
}

fn numbers(run: &RunFiles, column: &str) -> Vec<f64> {
    run.column("rounds.csv", column).iter().map(|text| text.parse().unwrap()).collect()
}

/// Runs a config in this process and returns what it left.
fn finished(text: &str) -> (Lab, RunFiles) {
    let lab = Lab::new(text);
    lab.finish("out", &[]);
    let run = lab.only_run("out");
    (lab, run)
}

/// Nobody's model differs from another honest node's in any round that was judged.
fn assert_one_model(run: &RunFiles) {
    let apart = run.column("rounds.csv", "disagreement");
    assert!(apart.iter().all(|apart| apart.is_empty() || apart == "0.0"), "{apart:?}");
    let rounds = run.column("nodes.csv", "round");
    let digests = run.column("nodes.csv", "model_digest");
    let models: BTreeSet<(&String, &String)> =
        rounds.iter().zip(&digests).filter(|(_, digest)| !digest.is_empty()).collect();
    let rounds: BTreeSet<&String> = rounds.iter().collect();
    assert_eq!(models.len(), rounds.len(), "some nodes hold other models");
}

#[test]
fn without_faults_it_comes_to_the_bits_of_a_server() {
    let sweep = r#"
[sweep]
"aggregation.rule" = ["trimmed_mean", "multi_krum"]
"system" = [
    { central = { workers = 7 } },
    { committee = { workers = 7 } },
    { committee = { workers = 7, size = 7 } },
    { committee = { workers = 7, size = 1 } },
    { committee = { workers = 7, draw = { stake = [1, 2, 3, 4, 5, 0, 9] } } },
]
"#;
    let lab = Lab::new(&config("central]\nworkers = 7", "mean", "", sweep));
    lab.finish("out", &[]);
    let runs: Vec<RunFiles> =
        run_folders(&lab.path("out")).into_iter().map(|path| RunFiles { path }).collect();
    assert_eq!(runs.len(), 10);
    for rule in ["trimmed_mean", "multi_krum"] {
        let same_rule = runs.iter().filter(|run| run.summary()["rule"] == rule);
        let digests: BTreeSet<Vec<String>> =
            same_rule.clone().map(|run| run.column("rounds.csv", "model_digest")).collect();
        assert_eq!(digests.len(), 1, "{rule}: {digests:?}");
        for run in same_rule.filter(|run| run.summary()["system"] != "central") {
            let (chain, entries) = ledger(&run.path);
            assert_eq!(chain.height().0, 6);
            let models: Vec<String> =
                entries.iter().map(|entry| entry.block.model.unwrap().to_string()).collect();
            assert_eq!(models, run.column("rounds.csv", "model_digest"));
            assert!(entries.iter().all(|entry| entry.block.list.len() == 7));
            assert!(entries.iter().all(|entry| entry.certificate.view == 0));
            assert_eq!(run.summary()["timed_out"], 0);
            assert_eq!(run.summary()["refused"], 0);
        }
        let committees: Vec<_> = runs
            .iter()
            .filter(|run| run.summary()["system"] == "committee")
            .flat_map(|run| ledger(&run.path).1)
            .map(|entry| entry.block.committee)
            .collect();
        assert!(committees.iter().collect::<BTreeSet<_>>().len() > 3, "{committees:?}");
    }
}

/// Runs on one thread, on several and on processes, and compares all they leave.
fn assert_parity(text: &str) -> usize {
    let lab = Lab::new(text);
    run_on_both(&lab);
    for other in ["jobs", "real"] {
        Comparison::of(&lab.path("one"), &lab.path(other)).assert_equal();
    }
    assert_same_blocks(&lab)
}

fn run_on_both(lab: &Lab) {
    lab.finish("one", &["--threads", "1", "--jobs", "1"]);
    lab.finish("jobs", &["--threads", "3", "--jobs", "3"]);
    lab.finish("real", &["--runtime", "processes", "--jobs", "1"]);
}

/// Both runtimes agreed on the same blocks in every run; returns how many there are.
fn assert_same_blocks(lab: &Lab) -> usize {
    let runs = run_folders(&lab.path("one"));
    for run in &runs {
        let (chain, entries) = ledger(run);
        let real = lab.path("real").join("runs").join(run.file_name().unwrap());
        let (real_chain, real_entries) = ledger(&real);
        assert_eq!(chain.head(), real_chain.head());
        // Who signed may differ; what was signed may not.
        let pairs = entries.iter().zip(&real_entries);
        assert!(pairs.clone().all(|(one, other)| one.block == other.block));
        assert!(!entries.is_empty());
    }
    runs.len()
}

#[test]
fn both_runtimes_leave_the_same_rows_and_the_same_blocks() {
    let sweep = r#"
[faults]
absences = 0.1
[sweep]
"threat.attack" = ["none", "sign_flip"]
"threat.knowledge" = ["own_data", "omniscient"]
"#;
    let system = "committee]\nworkers = 7";
    let threat = "corrupted = 1\nplacement = \"random\"";
    assert_eq!(assert_parity(&config(system, "median", threat, sweep)), 4);
}

#[test]
fn both_runtimes_agree_on_what_falls() {
    let sweep = r#"
[sweep]
"threat.downfall" = [{ crash = { nodes = [0, 5], from = 2 } }, { crash = { nodes = [3] } }]
"#;
    let system = "committee]\nworkers = 7";
    assert_eq!(assert_parity(&config(system, "median", "", sweep)), 2);
}

#[test]
fn both_runtimes_agree_on_blocks_though_members_lie() {
    // How often a proposal is passed on depends on who is faster, once a member lies; what is
    // decided does not.
    let sweep = r#"
[sweep]
"threat.downfall" = [{ capture = { nodes = [3] } }, { capture = { nodes = [2, 5] } }]
"#;
    let system = "committee]\nworkers = 7\nsize = 7";
    let lab = Lab::new(&config(system, "median", "", sweep));
    run_on_both(&lab);
    assert_eq!(assert_same_blocks(&lab), 2);
}

#[test]
fn a_worker_that_tells_members_different_things_does_not_count() {
    let threat = "corrupted = 2\nattack = \"sign_flip\"\nequivocate = true";
    let (_lab, run) = finished(&config("committee]\nworkers = 8", "median", threat, ""));
    assert_one_model(&run);
    assert_eq!(run.summary()["skipped"], 0);
    let (chain, entries) = ledger(&run.path);
    assert_eq!(chain.height().0, 6);
    for entry in &entries {
        let listed: Vec<u32> = entry.block.list.iter().map(|listed| listed.sender.0).collect();
        // A liar on the committee holds its own lie as the others do not, and is not counted either.
        assert_eq!(listed, [2, 3, 4, 5, 6, 7]);
    }
    assert!(numbers(&run, "accepted").iter().all(|accepted| *accepted == 6.0));
}

#[test]
fn f_members_may_crash_or_lie_and_every_round_is_decided() {
    for fall in [
        "crash = { nodes = [1, 4], from = 2 }",
        "capture = { nodes = [1, 4] }",
        "capture = { nodes = [1, 4], differently = true }",
    ] {
        let system = "committee]\nworkers = 7\nsize = 7";
        let threat = format!("downfall = {{ {fall} }}");
        let (_lab, run) = finished(&config(system, "median", &threat, ""));
        assert_eq!(run.summary()["skipped"], 0, "{fall}");
        assert_eq!(run.summary()["availability"], 1.0, "{fall}");
        assert_one_model(&run);
        let (chain, entries) = ledger(&run.path);
        assert_eq!(chain.height().0, 6, "{fall}");
        // Where a fallen member proposed first, another view decided.
        for entry in &entries {
            let first = entry.block.round.0 as usize % 7;
            let proposer = entry.block.committee[first].0;
            let fell = [1, 4].contains(&proposer)
                && (entry.block.round.0 >= 2 || !fall.starts_with("crash"));
            assert_eq!(entry.certificate.view > 0, fell, "{fall}: {entry:?}");
        }
    }
}

#[test]
fn more_than_f_crashed_members_cost_rounds_and_nothing_else() {
    let threat = "downfall = { crash = { nodes = [0, 2, 4, 6], from = 2 } }";
    let text = config("committee]\nworkers = 10", "median", threat, "");
    let (lab, run) = finished(&text.replace("rounds = 6", "rounds = 20"));
    assert_one_model(&run);
    let (chain, entries) = ledger(&run.path);
    let skipped = run.column("rounds.csv", "skipped");
    for (index, reason) in skipped.iter().enumerate() {
        let round = index as u32 + 1;
        let decided = entries.iter().any(|entry| entry.block.round.0 == round);
        assert_eq!(decided, reason.is_empty(), "round {round}: {reason}");
    }
    let height = chain.height().0;
    // With 4 of 10 down, 2 of 4 seats or more are with probability 0.55.
    assert!((2..19).contains(&height), "{height}");
    assert_eq!(run.rounds_written(), 20);
    let shown = lab.command("run", &[]).get_program().to_owned();
    let output = std::process::Command::new(shown).args(["ledger", "show"]).arg(&run.path).output();
    let shown = String::from_utf8(output.unwrap().stdout).unwrap();
    let last = chain.round();
    assert!(shown.contains(&format!("{height} of {last} rounds came to a block")), "{shown}");
}

#[test]
fn members_that_contradict_themselves_in_too_many_seats_fork_nobody_who_is_honest() {
    // Three of seven: more than f = 2. Rounds may be lost; honest models may not part.
    let system = "committee]\nworkers = 7\nsize = 7";
    let threat = "downfall = { capture = { nodes = [0, 1, 2], differently = true } }";
    let (_lab, run) = finished(&config(system, "median", threat, ""));
    assert_one_model(&run);
    ledger(&run.path);
}

#[test]
fn a_rule_that_refuses_the_rows_makes_an_empty_block() {
    let faults = "[faults]\nabsences = 0.3\n";
    let text = config("committee]\nworkers = 9", "krum", "", faults);
    let text = text.replace("byzantine = 1", "byzantine = 3").replace("rounds = 6", "rounds = 12");
    let (_lab, run) = finished(&text);
    assert_one_model(&run);
    let (_, entries) = ledger(&run.path);
    let empty = entries.iter().filter(|entry| entry.block.list.is_empty()).count();
    let skipped = run.column("rounds.csv", "skipped");
    let refused = skipped
        .iter()
        .filter(|reason| reason.contains("rule refuses") || reason.contains("krum needs"))
        .count();
    assert!(empty > 0 && empty == refused, "{empty} {skipped:?}");
}

#[test]
fn the_ledger_of_a_run_is_verified_and_proven_and_a_tampered_one_is_refused() {
    let (lab, run) = finished(&config("committee]\nworkers = 7", "median", "", ""));
    let program = lab.command("run", &[]).get_program().to_owned();
    let ledger_command = |arguments: &[&str]| {
        let mut command = std::process::Command::new(&program);
        command.arg("ledger").args(&arguments[..1]).arg(&run.path).args(&arguments[1..]);
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let root = ledger(&run.path).0.head().root.to_string();
    assert_eq!(ledger_command(&["show"]).0, Some(0));
    assert_eq!(ledger_command(&["verify", "--head", &root]).0, Some(0));
    assert_eq!(ledger_command(&["prove", "--round", "4", "--sender", "3"]).0, Some(0));
    let path = run.path.join(FILE_NAME);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("\"sender\":3", "\"sender\":33", 1)).unwrap();
    let (code, error) = ledger_command(&["verify"]);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("line 2"), "{error}");
}

#[test]
fn impossible_committees_are_refused_with_the_numbers() {
    let lab = Lab::new(&config("committee]\nworkers = 5\nsize = 7", "median", "", ""));
    let ended = lab.start("bad", lab.run("bad", &[])).end();
    assert_eq!(ended.status.code(), Some(2));
    let told = "a committee of 7 cannot be drawn from 5 eligible members of 5; make it smaller";
    assert!(ended.errors.contains(told), "{}", ended.errors);
}

#[test]
fn a_run_that_was_interrupted_goes_on_with_its_ledger() {
    let text = config("committee]\nworkers = 7", "median", "", "");
    let (_lab, whole) = finished(&text.replace("rounds = 6", "rounds = 400"));
    let lab = Lab::new(&text.replace("rounds = 6", "rounds = 400"));
    let running = lab.start("out", lab.run("out", &["--checkpoint-seconds", "0"]));
    let run = lab.only_run("out");
    run.wait_for_rounds(1);
    support::signal("INT", running.pid());
    let ended = running.end();
    let interrupted = !ended.status.success();
    lab.finish("out", &[]);
    let (one, other) = (ledger(&whole.path), ledger(&run.path));
    assert_eq!(one.0.head(), other.0.head());
    assert!(interrupted, "it was over before it could be stopped");
}
