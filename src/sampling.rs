//! Peer samplers: how a node that cannot know everybody comes by the few that it talks to.
//!
//! Each node keeps a *view*, a short list of identities, and renews it with what others tell it.
//! Whoever controls the view controls all that the node hears: if no honest node is left in it,
//! the node is eclipsed. A [`Sampler`] is the machine of one node, without clock or randomness of
//! its own; a [`Protocol`] makes one for everybody who joins. [`crowd`] steps all of them together
//! with attackers who flood, and [`overlay`] hands the result to whoever wants it as a topology.

pub mod basalt;
pub mod brahms;
pub mod crowd;
mod draw;
mod flood;
pub mod min_wise;
pub mod overlay;
pub mod ranking;
mod shuffle;
pub mod slots;

use std::fmt::Debug;

use rand::Rng;

use crate::catalog::Catalog;
use crate::node::NodeId;
use ranking::Ranking;

pub use flood::{Aim, Flood};

/// All peer samplers.
pub static CATALOG: Catalog<dyn Protocol> =
    Catalog { kind: "sampler", entries: &[&shuffle::ENTRY, &brahms::ENTRY, &basalt::ENTRY] };

/// A way of peer sampling that nodes agree upon.
pub trait Protocol: Debug + Send + Sync {
    /// The machine of one node that joins.
    fn join(&self, joining: Joining<'_>, rng: &mut dyn Rng) -> Box<dyn Sampler>;
}

/// What a node starts from.
#[derive(Debug)]
pub struct Joining<'a> {
    /// Its own identity.
    pub me: NodeId,
    /// How many identities its view is to hold, the same for all nodes; at least 1.
    pub view: usize,
    /// The identities that it is given to start with.
    pub bootstrap: &'a [NodeId],
    /// Orders of identities, for those who rank them.
    pub ranking: Box<dyn Ranking>,
}

/// The machine of one node.
pub trait Sampler: Debug + Send {
    /// What it says at `time`; times count from 1, one for each step of the whole network. All
    /// that was said in the steps before has been heard by then.
    fn step(&mut self, time: u32, rng: &mut dyn Rng) -> Vec<Say>;

    /// What it answers to `word` of `from`, whose identity is authenticated. Lists longer than an
    /// honest one are cut.
    fn hear(&mut self, from: NodeId, word: &Word, rng: &mut dyn Rng) -> Vec<Say>;

    /// The identities it keeps; repeated ones count as often, and it may be one of them itself.
    fn view(&self) -> Vec<NodeId>;

    /// The identities that an application is to choose its peers from now: the view, unless the
    /// protocol keeps better ones. Repeated as in the view.
    fn peers(&self) -> Vec<NodeId> {
        self.view()
    }

    /// What the protocol gives out as random draws from everybody, since it was last asked.
    fn samples(&mut self) -> Vec<NodeId>;
}

/// One message that a node wants to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Say {
    /// To whom.
    pub to: NodeId,
    /// What.
    pub word: Word,
}

/// What nodes say to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// "I am here, and these are nodes that I know."
    Push(Vec<NodeId>),
    /// "Whom do you know?"
    Pull,
    /// "These."
    Answer(Vec<NodeId>),
}

#[cfg(test)]
mod tests {
    use super::ranking::KeyedHash;
    use super::*;
    use crate::seed::{Purpose, run_stream};

    fn join(name: &str, me: u32, view: usize, bootstrap: &[u32]) -> Box<dyn Sampler> {
        let protocol = CATALOG.build_default(name).unwrap().value;
        let bootstrap: Vec<NodeId> = bootstrap.iter().copied().map(NodeId).collect();
        let ranking = Box::new(KeyedHash::remembering(0));
        let joining = Joining { me: NodeId(me), view, bootstrap: &bootstrap, ranking };
        protocol.join(joining, &mut run_stream(1, Purpose::Sampling))
    }

    #[test]
    fn members_have_names_manuals_and_parameters_that_refuse_unknown_ones() {
        for entry in CATALOG.entries {
            assert!(entry.manual().to_lowercase().contains("fails"), "{}", entry.name);
            assert!(entry.manual().contains("Reference: "), "{}", entry.name);
            let schema = (entry.parameters)().to_value();
            assert_eq!(schema["additionalProperties"], false, "{}", entry.name);
        }
    }

    #[test]
    fn nothing_that_is_said_breaks_a_machine() {
        let mut rng = run_stream(2, Purpose::Sampling);
        let flood: Vec<NodeId> = (0..1000).map(|id| NodeId(u32::MAX - id % 7)).collect();
        for entry in CATALOG.entries {
            for bootstrap in [&[][..], &[3], &[0, 0, 0], &[1, 2, 3, 4, 5, 6, 7, 8, 9]] {
                let mut node = join(entry.name, 0, 4, bootstrap);
                for time in [1, 2, 3, u32::MAX] {
                    node.step(time, &mut rng);
                    for ids in [vec![], vec![NodeId(0); 5], flood.clone()] {
                        node.hear(NodeId(1), &Word::Push(ids.clone()), &mut rng);
                        node.hear(NodeId(0), &Word::Pull, &mut rng);
                        node.hear(NodeId(u32::MAX), &Word::Answer(ids), &mut rng);
                    }
                }
                assert!(node.view().len() <= 4, "{}", entry.name);
                node.samples();
            }
        }
    }

    #[test]
    fn a_pull_is_answered_with_the_view() {
        for entry in CATALOG.entries {
            let mut node = join(entry.name, 0, 3, &[1, 2, 3]);
            let view = node.view();
            let answer = node.hear(NodeId(9), &Word::Pull, &mut run_stream(1, Purpose::Sampling));
            assert_eq!(answer, [Say { to: NodeId(9), word: Word::Answer(view) }], "{}", entry.name);
        }
    }
}
