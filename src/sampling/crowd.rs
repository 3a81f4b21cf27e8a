//! Everybody's samplers, stepped together with attackers who flood.
//!
//! Time is a count of steps. In each, every honest node speaks, every attacker floods, and then
//! all of it is delivered in an order drawn anew, and the answers after it. So whoever a node
//! hears first is chance, and nobody is late. All randomness comes from the seed, in a stream for
//! each step and node: what attackers draw shifts nobody's draws.

use std::collections::BTreeSet;
use std::sync::Arc;

use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;

use super::ranking::KeyedHash;
use super::{Aim, Flood, Joining, Protocol, Sampler, Say, draw, flood};
use crate::node::{NodeId, Round};
use crate::seed::{Purpose, stream};

/// How often answers may be answered in one step; honest protocols need two waves.
const WAVES_MAX: usize = 4;

/// Up to so many nodes, ranks are remembered: 160 KiB for a node with a view of 20.
const REMEMBERED_MAX: usize = 1024;

/// Who takes part, and how.
#[derive(Debug, Clone)]
pub struct Network {
    /// What honest nodes do.
    pub protocol: Arc<dyn Protocol>,
    /// How many nodes there are, `0..nodes`, attackers among them.
    pub nodes: usize,
    /// How many identities a view holds, and a node is given at the start: uniform draws from all
    /// others.
    pub view: usize,
    /// Who attacks.
    pub attackers: BTreeSet<NodeId>,
    /// How.
    pub flood: Flood,
    /// Decides all draws.
    pub seed: u64,
}

/// Why a network cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// There is nobody to sample.
    #[error("{nodes} nodes have nobody to sample: there must be at least 2")]
    TooFewNodes {
        /// How many there are.
        nodes: usize,
    },
    /// Views hold nobody.
    #[error("views of 0 hold nobody: they must have room for at least 1 identity")]
    NoView,
    /// An attacker is nobody.
    #[error("attacker {attacker} is none of the {nodes} nodes, which are numbered from 0")]
    UnknownAttacker {
        /// Who it is.
        attacker: NodeId,
        /// How many nodes there are.
        nodes: usize,
    },
    /// All attack.
    #[error("all {nodes} nodes attack: at least 1 must be honest")]
    NobodyHonest {
        /// How many nodes there are.
        nodes: usize,
    },
    /// The victim is no honest node.
    #[error("the victim {victim} is no honest node of {nodes}")]
    NoVictim {
        /// Who it is.
        victim: NodeId,
        /// How many nodes there are.
        nodes: usize,
    },
}

impl Network {
    /// Refuses what cannot be run.
    pub fn check(&self) -> Result<(), NetworkError> {
        let nodes = self.nodes;
        let known = |node: &NodeId| node.index() < nodes;
        if nodes < 2 {
            return Err(NetworkError::TooFewNodes { nodes });
        }
        if self.view == 0 {
            return Err(NetworkError::NoView);
        }
        if let Some(&attacker) = self.attackers.iter().find(|attacker| !known(attacker)) {
            return Err(NetworkError::UnknownAttacker { attacker, nodes });
        }
        if self.attackers.len() == nodes {
            return Err(NetworkError::NobodyHonest { nodes });
        }
        match self.flood.aim {
            Aim::Victim(victim) if self.attackers.contains(&victim) || !known(&victim) => {
                Err(NetworkError::NoVictim { victim, nodes })
            }
            _ => Ok(()),
        }
    }

    /// The stream of `node` for the step at `time`; 0 is joining.
    pub(super) fn draws(&self, time: u32, node: NodeId) -> ChaCha8Rng {
        stream(self.seed, Purpose::Sampling, Round(time), node)
    }

    /// An identity that no node has, for draws of the network itself.
    pub(super) fn nobody(&self) -> NodeId {
        NodeId(self.nodes as u32)
    }

    fn join(&self, me: NodeId) -> Box<dyn Sampler> {
        let mut rng = self.draws(0, me);
        let others: Vec<NodeId> =
            (0..self.nodes as u32).map(NodeId).filter(|other| *other != me).collect();
        let bootstrap = draw::without_repeats(&others, self.view, &mut rng);
        let remembered = if self.nodes <= REMEMBERED_MAX { self.nodes } else { 0 };
        let ranking = Box::new(KeyedHash::remembering(remembered));
        let joining = Joining { me, view: self.view, bootstrap: &bootstrap, ranking };
        self.protocol.join(joining, &mut rng)
    }
}

/// A network that runs.
#[derive(Debug)]
pub struct Crowd {
    network: Network,
    honest: Vec<NodeId>,
    attackers: Vec<NodeId>,
    /// One for each node; attackers have none.
    machines: Vec<Option<Box<dyn Sampler>>>,
    time: u32,
}

impl Crowd {
    /// Everybody has joined and nobody has spoken.
    pub fn start(network: Network) -> Result<Self, NetworkError> {
        network.check()?;
        let all = || (0..network.nodes as u32).map(NodeId);
        let attacks = |node: &NodeId| network.attackers.contains(node);
        let machines = all().map(|node| (!attacks(&node)).then(|| network.join(node))).collect();
        Ok(Crowd {
            honest: all().filter(|node| !attacks(node)).collect(),
            attackers: network.attackers.iter().copied().collect(),
            machines,
            time: 0,
            network,
        })
    }

    /// What it was made from.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The honest nodes, ascending.
    pub fn honest(&self) -> &[NodeId] {
        &self.honest
    }

    /// How many steps are done.
    pub fn time(&self) -> u32 {
        self.time
    }

    /// The machine of an honest node.
    pub fn machine(&self, node: NodeId) -> Option<&dyn Sampler> {
        self.machines.get(node.index())?.as_deref()
    }

    /// What an honest node's protocol has given out since this was last asked; nothing for others.
    pub fn samples(&mut self, node: NodeId) -> Vec<NodeId> {
        let machine = self.machines.get_mut(node.index()).and_then(Option::as_mut);
        machine.map(|machine| machine.samples()).unwrap_or_default()
    }

    /// One step of everybody.
    pub fn step(&mut self) {
        self.time += 1;
        let time = self.time;
        let draws = |node| self.network.draws(time, NodeId(node));
        let mut rngs: Vec<ChaCha8Rng> = (0..self.network.nodes as u32).map(draws).collect();
        let mut mail = self.speak(&mut rngs);
        let mut order = self.network.draws(time, self.network.nobody());
        for _ in 0..WAVES_MAX {
            mail.shuffle(&mut order);
            mail = self.deliver(&mail, &mut rngs);
        }
    }

    /// What everybody says of itself, with the senders.
    fn speak(&mut self, rngs: &mut [ChaCha8Rng]) -> Vec<(NodeId, Say)> {
        let mut mail = Vec::new();
        for (index, (machine, rng)) in self.machines.iter_mut().zip(rngs).enumerate() {
            let says = if let Some(machine) = machine {
                machine.step(self.time, rng)
            } else {
                let Network { flood, view, .. } = &self.network;
                flood.strike(&self.attackers, &self.honest, *view, rng)
            };
            mail.extend(says.into_iter().map(|say| (NodeId(index as u32), say)));
        }
        mail
    }

    /// Delivers messages in order; the answers come back. Nobody gets what is for nobody.
    fn deliver(&mut self, mail: &[(NodeId, Say)], rngs: &mut [ChaCha8Rng]) -> Vec<(NodeId, Say)> {
        let mut answers = Vec::new();
        for (from, Say { to, word }) in mail {
            let Some(rng) = rngs.get_mut(to.index()) else { continue };
            let says = match &mut self.machines[to.index()] {
                Some(machine) => machine.hear(*from, word, rng),
                None => flood::answer(&self.attackers, *from, word, self.network.view, rng),
            };
            answers.extend(says.into_iter().map(|say| (*to, say)));
        }
        answers
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::sampling::CATALOG;

    pub(in crate::sampling) fn network(name: &str, nodes: usize, attackers: u32) -> Network {
        Network {
            protocol: CATALOG.build_default(name).unwrap().value,
            nodes,
            view: 5,
            attackers: (0..attackers).map(NodeId).collect(),
            flood: Flood { force: 3, aim: Aim::Everybody },
            seed: 1,
        }
    }

    fn views(crowd: &Crowd) -> Vec<Vec<NodeId>> {
        crowd.honest().iter().map(|node| crowd.machine(*node).unwrap().view()).collect()
    }

    #[test]
    fn the_seed_decides() {
        for entry in CATALOG.entries {
            let run = |seed| {
                let network = Network { seed, ..network(entry.name, 30, 5) };
                let mut crowd = Crowd::start(network).unwrap();
                (0..10).for_each(|_| crowd.step());
                views(&crowd)
            };
            assert_eq!(run(1), run(1), "{}", entry.name);
            assert_ne!(run(1), run(2), "{}", entry.name);
        }
    }

    #[test]
    fn everybody_starts_with_others_and_views_stay_filled() {
        for entry in CATALOG.entries {
            let mut crowd = Crowd::start(network(entry.name, 30, 0)).unwrap();
            for (node, view) in crowd.honest().to_vec().into_iter().zip(views(&crowd)) {
                assert!(view.iter().any(|id| *id != node), "{} {node}", entry.name);
            }
            (0..20).for_each(|_| crowd.step());
            let lengths = views(&crowd).into_iter().map(|view| view.len());
            assert!(lengths.clone().all(|length| (1..=5).contains(&length)), "{}", entry.name);
        }
    }

    #[test]
    fn what_cannot_be_run_is_refused_with_its_numbers() {
        let refusal = |network: Network| Crowd::start(network).unwrap_err();
        let good = || network("shuffle", 4, 2);
        assert_eq!(refusal(Network { nodes: 1, ..good() }), NetworkError::TooFewNodes { nodes: 1 });
        assert_eq!(refusal(Network { view: 0, ..good() }), NetworkError::NoView);
        assert_eq!(refusal(network("shuffle", 4, 4)), NetworkError::NobodyHonest { nodes: 4 });
        assert_eq!(
            refusal(network("shuffle", 4, 6)),
            NetworkError::UnknownAttacker { attacker: NodeId(4), nodes: 4 }
        );
        let aim = Aim::Victim(NodeId(1));
        assert_eq!(
            refusal(Network { flood: Flood { force: 1, aim }, ..good() }),
            NetworkError::NoVictim { victim: NodeId(1), nodes: 4 }
        );
    }
}
