//! Source files: none is dead, too long or holds what must not be there.

use std::collections::BTreeSet;

use super::tree::{code, expect_none, files, read, root, without_comment};

/// The most lines of a source file in front of its tests.
const LINES_MAX: usize = 450;

/// What no source file holds.
const FORBIDDEN: [(&str, &str); 6] = [
    ("unsafe", "no code of ours is unsafe; vector instructions go through a safe crate"),
    ("unsafe_code", "the lint is not to be allowed anywhere"),
    ("todo!", "what is not there yet is not there"),
    ("unimplemented!", "what is not there yet is not there"),
    ("dbg!", "for one's own eyes only"),
    ("#[ignore", "a test that is not run holds nothing"),
];

/// Top folders of one machine, and hosts of registries, that mean nothing to anybody else.
const PRIVATE_FOLDERS: [&str; 4] = ["work", "root", "tmp", "home"];
const REGISTRIES: [&str; 3] = ["index.crates.io", "static.crates.io", "pypi.org"];

/// All Rust files but those of this test, which name what they look for.
fn rust_files() -> Vec<String> {
    let mut found = files(&["src", "tests", "benches", "examples"], ".rs");
    found.retain(|file| !file.starts_with("tests/tidy"));
    found.push("build.rs".to_owned());
    found
}

#[test]
fn every_file_is_part_of_the_crate() {
    let mut reached = BTreeSet::new();
    for start in ["src/lib.rs", "src/main.rs"] {
        reach(start, &mut reached);
    }
    let dead = files(&["src"], ".rs").into_iter().filter(|file| !reached.contains(file));
    expect_none(&dead.collect::<Vec<_>>(), "no `mod` line leads to:");
}

/// Follows the `mod` lines of a file.
fn reach(file: &str, reached: &mut BTreeSet<String>) {
    if !reached.insert(file.to_owned()) {
        return;
    }
    let folder = match file {
        "src/lib.rs" | "src/main.rs" => "src",
        _ => file.trim_end_matches(".rs"),
    };
    let text = read(file);
    for line in text.lines().map(without_comment) {
        let Some(declared) = line.trim().strip_suffix(';') else { continue };
        let mut words = declared.split_whitespace();
        let declared = words.find(|word| !word.starts_with("pub")) == Some("mod");
        if let (true, Some(name)) = (declared, words.next()) {
            reach(&format!("{folder}/{name}.rs"), reached);
        }
    }
}

#[test]
fn nothing_forbidden_is_written() {
    let mut findings = Vec::new();
    for file in rust_files() {
        for (index, line) in read(&file).lines().enumerate() {
            for (word, why) in forbidden(without_comment(line)) {
                findings.push(format!("{file}:{}: {word}: {why}", index + 1));
            }
            if line.contains('\t') {
                findings.push(format!("{file}:{}: a tab", index + 1));
            }
        }
    }
    expect_none(&findings, "forbidden:");
}

/// What of [`FORBIDDEN`] a line holds as a word of its own.
fn forbidden(line: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let in_word =
        |letter: Option<char>| letter.is_some_and(|one| one.is_alphanumeric() || one == '_');
    FORBIDDEN.into_iter().filter(move |(word, _)| {
        line.match_indices(word).any(|(at, _)| {
            let (before, after) = (&line[..at], &line[at + word.len()..]);
            !in_word(before.chars().next_back()) && !in_word(after.chars().next())
        })
    })
}

#[test]
fn forbidden_words_are_found() {
    let found = |line| forbidden(line).map(|(word, _)| word).collect::<Vec<_>>();
    assert_eq!(found("    unsafe { go() }"), ["unsafe"]);
    assert_eq!(found("#![allow(unsafe_code)]"), ["unsafe_code"]);
    assert_eq!(found("    #[ignore = \"slow\"]"), ["#[ignore"]);
    assert_eq!(found("let x = dbg!(todo!());"), ["todo!", "dbg!"]);
    assert!(found("let unsafely = \"done\";").is_empty());
}

/// Strings and addresses cannot be broken everywhere; snapshots in tests keep what is printed.
#[test]
fn lines_fit_into_100_columns() {
    let mut findings = Vec::new();
    let checked = |file: &&String| !file.starts_with("tests/");
    for file in rust_files().iter().filter(checked) {
        for (index, line) in read(file).lines().enumerate() {
            let unbroken = line.contains('"') || line.contains("://");
            if line.chars().count() > 100 && !unbroken {
                findings.push(format!("{file}:{}", index + 1));
            }
        }
    }
    expect_none(&findings, "more than 100 columns:");
}

#[test]
fn files_hold_one_idea() {
    let mut findings = Vec::new();
    for file in files(&["src"], ".rs") {
        let lines = code(&read(&file)).len();
        if lines > LINES_MAX {
            findings.push(format!("{file}: {lines} lines before its tests"));
        }
    }
    expect_none(&findings, &format!("at most {LINES_MAX} lines:"));
}

#[test]
fn no_text_names_a_private_place() {
    let at_root = std::fs::read_dir(root()).unwrap();
    let names = at_root.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut texts: Vec<String> = names.filter(|name| root().join(name).is_file()).collect();
    texts.extend(files(&["src", "benches", "examples", "experiments", "datasets", "proto"], ""));
    texts.retain(|file| {
        [".md", ".toml", ".rs", ".json", ".proto"].iter().any(|end| file.ends_with(end))
    });
    texts.push(".ci/run".to_owned());
    let folders = PRIVATE_FOLDERS.map(|name| format!("/{name}/"));
    let mut findings = Vec::new();
    for file in texts {
        for (index, line) in read(&file).lines().enumerate() {
            let mut private = folders.iter().map(String::as_str).chain(REGISTRIES);
            if let Some(place) = private.find(|place| line.contains(place)) {
                findings.push(format!("{file}:{}: {place}", index + 1));
            }
        }
    }
    expect_none(&findings, "private places:");
}

/// The pages of the root name source files and folders that are there.
#[test]
fn the_pages_name_what_is_there() {
    let mut findings = Vec::new();
    for page in ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"] {
        for (index, line) in read(page).lines().enumerate() {
            for name in line.split('`').skip(1).step_by(2) {
                let ours = ["src/", "experiments/", "datasets/", "examples/", "tests/golden"];
                let path = ours.iter().any(|folder| name.starts_with(folder));
                if path && !name.contains("NAME") && !root().join(name).exists() {
                    findings.push(format!("{page}:{}: {name}", index + 1));
                }
            }
        }
    }
    expect_none(&findings, "these are not there:");
}
