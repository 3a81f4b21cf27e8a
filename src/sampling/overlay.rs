//! A peer sampler as a topology: in each round, whom each node talks to.

use super::crowd::{Crowd, Network, NetworkError};
use super::draw;
use crate::node::NodeId;

/// Out-neighbours round by round, without end: `overlay.next()[node]` are the peers of a node.
///
/// Before each round the network takes one step. Then every honest node draws up to `out_degree`
/// distinct peers, never itself, from those that its protocol offers: the outputs of its samplers
/// for Brahms, the view for others. It has fewer if its protocol knows fewer. An attacker talks to
/// `out_degree` random honest nodes. Each list is ascending.
///
/// `skip` the first rounds to let the flood do its work before training starts, `take` the rounds
/// of a run. The draws depend on the network's seed, the round and the node alone.
#[derive(Debug)]
pub struct Overlay {
    crowd: Crowd,
    out_degree: usize,
}

impl Overlay {
    /// The overlay that `network` makes, before its first round.
    pub fn new(network: Network, out_degree: usize) -> Result<Self, NetworkError> {
        Ok(Overlay { crowd: Crowd::start(network)?, out_degree })
    }

    /// The network as it is after the round that was last returned.
    pub fn crowd(&self) -> &Crowd {
        &self.crowd
    }

    fn peers(&self, node: NodeId) -> Vec<NodeId> {
        let offered = match self.crowd.machine(node) {
            Some(machine) => machine.peers(),
            None => self.crowd.honest().to_vec(),
        };
        let offered = offered.into_iter().filter(|peer| *peer != node);
        // Draws of their own, apart from those of the step, which are the node's at this time.
        let network = self.crowd.network();
        let apart = NodeId(u32::MAX - node.0);
        let mut rng = network.draws(self.crowd.time(), apart);
        let drawn =
            draw::without_repeats(&draw::distinct(offered.collect()), self.out_degree, &mut rng);
        draw::distinct(drawn)
    }
}

impl Iterator for Overlay {
    type Item = Vec<Vec<NodeId>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.crowd.step();
        Some((0..self.crowd.network().nodes as u32).map(|node| self.peers(NodeId(node))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::crowd::tests::network;
    use crate::sampling::{Aim, CATALOG, Flood};

    #[test]
    fn everybody_has_distinct_peers_and_never_itself() {
        for entry in CATALOG.entries {
            let overlay = Overlay::new(network(entry.name, 30, 6), 3).unwrap();
            for round in overlay.take(10) {
                assert_eq!(round.len(), 30);
                for (node, peers) in round.iter().enumerate() {
                    assert!(!peers.contains(&NodeId(node as u32)), "{}", entry.name);
                    assert!(peers.windows(2).all(|pair| pair[0] < pair[1]), "{}", entry.name);
                    assert!((1..=3).contains(&peers.len()), "{}", entry.name);
                    let attacks = node < 6;
                    assert!(!attacks || peers.len() == 3 && peers[0].0 >= 6, "{}", entry.name);
                }
            }
        }
    }

    #[test]
    fn rounds_repeat_by_seed_and_do_not_depend_on_the_degree() {
        let rounds = |seed, degree| -> Vec<Vec<Vec<NodeId>>> {
            let network = Network { seed, ..network("basalt", 20, 2) };
            Overlay::new(network, degree).unwrap().take(5).collect()
        };
        assert_eq!(rounds(1, 3), rounds(1, 3));
        assert_ne!(rounds(1, 3), rounds(2, 3));
        let end = |degree| {
            let mut overlay = Overlay::new(network("basalt", 20, 2), degree).unwrap();
            overlay.by_ref().nth(4);
            overlay.crowd().machine(NodeId(9)).unwrap().view()
        };
        assert_eq!(end(1), end(4));
    }

    #[test]
    fn who_is_eclipsed_talks_to_attackers_alone() {
        let flood = Flood { force: 10, aim: Aim::Victim(NodeId(9)) };
        let network = Network { flood, ..network("shuffle", 30, 6) };
        let round = Overlay::new(network, 4).unwrap().nth(4).unwrap();
        assert!(round[9].iter().all(|peer| peer.0 < 6), "{:?}", round[9]);
        assert!(round.iter().skip(10).any(|peers| peers.iter().any(|peer| peer.0 >= 6)));
    }
}
