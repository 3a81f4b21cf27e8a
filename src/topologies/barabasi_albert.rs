//! A scale-free graph: nodes come one by one and prefer those that already have many neighbours.
//!
//! It starts as a star of `m + 1` nodes around node 0. Each further node is joined to `m`
//! different earlier ones, drawn one after the other with probabilities in proportion to their
//! degrees. `m (n - m)` edges, always connected.
//!
//! A few old nodes become hubs. So it shrugs off liars placed at random and fails against liars
//! placed by degree, who hold most of what others hear.
//!
//! Reference: Barabási and Albert, Science 286, 1999, who leave the start open; the star is a
//! convention of software for graphs.

use std::sync::Arc;

use rand::{Rng, RngExt};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Claims, Topology, at_least, joined, positive};
use crate::catalog::{ConfigError, Entry};
use crate::graph::Graph;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Topology, Claims> = Entry {
    name: "barabasi_albert",
    summary: "scale-free: newcomers prefer those that have many neighbours",
    reference: "Barabási and Albert, Science 1999",
    source: include_str!("barabasi_albert.rs"),
    claims: Claims { drawn: true, connected: true },
    parameters: || schema_for!(BarabasiAlbert),
    build: |parameters| {
        parameters.build::<dyn Topology, BarabasiAlbert>(|it| {
            positive("m", it.m)?;
            Ok(Arc::new(it))
        })
    },
};

/// Parameters of the scale-free graph.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct BarabasiAlbert {
    /// How many neighbours a newcomer chooses: at least 1, below the number of nodes.
    #[schemars(range(min = 1))]
    m: usize,
}

impl Default for BarabasiAlbert {
    fn default() -> Self {
        BarabasiAlbert { m: 2 }
    }
}

impl Topology for BarabasiAlbert {
    fn graph(&self, nodes: usize, rng: &mut dyn Rng) -> Result<Graph, ConfigError> {
        let m = self.m;
        at_least(m.saturating_add(1), nodes, ENTRY.name)?;
        let mut edges: Vec<(usize, usize)> = (1..=m).map(|node| (0, node)).collect();
        let mut degrees = vec![1; m + 1];
        degrees[0] = m;
        for newcomer in m + 1..nodes {
            for chosen in preferred(&degrees, m, rng) {
                degrees[chosen] += 1;
                edges.push((chosen, newcomer));
            }
            degrees.push(m);
        }
        joined(nodes, edges)
    }
}

/// `count` different nodes, each drawn in proportion to its degree from those that are left.
fn preferred(degrees: &[usize], count: usize, rng: &mut dyn Rng) -> Vec<usize> {
    let mut left = degrees.to_vec();
    let draw = |_| {
        let mut place = rng.random_range(0..left.iter().sum());
        let chosen = left.iter().position(|degree| match place.checked_sub(*degree) {
            Some(rest) => {
                place = rest;
                false
            }
            None => true,
        });
        let chosen = chosen.expect("the place is below the sum of all");
        left[chosen] = 0;
        chosen
    };
    (0..count).map(draw).collect()
}

#[cfg(test)]
mod tests {
    use super::preferred;
    use crate::seed::{Purpose, run_stream};
    use crate::topologies::tests::{edges, graph, refusal};

    #[test]
    fn it_starts_as_a_star() {
        assert_eq!(edges("barabasi_albert", "m = 3", 4), edges("star", "", 4));
        assert_eq!(edges("barabasi_albert", "", 10).len(), 16);
        assert_eq!(
            refusal("barabasi_albert", "m = 4", 4),
            "topology barabasi_albert needs at least 5 nodes and has 4"
        );
    }

    #[test]
    fn the_old_become_hubs() {
        let graph = graph("barabasi_albert", "", 1000);
        let most = graph.nodes().map(|node| graph.degree(node)).max().unwrap();
        assert!(most > 40, "{most}: a thousand nodes of mean degree 4 have no hub");
        assert_eq!(graph.components().len(), 1);
    }

    #[test]
    fn choices_are_in_proportion_to_degrees() {
        let mut rng = run_stream(1, Purpose::Topology);
        let mut counts = [0; 3];
        for _ in 0..6000 {
            counts[preferred(&[1, 2, 3], 1, &mut rng)[0]] += 1;
        }
        // 1000, 2000 and 3000 on average, with deviations below 39.
        for (count, expected) in counts.into_iter().zip([1000i32, 2000, 3000]) {
            assert!((count - expected).abs() < 160, "{counts:?}");
        }
        let mut all = preferred(&[1, 2, 3], 3, &mut rng);
        all.sort_unstable();
        assert_eq!(all, [0, 1, 2]);
    }
}
