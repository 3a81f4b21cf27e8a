//! The source tree as the tests read it.

use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the package.
pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The content of a file of the package.
pub(super) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The files under some folders of the package that end in `suffix`, as paths from its root.
/// Hidden files are left out.
pub(super) fn files(folders: &[&str], suffix: &str) -> Vec<String> {
    let mut found = Vec::new();
    for folder in folders {
        collect(&root().join(folder), &mut found);
    }
    let relative = |path: &PathBuf| {
        let inside = path.strip_prefix(root()).unwrap();
        inside.to_str().unwrap().replace('\\', "/")
    };
    let mut paths: Vec<String> = found.iter().map(relative).collect();
    paths.retain(|path| path.ends_with(suffix));
    paths.sort();
    paths
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().starts_with('.') {
            continue;
        }
        if path.is_dir() {
            collect(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// The lines of a source file with their numbers, without comments and without what follows
/// `#[cfg(test)]`.
pub(super) fn code(text: &str) -> Vec<(usize, &str)> {
    let lines = text.lines().take_while(|line| line.trim() != "#[cfg(test)]");
    lines.enumerate().map(|(index, line)| (index + 1, without_comment(line))).collect()
}

/// A line up to its comment; `://` begins none.
pub(super) fn without_comment(line: &str) -> &str {
    let comment = line.match_indices("//").find(|(at, _)| !line[..*at].ends_with(':'));
    comment.map_or(line, |(at, _)| &line[..at])
}

/// Fails with everything that was found, one finding a line.
pub(super) fn expect_none(findings: &[String], what: &str) {
    assert!(findings.is_empty(), "{what}\n  {}\n", findings.join("\n  "));
}
