//! Early messages: what belongs to a round that has not begun here yet waits until it has.

use std::collections::BTreeMap;

use super::{Message, Reason};
use crate::node::{NodeId, Round};

/// How many rounds a message may be early. An honest sender waits for an answer in every round,
/// so it is one round ahead at most; the rest is slack.
const EARLY_MAX: u32 = 4;

/// What came early, the first of each kind from each sender in each round.
#[derive(Debug, Default)]
pub struct Early {
    held: BTreeMap<(Round, NodeId, u8), Message>,
}

impl Early {
    /// Keeps a message of a round after `current`, or says why not. A run has `rounds` rounds.
    pub fn keep(
        &mut self,
        current: Round,
        rounds: u32,
        from: NodeId,
        message: Message,
    ) -> Result<(), Reason> {
        let round = message.round();
        if round.0 > rounds || round.0 - current.0 > EARLY_MAX {
            return Err(Reason::OtherRound { got: round });
        }
        let kind = kind(&message).ok_or(Reason::WrongKind)?;
        if self.held.contains_key(&(round, from, kind)) {
            return Err(Reason::Twice);
        }
        self.held.insert((round, from, kind), message);
        Ok(())
    }

    /// Lets go of what came for `round`, by sender, and forgets what came for rounds before.
    pub fn due(&mut self, round: Round) -> Vec<(NodeId, Message)> {
        let later = self.held.split_off(&(round.next(), NodeId(0), 0));
        let due = std::mem::replace(&mut self.held, later);
        let of_round = due.into_iter().filter(|((of, _, _), _)| *of == round);
        of_round.map(|((_, from, _), message)| (from, message)).collect()
    }
}

/// What kind of word it is; `None` for those that only follow a word of one's own in the round.
fn kind(message: &Message) -> Option<u8> {
    match message {
        Message::Share { .. } | Message::Absent { .. } => Some(0),
        Message::Model { .. } => Some(1),
        Message::Claims { .. } => Some(2),
        Message::Settled { .. } => Some(3),
        Message::Block { .. } => Some(4),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn absent(round: u32) -> Message {
        Message::Absent { round: Round(round) }
    }

    #[test]
    fn what_came_early_is_let_go_in_its_round() {
        let mut early = Early::default();
        early.keep(Round(1), 9, NodeId(4), absent(2)).unwrap();
        early.keep(Round(1), 9, NodeId(3), absent(3)).unwrap();
        early.keep(Round(1), 9, NodeId(4), Message::Settled { round: Round(2) }).unwrap();
        assert_eq!(early.keep(Round(1), 9, NodeId(4), absent(2)), Err(Reason::Twice));
        let due = early.due(Round(2));
        assert_eq!(due.len(), 2);
        assert_eq!(due[0], (NodeId(4), absent(2)));
        assert_eq!(early.due(Round(3)), [(NodeId(3), absent(3))]);
    }

    #[test]
    fn nobody_can_fill_the_memory() {
        let mut early = Early::default();
        let far = Reason::OtherRound { got: Round(6) };
        assert_eq!(early.keep(Round(1), 9, NodeId(4), absent(6)), Err(far));
        let after_the_end = Reason::OtherRound { got: Round(3) };
        assert_eq!(early.keep(Round(1), 2, NodeId(4), absent(3)), Err(after_the_end));
        let fetch = Message::Fetch { round: Round(2), sender: NodeId(0) };
        assert_eq!(early.keep(Round(1), 9, NodeId(4), fetch), Err(Reason::WrongKind));
    }
}
