//! Systems whose parts fall: what stands, what stalls, what is captured, and that the bits are
//! those of a central server wherever nothing has happened.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests start programs and read what they leave behind"
)]

mod support;

use support::{Lab, RunFiles};

/// Nine workers, of whom two collude, with everything that could tell systems apart: absences,
/// momentum, several local steps.
const EXPERIMENT: &str = r#"
schema = 1
name = "systems"
seeds = [7]
[data]
set = { digits = { train = 300, test = 100 } }
partition = { gamma_similarity = { gamma = 0.5 } }
[model.softmax]
[training]
rounds = 6
batch = 10
learning_rate = 0.3
momentum = 0.9
local_steps = 2
[system]
{system}
[aggregation]
byzantine = 2
rule = "trimmed_mean"
[threat]
{threat}
[faults]
absences = 0.1
[evaluation]
every = 3
"#;

const COLLUDERS: &str = "corrupted = 2\nattack = \"little_is_enough\"";

const CENTRAL: &str = "central = { workers = 9 }";
const REPLICATED: &str = "replicated = { workers = 9 }";
const MEDIAN: &str = "replicated = { workers = 9, replicas = 5, accept = \"median\" }";

/// A federation of nine workers with more parameters.
fn federated(parameters: &str) -> String {
    format!("federated = {{ workers = 9, byzantine = 0, {parameters} }}")
}

/// What a run came to.
#[derive(Debug)]
struct Outcome {
    digest: String,
    availability: f64,
    disagreement: f64,
    timed_out: u64,
    refused: u64,
    skipped: Vec<String>,
    files: RunFiles,
    _lab: Lab,
}

fn run(system: &str, threat: &str) -> Outcome {
    let lab = Lab::new(&EXPERIMENT.replace("{system}", system).replace("{threat}", threat));
    lab.finish("out", &["--threads", "1"]);
    let files = lab.only_run("out");
    let summary = files.summary();
    let number = |key: &str| summary[key].as_f64().unwrap();
    Outcome {
        digest: summary["final_digest"].as_str().unwrap().to_owned(),
        availability: number("availability"),
        disagreement: number("disagreement"),
        timed_out: summary["timed_out"].as_u64().unwrap(),
        refused: summary["refused"].as_u64().unwrap(),
        skipped: files.column("rounds.csv", "skipped"),
        files,
        _lab: lab,
    }
}

/// The threat of colluders, and of parts that fall.
fn with_fall(fall: &str) -> String {
    format!("{COLLUDERS}\ndownfall = {{ {fall} }}")
}

fn crash(count: usize) -> String {
    with_fall(&format!("crash = {{ count = {count} }}"))
}

fn capture(count: usize) -> String {
    with_fall(&format!("capture = {{ count = {count} }}"))
}

impl Outcome {
    fn assert_undisturbed(&self, digest: &str) {
        assert_eq!(self.digest, digest, "{self:?}");
        assert_eq!((self.availability, self.disagreement), (1.0, 0.0), "{self:?}");
        assert_eq!((self.timed_out, self.refused), (0, 0), "{self:?}");
    }

    fn assert_stalled(&self) {
        assert_eq!(self.availability, 0.0, "{self:?}");
        assert!(self.skipped.iter().all(|reason| !reason.is_empty()), "{self:?}");
        assert_eq!(self.timed_out, 0, "a stall is told, not waited for: {self:?}");
    }
}

#[test]
fn whatever_serves_them_the_honest_come_to_the_bits_of_a_central_server() {
    let central = run(CENTRAL, COLLUDERS).digest;
    run(CENTRAL, &with_fall("crash = { from = 100 }")).assert_undisturbed(&central);
    for system in
        [REPLICATED, MEDIAN, "replicated = { workers = 9, replicas = 7, byzantine_replicas = 2 }"]
    {
        run(system, COLLUDERS).assert_undisturbed(&central);
    }
    for checked in [false, true] {
        let one = format!("federated = {{ workers = 9, regions = 1, checked = {checked} }}");
        run(&one, COLLUDERS).assert_undisturbed(&central);
    }
}

#[test]
fn a_central_system_falls_with_its_server() {
    run(CENTRAL, &crash(1)).assert_stalled();
    let captured = run(CENTRAL, &capture(1));
    assert_ne!(captured.digest, run(CENTRAL, COLLUDERS).digest);
    assert_eq!(captured.availability, 1.0);
    let halfway = run(CENTRAL, &with_fall("crash = { from = 4 }"));
    assert_eq!(halfway.availability, 0.5, "{halfway:?}");
}

#[test]
fn as_many_replicas_as_may_fall_change_no_bit() {
    let whole = run(REPLICATED, COLLUDERS).digest;
    let differently = with_fall("capture = { differently = true }");
    for fall in [crash(1), capture(1), differently] {
        run(REPLICATED, &fall).assert_undisturbed(&whole);
        run(MEDIAN, &fall).assert_undisturbed(&whole);
    }
    let seven = "replicated = { workers = 9, replicas = 7, byzantine_replicas = 2 }";
    for fall in [crash(2), capture(2)] {
        run(seven, &fall).assert_undisturbed(&whole);
    }
}

#[test]
fn one_replica_more_stalls_or_captures() {
    let whole = run(REPLICATED, COLLUDERS).digest;
    run(REPLICATED, &crash(2)).assert_stalled();
    let captured = run(REPLICATED, &capture(2));
    assert_eq!((captured.availability, captured.disagreement), (1.0, 0.0), "{captured:?}");
    assert_ne!(captured.digest, whole);
    let apart = run(REPLICATED, &with_fall("capture = { count = 2, differently = true }"));
    assert!(apart.disagreement > 0.0, "each worker is told something else: {apart:?}");
    // The median needs 2f + 1 = 3 of 5 models, and half of them to be moved where all are equal.
    run(MEDIAN, &crash(2)).assert_undisturbed(&whole);
    run(MEDIAN, &crash(3)).assert_stalled();
    run(MEDIAN, &capture(2)).assert_undisturbed(&whole);
    assert_ne!(run(MEDIAN, &capture(3)).digest, whole);
}

#[test]
fn with_the_echo_a_worker_that_equivocates_is_as_good_as_absent() {
    let fourth = "placement = { list = { nodes = [4] } }";
    let equivocates = format!("corrupted = 1\nattack = \"sign_flip\"\nequivocate = true\n{fourth}");
    let absent = run(REPLICATED, "corrupted = 0\ndownfall = { crash = { nodes = [4] } }");
    assert_eq!(absent.timed_out, 0, "{absent:?}");
    let echo = run(REPLICATED, &equivocates);
    echo.assert_undisturbed(&absent.digest);
    let nodes = echo.files.column("nodes.csv", "node");
    let outcomes = echo.files.column("nodes.csv", "outcome");
    let of_fourth = nodes.iter().zip(&outcomes).filter(|(node, _)| *node == "4");
    assert!(of_fourth.clone().any(|(_, outcome)| outcome == "refused"), "{outcomes:?}");
    assert!(of_fourth.clone().all(|(_, outcome)| outcome != "shared"), "{outcomes:?}");
    run("replicated = { workers = 9, echo = false }", &equivocates).assert_stalled();
    assert_eq!(run(MEDIAN, &equivocates).availability, 1.0);
}

#[test]
fn a_bridge_that_crashes_parts_the_regions_and_stops_nobody() {
    let whole = run(&federated(""), COLLUDERS);
    whole.assert_undisturbed(&run(&federated("checked = true"), COLLUDERS).digest);
    let crashed = with_fall("crash = { from = 3 }");
    for checked in ["", "checked = true"] {
        let apart = run(&federated(checked), &crashed);
        assert_eq!((apart.availability, apart.timed_out), (1.0, 0), "{apart:?}");
        assert!(apart.disagreement > 0.0, "{apart:?}");
        let alone = |reason: &String| reason.contains("no bridge was believed");
        assert_eq!(apart.skipped.iter().filter(|reason| alone(reason)).count(), 4, "{apart:?}");
    }
    run(&federated("bridges = 3"), &crashed).assert_undisturbed(&whole.digest);
    run(&federated("bridges = 3"), &capture(1)).assert_undisturbed(&whole.digest);
}

#[test]
fn a_captured_bridge_is_followed_by_those_who_trust_and_not_by_those_who_check() {
    let captured = with_fall("capture = { from = 3 }");
    let crashed = with_fall("crash = { from = 3 }");
    let trusted = run(&federated(""), &captured);
    assert_eq!((trusted.disagreement, trusted.skipped.join("")), (0.0, String::new()));
    assert_ne!(trusted.digest, run(&federated(""), COLLUDERS).digest);
    // Who checks loses the bridge, and nothing else.
    let checked = run(&federated("checked = true"), &captured);
    assert_eq!(checked.digest, run(&federated("checked = true"), &crashed).digest);
    assert!(checked.disagreement > 0.0, "{checked:?}");
}

#[test]
fn a_region_that_crashes_stops_its_own_workers_alone() {
    let crashed = "corrupted = 0\ndownfall = { crash = { nodes = [9] } }";
    for checked in ["", "checked = true"] {
        let outcome = run(&federated(checked), crashed);
        assert_eq!((outcome.availability, outcome.timed_out), (6.0 / 9.0, 0), "{outcome:?}");
    }
}

#[test]
fn too_few_parts_for_what_is_declared_are_refused_with_the_numbers() {
    let refused = |system: &str, words: &str| {
        let text = EXPERIMENT.replace("{system}", system).replace("{threat}", COLLUDERS);
        let lab = Lab::new(&text);
        let ended = lab.start("refused", lab.run("out", &[])).end();
        assert!(!ended.status.success() && ended.errors.contains(words), "{}", ended.errors);
    };
    refused("replicated = { replicas = 3 }", "matching_digests needs 3f + 1 = 4");
    refused("replicated = { replicas = 4, accept = \"median\" }", "median needs 3f + 2 = 5");
    refused("federated = { workers = 9, regions = 10 }", "`regions` is 10");
    let liars = "federated = { workers = 9, between = \"median\", byzantine_regions = 2 }";
    refused(liars, "`byzantine_regions`: median needs n > 2f = 4");
}
