//! BASALT: a view of slots that each hold the smallest rank they ever saw, and calls on those
//! that were met least.
//!
//! Each slot orders identities by a keyed hash of its own and keeps the smallest, so what it
//! holds is a uniform draw from all distinct identities it was shown: who repeats his own wins
//! nothing. It also counts how often it met its peer, and the slot with the fewest hits is picked
//! for each pull and push, so that repeating an identity makes it *less* likely to be called on.
//! Every `replace_every` steps, at times staggered by the node's number, the next `replace_count`
//! slots give their peers out as samples and start over in a new order.
//!
//! Flooding cannot do better than to have all attackers considered everywhere: their share of the
//! views stays in sight of their share of the identities that are going round. Fails as that
//! share grows, and where identities cost nothing: whoever has most of them, wins. A flood that
//! begins before identities have spread can make all others forget a node, which then stays cut
//! off if its own slots fell to attackers meanwhile: with a third of attackers this happens to a
//! few.
//!
//! Received identities are considered in order, repeats count, and a node may hold itself, as in
//! the authors' simulator; hit counters are on.
//!
//! Reference: Auvolat, Bromberg, Frey, Mvondo, Taïani, BASALT: A Rock-Solid Byzantine-Tolerant
//! Peer Sampling for Very Large Decentralized Networks, Middleware 2023.

use std::sync::Arc;

use rand::Rng;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::ranking::Ranking;
use super::slots::Slots;
use super::{Joining, Protocol, Sampler, Say, Word};
use crate::catalog::{ConfigError, Entry};
use crate::node::NodeId;

/// The catalog's row.
pub(super) static ENTRY: Entry<dyn Protocol> = Entry {
    name: "basalt",
    summary: "slots that keep the smallest keyed hash, hit counters, staggered renewal",
    reference: "Auvolat et al., Middleware 2023",
    source: include_str!("basalt.rs"),
    claims: (),
    parameters: || schema_for!(Basalt),
    build: |parameters| {
        parameters.build::<dyn Protocol, Basalt>(|basalt| {
            if basalt.replace_every == 0 {
                return Err(ConfigError::new("`replace_every` must be at least 1 step, got 0"));
            }
            Ok(Arc::new(basalt))
        })
    },
};

/// Parameters of BASALT.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Basalt {
    /// Slots start over every so many steps, at least 1 (default 5).
    pub replace_every: u32,
    /// How many slots start over at a time (default 2); with 0 nothing is given out.
    pub replace_count: u32,
}

impl Default for Basalt {
    fn default() -> Self {
        Basalt { replace_every: 5, replace_count: 2 }
    }
}

impl Protocol for Basalt {
    fn join(&self, joining: Joining<'_>, rng: &mut dyn Rng) -> Box<dyn Sampler> {
        Box::new(Node::join(self, joining, rng))
    }
}

/// One node.
#[derive(Debug)]
pub struct Node {
    me: NodeId,
    replace_every: u64,
    replace_count: u64,
    slots: Slots,
    ranking: Box<dyn Ranking>,
    samples: Vec<NodeId>,
}

impl Node {
    /// A node that has considered what it was given to start with.
    pub fn join(protocol: &Basalt, joining: Joining<'_>, rng: &mut dyn Rng) -> Self {
        let mut ranking = joining.ranking;
        let mut slots = Slots::new(joining.me, (0..joining.view).map(|_| ranking.next(rng)));
        slots.consider(joining.bootstrap);
        Node {
            me: joining.me,
            replace_every: u64::from(protocol.replace_every).max(1),
            replace_count: u64::from(protocol.replace_count),
            slots,
            ranking,
            samples: Vec::new(),
        }
    }

    /// Its view with orders and hits.
    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Lets the slots start over whose turn it is, from the view as it was.
    fn renew(&mut self, time: u64, known: &[NodeId], rng: &mut dyn Rng) {
        let turn = time / self.replace_every * self.replace_count;
        // A slot that starts over twice at a time is as good as new after the first.
        for place in 0..self.replace_count.min(known.len() as u64) {
            let row = self.ranking.next(rng);
            self.samples.extend(self.slots.renew(turn + place, row, known));
        }
    }
}

impl Sampler for Node {
    fn step(&mut self, time: u32, rng: &mut dyn Rng) -> Vec<Say> {
        let known = self.slots.peers();
        let time = u64::from(time);
        if (u64::from(self.me.0) + time).is_multiple_of(self.replace_every) {
            self.renew(time, &known, rng);
        }
        let pull = self.slots.pick().map(|to| Say { to, word: Word::Pull });
        let push = self.slots.pick().map(|to| Say { to, word: Word::Push(known) });
        pull.into_iter().chain(push).collect()
    }

    fn hear(&mut self, from: NodeId, word: &Word, _rng: &mut dyn Rng) -> Vec<Say> {
        match word {
            Word::Pull => vec![Say { to: from, word: Word::Answer(self.slots.peers()) }],
            Word::Push(ids) | Word::Answer(ids) => {
                let honest_length = ids.len().min(self.slots.as_slice().len());
                self.slots.consider(&ids[..honest_length]);
                self.slots.consider(&[from]);
                Vec::new()
            }
        }
    }

    fn view(&self) -> Vec<NodeId> {
        self.slots.peers()
    }

    fn samples(&mut self) -> Vec<NodeId> {
        std::mem::take(&mut self.samples)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::ranking::KeyedHash;
    use crate::seed::{Purpose, run_stream};

    fn node(me: u32) -> Node {
        let bootstrap: Vec<NodeId> = (10..40).map(NodeId).collect();
        let ranking = Box::new(KeyedHash::remembering(40));
        let joining = Joining { me: NodeId(me), view: 4, bootstrap: &bootstrap, ranking };
        Node::join(&Basalt::default(), joining, &mut run_stream(1, Purpose::Sampling))
    }

    #[test]
    fn slots_are_given_out_in_turn_at_staggered_times() {
        let mut rng = run_stream(2, Purpose::Sampling);
        for me in [0, 3] {
            let mut node = node(me);
            let before = node.view();
            for time in 1..5 - me {
                node.step(time, &mut rng);
                assert_eq!(node.samples(), []);
            }
            node.step(5 - me, &mut rng);
            // At time 5 the first turn is over; node 3 is at its first at time 2.
            let first = if me == 0 { 2 } else { 0 };
            assert_eq!(node.samples(), before[first..first + 2]);
        }
    }

    #[test]
    fn repeating_an_identity_wins_no_slot_and_no_call() {
        let mut rng = run_stream(2, Purpose::Sampling);
        let mut node = node(0);
        let liar = node.view()[0];
        let before = node.view();
        for _ in 0..50 {
            node.hear(liar, &Word::Push(vec![liar; 4]), &mut rng);
        }
        assert_eq!(node.view(), before);
        let says = (1..4).flat_map(|time| node.step(time, &mut rng));
        assert!(says.map(|say| say.to).all(|to| to != liar));
    }
}
