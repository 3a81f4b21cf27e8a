//! Topologies: which graph the nodes talk along.
//!
//! A member says what a graph of so many nodes looks like; the random ones draw it from the stream
//! that they are handed. A random graph may fall apart: who uses it asks [`connected`].

mod barabasi_albert;
mod chain;
mod cliques;
mod complete;
mod dumbbell;
mod edge_list;
mod edges;
mod erdos_renyi;
mod hierarchical;
mod k_regular;
mod ring;
mod small_world;
mod star;
mod torus;
mod tree;
mod two_cliques;
mod two_worlds;

use std::fmt::Debug;

use rand::Rng;

pub use self::edge_list::parse_edge_list;
use crate::catalog::{Catalog, ConfigError};
use crate::graph::{Graph, GraphError};
use crate::node::NodeId;

/// All topologies.
pub static CATALOG: Catalog<dyn Topology, Claims> = Catalog {
    kind: "topology",
    entries: &[
        &complete::ENTRY,
        &ring::ENTRY,
        &chain::ENTRY,
        &star::ENTRY,
        &torus::ENTRY,
        &tree::ENTRY,
        &k_regular::ENTRY,
        &erdos_renyi::ENTRY,
        &small_world::ENTRY,
        &barabasi_albert::ENTRY,
        &dumbbell::ENTRY,
        &two_cliques::ENTRY,
        &two_worlds::ENTRY,
        &hierarchical::ENTRY,
        &edges::ENTRY,
    ],
};

/// What a topology promises of its graphs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claims {
    /// The graph is drawn: another seed gives another. Else the number of nodes decides alone.
    pub drawn: bool,
    /// Nodes can always reach each other.
    pub connected: bool,
}

/// Joins nodes by edges.
pub trait Topology: Debug + Send + Sync {
    /// The graph of `nodes` nodes. It may fall apart; see [`connected`].
    fn graph(&self, nodes: usize, rng: &mut dyn Rng) -> Result<Graph, ConfigError>;
}

/// How many parts, and how many nodes of each, a message names.
const NAMED: usize = 4;

/// Refuses a graph that falls apart, and says into what.
pub fn connected(graph: &Graph) -> Result<(), String> {
    let components = graph.components();
    if components.len() < 2 {
        return Ok(());
    }
    let mut parts: Vec<String> =
        components.iter().take(NAMED).map(|component| in_brief(component)).collect();
    if components.len() > NAMED {
        parts.push(format!("{} more", components.len() - NAMED));
    }
    Err(format!(
        "the graph falls into {} parts that cannot reach each other: {}",
        components.len(),
        parts.join("; ")
    ))
}

/// `0, 1, 2, 3, … (9 nodes)`.
fn in_brief(nodes: &[NodeId]) -> String {
    let named: Vec<String> = nodes.iter().take(NAMED).map(NodeId::to_string).collect();
    if nodes.len() <= NAMED {
        return named.join(", ");
    }
    format!("{}, … ({} nodes)", named.join(", "), nodes.len())
}

/// The graph with these edges, for members that make them.
fn joined(
    nodes: usize,
    edges: impl IntoIterator<Item = (usize, usize)>,
) -> Result<Graph, ConfigError> {
    let edges = edges.into_iter().map(|(from, to)| (from as u32, to as u32));
    Graph::from_edges(nodes, edges).map_err(refused)
}

fn refused(error: GraphError) -> ConfigError {
    ConfigError::new(error.to_string())
}

/// Refuses fewer nodes than a topology is made of.
fn at_least(least: usize, nodes: usize, topology: &str) -> Result<(), ConfigError> {
    if nodes < least {
        return Err(ConfigError::new(format!(
            "topology {topology} needs at least {least} nodes and has {nodes}"
        )));
    }
    Ok(())
}

/// Refuses what is no probability.
fn probability(name: &str, value: f64) -> Result<(), ConfigError> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(ConfigError::new(format!("`{name}` = {value} is no probability: give 0 to 1")))
}

/// Refuses a count of nothing.
fn positive(name: &str, value: usize) -> Result<(), ConfigError> {
    if value == 0 {
        return Err(ConfigError::new(format!("`{name}` = 0: give at least 1")));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
