//! The commands that work on `.npy` files, as a user types them.
#![allow(clippy::disallowed_methods, reason = "these tests write and read files")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use byzlab::runtime::npy;
use ndarray::{Array2, array};
use predicates::prelude::*;
use predicates::str::contains;
use tempfile::TempDir;

fn byzlab() -> Command {
    Command::cargo_bin("byzlab").unwrap()
}

/// A folder with `rows` as `in.npy`.
fn folder(rows: &Array2<f32>) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.npy");
    npy::write_matrix(&file, rows.view()).unwrap();
    (folder, file)
}

fn updates() -> Array2<f32> {
    array![[1.0, 2.0], [2.0, 0.5], [6.0, 0.5]]
}

/// A file as other software writes it.
fn foreign(folder: &Path, header: &str, body: &[u8]) -> PathBuf {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(body);
    let file = folder.join("foreign.npy");
    std::fs::write(&file, bytes).unwrap();
    file
}

#[test]
fn a_vector_is_printed_one_value_per_line() {
    let (_folder, file) = folder(&updates());
    byzlab().args(["aggregate", "--rule", "mean"]).arg(file).assert().success().stdout("3\n1\n");
}

#[test]
fn json_names_the_rule_and_the_shape() {
    let (_folder, file) = folder(&updates());
    let output = byzlab()
        .args(["aggregate", "--like", "flower.aggregate", "--set", "weights=[1, 1, 2]", "--json"])
        .arg(file)
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        report,
        serde_json::json!({
            "rule": "mean",
            "chain": [{ "mean": { "weighting": "samples" } }],
            "rows": 3,
            "columns": 2,
            "vector": [3.75, 0.875],
            "weights": [0.25, 0.25, 0.5],
        })
    );
}

#[test]
fn sample_counts_may_stand_beside_our_own_rule() {
    let (_folder, file) = folder(&updates());
    byzlab()
        .args(["aggregate", "--rule", "mean", "--set", "weighting=samples", "--samples", "1,1,2"])
        .arg(&file)
        .assert()
        .success()
        .stdout("3.75\n0.875\n");
    byzlab()
        .args(["aggregate", "--rule", "mean", "--set", "weighting=samples", "--samples", "1,1"])
        .arg(&file)
        .assert()
        .code(2)
        .stderr("error: 2 sample counts for 3 rows; give one count per row\n");
}

#[test]
fn the_output_is_a_file_when_asked_for() {
    let (folder, file) = folder(&updates());
    let written = folder.path().join("out.npy");
    byzlab()
        .args(["aggregate", "--rule", "mean"])
        .arg(file)
        .arg("--output")
        .arg(&written)
        .assert()
        .success()
        .stdout("");
    assert_eq!(npy::read_vector(&written).unwrap(), array![3.0, 1.0]);
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure_of_the_run() {
    let (folder, file) = folder(&updates());
    byzlab()
        .args(["aggregate", "--rule", "mean"])
        .arg(file)
        .arg("--output")
        .arg(folder.path().join("none/out.npy"))
        .assert()
        .code(1)
        .stderr(contains("error: writing the result\n  caused by: ").and(contains("out.npy")));
}

#[test]
fn doubles_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let body: Vec<u8> = [1.0f64, 2.0, 3.0, 6.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let header = "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }\n";
    let file = foreign(folder.path(), header, &body);
    byzlab().args(["aggregate", "--rule", "mean"]).arg(file).assert().stdout("2\n4\n");
}

#[test]
fn an_update_that_is_not_finite_is_refused_by_row_and_column() {
    let (_folder, file) = folder(&array![[1.0, 2.0], [3.0, f32::NAN]]);
    byzlab()
        .args(["aggregate", "--rule", "mean"])
        .arg(file)
        .assert()
        .code(2)
        .stderr(contains("in.npy: row 1, column 1 is NaN"));
}

#[test]
fn a_header_that_promises_too_much_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (5000000000, 10), }\n";
    let file = foreign(folder.path(), header, &[0; 16]);
    byzlab().args(["aggregate", "--rule", "mean"]).arg(file).assert().code(2).stderr(contains(
        "the header promises 5000000000 x 10 values = 200000000000 bytes behind it, the file has \
         16",
    ));
}

#[test]
fn usage_errors_end_in_two_and_say_what_to_do() {
    let (_folder, file) = folder(&updates());
    let cases: [(&[&str], &str); 8] = [
        (&["--rule", "meen"], "no aggregator is called `meen`; did you mean `mean`?"),
        (&["--rule", "mean", "--set", "wieghting=uniform"], "did you mean `weighting`?"),
        (&["--rule", "mean", "--set", "weighting=heavy"], "unknown variant `heavy`"),
        (&["--rule", "mean", "--set", "weighting"], "expected key=value"),
        (&["--like", "byzfl.average"], "did you mean `byzfl.Average`?"),
        (&["--like", "byzfl.SignFlipping"], "is an attack and cannot aggregate"),
        (&["--rule", "mean", "--like", "byzfl.Average"], "cannot be used with"),
        (&[], "required"),
    ];
    for (arguments, expected) in cases {
        byzlab()
            .arg("aggregate")
            .args(arguments)
            .arg(&file)
            .assert()
            .code(2)
            .stdout("")
            .stderr(contains(expected));
    }
    byzlab()
        .args(["aggregate", "--rule", "mean", "none.npy"])
        .assert()
        .code(2)
        .stderr(contains("none.npy: "));
}

#[test]
fn an_attack_prints_what_is_sent() {
    let (_folder, file) = folder(&updates());
    byzlab()
        .args(["attack", "--attack", "inner_product", "--set", "epsilon=0.5"])
        .arg(file)
        .assert()
        .success()
        .stdout("-1.5\n-0.5\n");
}

#[test]
fn an_attack_is_written_as_one_vector_or_one_row_each() {
    let (folder, file) = folder(&updates());
    let written = folder.path().join("out.npy");
    let attack = |more: &[&str]| {
        byzlab()
            .args(["attack", "--like", "byzfl.Gaussian", "--corrupted", "4", "--seed", "7"])
            .args(more)
            .arg(&file)
            .arg("--output")
            .arg(&written)
            .assert()
            .success()
            .stdout("");
    };
    attack(&[]);
    let one = npy::read_vector(&written).unwrap();
    attack(&["--each"]);
    let each = npy::read_matrix(&written).unwrap();
    assert_eq!(each.dim(), (4, 2));
    assert_eq!(each.row(0), one);
    assert_ne!(each.row(0), each.row(1));
}

#[test]
fn the_report_of_an_attack_has_its_parameters() {
    let (_folder, file) = folder(&updates());
    let output = byzlab()
        .args(["attack", "--like", "byzfl.InnerProductManipulation", "--json"])
        .args(["--set", "tau=0.5"])
        .arg(file)
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        report,
        serde_json::json!({
            "attack": "inner_product",
            "parameters": { "epsilon": 0.5 },
            "rows": 3,
            "columns": 2,
            "corrupted": 1,
            "vector": [-1.5, -0.5],
        })
    );
}

#[test]
fn an_attack_that_would_vanish_is_doubted_and_one_without_liars_refused() {
    let (_folder, file) = folder(&Array2::ones((8, 2)));
    byzlab()
        .args(["attack", "--attack", "little_is_enough", "--set", "formula=true"])
        .args(["--corrupted", "2"])
        .arg(&file)
        .assert()
        .success()
        .stdout("1\n1\n")
        .stderr(contains("z = 0.000 for n = 10 participants and m = 2 corrupted"));
    byzlab()
        .args(["attack", "--attack", "sign_flip", "--corrupted", "0"])
        .arg(&file)
        .assert()
        .code(2);
}

/// Six updates on a line and one far away.
fn line() -> Array2<f32> {
    array![[1.0], [2.0], [3.0], [4.0], [5.0], [6.0], [90.0]]
}

#[test]
fn a_chain_of_other_libraries_parts_takes_one_f() {
    let (_folder, file) = folder(&line());
    let output = byzlab()
        .args(["aggregate", "--like", "byzfl.NNM", "--like", "byzfl.TrMean", "--set", "f=1"])
        .arg("--json")
        .arg(file)
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    // Mixing gives 3.5 for every row but the last, which becomes the mean of 2 .. 6 and 90.
    assert_eq!(report["vector"], serde_json::json!([3.5]));
    assert_eq!(report["rule"], "trimmed_mean");
    assert_eq!(report["chain"][0], serde_json::json!({ "nearest_neighbour_mixing": {} }));
    assert_eq!(report["weights"], serde_json::Value::Null);
}

#[test]
fn pre_aggregators_alone_write_every_row() {
    let (folder, file) = folder(&line());
    let written = folder.path().join("out.npy");
    let mix = |arguments: &[&str]| {
        byzlab()
            .arg("aggregate")
            .args(arguments)
            .arg(&file)
            .arg("--output")
            .arg(&written)
            .assert()
            .success();
        npy::read_matrix(&written).unwrap()
    };
    let mixed = mix(&["--like", "byzfl.NNM", "--byzantine", "1"]);
    assert_eq!(mixed.dim(), (7, 1));
    assert_eq!(mixed[[0, 0]], 3.5);
    assert_eq!(mixed, mix(&["--before", "nearest_neighbour_mixing", "--byzantine", "1"]));
    byzlab()
        .args(["aggregate", "--like", "byzfl.NNM", "--byzantine", "4"])
        .arg(&file)
        .assert()
        .code(2)
        .stderr(contains("n = 7").and(contains("f = 4")));
}

#[test]
fn too_many_byzantine_senders_are_refused_in_the_rules_words() {
    let (_folder, file) = folder(&line());
    byzlab()
        .args(["aggregate", "--rule", "krum", "--byzantine", "3"])
        .arg(&file)
        .assert()
        .code(2)
        .stdout("")
        .stderr(contains("error: krum needs").and(contains("n = 7 updates with f = 3")));
    // ByzFL asks for a majority alone.
    byzlab()
        .args(["aggregate", "--like", "byzfl.Krum", "--set", "f=3"])
        .arg(&file)
        .assert()
        .success();
    byzlab()
        .args(["aggregate", "--like", "byzfl.Krum", "--like", "byzfl.NNM"])
        .arg(&file)
        .assert()
        .code(2)
        .stderr(contains("`byzfl.NNM` stands behind the rule `byzfl.Krum`"));
}

#[test]
fn a_setting_reaches_our_own_members_by_name() {
    let (_folder, file) = folder(&line());
    let krum = |settings: &[&str]| {
        let mut command = byzlab();
        command.args(["aggregate", "--rule", "multi_krum", "--byzantine", "1"]).arg(&file);
        for setting in settings {
            command.args(["--set", setting]);
        }
        command.assert().success()
    };
    krum(&[]).stdout("3.5\n");
    krum(&["keep=2", "neighbours=inclusive"]).stdout("3.5\n");
    krum(&["keep=7"]).stdout(contains("15.857"));
}
