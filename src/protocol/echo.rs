//! The echo: replicas compare what they were sent before any of them uses it.
//!
//! Each replica claims, for every worker, the digest of the share that it holds. A row counts if
//! a quorum of ⌊(r + f) / 2⌋ + 1 of the r replicas hold the same digest, 2f + 1 of 3f + 1: two
//! such quorums have an honest replica in common, so no two honest replicas count different rows
//! of one worker. Who holds another share, or none, fetches it from a replica that claims it, and
//! checks the digest of the copy. A round ends when everybody has settled, so nobody is gone
//! while others still ask.
//!
//! What it does not give: one replica may count a row that others leave out. That takes a worker
//! who tells replicas different things and a replica who tells them different claims. Bracha's
//! third step, which says what one is ready to count, would close the gap.
//!
//! Reference: Bracha, Asynchronous Byzantine Agreement Protocols, Information and Computation
//! 1987.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::admission::admit;
use super::collection::{Collection, Contribution};
use super::{Action, Claims, Message, Reason};
use crate::node::{NodeId, Round};
use crate::vector::{Digest, as_slice};

/// Whose digest of whose share.
type Held = BTreeMap<NodeId, Digest>;

/// One round's echo, as one replica goes through it.
#[derive(Debug)]
pub struct Echo {
    node: NodeId,
    round: Round,
    others: Vec<NodeId>,
    quorum: usize,
    claims: BTreeMap<NodeId, Held>,
    wanted: BTreeMap<NodeId, Wanted>,
    settled: BTreeSet<NodeId>,
    served: BTreeSet<(NodeId, NodeId)>,
}

/// A share that counts and is not held here.
#[derive(Debug)]
struct Wanted {
    digest: Digest,
    /// Who claims it, the first one asked now, the others if that does not help.
    claimers: Vec<NodeId>,
}

/// How many replicas of `replicas` must hold the same share, if `byzantine` of them lie.
pub fn quorum(replicas: usize, byzantine: usize) -> usize {
    usize::midpoint(replicas, byzantine) + 1
}

impl Echo {
    /// The echo of a round before anybody has claimed anything. `others` are all other replicas,
    /// ascending.
    pub fn new(node: NodeId, round: Round, others: Vec<NodeId>, quorum: usize) -> Self {
        Echo {
            node,
            round,
            others,
            quorum,
            claims: BTreeMap::new(),
            wanted: BTreeMap::new(),
            settled: BTreeSet::new(),
            served: BTreeSet::new(),
        }
    }

    /// How many replicas must hold the same share.
    pub fn quorum(&self) -> usize {
        self.quorum
    }

    /// How many replicas have claimed something, this one among them.
    pub fn claimants(&self) -> usize {
        self.claims.len()
    }

    fn say_to_all(&self, out: &BTreeSet<NodeId>, message: &Message) -> Vec<Action> {
        let there = self.others.iter().filter(|other| !out.contains(other));
        there.map(|&to| Action::Send { from: self.node, to, message: message.clone() }).collect()
    }

    /// Says what is held of every worker.
    pub fn claim(&mut self, collection: &Collection, out: &BTreeSet<NodeId>) -> Vec<Action> {
        let held: Held = collection
            .contributions()
            .iter()
            .map(|(&sender, contribution)| (sender, contribution.digest()))
            .collect();
        let everybody = collection.roster().ids().iter();
        let claims: Claims = everybody.map(|&id| (id, held.get(&id).copied())).collect();
        self.claims.insert(self.node, held);
        let message = Message::Claims { round: self.round, claims: Arc::new(claims) };
        self.say_to_all(out, &message)
    }

    /// Takes what another replica claims.
    pub fn take_claims(
        &mut self,
        from: NodeId,
        claims: &Claims,
        collection: &Collection,
    ) -> Result<(), Reason> {
        if self.claims.contains_key(&from) {
            return Err(Reason::Twice);
        }
        let senders: Vec<NodeId> = claims.iter().map(|(sender, _)| *sender).collect();
        if senders != collection.roster().ids() {
            // It has had its turn, and claims nothing.
            self.claims.insert(from, Held::new());
            return Err(Reason::Malformed("claims that are not one for each worker".to_owned()));
        }
        let held = claims.iter().filter_map(|(sender, digest)| Some((*sender, (*digest)?)));
        self.claims.insert(from, held.collect());
        Ok(())
    }

    /// Those who have not claimed anything yet.
    pub fn unclaimed(&self, out: &BTreeSet<NodeId>) -> Vec<NodeId> {
        let silent = |other: &&NodeId| !self.claims.contains_key(other) && !out.contains(other);
        self.others.iter().filter(silent).copied().collect()
    }

    /// Settles what counts, once all claims are there: takes out of the collection what does not,
    /// and asks for what is missing.
    pub fn agree(&mut self, collection: &mut Collection, out: &BTreeSet<NodeId>) -> Vec<Action> {
        let mut asked = Vec::new();
        for sender in collection.roster().ids().to_vec() {
            let Some(digest) = self.counted(sender) else {
                collection.replace(sender, None);
                continue;
            };
            if collection.contribution(sender).map(Contribution::digest) == Some(digest) {
                continue;
            }
            let claims_it = |other: &&NodeId| {
                self.claims.get(other).and_then(|held| held.get(&sender)) == Some(&digest)
            };
            let claimers = self.others.iter().filter(claims_it).copied().collect();
            collection.replace(sender, None);
            self.wanted.insert(sender, Wanted { digest, claimers });
            asked.extend(self.ask(sender, out));
        }
        asked
    }

    /// Those who claim to hold just this share of a worker, this replica among them, ascending.
    pub fn claimers(&self, sender: NodeId, digest: Digest) -> Vec<NodeId> {
        let claims_it =
            |(node, held): (&NodeId, &Held)| (held.get(&sender) == Some(&digest)).then_some(*node);
        self.claims.iter().filter_map(claims_it).collect()
    }

    /// The digest that a quorum holds of a worker's share.
    pub fn counted(&self, sender: NodeId) -> Option<Digest> {
        let mut votes: BTreeMap<Digest, usize> = BTreeMap::new();
        for digest in self.claims.values().filter_map(|held| held.get(&sender)) {
            *votes.entry(*digest).or_default() += 1;
        }
        votes.into_iter().find(|(_, count)| *count >= self.quorum).map(|(digest, _)| digest)
    }

    /// Asks the first who claims the share and is there; where nobody is left, the row is given up.
    fn ask(&mut self, sender: NodeId, out: &BTreeSet<NodeId>) -> Option<Action> {
        let wanted = self.wanted.get_mut(&sender)?;
        wanted.claimers.retain(|claimer| !out.contains(claimer));
        let Some(&to) = wanted.claimers.first() else {
            self.wanted.remove(&sender);
            return None;
        };
        let message = Message::Fetch { round: self.round, sender };
        Some(Action::Send { from: self.node, to, message })
    }

    /// Asks others in place of those who are out.
    pub fn ask_others(&mut self, out: &BTreeSet<NodeId>) -> Vec<Action> {
        let gone =
            |wanted: &Wanted| wanted.claimers.first().is_some_and(|first| out.contains(first));
        let stuck: Vec<NodeId> =
            self.wanted.iter().filter(|(_, wanted)| gone(wanted)).map(|(&id, _)| id).collect();
        stuck.into_iter().filter_map(|sender| self.ask(sender, out)).collect()
    }

    /// Answers a question with a copy of what is held.
    pub fn serve(
        &mut self,
        from: NodeId,
        sender: NodeId,
        collection: &Collection,
    ) -> Result<Action, Reason> {
        let contribution = collection
            .contribution(sender)
            .ok_or_else(|| Reason::Denied(format!("nothing is held of node {sender}")))?;
        if !self.served.insert((from, sender)) {
            return Err(Reason::Twice);
        }
        let Contribution { update, loss, samples } = contribution.clone();
        let message = Message::Copy { round: self.round, sender, update, loss, samples };
        Ok(Action::Send { from: self.node, to: from, message })
    }

    /// Takes a copy that was asked for. One that is not what was claimed is refused, and the next
    /// who claims it is asked.
    pub fn take_copy(
        &mut self,
        from: NodeId,
        sender: NodeId,
        copy: Contribution,
        collection: &mut Collection,
        out: &BTreeSet<NodeId>,
    ) -> (Result<(), Reason>, Option<Action>) {
        let asked = self.wanted.get_mut(&sender);
        let Some(wanted) = asked.filter(|wanted| wanted.claimers.first() == Some(&from)) else {
            return (Err(Reason::WrongKind), None);
        };
        let right = copy.digest() == wanted.digest
            && admit(as_slice(&copy.update), collection.values()).is_ok();
        if right {
            self.wanted.remove(&sender);
            collection.replace(sender, Some(copy));
            return (Ok(()), None);
        }
        wanted.claimers.remove(0);
        let what = format!("a copy of node {sender}'s share that is not what was claimed");
        (Err(Reason::Malformed(what)), self.ask(sender, out))
    }

    /// Those who were asked for a copy and have not answered.
    pub fn asked(&self) -> Vec<NodeId> {
        self.wanted.values().filter_map(|wanted| wanted.claimers.first()).copied().collect()
    }

    /// Says that nothing is missing any more.
    pub fn settle(&self, out: &BTreeSet<NodeId>) -> Vec<Action> {
        self.say_to_all(out, &Message::Settled { round: self.round })
    }

    /// Takes another replica's word that it has all.
    pub fn take_settled(&mut self, from: NodeId) -> Result<(), Reason> {
        if self.settled.insert(from) { Ok(()) } else { Err(Reason::Twice) }
    }

    /// Those who have not settled yet.
    pub fn unsettled(&self, out: &BTreeSet<NodeId>) -> Vec<NodeId> {
        let busy = |other: &&NodeId| !self.settled.contains(other) && !out.contains(other);
        self.others.iter().filter(busy).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_quorums_share_an_honest_replica_and_the_honest_are_one() {
        for byzantine in 0..6 {
            for replicas in 3 * byzantine + 1..30 {
                let quorum = quorum(replicas, byzantine);
                assert!(2 * quorum > replicas + byzantine, "{replicas} {byzantine}");
                assert!(replicas - byzantine >= quorum, "{replicas} {byzantine}");
            }
        }
        assert_eq!((quorum(4, 1), quorum(7, 2), quorum(1, 0)), (3, 5, 1));
    }
}
