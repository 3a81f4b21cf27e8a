//! What the README says is what the program does.

use std::path::Path;

use assert_cmd::Command;
use byzlab::cli::list::shelves;
use byzlab::runtime::npy;
use ndarray::{Array2, array};

use super::experiments::cells;
use super::tree::{expect_none, read, root};

/// Set to write the tables into the README in place of comparing them.
pub(super) const BLESS: &str = "BYZLAB_BLESS";

#[test]
fn the_tables_are_the_catalogs() {
    let readme = read("README.md");
    let mut right = readme.clone();
    let mut findings = Vec::new();
    for shelf in shelves() {
        let measured = shelf.kind == "aggregator";
        let mut table = match measured {
            true => format!("| Name | What it is | {WORST} | Reference |\n|---|---|---|---|\n"),
            false => "| Name | What it is | Reference |\n|---|---|---|\n".to_owned(),
        };
        for member in &shelf.members {
            let cell = |text: &str| text.replace('|', "\\|");
            let (summary, reference) = (cell(&member.summary), cell(&member.reference));
            let worst = if measured { format!("{} | ", worst(member.name)) } else { String::new() };
            table.push_str(&format!("| `{}` | {summary} | {worst}{reference} |\n", member.name));
        }
        let mark = format!("<!-- catalog: {} -->\n", shelf.kind);
        let Some((start, end)) = between(&right, &mark, "<!-- end -->") else {
            findings.push(format!("no table between `{}` and `<!-- end -->`", mark.trim()));
            continue;
        };
        if right[start..end] != table {
            findings.push(format!("between `{}` and `<!-- end -->` goes\n{table}", mark.trim()));
            right.replace_range(start..end, &table);
        }
    }
    let marks = readme.matches("<!-- catalog: ").count();
    assert!(marks <= shelves().len(), "the README has a table of a kind that there is not");
    if std::env::var_os(BLESS).is_some() && right != readme {
        std::fs::write(root().join("README.md"), right).unwrap();
        return;
    }
    expect_none(
        &findings,
        &format!("README.md ({BLESS}=1 cargo test --test tidy writes the tables):"),
    );
}

/// What stands over the figures of `docs/robustness.csv`.
const WORST: &str = "Worst κ found (n = 11, f = 2)";

/// The worst case that was found for a rule.
fn worst(rule: &str) -> String {
    let record = read("docs/robustness.csv");
    let line = record.lines().find_map(|line| line.strip_prefix(&format!("{rule},")));
    match line.and_then(|kappa| kappa.parse::<f64>().ok()) {
        Some(kappa) if kappa < 100.0 => format!("{kappa:.2}"),
        Some(_) => "> 100".to_owned(),
        None => "-".to_owned(),
    }
}

/// The place between two marks.
fn between(text: &str, mark: &str, end: &str) -> Option<(usize, usize)> {
    let start = text.find(mark)? + mark.len();
    Some((start, start + text[start..].find(end)?))
}

/// A fenced block: what its fence says it is, and its lines.
struct Block<'a> {
    language: &'a str,
    text: &'a str,
}

fn blocks(readme: &str) -> Vec<Block<'_>> {
    let fenced = readme.split("\n```").skip(1).step_by(2);
    fenced.filter_map(|block| block.split_once('\n')).map(Block::of).collect()
}

impl<'a> Block<'a> {
    fn of((language, text): (&'a str, &'a str)) -> Self {
        Block { language, text }
    }
}

#[test]
fn the_experiment_of_the_page_can_be_run() {
    let readme = read("README.md");
    let blocks = blocks(&readme);
    let examples: Vec<&Block> = blocks.iter().filter(|block| block.language == "toml").collect();
    assert!(!examples.is_empty());
    for example in examples {
        cells("README.md", example.text).unwrap_or_else(|refusal| panic!("{refusal}"));
    }
}

#[test]
fn every_command_exists_with_its_options_and_files() {
    let readme = read("README.md");
    let mut seen = 0;
    let mut findings = Vec::new();
    for block in blocks(&readme).iter().filter(|block| ["sh", "console"].contains(&block.language))
    {
        for line in block.text.lines().map(|line| line.trim_start_matches("$ ")) {
            let arguments = line
                .strip_prefix("byzlab ")
                .or_else(|| line.strip_prefix("cargo run --release -- "));
            if let Some(arguments) = arguments {
                seen += 1;
                findings.extend(faults(arguments).map(|fault| format!("`{line}`: {fault}")));
            }
        }
    }
    assert!(seen > 10, "{seen} commands found");
    expect_none(&findings, "README.md:");
}

/// What is wrong with a command: no such command, option or experiment.
fn faults(arguments: &str) -> impl Iterator<Item = String> {
    let words: Vec<&str> = arguments.split_whitespace().collect();
    let names = if matches!(words[0], "data" | "analyse" | "ledger" | "bench") { 2 } else { 1 };
    let asked = byzlab().args(&words[..names]).arg("--help").output().unwrap();
    let help = String::from_utf8(asked.stdout).unwrap();
    let mut faults = Vec::new();
    if !asked.status.success() {
        faults.push("there is no such command".to_owned());
    }
    for word in &words[names..] {
        if word.starts_with("--")
            && !help.contains(&format!("{word} "))
            && !help.contains(&format!("{word}\n"))
        {
            faults.push(format!("there is no option {word}"));
        }
        if word.starts_with("experiments/") && !Path::new(root()).join(word).exists() {
            faults.push(format!("there is no file {word}"));
        }
    }
    faults.into_iter()
}

fn byzlab() -> Command {
    Command::cargo_bin("byzlab").unwrap()
}

/// The commands behind a `$` print what the page shows, in a folder with the files that its
/// Python writes.
#[test]
fn the_examples_print_what_the_page_shows() {
    let folder = tempfile::tempdir().unwrap();
    let honest = array![[1.0, 2.0], [1.1, 2.1], [0.9, 1.9], [1.2, 2.0], [1.0, 2.2], [0.8, 2.1]];
    let mut updates = Array2::zeros((0, 2));
    updates.append(ndarray::Axis(0), honest.view()).unwrap();
    updates.push_row(array![-50.0, 70.0].view()).unwrap();
    npy::write_matrix(&folder.path().join("honest.npy"), honest.view()).unwrap();
    npy::write_matrix(&folder.path().join("updates.npy"), updates.view()).unwrap();

    let readme = read("README.md");
    let blocks = blocks(&readme);
    let consoles: Vec<&Block> = blocks.iter().filter(|block| block.language == "console").collect();
    assert!(!consoles.is_empty());
    for example in consoles.iter().flat_map(|block| block.text.split("$ ").skip(1)) {
        let (command, shown) = example.split_once('\n').unwrap();
        let arguments = command.strip_prefix("byzlab ").expect("examples run byzlab");
        let mut program = byzlab();
        program.current_dir(folder.path()).args(arguments.split_whitespace());
        let output = program.output().unwrap();
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8(printed).unwrap();
        assert_eq!(printed.trim_end(), shown.trim_end(), "{command}");
    }
}

#[test]
fn the_checks_run_the_tests_as_the_page_says() {
    let checks = read(".ci/run");
    assert!(checks.lines().any(|line| line == "cargo test"));
    assert!(read("README.md").contains("```sh\ncargo test\n```"));
}
