//! Experiments of several cells: what is done stays done, what failed is tried again.

use std::fs;
use std::time::SystemTime;

use crate::config;
use crate::support::tables::{Comparison, run_folders};
use crate::support::{Lab, mnist};

fn sweep(axis: &str) -> String {
    format!("{}[sweep]\n{axis}\n", config(20))
}

/// When each finished run of a folder was finished.
fn finished(lab: &Lab, out: &str) -> Vec<Option<SystemTime>> {
    let folders = run_folders(&lab.path(out));
    let time = |path: &std::path::PathBuf| fs::metadata(path.join("DONE")).ok()?.modified().ok();
    folders.iter().map(time).collect()
}

#[test]
fn a_cell_that_fails_leaves_the_others_alone_and_is_tried_again() {
    let small = "{ digits = { train = 100, test = 20 } }";
    let lab = Lab::new(&sweep(&format!("\"data.set\" = [{{ mnist = {{}} }}, {small}]")));
    let empty = lab.path("empty").display().to_string();
    fs::create_dir(&empty).unwrap();
    let cache = lab.path("cache").display().to_string();
    let run = || {
        let mut command = lab.run("out", &["--data-dir", &empty, "--jobs", "1"]);
        command.env_remove("BYZLAB_DATA").env("XDG_CACHE_HOME", &cache).env("HOME", &cache);
        command
    };
    let first = lab.start("first", run()).end();
    assert_eq!(first.status.code(), Some(1), "{}", first.errors);
    assert!(first.errors.contains("error: 1 of 2 cells failed"), "{}", first.errors);
    let folders = run_folders(&lab.path("out"));
    let (failed, done): (Vec<_>, Vec<_>) =
        folders.iter().partition(|folder| folder.join("FAILED.json").exists());
    assert_eq!((failed.len(), done.len()), (1, 1));
    let reason = fs::read_to_string(failed[0].join("FAILED.json")).unwrap();
    assert!(reason.contains("\"reason\"") && reason.contains("mnist"), "{reason}");
    assert!(done[0].join("DONE").exists() && !failed[0].join("DONE").exists());
    // The same command again: the cell that is done is left alone.
    let before = finished(&lab, "out");
    let second = lab.start("second", run()).end();
    assert_eq!(second.status.code(), Some(1));
    assert_eq!(finished(&lab, "out"), before);
    assert_eq!(second.output, first.output);
    let Some(mnist) = mnist() else { return };
    // And once the data are there, the other is run as if nothing had been.
    let data = mnist.parent().unwrap().display().to_string();
    lab.finish("out", &["--data-dir", &data, "--jobs", "1"]);
    assert!(failed[0].join("DONE").exists() && !failed[0].join("FAILED.json").exists());
    let after = finished(&lab, "out");
    let kept = before.iter().zip(&after).filter(|(before, after)| before == after);
    assert_eq!(kept.count(), 1);
}

#[test]
fn what_is_done_is_not_run_again_unless_it_is_wanted() {
    let lab = Lab::new(&sweep("\"aggregation.rule\" = [\"mean\", \"krum\"]"));
    let first = lab.finish("out", &[]);
    let before = finished(&lab, "out");
    assert_eq!(before.iter().flatten().count(), 2);
    for runtime in ["local", "processes"] {
        assert_eq!(lab.finish("out", &["--runtime", runtime]), first);
        assert_eq!(finished(&lab, "out"), before);
    }
    assert_eq!(lab.finish("again", &[]).lines().next(), first.lines().next());
    assert_eq!(lab.finish("out", &["--rerun"]), first);
    assert!(finished(&lab, "out").iter().zip(&before).all(|(after, before)| after > before));
    Comparison::of(&lab.path("out"), &lab.path("again")).assert_equal();
}

#[test]
fn a_sweep_killed_in_the_middle_runs_what_is_missing() {
    for runtime in ["local", "processes"] {
        let seeds: Vec<String> = (1..=6).map(|seed| seed.to_string()).collect();
        let lab = Lab::new(&config(150));
        let arguments = ["--seeds", &seeds.join(","), "--runtime", runtime, "--jobs", "1"];
        let running = lab.start("killed", lab.run("out", &arguments));
        crate::support::wait_for("two cells to be done", || {
            (finished(&lab, "out").iter().flatten().count() >= 2).then_some(())
        });
        running.kill();
        let before: Vec<SystemTime> = finished(&lab, "out").into_iter().flatten().collect();
        assert!(before.len() < 6, "it was killed in the middle");
        lab.finish("out", &arguments);
        let after: Vec<SystemTime> = finished(&lab, "out").into_iter().flatten().collect();
        assert_eq!(after.len(), 6);
        assert!(before.iter().all(|time| after.contains(time)), "what was done was done again");
        lab.finish("undisturbed", &["--seeds", &seeds.join(",")]);
        Comparison::of(&lab.path("undisturbed"), &lab.path("out")).assert_equal();
    }
}
