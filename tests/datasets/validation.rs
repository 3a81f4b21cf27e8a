//! A validation split: its columns, its numbers, and the same rows in both runtimes.

use crate::support::tables::{Comparison, run_folders};
use crate::support::{Lab, RunFiles};

const EXPERIMENT: &str = r#"
schema = 1
name = "validation"
[data]
set = { digits = { train = 300, test = 50 } }
validation = 0.2
holders = "honest"
partition = { long_tail = { ratio = 0.8, then = "label_sorted" } }
[model.softmax]
[training]
rounds = 5
batch = 10
learning_rate = 0.1
[system.central]
workers = 6
[aggregation]
byzantine = 1
rule = "median"
[threat]
corrupted = 1
placement = "random"
attack = "sign_flip"
[evaluation]
every = 2
"#;

#[test]
fn both_runtimes_judge_alike_by_what_was_held_out() {
    let lab = Lab::new(EXPERIMENT);
    lab.finish("local", &["--threads", "1"]);
    lab.finish("real", &["--runtime", "processes"]);
    Comparison::of(&lab.path("local"), &lab.path("real")).assert_equal();
    let run = lab.only_run("local");
    let accuracies = run.column("rounds.csv", "validation_accuracy");
    let losses = run.column("rounds.csv", "validation_loss");
    for (round, (accuracy, loss)) in (1..).zip(accuracies.iter().zip(&losses)) {
        let due = round % 2 == 0 || round == 5;
        assert_eq!((accuracy.is_empty(), loss.is_empty()), (!due, !due), "round {round}");
    }
    // Of 60 samples that were held out, a whole number is answered rightly.
    let last: f64 = accuracies[4].parse().unwrap();
    assert!((last * 60.0 - (last * 60.0).round()).abs() < 1e-9, "{last}");
    let summary = run.summary();
    // Numbers of JSON are read to the last digit but one.
    let same = |key: &str, cell: &str| {
        let (found, expected) = (summary[key].as_f64().unwrap(), cell.parse::<f64>().unwrap());
        assert!((found - expected).abs() < 1e-12, "{key}: {found} and {expected}");
    };
    same("final_validation_accuracy", &accuracies[4]);
    same("final_validation_loss", &losses[4]);
    let config = std::fs::read_to_string(run.path.join("config.toml")).unwrap();
    assert!(config.contains("validation = 0.2") && config.contains("holders = \"honest\""));
}

#[test]
fn without_one_there_are_no_such_columns() {
    let lab = Lab::new(&EXPERIMENT.replace("validation = 0.2\n", ""));
    lab.finish("out", &["--threads", "1"]);
    let folder = run_folders(&lab.path("out")).pop().unwrap();
    let table = std::fs::read_to_string(folder.join("rounds.csv")).unwrap();
    assert!(!table.contains("validation"), "{table}");
    assert!(RunFiles { path: folder }.summary().get("final_validation_accuracy").is_none());
}
