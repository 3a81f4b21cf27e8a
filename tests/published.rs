//! Results that are kept beside experiments: compared with what was published, and run again.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests start programs and read what they leave behind"
)]

mod support;

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use support::Lab;

const EXPERIMENT: &str = r#"
schema = 1
name = "published"
seeds = [1, 2]
[data]
set = { digits = { train = 200, test = 100 } }
[model.softmax]
[training]
rounds = 20
batch = 10
learning_rate = 0.3
[system.central]
workers = 7
[aggregation]
byzantine = 2
rule = "mean"
[threat]
corrupted = 2
[evaluation]
every = 5
[sweep]
"aggregation.rule" = ["mean", "median"]
"threat.attack" = ["none", { inner_product = { epsilon = 9.0 } }]
"#;

const EXPECTED: &str = "\
aggregation.rule,threat.attack,metric,over,expected,low,high,source
median,none,final,,0.5,0.0,1.0,Table 1
mean,,maximum,minimum over threat.attack,0.2,0.0,1.0,Table 1
,none,last_five,median minus mean over aggregation.rule,,-1.0,,Figure 2
krum,none,final,,0.5,0.4,0.6,Table 1
";

fn results(lab: &Lab) -> PathBuf {
    lab.path("results.csv")
}

fn run(lab: &Lab, arguments: &[&str]) -> String {
    let file = results(lab);
    let all = [&["--results", file.to_str().unwrap()], arguments].concat();
    lab.finish("out", &all)
}

/// `byzlab compare` on the lab's folder, with its code, output and errors.
fn compare(lab: &Lab, arguments: &[&str]) -> (i32, String, String) {
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_byzlab"));
    program.args(["compare", "--expected"]).arg(lab.path("")).args(arguments);
    program.current_dir(lab.path(""));
    let Output { status, stdout, stderr } = program.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

fn lines(lab: &Lab) -> Vec<String> {
    fs::read_to_string(results(lab)).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn results_grow_cell_by_cell_and_are_compared() {
    let lab = Lab::new(EXPERIMENT);
    fs::write(lab.path("expected.csv"), EXPECTED).unwrap();
    let (code, output, _) = compare(&lab, &[]);
    assert_eq!(code, 0);
    assert!(output.contains("0 of 4 inside the band, 0 outside, 4 not run"), "{output}");
    // Three cells by their number, the last of them again by its run id.
    run(&lab, &["--cell", "0", "--cell", "5", "--cell", "4"]);
    let some = lines(&lab);
    assert_eq!(some.len(), 4, "{some:?}");
    let ids: Vec<&str> = some[1..].iter().map(|line| line.split(',').nth(1).unwrap()).collect();
    run(&lab, &["--cell", &ids[2][..8], "--rerun"]);
    assert_eq!(lines(&lab).len(), 4);
    let done = lab.path("out").join("runs");
    assert_eq!(fs::read_dir(&done).unwrap().count(), 3);
    // All of them: those that are done are kept as they were, in the order of cells.
    run(&lab, &[]);
    let all = lines(&lab);
    assert_eq!(all.len(), 9);
    let seconds_aside = |line: &String| line.split(',').take(8).collect::<Vec<_>>().join(",");
    assert!(
        some.iter()
            .all(|line| all.iter().any(|other| { seconds_aside(other) == seconds_aside(line) }))
    );
    let (code, output, errors) = compare(&lab, &[]);
    assert_eq!(code, 0, "{errors}");
    assert!(output.contains("3 of 4 inside the band, 0 outside, 1 not run"), "{output}");
    assert!(output.lines().all(|line| line.chars().count() <= 80), "{output}");
    // As JSON, and with a band that it misses.
    fs::write(lab.path("expected.csv"), EXPECTED.replace("0.5,0.0,1.0", "0.0,0.0,0.01")).unwrap();
    let (code, output, errors) = compare(&lab, &["--json"]);
    assert_eq!(code, 1);
    assert!(errors.contains("1 of 4 numbers lie outside of their band"), "{errors}");
    let places: Vec<String> = output
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| line["place"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(places, ["outside", "inside", "inside", "missing"]);
}

#[test]
fn a_kept_cell_is_run_again_to_the_same_digest_or_shows_that_it_is_another() {
    let lab = Lab::new(EXPERIMENT);
    run(&lab, &["--cell", "7"]);
    let line = lines(&lab).remove(1);
    let run_id = line.split(',').nth(1).unwrap().to_owned();
    let (code, output, errors) = compare(&lab, &["--again", &run_id[..6]]);
    assert_eq!(code, 0, "{errors}");
    assert!(output.starts_with(&format!("{run_id}  the same digest")), "{output}");
    let text = fs::read_to_string(results(&lab)).unwrap();
    let digest = output.split_whitespace().last().unwrap();
    assert!(text.contains(digest));
    fs::write(results(&lab), text.replace(digest, "another")).unwrap();
    let (code, output, _) = compare(&lab, &["--again", "all"]);
    assert_eq!(code, 1);
    assert!(output.contains("ANOTHER DIGEST") && output.contains("the table has another"));
    // The experiment has changed since.
    let changed = EXPERIMENT.replace("rounds = 20", "rounds = 21");
    fs::write(lab.path("experiment.toml"), changed).unwrap();
    let (code, _, errors) = compare(&lab, &["--again", &run_id]);
    assert_eq!(code, 1);
    assert!(errors.contains("any more: it was changed since"), "{errors}");
    let (code, _, errors) = compare(&lab, &["--again", "zz"]);
    assert_eq!(code, 2);
    assert!(errors.contains("none of the 1 runs"), "{errors}");
}

#[test]
fn what_the_file_alone_does_not_say_is_not_kept() {
    let lab = Lab::new(EXPERIMENT);
    let file = results(&lab);
    let asks = ["--results", file.to_str().unwrap(), "--set", "training.rounds=3"];
    let ended = lab.start("set", lab.run("out", &asks)).end();
    assert_eq!(ended.status.code(), Some(2));
    assert!(ended.errors.contains("write the change of --set into the file"), "{}", ended.errors);
    let ended = lab.start("cell", lab.run("out", &["--cell", "none"])).end();
    assert_eq!(ended.status.code(), Some(2));
    assert!(ended.errors.contains("no cell has the number `none`"), "{}", ended.errors);
}
