//! The member as a machine: what happens to it, and what a checkpoint keeps of it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Member;
use super::open::Open;
use crate::ledger::chain::Chain;
use crate::node::{NodeId, Round};
use crate::protocol::server::restored_model;
use crate::protocol::{Action, Event, Machine, MachineState, ProtocolError};
use crate::training::WorkerState;
use crate::vector::{Shared, as_slice};

/// The part of a member that a checkpoint keeps.
#[derive(Serialize, Deserialize)]
struct State {
    model: Vec<f32>,
    previous: Option<Vec<f32>>,
    direction: Option<Vec<f32>>,
    chain: Chain,
    worker: WorkerState,
    lost: BTreeSet<NodeId>,
}

impl Machine for Member {
    fn step(&mut self, event: Event) -> Result<Vec<Action>, ProtocolError> {
        let mut actions = match event {
            Event::Start | Event::Proceed => return Ok(self.begin()),
            Event::Received { from, message, .. } => self.hear(from, message),
            Event::Garbled { from, reason } => self.garbled(from, reason),
            Event::Lost { node } => self.give_up(node),
            Event::Expired { timer } => match &mut self.open {
                Some(Open { round, sitting: Some(sitting), .. }) if *round == timer.round => {
                    sitting.expire(timer.name)
                }
                _ => Vec::new(),
            },
            other @ Event::Tapped { .. } => {
                return Err(ProtocolError::unexpected("a member", &other));
            }
        };
        actions.extend(self.advance());
        Ok(actions)
    }

    fn awaits(&self) -> Vec<NodeId> {
        let Some(open) = &self.open else { return Vec::new() };
        match &open.sitting {
            Some(sitting) if !sitting.is_over() => {
                let mut awaited = sitting.awaited();
                awaited.retain(|node| *node != self.node());
                awaited
            }
            _ => open.words.awaited(),
        }
    }

    fn closed(&self) -> Round {
        self.closed
    }

    fn state(&self) -> MachineState {
        let values = |vector: &Shared| as_slice(vector).to_vec();
        let state = State {
            model: values(&self.model),
            previous: self.previous.as_ref().map(values),
            direction: self.direction.as_ref().map(values),
            chain: self.chain.clone(),
            worker: self.worker.clone(),
            lost: self.lost.clone(),
        };
        MachineState::encode(self.closed, &state)
    }

    fn restore(&mut self, state: &MachineState) -> Result<(), ProtocolError> {
        let decoded: State = state.decode()?;
        let values = self.settings.initial.len();
        self.model = restored_model(decoded.model, values)?;
        let restored = |vector: Vec<f32>| restored_model(vector, values);
        self.previous = decoded.previous.map(restored).transpose()?;
        self.direction = decoded.direction.map(restored).transpose()?;
        self.chain = decoded.chain;
        self.worker = decoded.worker;
        self.lost = decoded.lost;
        self.closed = state.round;
        Ok(())
    }
}
