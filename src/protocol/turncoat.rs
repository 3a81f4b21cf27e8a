//! The turncoat: a part of the system that has fallen. Inside is the honest machine; what it says
//! is kept back or altered on its way out.
//!
//! A crash is announced: everybody who has to do with the part is told that it has nothing, round
//! after round, so that nobody waits for ever. A captured part goes on as if nothing had happened,
//! and lies.

use std::sync::Arc;

use ndarray::Array1;
use serde::{Deserialize, Serialize};

use super::forger::Forger;
use super::{Action, Event, Machine, MachineState, Message, ProtocolError};
use crate::downfalls::{Conduct, Fall};
use crate::node::{NodeId, Round};
use crate::vector::{Shared, as_slice};

/// The machine of a fallen part.
pub struct Turncoat {
    node: NodeId,
    inner: Box<dyn Machine>,
    fall: Fall,
    audience: Vec<NodeId>,
    announced: Round,
    forger: Option<Forger>,
}

impl std::fmt::Debug for Turncoat {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = formatter.debug_struct("Turncoat");
        shown.field("node", &self.node).field("fall", &self.fall).finish_non_exhaustive()
    }
}

/// What a checkpoint keeps of a turncoat.
#[derive(Serialize, Deserialize)]
struct State {
    announced: u32,
    inner: Vec<u8>,
}

impl Turncoat {
    /// The machine of `node`, which falls. `audience` is everybody who has to do with it,
    /// ascending.
    pub fn new(node: NodeId, inner: Box<dyn Machine>, fall: Fall, audience: Vec<NodeId>) -> Self {
        Turncoat { node, inner, fall, audience, announced: Round(0), forger: None }
    }

    /// The same with a pen for ballots, where the part sits on committees.
    #[must_use]
    pub fn with_forger(self, forger: Option<Forger>) -> Self {
        Turncoat { forger, ..self }
    }

    /// Whether it has crashed by the round that this event belongs to.
    fn is_down(&self, event: &Event) -> bool {
        let round = match event {
            Event::Received { message, .. } => message.round(),
            Event::Expired { timer } => timer.round,
            _ => self.inner.closed().next(),
        };
        self.fall.conduct == Conduct::Crash && round >= self.fall.from
    }

    /// Tells everybody once in every round that there is nothing from this part.
    fn announce(&mut self, event: &Event) -> Vec<Action> {
        let round = match event {
            Event::Received { message, .. } => message.round(),
            _ => self.fall.from,
        };
        if round <= self.announced {
            return Vec::new();
        }
        self.announced = round;
        let say =
            |&to: &NodeId| Action::Send { from: self.node, to, message: Message::Absent { round } };
        self.audience.iter().map(say).collect()
    }

    fn alter(&mut self, action: Action) -> Action {
        match action {
            Action::Send { from, to, message } if message.round() >= self.fall.from => {
                let message = self.lie(to, message);
                Action::Send { from, to, message }
            }
            other => other,
        }
    }

    fn lie(&mut self, to: NodeId, message: Message) -> Message {
        if let (Some(forger), Message::Ballot { round, ballot }) = (&mut self.forger, &message) {
            let differs = matches!(self.fall.conduct, Conduct::LieDifferently { .. });
            let half = self.audience.binary_search(&to).unwrap_or(0) % 2;
            let ballot = forger.forge(ballot, differs.then_some(half));
            return Message::Ballot { round: *round, ballot };
        }
        let factor = match self.fall.conduct {
            Conduct::Crash => return message,
            Conduct::Lie { factor } => factor,
            Conduct::LieDifferently { factor } => self.spread(to, factor),
        };
        match message.vector() {
            Some(vector) => message.with_vector(times(vector, factor)),
            None => message,
        }
    }

    /// `factor` for the first of the audience, 1 for the last.
    fn spread(&self, to: NodeId, factor: f32) -> f32 {
        let last = self.audience.len().saturating_sub(1).max(1);
        let place = self.audience.binary_search(&to).unwrap_or(0) as f32 / last as f32;
        factor + place * (1.0 - factor)
    }
}

fn times(vector: &Shared, factor: f32) -> Shared {
    Arc::new(as_slice(vector).iter().map(|value| value * factor).collect::<Array1<f32>>())
}

impl Machine for Turncoat {
    fn step(&mut self, event: Event) -> Result<Vec<Action>, ProtocolError> {
        if self.is_down(&event) {
            return Ok(self.announce(&event));
        }
        let actions = self.inner.step(event)?;
        Ok(actions.into_iter().map(|action| self.alter(action)).collect())
    }

    fn awaits(&self) -> Vec<NodeId> {
        let crashed = self.announced >= self.fall.from && self.fall.conduct == Conduct::Crash;
        if crashed { Vec::new() } else { self.inner.awaits() }
    }

    fn closed(&self) -> Round {
        match self.fall.conduct {
            Conduct::Crash => self.announced.max(self.inner.closed()),
            _ => self.inner.closed(),
        }
    }

    fn state(&self) -> MachineState {
        let inner = self.inner.state();
        let state = State { announced: self.announced.0, inner: inner.bytes };
        MachineState::encode(inner.round, &state)
    }

    fn restore(&mut self, state: &MachineState) -> Result<(), ProtocolError> {
        let decoded: State = state.decode()?;
        self.announced = Round(decoded.announced);
        self.inner.restore(&MachineState { round: state.round, bytes: decoded.inner })
    }
}
