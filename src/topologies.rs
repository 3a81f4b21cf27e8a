//! Topologies.
use crate::catalog::{Catalog, ConfigError, Entry};
use crate::graph::Graph;
use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::sync::Arc;
/// All.
pub static CATALOG: Catalog<dyn Topology> =
    Catalog { kind: "topology", entries: &[&COMPLETE, &RING, &KREG] };
/// Draws.
pub trait Topology: Debug + Send + Sync {
    /// Draws.
    fn graph(&self, nodes: usize, rng: &mut dyn Rng) -> Result<Graph, ConfigError>;
}
/// Connected.
pub fn connected(_graph: &Graph) -> Result<(), String> {
    Ok(())
}
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Step {
    /// a
    degree: usize,
}
impl Topology for Step {
    fn graph(&self, n: usize, _rng: &mut dyn Rng) -> Result<Graph, ConfigError> {
        let k = if self.degree == 0 { n } else { self.degree };
        let mut e = vec![];
        for i in 0..n {
            for s in 1..=(k / 2) {
                if s < n && (i + s) % n != i {
                    e.push((i as u32, ((i + s) % n) as u32));
                }
            }
        }
        Graph::from_edges(n, e).map_err(|e| ConfigError::new(e.to_string()))
    }
}
static COMPLETE: Entry<dyn Topology> = Entry {
    name: "complete",
    summary: "a",
    reference: "a",
    source: "//! a",
    claims: (),
    parameters: || schema_for!(Step),
    build: |p| p.build::<dyn Topology, Step>(|s| Ok(Arc::new(s))),
};
static RING: Entry<dyn Topology> = Entry {
    name: "ring",
    summary: "a",
    reference: "a",
    source: "//! a",
    claims: (),
    parameters: || schema_for!(Step),
    build: |p| p.build::<dyn Topology, Step>(|s| Ok(Arc::new(Step { degree: 2.max(s.degree) }))),
};
static KREG: Entry<dyn Topology> = Entry {
    name: "k_regular",
    summary: "a",
    reference: "a",
    source: "//! a",
    claims: (),
    parameters: || schema_for!(Step),
    build: |p| p.build::<dyn Topology, Step>(|s| Ok(Arc::new(s))),
};
