//! The honest worker: trains on what it is sent and shares what comes of it.

use std::sync::Arc;

use super::fault::Faults;
use super::history::History;
use super::{Action, Event, Machine, MachineState, Message, ProtocolError};
use crate::dataset::Samples;
use crate::models::Model;
use crate::node::{NodeId, Round};
use crate::training::{Training, Update, WorkerState, local_update};
use crate::vector::Shared;

/// What an identity needs to train: its own data and the settings that all share.
#[derive(Debug, Clone)]
pub struct Trainer {
    /// Whose data these are.
    pub node: NodeId,
    /// The run's seed.
    pub seed: u64,
    /// The model's functions.
    pub model: Arc<dyn Model>,
    /// The node's own samples.
    pub shard: Arc<Samples>,
    /// How it trains.
    pub training: Training,
}

impl Trainer {
    /// The update of one round, and the state after it.
    pub fn train(
        &self,
        round: Round,
        model: &Shared,
        state: &WorkerState,
    ) -> (Update, WorkerState) {
        let Trainer { seed, node, training, .. } = self;
        let (functions, shard) = (&*self.model, &*self.shard);
        local_update(*seed, round, *node, functions, model.view(), shard, training, state)
    }
}

/// An honest worker.
#[derive(Debug)]
pub struct Worker {
    trainer: Trainer,
    faults: Faults,
    history: History<WorkerState>,
}

impl Worker {
    /// A worker before its first round.
    pub fn new(trainer: Trainer, faults: Faults) -> Self {
        Worker { trainer, faults, history: History::new(WorkerState::default()) }
    }

    fn answer(&mut self, round: Round, model: &Shared) -> Result<Message, ProtocolError> {
        let node = self.trainer.node;
        let before = self.history.before(round).ok_or_else(|| lost_state(node, round))?;
        if self.faults.absent(round, node) {
            let unchanged = before.clone();
            self.history.push(round, unchanged);
            return Ok(Message::Absent { round });
        }
        let (update, after) = self.trainer.train(round, model, before);
        self.history.push(round, after);
        Ok(Message::Share {
            round,
            update: Arc::new(update.vector),
            loss: update.loss,
            samples: self.trainer.shard.len() as u64,
        })
    }
}

impl Machine for Worker {
    fn step(&mut self, event: Event) -> Result<Vec<Action>, ProtocolError> {
        match event {
            Event::Start => Ok(Vec::new()),
            Event::Received { from, to, message: Message::Train { round, model } } => {
                let message = self.answer(round, &model)?;
                Ok(vec![Action::Send { from: to, to: from, message }])
            }
            other => Err(ProtocolError::Unexpected {
                machine: "a worker",
                event: format!("{other:?}").chars().take(120).collect(),
            }),
        }
    }

    fn state(&self) -> MachineState {
        let (round, state) = self.history.newest();
        MachineState::encode(round, state)
    }

    fn restore(&mut self, state: &MachineState) -> Result<(), ProtocolError> {
        self.history.push(state.round, state.decode()?);
        Ok(())
    }
}

/// The error of a machine that is asked for a round whose start it does not remember.
pub(super) fn lost_state(node: NodeId, round: Round) -> ProtocolError {
    ProtocolError::State {
        message: format!(
            "node {node} is asked for round {round} and has no state of round {}: its checkpoint \
             is lost; start the run anew with --rerun",
            round.previous()
        ),
    }
}
