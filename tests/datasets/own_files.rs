//! Experiments on files of the user's: the same rows in both runtimes, and known by their bytes.

use std::fs;
use std::path::Path;

use crate::support::tables::{Comparison, run_folders};
use crate::support::{Lab, RunFiles, wait_for};

/// Written by NumPy.
const ARRAYS: &[u8] = include_bytes!("../golden/files/bytes.npz");

/// An experiment on this set with three workers.
fn experiment(set: &str) -> String {
    format!(
        "schema = 1\nname = 'own'\nmodel = 'softmax'\naggregation = {{ rule = 'median' }}\n\
         training = {{ rounds = 4, batch = 2, learning_rate = 0.1 }}\n\
         system = {{ central = {{ workers = 3 }} }}\nevaluation = {{ every = 2 }}\n\
         [data]\nset = {set}\n"
    )
}

/// A lab with this file beside the experiment.
fn lab(set: &str, name: &str, bytes: &[u8]) -> Lab {
    let lab = Lab::new(&experiment(set));
    fs::write(lab.path(name), bytes).unwrap();
    lab
}

/// Runs in both runtimes and holds that they come to the same; returns the run in one process.
pub(super) fn in_both(lab: &Lab) -> RunFiles {
    lab.finish("local", &["--threads", "1"]);
    lab.finish("real", &["--runtime", "processes"]);
    Comparison::of(&lab.path("local"), &lab.path("real")).assert_equal();
    lab.only_run("local")
}

fn id_of(results: &Path) -> String {
    let folder = run_folders(results).pop().unwrap();
    folder.file_name().unwrap().to_str().unwrap().to_owned()
}

/// What a run that does not begin says.
pub(super) fn refusal(lab: &Lab) -> String {
    let ended = lab.start("refused", lab.run("refused", &[])).end();
    assert_eq!(ended.status.code(), Some(2), "{}", ended.errors);
    ended.errors
}

#[test]
fn arrays_of_numpy() {
    let lab = lab("{ npz = { path = 'arrays.npz' } }", "arrays.npz", ARRAYS);
    let run = in_both(&lab);
    let config = fs::read_to_string(run.path.join("config.toml")).unwrap();
    for said in ["train = 12", "test = 3", "classes = 3", "bytes = true", "scale = \"unit\""] {
        assert!(config.contains(said), "{said}: {config}");
    }

    // The run's own config names the file from wherever it lies, and is the same run.
    let again = Lab::new(&config);
    again.finish("again", &[]);
    assert_eq!(id_of(&again.path("again")), id_of(&lab.path("local")));

    // It is a run on what the file holds, wherever that lies, and on nothing else.
    fs::create_dir(lab.path("elsewhere")).unwrap();
    fs::rename(lab.path("arrays.npz"), lab.path("elsewhere/a.npz")).unwrap();
    lab.finish("moved", &["--set", "data.set.npz.path=elsewhere/a.npz"]);
    assert_eq!(id_of(&lab.path("moved")), id_of(&lab.path("local")));
    fs::write(lab.path("arrays.npz"), include_bytes!("../golden/files/fractions.npz")).unwrap();
    lab.finish("other", &[]);
    assert_ne!(id_of(&lab.path("other")), id_of(&lab.path("local")));
    let refused = refusal(&again);
    assert!(
        refused.contains("the data are others than the experiment was planned with"),
        "{refused}"
    );
}

#[test]
fn a_table() {
    let rows: Vec<String> = (0..30)
        .map(|row| format!("{},{},{}\n", row % 3, row, ["ant", "bee", "cow"][row % 3]))
        .collect();
    let table = format!("legs,weight,animal\n{}", rows.concat());
    let set = "{ csv = { path = 'animals.csv', label = 'animal', test = 0.3 } }";
    let animals = lab(set, "animals.csv", table.as_bytes());
    let run = in_both(&animals);
    let config = fs::read_to_string(run.path.join("config.toml")).unwrap();
    assert!(config.contains("names = [\"ant\", \"bee\", \"cow\"]"), "{config}");
    assert!(config.contains("[data.scale.standard]"), "{config}");

    let empty = table.replace("1,16,bee", "1,,bee");
    let refused = refusal(&lab(set, "animals.csv", empty.as_bytes()));
    assert!(
        refused.contains("animals.csv: row 17, column `weight`: the cell is empty"),
        "{refused}"
    );
    assert!(refused.contains("experiment.toml:"), "{refused}");
}

#[test]
fn fewer_samples_than_workers() {
    let lab = lab("{ npz = { path = 'arrays.npz' } }", "arrays.npz", ARRAYS);
    let config = fs::read_to_string(lab.path("experiment.toml")).unwrap();
    fs::write(lab.path("experiment.toml"), config.replace("workers = 3", "workers = 13")).unwrap();
    let refused = refusal(&lab);
    let expected = "12 training samples cannot be split among 13 workers: each needs one";
    assert!(refused.contains(expected), "{refused}");
}

#[test]
fn a_worker_with_other_bytes_is_refused() {
    let [ours, theirs] = [ARRAYS, include_bytes!("../golden/files/fractions.npz")]
        .map(|bytes| lab("{ npz = { path = 'arrays.npz' } }", "arrays.npz", bytes));
    let mut command = ours.command("coordinator", &["--listen", "127.0.0.1:0", "--tokens"]);
    command.arg(ours.path("tokens")).arg("--out").arg(ours.path("out"));
    let coordinator = ours.start("coordinator", command);
    let address = wait_for("the coordinator to listen", || {
        let said = coordinator.said();
        let rest = said.split_once("the coordinator listens at ")?.1;
        rest.contains('\n').then(|| rest.split_whitespace().next().unwrap_or_default().to_owned())
    });
    let address = address.trim_end_matches([',', ';', '.', ':']).to_owned();
    let mut command = theirs.command("worker", &["--connect", &address, "--node", "0", "--tokens"]);
    command.arg(ours.path("tokens")).arg("--state").arg(theirs.path("state"));
    let ended = theirs.start("worker", command).end();
    assert!(!ended.status.success());
    assert!(
        ended.errors.contains("node 0 has another plan than the coordinator"),
        "{}",
        ended.errors
    );
    let told = "and the same bytes in the files that it names";
    assert!(ended.errors.contains(told), "{}", ended.errors);
}
