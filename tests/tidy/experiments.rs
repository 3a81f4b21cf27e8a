//! The experiments that come with the lab can be run, and say what they ask.

use byzlab::experiment::plan::Plan;
use byzlab::experiment::source::Source;
use byzlab::experiment::sweep::Sweep;

use super::tree::{expect_none, files, read};

/// How many cells a text has, each of which can be run; or what is wrong with it.
pub(super) fn cells(name: &str, text: &str) -> Result<usize, String> {
    let source = Source::new(name, text.as_bytes()).map_err(|error| error.to_string())?;
    let shown = |errors: Vec<_>| source.render_all(&errors, false);
    let cells = Sweep::read(&source).map_err(shown)?;
    for cell in &cells {
        Plan::check(&cell.config, cell.seed).map_err(shown)?;
    }
    Ok(cells.len())
}

#[test]
fn every_experiment_can_be_planned() {
    let all = files(&["experiments"], ".toml");
    assert!(all.iter().any(|file| file == "experiments/quickstart.toml"), "{all:?}");
    let refused = all.iter().filter_map(|file| cells(file, &read(file)).err());
    expect_none(&refused.collect::<Vec<_>>(), "these cannot be run:");
}

#[test]
fn every_experiment_opens_with_its_question() {
    let mut findings = Vec::new();
    for file in files(&["experiments"], ".toml") {
        let text = read(&file);
        let mut opening = text.lines().take_while(|line| line.starts_with('#'));
        if !opening.any(|line| line.contains('?')) {
            findings.push(format!("{file} does not open with a comment that asks something"));
        }
        if !text.lines().any(|line| line.starts_with("rounds = ")) {
            findings.push(format!("{file} has no line that begins with `rounds = `"));
        }
    }
    expect_none(&findings, "experiments:");
}
