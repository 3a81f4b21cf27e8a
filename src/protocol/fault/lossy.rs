//! Losses on the way to a flooded node, where there are servers: what it should learn from a
//! machine is lost, and in its place it is told that there is nothing.
//!
//! Updates and models are lost, each sender's independently. Whatever else servers tell each
//! other, claims, votes and copies, goes over lines that no stranger reaches.

use super::flood::Flood;
use crate::node::{NodeId, Round};
use crate::protocol::{Action, Event, Machine, MachineState, Message, ProtocolError};

/// A machine whose words to a flooded node may be lost.
///
/// It does not know: it goes on as if it had been heard, and its own record says so.
pub struct Lossy {
    inner: Box<dyn Machine>,
    flood: Flood,
    regular: usize,
    answers: bool,
}

impl std::fmt::Debug for Lossy {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Lossy").field("flood", &self.flood).finish_non_exhaustive()
    }
}

impl Lossy {
    /// This machine under a flood, where so many `regular` messages go to the flooded node in a
    /// round. Where the flooded server asks and all others only answer, whatever it `answers` is
    /// for that server: a process of its own does not know it by number.
    pub fn new(inner: Box<dyn Machine>, flood: Flood, regular: usize, answers: bool) -> Self {
        Lossy { inner, flood, regular, answers }
    }

    /// What arrives of an action. The losses come after all else that is said: an adversary that
    /// reads along goes by a node's first word.
    fn arriving(&self, actions: Vec<Action>) -> Vec<Action> {
        let mut kept = Vec::with_capacity(actions.len());
        let mut lost = Vec::new();
        for action in actions {
            match action {
                Action::Send { from, to, message } if self.loses(from, to, &message) => {
                    let message = Message::Absent { round: message.round() };
                    lost.push(Action::Send { from, to, message });
                }
                other => kept.push(other),
            }
        }
        let said = |action: &Action| matches!(action, Action::Send { .. });
        let end = kept.iter().rposition(said).map_or(0, |last| last + 1);
        kept.splice(end..end, lost);
        kept
    }

    fn loses(&self, from: NodeId, to: NodeId, message: &Message) -> bool {
        let teaches = matches!(message, Message::Share { .. } | Message::Model { .. });
        let concerned = to == self.flood.node || self.answers;
        teaches && concerned && self.flood.drops(message.round(), from, self.regular)
    }
}

impl Machine for Lossy {
    fn step(&mut self, event: Event) -> Result<Vec<Action>, ProtocolError> {
        let actions = self.inner.step(event)?;
        Ok(self.arriving(actions))
    }

    fn awaits(&self) -> Vec<NodeId> {
        self.inner.awaits()
    }

    fn closed(&self) -> Round {
        self.inner.closed()
    }

    fn state(&self) -> MachineState {
        self.inner.state()
    }

    fn restore(&mut self, state: &MachineState) -> Result<(), ProtocolError> {
        self.inner.restore(state)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ndarray::Array1;

    use super::*;

    /// Says everything that it is made with.
    #[derive(Debug)]
    struct Says(Vec<Action>);

    impl Machine for Says {
        fn step(&mut self, _: Event) -> Result<Vec<Action>, ProtocolError> {
            Ok(self.0.clone())
        }

        fn state(&self) -> MachineState {
            MachineState::encode(Round(7), &())
        }

        fn restore(&mut self, _: &MachineState) -> Result<(), ProtocolError> {
            Ok(())
        }
    }

    fn share(to: u32) -> Action {
        let update = Arc::new(Array1::from_elem(2, 1.0));
        let message = Message::Share { round: Round(1), update, loss: 0.5, samples: 3 };
        Action::Send { from: NodeId(0), to: NodeId(to), message }
    }

    fn absent(to: u32) -> Action {
        let message = Message::Absent { round: Round(1) };
        Action::Send { from: NodeId(0), to: NodeId(to), message }
    }

    fn arriving(capacity: u64, said: Vec<Action>) -> Vec<Action> {
        let flood = Flood { seed: 1, node: NodeId(8), requests: 5, capacity, from: Round(1) };
        let mut lossy = Lossy::new(Box::new(Says(said)), flood, 3, false);
        assert_eq!(lossy.state().round, Round(7));
        lossy.step(Event::Start).unwrap()
    }

    fn shown(actions: &[Action]) -> String {
        format!("{actions:?}")
    }

    #[test]
    fn only_what_goes_to_the_flooded_node_is_lost_and_it_is_told_so_last() {
        let fetch = Message::Fetch { round: Round(1), sender: NodeId(2) };
        let fetch = Action::Send { from: NodeId(0), to: NodeId(8), message: fetch };
        let said = vec![share(8), share(9), fetch.clone(), Action::Finish];
        let expected = [share(9), fetch, absent(8), Action::Finish];
        assert_eq!(shown(&arriving(0, said.clone())), shown(&expected));
        assert_eq!(shown(&arriving(8, said.clone())), shown(&said));
        assert_eq!(shown(&arriving(0, vec![share(8)])), shown(&[absent(8)]));
    }

    #[test]
    fn an_answer_is_lost_whatever_its_receiver_is_called() {
        let flood = Flood { seed: 1, node: NodeId(8), requests: 5, capacity: 0, from: Round(1) };
        let mut lossy = Lossy::new(Box::new(Says(vec![share(99)])), flood, 3, true);
        assert_eq!(shown(&lossy.step(Event::Start).unwrap()), shown(&[absent(99)]));
    }
}
