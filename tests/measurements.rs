//! What a run tells beyond accuracy: whom the rule weighted, how far it was from the honest, and
//! the accuracy on each class; and rules with a history or a server of their own trust. All of it
//! is the same in one process and in many.
#![cfg(target_os = "linux")]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests start programs and read what they leave behind"
)]

mod support;

use support::tables::{Comparison, run_folders};
use support::{Lab, RunFiles};

/// A small run with everything measured.
const GRID: &str = r#"
schema = 1
name = "measurements"
seeds = [3]
[data]
set = { digits = { train = 300, test = 50 } }
partition = { gamma_similarity = { gamma = 0.5 } }
[model.softmax]
[training]
rounds = 6
batch = 10
learning_rate = 0.3
momentum = 0.9
[system.central]
workers = 9
[aggregation]
byzantine = 2
rule = "median"
[threat]
corrupted = 2
attack = { inner_product = { epsilon = 4.0 } }
[evaluation]
every = 3
classes = true
robustness = true
"#;

/// Runs a grid in one process and in many, and compares; returns the runs, which stay as long as
/// the lab.
fn in_both(grid: &str) -> (Lab, Vec<RunFiles>) {
    let lab = Lab::new(grid);
    lab.finish("one", &["--threads", "1"]);
    lab.finish("real", &["--runtime", "processes", "--jobs", "1"]);
    Comparison::of(&lab.path("one"), &lab.path("real")).assert_equal();
    let folders = run_folders(&lab.path("one"));
    let runs: Vec<RunFiles> = folders.into_iter().map(|path| RunFiles { path }).collect();
    runs.iter().for_each(check_bounds);
    (lab, runs)
}

fn numbers(run: &RunFiles, column: &str) -> Vec<Option<f64>> {
    run.column("rounds.csv", column).iter().map(|value| value.parse().ok()).collect()
}

/// No measured error exceeds the bound beside it.
fn check_bounds(run: &RunFiles) {
    let (measured, bounds) =
        (numbers(run, "measured_robustness"), numbers(run, "robustness_bound"));
    for (measured, bound) in measured.into_iter().zip(bounds) {
        if let (Some(measured), Some(bound)) = (measured, bound) {
            assert!(measured <= bound, "{measured} is above the bound {bound}");
        }
    }
}

#[test]
fn errors_stay_under_their_bounds() {
    let sweep = r#"
[sweep]
"aggregation.rule" = ["median", "trimmed_mean", "krum"]
"#;
    let (_lab, runs) = in_both(&format!("{GRID}{sweep}"));
    for run in runs {
        assert!(numbers(&run, "robustness_bound").iter().all(Option::is_some));
        assert!(numbers(&run, "measured_robustness").iter().all(Option::is_some));
        let distances = numbers(&run, "distance_to_honest_mean");
        assert!(distances.iter().all(|distance| distance.is_some_and(|distance| distance > 0.0)));
        let classes = run.column("rounds.csv", "class_accuracies");
        let judged = classes.iter().filter(|classes| !classes.is_empty());
        assert!(judged.clone().all(|classes| classes.split(' ').count() == 10));
        assert_eq!(judged.count(), 2, "after the third and the sixth round");
    }
}

#[test]
fn rules_with_a_history_are_the_same_everywhere() {
    let sweep = r#"
[sweep]
"aggregation.rule" = ["foolsgold", "clipped_clustering", "flame", "sign_guard",
    { fl_detector = { window = 2, start = 4 } }]
"#;
    let (_lab, runs) = in_both(&format!("{GRID}{sweep}"));
    for run in runs {
        for share in numbers(&run, "corrupted_weight").into_iter().flatten() {
            assert!((0.0..=1.0).contains(&share), "{share}");
        }
        assert!(numbers(&run, "robustness_bound").iter().all(Option::is_none));
    }
}

#[test]
fn a_server_with_trusted_data_stands_a_majority_of_liars() {
    let grid = GRID
        .replace("corrupted = 2", "corrupted = 6")
        .replace("rounds = 6", "rounds = 30")
        .replace("rule = \"median\"", "rule = \"fltrust\"\ntrusted = 50");
    let (_lab, runs) = in_both(&grid);
    let run = &runs[0];
    let accuracy = numbers(run, "test_accuracy").into_iter().flatten().last().unwrap();
    assert!(accuracy > 0.5, "{accuracy}");
    let weights = numbers(run, "corrupted_weight");
    let mean = weights.iter().flatten().sum::<f64>() / weights.len() as f64;
    assert!(mean < 0.5, "six of nine had {mean} of the weight");
}

/// What the program says of an experiment that it does not plan.
fn refusal(grid: &str) -> String {
    let lab = Lab::new(grid);
    let ended = lab.start("out", lab.run("out", &[])).end();
    assert_eq!(ended.status.code(), Some(2), "{}", ended.errors);
    ended.errors
}

#[test]
fn what_cannot_be_trusted_or_measured_is_refused() {
    let fltrust = GRID.replace("rule = \"median\"", "rule = \"fltrust\"");
    let errors = refusal(&fltrust);
    assert!(errors.contains("the rule needs an update from trusted data"), "{errors}");
    let errors = refusal(&GRID.replace("byzantine = 2", "byzantine = 2\ntrusted = 9"));
    assert!(errors.contains("makes no use of aggregation.trusted = 9"), "{errors}");
    let replicated = "[system.replicated]\nreplicas = 4\nworkers = 9";
    let elsewhere = |grid: &str| grid.replace("[system.central]\nworkers = 9", replicated);
    let errors = refusal(&elsewhere(GRID));
    assert!(errors.contains("evaluation.robustness is measured where one server"), "{errors}");
    let alone = fltrust
        .replace("robustness = true", "")
        .replace("byzantine = 2", "byzantine = 2\ntrusted = 9");
    let errors = refusal(&elsewhere(&alone));
    assert!(errors.contains("needs a server that trains on trusted data"), "{errors}");
}
