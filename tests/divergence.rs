//! A learning rate that diverges: the run ends, says so, and keeps what it has.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests start programs and read what they leave behind"
)]

mod support;

use support::Lab;

fn config(system: &str, training: &str) -> String {
    format!(
        r#"
schema = 1
name = "divergence"
[data]
set = {{ digits = {{ train = 200, test = 50 }} }}
[model.softmax]
[training]
rounds = 3
{training}
[{system}]
[aggregation]
rule = "{}"
"#,
        if system.contains("gossip") { "metropolis_hastings" } else { "mean" }
    )
}

/// Every step multiplies the parameters by -1e30, which a float can bear once.
const DIVERGES: &str = "learning_rate = 1e30\nweight_decay = 1.0\nlocal_steps = 5";

#[test]
fn workers_that_diverge_are_reported_and_absent_and_the_run_ends() {
    for system in ["system.central", "system.gossip"] {
        let lab = Lab::new(&config(&format!("{system}]\nworkers = 4\n[network"), DIVERGES));
        lab.finish("out", &["--threads", "1"]);
        let run = lab.only_run("out");
        let diverged = &run.summary()["diverged"];
        let expected = serde_json::json!({ "0": 1, "1": 1, "2": 1, "3": 1 });
        assert_eq!(*diverged, expected, "{system}");
        let nodes = std::fs::read_to_string(run.path.join("nodes.csv")).unwrap();
        assert_eq!(nodes.matches(",absent,").count(), 12, "{system}: {nodes}");
        let refused = nodes.lines().skip(1).filter(|line| line.contains(",refused,"));
        assert_eq!(refused.count(), 0, "{system}: {nodes}");
        let events = std::fs::read_to_string(run.path.join("events.jsonl")).unwrap();
        assert_eq!(events.matches("\"diverged\"").count(), 4, "{system}: {events}");
        assert!(run.path.join("DONE").is_file() && run.path.join("model.npy").is_file());
    }
}

#[test]
fn epochs_clipping_and_a_schedule_run_and_nobody_diverges() {
    let training = "learning_rate = 0.3\nlocal_epochs = 2\ndraw = \"epochs\"\nclip = 1.0\n\
                    schedule = { decay = { every = 1, factor = 0.5 } }";
    let lab = Lab::new(&config("system.central]\nworkers = 4\n[network", training));
    lab.finish("out", &["--threads", "1"]);
    let run = lab.only_run("out");
    assert_eq!(run.summary().get("diverged"), None);
    let resolved = std::fs::read_to_string(run.path.join("config.toml")).unwrap();
    for line in ["local_epochs = 2", "draw = \"epochs\"", "clip = 1.0"] {
        assert!(resolved.contains(line), "{resolved}");
    }
    assert!(!resolved.contains("local_steps"), "{resolved}");
    // What is recorded can be run, and is the same run.
    let again = Lab::new(&resolved);
    again.finish("out", &["--threads", "1"]);
    assert_eq!(again.only_run("out").path.file_name(), run.path.file_name());
}
