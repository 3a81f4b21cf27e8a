//! The edges that are written down, and no others.
//!
//! `edges = [[0, 1], [1, 2]]`, in any order and direction; repeated ones count once. Or
//! `file = "graph.txt"`, a text file beside the experiment's with `0 1` or `0, 1` on each line and
//! comments behind `#`; a run records its edges, not its name. Fails, and is refused, where an edge
//! leads to nobody or from a node to itself, and where the list is empty. Whether the graph holds
//! together is for the run to ask.
//!
//! Reference: a convention of experiments, for graphs that were measured or drawn elsewhere.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Claims, Topology, refused};
use crate::catalog::{ConfigError, Entry};
use crate::graph::Graph;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Topology, Claims> = Entry {
    name: "edges",
    summary: "the edges that are written down",
    reference: "a convention of experiments",
    source: include_str!("edges.rs"),
    claims: Claims { drawn: false, connected: false },
    parameters: || schema_for!(Edges),
    build: |parameters| parameters.build::<dyn Topology, Edges>(|it| Ok(Arc::new(it))),
};

/// Parameters of the list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Edges {
    /// The two ends of each edge, nodes counted from 0.
    edges: Vec<(u32, u32)>,
    /// A file that they are read from, in place of `edges`; relative to the experiment's folder.
    #[serde(skip_serializing)]
    file: Option<String>,
}

impl Topology for Edges {
    fn graph(&self, nodes: usize, _rng: &mut dyn Rng) -> Result<Graph, ConfigError> {
        if let Some(file) = &self.file {
            let error = ConfigError::new(format!("the edges of `{file}` were not read"));
            return Err(error.help("files are read for experiments and `analyse topology`"));
        }
        if self.edges.is_empty() {
            return Err(ConfigError::new("topology edges has no edges")
                .help("write edges = [[0, 1], [1, 2]], or file = \"graph.txt\""));
        }
        Graph::from_edges(nodes, self.edges.iter().copied()).map_err(refused)
    }
}

#[cfg(test)]
mod tests {
    use crate::topologies::tests::{edges, refusal};

    #[test]
    fn the_edges_are_those_of_the_list() {
        let list = "edges = [[2, 1], [0, 1], [1, 2]]";
        assert_eq!(edges("edges", list, 4), [(0, 1), (1, 2)]);
    }

    #[test]
    fn impossible_edges_are_refused_with_their_ends() {
        let list = "edges = [[0, 1], [3, 5]]";
        assert_eq!(refusal("edges", list, 5), "edge 3 - 5: there are only the nodes 0 to 4");
        assert_eq!(refusal("edges", "edges = [[2, 2]]", 5), "edge 2 - 2 joins a node to itself");
        assert_eq!(refusal("edges", "", 5), "topology edges has no edges");
    }
}
