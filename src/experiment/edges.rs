//! Topologies that stand in files: `edges = { file = "graph.txt" }` becomes the edges of that file.
//!
//! This happens while the experiment is read, so that a plan, its digest and what a run records
//! hold the edges themselves and not the name of a file that may change.
#![allow(clippy::disallowed_methods, reason = "an experiment's files are read beside it")]

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use toml::de::DeValue;

use super::document::{Document, Key, moved};
use crate::catalog::{ConfigError, keep};
use crate::topologies::parse_edge_list;

/// The largest file that is read, in bytes; some 100,000 edges.
const BYTES_MAX: u64 = 1 << 20;

/// The key under which the file of a topology stands.
const FILE: &str = "system.gossip.topology.edges.file";

/// The key that its edges are written to.
const EDGES: &str = "system.gossip.topology.edges.edges";

/// The files of one experiment, each read once.
#[derive(Debug)]
pub(super) struct EdgeFiles {
    folder: PathBuf,
    /// What each file holds, written as TOML.
    lists: BTreeMap<PathBuf, &'static str>,
}

impl EdgeFiles {
    /// Those beside the experiment file of this name.
    pub(super) fn beside(experiment: &str) -> Self {
        let folder = Path::new(experiment).parent().map(Path::to_path_buf).unwrap_or_default();
        EdgeFiles { folder, lists: BTreeMap::new() }
    }

    /// Puts the edges into a document that names their file.
    pub(super) fn resolve(&mut self, document: &mut Document) -> Result<(), ConfigError> {
        let Some(named) = document.take(FILE) else { return Ok(()) };
        let span = named.span();
        if document.get(EDGES).is_some() {
            let error = ConfigError::new("topology edges has `edges` and a `file` of them");
            return Err(error.at(span).help("take one of them out"));
        }
        let Some(name) = named.get_ref().as_str() else {
            let found = named.get_ref().type_str();
            return Err(
                ConfigError::new(format!("`file`: expected a path, found {found}")).at(span)
            );
        };
        let path = self.folder.join(name);
        let list = if let Some(list) = self.lists.get(&path) {
            list
        } else {
            let edges = read(&path).map_err(|error| error.at(span.clone()))?;
            self.lists.entry(path).or_insert(keep(&format!("{:?}", Pairs(&edges))))
        };
        let value = DeValue::parse(list).expect("a list of pairs of numbers is TOML");
        let value = moved(value, &|_| span.clone());
        document.set(&Key { name: EDGES.to_owned(), span }, value)
    }
}

/// Edges as arrays, which TOML has in place of pairs.
struct Pairs<'a>(&'a [(u32, u32)]);

impl std::fmt::Debug for Pairs<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(self.0.iter().map(|&(from, to)| [from, to])).finish()
    }
}

/// The edges of a file, one a line.
///
/// Refuses a file that cannot be read, is larger than 1 MiB or no text, and names the line that is
/// no edge.
pub fn read(path: &Path) -> Result<Vec<(u32, u32)>, ConfigError> {
    let refused = |what: String| ConfigError::new(format!("{}: {what}", path.display()));
    let file = File::open(path).map_err(|error| refused(error.to_string()))?;
    let mut bytes = Vec::new();
    let taken = file.take(BYTES_MAX + 1).read_to_end(&mut bytes);
    taken.map_err(|error| refused(error.to_string()))?;
    if bytes.len() as u64 > BYTES_MAX {
        return Err(refused(format!("more than {BYTES_MAX} bytes are no list of edges")));
    }
    let text = String::from_utf8(bytes).map_err(|_| refused("this is no text".to_owned()))?;
    // How many nodes there are is for the topology to say, which names an edge to nobody.
    parse_edge_list(&text, usize::MAX).map_err(|error| refused(error.message))
}

#[cfg(test)]
mod tests {
    use crate::experiment::source::Source;
    use crate::experiment::sweep::Sweep;

    const CONFIG: &str = r#"
schema = 1
name = "edges"
data = { set = "digits" }
model = "softmax"
training = { rounds = 2, learning_rate = 0.1 }
aggregation = { rule = "median", byzantine = 0 }
[system.gossip]
workers = 4
topology = { edges = { file = "graph.txt" } }
"#;

    /// What a config says of its edges, with `graph` beside it.
    fn read_beside(graph: &str, config: &str) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("graph.txt"), graph).unwrap();
        let path = folder.path().join("experiment.toml");
        let source = Source::new(path.to_str().unwrap(), config.as_bytes()).unwrap();
        let cells = Sweep::read(&source).map_err(|errors| errors[0].message.clone())?;
        let system = |parameters: &crate::catalog::Parameters| {
            let table: toml::Table = parameters.clone().read().unwrap();
            table["topology"].to_string()
        };
        Ok(cells.iter().map(|cell| system(&cell.config.system.parameters)).collect())
    }

    #[test]
    fn the_file_is_replaced_by_its_edges() {
        let text = "# a path\n0 1\n2, 1\n";
        let found = read_beside(text, CONFIG).unwrap();
        assert_eq!(found, ["{ edges = { edges = [[0, 1], [2, 1]] } }"]);
    }

    #[test]
    fn swept_files_are_replaced_too() {
        let sweep = "[sweep]\n\"system.gossip.topology\" = [\"ring\", { edges = { file = \"graph.txt\" } }]";
        let found = read_beside("3 0", &format!("{CONFIG}{sweep}")).unwrap();
        assert_eq!(found, ["\"ring\"", "{ edges = { edges = [[3, 0]] } }"]);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told_with_its_name() {
        let wrong = read_beside("0 1\n2 two\n", CONFIG).unwrap_err();
        assert!(
            wrong.ends_with("graph.txt: line 2: expected two numbers, found `2 two`"),
            "{wrong}"
        );
        let missing = CONFIG.replace("graph.txt", "nowhere.txt");
        let wrong = read_beside("", &missing).unwrap_err();
        assert!(wrong.contains("nowhere.txt: No such file"), "{wrong}");
        let twice = CONFIG.replace("file =", "edges = [[0, 1]], file =");
        let wrong = read_beside("0 1", &twice).unwrap_err();
        assert_eq!(wrong, "topology edges has `edges` and a `file` of them");
        let number = CONFIG.replace("\"graph.txt\"", "7");
        assert_eq!(read_beside("", &number).unwrap_err(), "`file`: expected a path, found integer");
    }
}
