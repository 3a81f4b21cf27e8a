//! Spectral heterogeneity: pushes the two worlds apart into which a graph falls most easily.
//!
//! All liars of peer `i` send `x_i + scale · f_i · sum_j f_j x_j`, the sum over all honest peers
//! `j`. `f` is the Fiedler vector of the graph among the honest: the eigenvector, of norm 1, to
//! the second smallest eigenvalue of its Laplacian with unit weights. Its sign tells the worlds
//! apart, and `sum_j f_j x_j` is how they differ; the sign of `f` itself does not matter.
//!
//! Gossip forgets this direction last, so that a small push holds against it where dissensus,
//! which pushes against every difference, spends most of its size on what dies out anyway.
//!
//! Fails on graphs without a bottleneck: where several eigenvectors share the eigenvalue
//! (complete graphs, rings) `f` is any one of them, and there are no two worlds. It leaves peers
//! with `f_i` near 0 alone, and vanishes once both worlds agree. Rules that clip or drop by the
//! distance from the victim's own model bound what is left of a large `scale`.
//!
//! Where the honest graph is not connected, `f` tells its first component from the rest.
//!
//! Reference: Gaucher, Dieuleveut and Hendrikx, Unified Breakdown Analysis for Byzantine Robust
//! Gossip, ICML 2025.

mod fiedler;

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use self::fiedler::fiedler;
use super::neighbourhood::{message, victim_of, wide};
use super::{Attack, AttackError, Claims, Crafted, Knowledge, Victim, View, finite};
use crate::catalog::Entry;
use crate::graph::Graph;
use crate::memory::Memory;
use crate::vector::Digest;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Attack, Claims> = Entry {
    name: "spectral",
    summary: "pushes apart the two worlds that a bottleneck of the graph divides",
    reference: "Gaucher, Dieuleveut and Hendrikx, ICML 2025",
    source: include_str!("spectral.rs"),
    claims: Claims { moves_mean: true, stays_inside: false },
    parameters: || schema_for!(Spectral),
    build: |parameters| {
        parameters.build::<dyn Attack, Spectral>(|attack| {
            finite("scale", attack.scale)?;
            Ok(Arc::new(attack))
        })
    },
};

/// Parameters of the spectral attack.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Spectral {
    /// The size of the push, as a multiple of the victim's part in the difference between the
    /// worlds; below 0 it brings them together. Default: 1.
    scale: f64,
}

impl Default for Spectral {
    fn default() -> Self {
        Spectral { scale: 1.0 }
    }
}

impl Attack for Spectral {
    fn needs(&self) -> Knowledge {
        Knowledge::Omniscient
    }

    fn uses_own(&self, _knowledge: Knowledge) -> bool {
        false
    }

    fn directed(&self) -> bool {
        true
    }

    fn craft(
        &self,
        view: &View<'_>,
        memory: &mut Memory,
        _rng: &mut dyn Rng,
    ) -> Result<Crafted, AttackError> {
        let victim = victim_of(ENTRY.name, view)?;
        let worlds = remembered(victim.graph, memory);
        let place = victim.honest.binary_search(&victim.node);
        let share = place.ok().and_then(|place| worlds.get(place)).copied().unwrap_or(0.0);
        let factor = self.scale * f64::from(share);
        let own = wide(victim.model);
        let sent = own.into_iter().zip(difference(victim, &worlds));
        let sent = sent.map(|(own, difference)| own + factor * difference);
        Ok(message(sent, view.identities.len()))
    }
}

/// How the worlds differ, `sum_j f_j x_j`, length `d`.
fn difference(victim: &Victim<'_>, worlds: &[f32]) -> Vec<f64> {
    let mut sums = vec![0.0; victim.model.len()];
    for (model, &share) in victim.everyone.rows().into_iter().zip(worlds) {
        let share = f64::from(share);
        for (sum, &value) in sums.iter_mut().zip(model) {
            *sum += share * f64::from(value);
        }
    }
    sums
}

/// Where the memory keeps the vector, and of which graph it is.
const WORLDS: &str = "spectral.worlds";
const GRAPH: &str = "spectral.graph";

/// The Fiedler vector, computed only when the graph is another than before: one graph serves
/// many victims and rounds. It is always rounded as memory keeps it, so that a resumed run goes
/// on with the same bits.
fn remembered(graph: &Graph, memory: &mut Memory) -> Vec<f32> {
    let mark = mark(graph);
    if memory.get(GRAPH) == Some(&mark[..])
        && let Some(worlds) = memory.get(WORLDS)
    {
        return worlds.to_vec();
    }
    let worlds: Vec<f32> = fiedler(graph).into_iter().map(|value| value as f32).collect();
    memory.set(GRAPH, mark);
    memory.set(WORLDS, worlds.clone());
    worlds
}

/// A digest of the graph's nodes and edges, as memory can keep it.
fn mark(graph: &Graph) -> Vec<f32> {
    let edges = graph.edges().flat_map(|(from, to)| [from.0, to.0]);
    let words = [graph.len() as u32].into_iter().chain(edges);
    let bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
    Digest::of_bytes(&bytes).as_bytes().iter().map(|&byte| f32::from(byte)).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::attacks::peers::Peers;
    use crate::seed::{Purpose, run_stream};

    #[test]
    fn a_chain_of_three_by_hand() {
        // f = (1, 0, -1) / sqrt(2): the ends differ by (x_0 - x_2) / sqrt(2), the middle is let be.
        let peers = Peers::chain(array![[1.0], [7.0], [5.0]], 1);
        let attack = Spectral { scale: 2.0 };
        for (node, expected) in [(0, -3.0), (1, 7.0), (2, 9.0)] {
            let sent: f32 = peers.craft(&attack, node, None).unwrap()[[0, 0]];
            assert!((sent - expected).abs() < 1e-5, "node {node}: {sent}");
        }
    }

    #[test]
    fn memory_gives_the_same_bits_and_notices_another_graph() {
        let models = array![[1.0, 0.3], [7.0, -2.0], [5.0, 0.1], [2.0, 2.0]];
        let mut memory = Memory::default();
        let mut rng = run_stream(1, Purpose::Attack);
        let mut craft = |peers: &Peers| {
            peers.with_view(3, None, |view| {
                Spectral::default().craft(view, &mut memory, &mut rng).unwrap()
            })
        };
        let chain = Peers::chain(models.clone(), 2);
        let first = craft(&chain);
        assert_eq!(craft(&chain), first);
        let other = Peers::new(&[(0, 3), (0, 1), (1, 2)], models, 2);
        let second = craft(&other);
        assert_ne!(second, first);
        let fresh = other.craft(&Spectral::default(), 3, None).unwrap();
        assert_eq!(second.per_node(), Some(fresh));
    }
}
