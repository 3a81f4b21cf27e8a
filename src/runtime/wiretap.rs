//! The wiretap: copies of what honest nodes send, for an adversary that reads along.
//!
//! It exists only where the plan says so, it is fed by the runtime and not by the honest
//! machines, and its bytes are not counted. An honest node that is lost, or whose share was not
//! admitted, shows as absent, so that the adversary never waits for it.

use std::collections::BTreeSet;

use super::Cast;
use crate::node::{NodeId, Round};
use crate::protocol::{Event, Message};

/// What the adversary of one run is shown.
#[derive(Debug)]
pub struct Wiretap {
    honest: BTreeSet<NodeId>,
    lost: BTreeSet<NodeId>,
    open: bool,
}

impl Wiretap {
    /// A wiretap for this cast, which is silent unless the cast is tapped.
    pub fn new(cast: &Cast) -> Self {
        Wiretap { honest: cast.honest.clone(), lost: BTreeSet::new(), open: cast.tapped }
    }

    /// What is shown when `from` has answered and the server did or did not take it.
    pub fn answered(&self, from: NodeId, message: &Message, taken: bool) -> Option<Event> {
        if !self.open || !self.honest.contains(&from) {
            return None;
        }
        let message =
            if taken { message.clone() } else { Message::Absent { round: message.round() } };
        Some(Event::Tapped { from, message })
    }

    /// What is shown when a node is given up in `round`.
    pub fn lost(&mut self, node: NodeId, round: Round) -> Option<Event> {
        self.lost.insert(node);
        (self.open && self.honest.contains(&node))
            .then_some(Event::Tapped { from: node, message: Message::Absent { round } })
    }

    /// What is shown when `round` begins: the silence of those who are gone.
    pub fn round_begins(&self, round: Round) -> Vec<Event> {
        let silent = self.lost.intersection(&self.honest).filter(|_| self.open);
        silent.map(|&from| Event::Tapped { from, message: Message::Absent { round } }).collect()
    }
}
