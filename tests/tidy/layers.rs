//! Imports point down only.

use super::tree::{code, expect_none, files, read};

/// Modules of one layer, the lowest first. Those of the vocabulary may use each other; elsewhere
/// a module uses what lies below it and itself.
const LAYERS: [&[&str]; 11] = [
    &["catalog", "dataset", "graph", "kernels", "memory", "node", "npy", "seed", "vector"],
    &[
        "aggregators",
        "attacks",
        "datasets",
        "downfalls",
        "metrics",
        "models",
        "partitions",
        "peer_rules",
        "poisons",
        "preaggregators",
        "sampling",
        "threats",
        "topologies",
    ],
    &["ledger", "like", "training"],
    &["protocol"],
    &["systems"],
    &["runtime"],
    &["experiment"],
    &["analyses"],
    &["report"],
    &["cli"],
    &["main"],
];

/// Catalogs that may use others.
const BETWEEN_CATALOGS: [(&str, &str); 6] = [
    ("peer_rules", "aggregators"),
    ("preaggregators", "aggregators"),
    ("threats", "attacks"),
    ("threats", "downfalls"),
    ("threats", "poisons"),
    ("threats", "topologies"),
];

/// All that reports may read besides the vocabulary: stored events and metrics.
const READ_BY_REPORTS: [&str; 3] = ["metrics", "experiment::event", "experiment::store"];

#[test]
fn imports_point_down() {
    let mut findings = Vec::new();
    for file in files(&["src"], ".rs") {
        let own = modules_of(&file);
        if own.is_empty() {
            continue;
        }
        for (number, path) in paths(&read(&file), &own) {
            if let Some(fault) = fault(&own[0], &path) {
                findings.push(format!("{file}:{number}: {fault}"));
            }
        }
    }
    expect_none(&findings, "layering (see ARCHITECTURE.md):");
}

/// The module that a file is: `src/runtime/npy/header.rs` is `runtime::npy::header`, the crate's
/// root is nothing.
fn modules_of(file: &str) -> Vec<String> {
    let inner = file.trim_start_matches("src/").trim_end_matches(".rs");
    inner.split('/').filter(|part| *part != "lib").map(str::to_owned).collect()
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module))
}

/// What is wrong with `own` using `path`.
fn fault(own: &str, path: &str) -> Option<String> {
    let used = path.split("::").next()?;
    // Constants and types of the crate's root belong to nobody.
    if used == own || !used.starts_with(|letter: char| letter.is_ascii_lowercase()) {
        return None;
    }
    let (Some(from), Some(to)) = (layer(own), layer(used)) else {
        return Some(format!("{own} uses {used}: give both a layer in tests/tidy/layers.rs"));
    };
    if own == "report" && to > 0 {
        let may = READ_BY_REPORTS.iter().any(|allowed| path.starts_with(allowed));
        return (!may)
            .then(|| format!("report uses {path}; it may read {}", READ_BY_REPORTS.join(", ")));
    }
    let allowed = to < from || from == 0 && to == 0 || BETWEEN_CATALOGS.contains(&(own, used));
    (!allowed).then(|| format!("{own} (layer {from}) uses {path} (layer {to})"))
}

/// The paths inside the crate that a file names, from the crate's root, with their lines.
fn paths(text: &str, own: &[String]) -> Vec<(usize, String)> {
    let lines = code(text);
    let mut found = Vec::new();
    for (index, (number, line)) in lines.iter().enumerate() {
        for (root, up) in [("crate::", None), ("byzlab::", None), ("super::", Some(1))] {
            for (at, _) in line.match_indices(root) {
                let before = line[..at].chars().next_back();
                if before.is_some_and(|letter| letter.is_alphanumeric() || ":_".contains(letter)) {
                    continue;
                }
                let rest = lines[index + 1..].iter().map(|(_, line)| *line);
                let text: String = std::iter::once(&line[at + root.len()..]).chain(rest).collect();
                for name in names(&text) {
                    let path = match up {
                        None => Some(name),
                        Some(up) => above(own, up, &name),
                    };
                    found.extend(path.map(|path| (*number, path)));
                }
            }
        }
    }
    found
}

/// The path that `super::`, `up` times, and then `name` means to the module `own`.
fn above(own: &[String], up: usize, name: &str) -> Option<String> {
    if let Some(rest) = name.strip_prefix("super::") {
        return above(own, up + 1, rest);
    }
    let kept = &own[..own.len().checked_sub(up)?];
    let parts = kept.iter().map(String::as_str).chain([name]);
    Some(parts.collect::<Vec<_>>().join("::"))
}

/// What follows `crate::`: one path, or those in braces.
fn names(text: &str) -> Vec<String> {
    let in_path = |letter: char| letter.is_alphanumeric() || "_:".contains(letter);
    let Some(list) = text.strip_prefix('{') else {
        return vec![text.chars().take_while(|letter| in_path(*letter)).collect()];
    };
    let mut names = vec![String::new()];
    let mut depth = 0;
    for letter in list.chars() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(String::new()),
            _ if depth == 0 && in_path(letter) => names.last_mut().unwrap().push(letter),
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn paths_are_found_however_they_are_written() {
    let text = "use crate::{\n    node::{NodeId, Round},\n    runtime,\n};\n\
                use super::super::cli; // crate::report\n\
                fn main() { super::scores::all(crate::seed::stream()) }\n\
                #[cfg(test)]\nuse crate::experiment;\n";
    let own = ["aggregators", "krum"].map(str::to_owned);
    let found: Vec<(usize, String)> = paths(text, &own);
    let expected = [
        (1, "node::"),
        (1, "runtime"),
        (5, "cli"),
        (6, "seed::stream"),
        (6, "aggregators::scores::all"),
    ];
    let found: Vec<(usize, &str)> = found.iter().map(|(line, path)| (*line, &**path)).collect();
    assert_eq!(found, expected);
}

#[test]
fn a_step_up_or_sideways_is_a_fault() {
    assert_eq!(fault("experiment", "runtime::npy"), None);
    assert_eq!(fault("preaggregators", "aggregators::Context"), None);
    assert_eq!(fault("seed", "node::NodeId"), None);
    assert_eq!(fault("runtime", "RESULTS_VERSION"), None);
    assert_eq!(fault("report", "experiment::store::summary"), None);
    for (own, path) in [
        ("aggregators", "preaggregators::Chain"),
        ("aggregators", "runtime::npy"),
        ("vector", "aggregators::mean"),
        ("runtime", "experiment::plan"),
        ("report", "runtime::Seat"),
        ("report", "experiment::plan"),
        ("cli", "nobody_knows::it"),
    ] {
        assert!(fault(own, path).is_some(), "{own} may use {path}");
    }
}
