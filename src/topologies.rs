//! Topologies.
use crate::catalog::{Catalog, ConfigError};
use crate::graph::Graph;
use rand::Rng;
use std::fmt::Debug;
/// All.
pub static CATALOG: Catalog<dyn Topology> = Catalog { kind: "topology", entries: &[] };
/// Draws.
pub trait Topology: Debug + Send + Sync {
    /// Draws.
    fn graph(&self, nodes: usize, rng: &mut dyn Rng) -> Result<Graph, ConfigError>;
}
/// Connected.
pub fn connected(_graph: &Graph) -> Result<(), String> {
    Ok(())
}
