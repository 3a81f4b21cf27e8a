//! The last words of a round: what each member of its committee says in the end.
//!
//! A member ends a round with the decided block, and its model for those who cannot compute it, or
//! with word that it knows of none. A round is over for somebody when every member that is there
//! has said so; what any of them has decided is then known to all.

use std::collections::{BTreeMap, BTreeSet};

use crate::node::NodeId;

/// What the members of a committee have said.
#[derive(Debug)]
pub(super) struct Words {
    members: Vec<NodeId>,
    said: BTreeMap<NodeId, Word>,
    out: BTreeSet<NodeId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// The block; its model is to follow.
    Block,
    /// All that it has to say.
    Last,
}

impl Words {
    /// Nothing was said. `members` are all that this node waits for, ascending.
    pub(super) fn new(members: Vec<NodeId>, lost: &BTreeSet<NodeId>) -> Self {
        let out = members.iter().filter(|member| lost.contains(member)).copied().collect();
        Words { members, said: BTreeMap::new(), out }
    }

    /// Whether this node is one of those that are waited for.
    pub(super) fn expects(&self, node: NodeId) -> bool {
        self.members.binary_search(&node).is_ok()
    }

    /// Whether a member has ended its round, by a block or without.
    pub(super) fn has_ended(&self, node: NodeId) -> bool {
        self.said.contains_key(&node)
    }

    /// Whether a member has shown a block and still owes its model.
    pub(super) fn owes_model(&self, node: NodeId) -> bool {
        self.said.get(&node) == Some(&Word::Block)
    }

    /// A member has shown the block.
    pub(super) fn block(&mut self, node: NodeId, model_follows: bool) {
        self.said.insert(node, if model_follows { Word::Block } else { Word::Last });
    }

    /// A member has said all.
    pub(super) fn last(&mut self, node: NodeId) {
        self.said.insert(node, Word::Last);
    }

    /// A member is not there.
    pub(super) fn leave(&mut self, node: NodeId) {
        if self.expects(node) {
            self.out.insert(node);
        }
    }

    /// Those who have not said all yet.
    pub(super) fn awaited(&self) -> Vec<NodeId> {
        let owes =
            |node: &&NodeId| self.said.get(node) != Some(&Word::Last) && !self.out.contains(node);
        self.members.iter().filter(owes).copied().collect()
    }

    /// Whether nobody owes anything, and somebody has spoken.
    pub(super) fn are_complete(&self) -> bool {
        self.awaited().is_empty() && !self.said.is_empty()
    }
}
