//! Naive view exchange: tell a random peer whom you know, ask whom it knows, and keep a random
//! part of both lists.
//!
//! In each step a node sends its view to one random node of it and asks that node for its own.
//! On hearing a list it joins the list, its sender and its view, each identity once, and keeps
//! `view` of them, all alike likely.
//!
//! Fails under any flood: each list that attackers send replaces honest entries in proportion to
//! its length, nothing in it brings them back, and a node without an honest entry neither asks
//! nor is named by anybody honest again. It is here to be compared with.
//!
//! Reference: Jelasity, Voulgaris, Guerraoui, Kermarrec, van Steen, Gossip-based peer sampling,
//! ACM Transactions on Computer Systems 2007 (view exchange by push and pull, random selection).

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Joining, Protocol, Sampler, Say, Word, draw};
use crate::catalog::Entry;
use crate::node::NodeId;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Protocol> = Entry {
    name: "shuffle",
    summary: "naive view exchange: keep a random part of what both sides know",
    reference: "Jelasity et al., ACM TOCS 2007",
    source: include_str!("shuffle.rs"),
    claims: (),
    parameters: || schema_for!(Shuffle),
    build: |parameters| parameters.build::<dyn Protocol, Shuffle>(|shuffle| Ok(Arc::new(shuffle))),
};

/// Takes no parameters.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Shuffle {}

impl Protocol for Shuffle {
    fn join(&self, joining: Joining<'_>, rng: &mut dyn Rng) -> Box<dyn Sampler> {
        let (me, size) = (joining.me, joining.view);
        let mut node = Node { me, size, view: Vec::new(), asked: None, samples: Vec::new() };
        node.merge(joining.bootstrap, rng);
        Box::new(node)
    }
}

/// One node.
#[derive(Debug)]
struct Node {
    me: NodeId,
    size: usize,
    /// Distinct, without `me`.
    view: Vec<NodeId>,
    /// Who may answer.
    asked: Option<NodeId>,
    samples: Vec<NodeId>,
}

impl Node {
    fn merge(&mut self, ids: &[NodeId], rng: &mut dyn Rng) {
        let both = self.view.iter().chain(ids).copied().filter(|id| *id != self.me);
        let both = draw::distinct(both.collect());
        self.view = draw::without_repeats(&both, self.size, rng);
    }

    /// Joins the list of `from` and `from` itself.
    fn learn(&mut self, from: NodeId, ids: &[NodeId], rng: &mut dyn Rng) {
        let mut told: Vec<NodeId> = ids.iter().take(self.size).copied().collect();
        told.push(from);
        self.merge(&told, rng);
    }
}

impl Sampler for Node {
    fn step(&mut self, _time: u32, rng: &mut dyn Rng) -> Vec<Say> {
        self.samples.extend(draw::one(&self.view, rng));
        self.asked = draw::one(&self.view, rng);
        let Some(to) = self.asked else { return Vec::new() };
        let push = Word::Push(self.view.clone());
        vec![Say { to, word: push }, Say { to, word: Word::Pull }]
    }

    fn hear(&mut self, from: NodeId, word: &Word, rng: &mut dyn Rng) -> Vec<Say> {
        match word {
            Word::Pull => return vec![Say { to: from, word: Word::Answer(self.view.clone()) }],
            Word::Push(ids) => self.learn(from, ids, rng),
            Word::Answer(ids) => {
                if self.asked.take_if(|asked| *asked == from).is_some() {
                    self.learn(from, ids, rng);
                }
            }
        }
        Vec::new()
    }

    fn view(&self) -> Vec<NodeId> {
        self.view.clone()
    }

    fn samples(&mut self) -> Vec<NodeId> {
        std::mem::take(&mut self.samples)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, run_stream};

    fn node(size: usize, view: &[u32]) -> Node {
        let view = view.iter().copied().map(NodeId).collect();
        Node { me: NodeId(0), size, view, asked: None, samples: Vec::new() }
    }

    #[test]
    fn both_lists_and_the_sender_are_kept_while_there_is_room() {
        let mut node = node(5, &[1, 2]);
        let mut rng = run_stream(1, Purpose::Sampling);
        node.hear(NodeId(9), &Word::Push([2, 3, 0].map(NodeId).to_vec()), &mut rng);
        assert_eq!(draw::distinct(node.view()), [1, 2, 3, 9].map(NodeId));
    }

    #[test]
    fn only_whom_it_asked_may_answer_and_once() {
        let mut node = node(8, &[1]);
        let mut rng = run_stream(1, Purpose::Sampling);
        let answer = |id: u32| Word::Answer(vec![NodeId(id)]);
        node.hear(NodeId(1), &answer(4), &mut rng);
        assert_eq!(node.view(), [NodeId(1)]);
        assert_eq!(node.step(1, &mut rng).len(), 2);
        node.hear(NodeId(2), &answer(5), &mut rng);
        node.hear(NodeId(1), &answer(6), &mut rng);
        node.hear(NodeId(1), &answer(7), &mut rng);
        assert_eq!(draw::distinct(node.view()), [1, 6].map(NodeId));
    }
}
