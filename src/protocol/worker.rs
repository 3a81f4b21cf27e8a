//! The honest worker: trains on what it is sent and shares what comes of it.

use std::sync::Arc;

use ndarray::ArrayView1;

use super::fault::Faults;
use super::history::History;
use super::{Action, Event, Machine, MachineState, Message, ProtocolError};
use crate::dataset::Shard;
use crate::models::Model;
use crate::node::{NodeId, Round};
use crate::seed::{Purpose, stream};
use crate::training::{Begun, Lesson, Training, Update, WorkerState, batch_loss, local_update};
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
    pub shard: Shard,
    /// How it trains.
    pub training: Training,
}

impl Trainer {
    /// What it is to learn from in a round.
    pub fn lesson(&self, round: Round) -> Lesson<'_> {
        let Trainer { node, seed, shard, training, .. } = self;
        Lesson { seed: *seed, round, node: *node, shard, training }
    }

    /// The update of one round, and the state after it.
    pub fn train(
        &self,
        round: Round,
        model: &Shared,
        state: &WorkerState,
    ) -> (Update, WorkerState) {
        local_update(self.lesson(round), &*self.model, model.view(), state, None)
    }

    /// The loss of any parameters on a fresh batch of the node's own samples, the same batch for
    /// all parameters in one round.
    pub fn loss(&self, round: Round, parameters: ArrayView1<'_, f32>) -> f32 {
        let mut rng = stream(self.seed, Purpose::Screening, round, self.node);
        batch_loss(&*self.model, parameters, &self.shard, self.training.batch, &mut rng)
    }
}

/// Who is going to train, and from which model.
#[derive(Debug)]
pub struct Pupil<'a> {
    /// Who.
    pub trainer: &'a Trainer,
    /// In which round.
    pub round: Round,
    /// From where.
    pub model: Shared,
}

/// An honest worker.
#[derive(Debug)]
pub struct Worker {
    trainer: Trainer,
    faults: Faults,
    history: History<WorkerState>,
    /// A round that has begun, and the model that it starts from.
    begun: Option<(Round, Shared, Begun)>,
}

impl Worker {
    /// A worker before its first round.
    pub fn new(trainer: Trainer, faults: Faults) -> Self {
        Worker { trainer, faults, history: History::new(WorkerState::default()), begun: None }
    }

    fn answer(&mut self, round: Round, model: &Shared) -> Result<Message, ProtocolError> {
        let node = self.trainer.node;
        let before = self
            .history
            .since(self.faults.last_part(round, &[node]), round)
            .ok_or_else(|| lost_state(node, round))?;
        if self.faults.absent(round, node) {
            let unchanged = before.clone();
            self.history.push(round, unchanged);
            return Ok(Message::Absent { round });
        }
        let begun = self.begun.take();
        let begun = begun.filter(|(of, from, _)| *of == round && Arc::ptr_eq(from, model));
        let begun = begun.map(|(_, _, begun)| begun);
        let (lesson, functions) = (self.trainer.lesson(round), &*self.trainer.model);
        let (update, after) = local_update(lesson, functions, model.view(), before, begun);
        if !update.is_finite() {
            // There is nothing to share, and what was kept before is still sound.
            let unchanged = before.clone();
            self.history.push(round, unchanged);
            return Ok(Message::Absent { round });
        }
        if let Some(forgotten) = self.history.push(round, after) {
            forgotten.give_back();
        }
        Ok(Message::Share {
            round,
            update: update.vector,
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
            other => Err(ProtocolError::unexpected("a worker", &other)),
        }
    }

    fn pupil(&self, event: &Event) -> Option<Pupil<'_>> {
        let Event::Received { message: Message::Train { round, model }, .. } = event else {
            return None;
        };
        let (round, model) = (*round, Arc::clone(model));
        let present = !self.faults.absent(round, self.trainer.node);
        present.then_some(Pupil { trainer: &self.trainer, round, model })
    }

    fn begin(&mut self, round: Round, model: &Shared, begun: Begun) {
        self.begun = Some((round, Arc::clone(model), begun));
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

#[cfg(test)]
pub(super) mod tests {
    use ndarray::array;

    use super::*;
    use crate::dataset::{Samples, Shape};
    use crate::models::CATALOG;

    /// A trainer of a tiny softmax on two samples.
    pub(crate) fn trainer(node: u32) -> Trainer {
        let shape = Shape { height: 1, width: 2, channels: 1, classes: 2 };
        let softmax = CATALOG.build_default("softmax").unwrap().value;
        let bias = node as f32;
        Trainer {
            node: NodeId(node),
            seed: 1,
            model: softmax.model(shape).unwrap(),
            shard: Samples { inputs: array![[1.0 + bias, 0.0], [0.0, 1.0]], labels: vec![0, 1] }
                .into(),
            training: Training {
                batch: 2,
                learning_rate: 0.1,
                momentum: 0.9,
                dampening: 0.9,
                ..Training::default()
            },
        }
    }

    /// The server's request of a round.
    pub(crate) fn train(to: u32, round: u32) -> Event {
        let model = Arc::new(ndarray::Array1::from_elem(6, 0.5));
        let message = Message::Train { round: Round(round), model };
        Event::Received { from: NodeId(99), to: NodeId(to), message }
    }

    fn worker(absences: f64) -> Worker {
        Worker::new(trainer(3), Faults { absences, ..Faults::none(1) })
    }

    fn only_message(actions: Vec<Action>) -> Message {
        match actions.as_slice() {
            [Action::Send { from: NodeId(3), to: NodeId(99), message }] => message.clone(),
            other => panic!("one message was expected, not {other:?}"),
        }
    }

    #[test]
    fn a_worker_shares_what_it_has_learnt() {
        let message = only_message(worker(0.0).step(train(3, 1)).unwrap());
        let Message::Share { round, update, loss, samples } = message else {
            panic!("a share was expected")
        };
        assert_eq!((round, update.len(), samples), (Round(1), 6, 2));
        assert!(loss > 0.0);
    }

    #[test]
    fn asked_again_it_says_the_same() {
        let mut worker = worker(0.0);
        worker.step(train(3, 1)).unwrap();
        let first = only_message(worker.step(train(3, 2)).unwrap());
        let second = only_message(worker.step(train(3, 2)).unwrap());
        assert_eq!(first, second);
        // Momentum: the second round is not the first.
        assert_ne!(first, only_message(worker.step(train(3, 3)).unwrap()));
    }

    #[test]
    fn from_its_last_two_states_it_goes_on_as_if_nothing_had_happened() {
        let mut undisturbed = worker(0.0);
        undisturbed.step(train(3, 1)).unwrap();
        let older = undisturbed.state();
        let second = only_message(undisturbed.step(train(3, 2)).unwrap());
        let newer = undisturbed.state();
        let third = only_message(undisturbed.step(train(3, 3)).unwrap());

        let mut restored = worker(0.0);
        restored.restore(&older).unwrap();
        restored.restore(&newer).unwrap();
        assert_eq!(only_message(restored.step(train(3, 2)).unwrap()), second);
        assert_eq!(only_message(restored.step(train(3, 3)).unwrap()), third);
    }

    #[test]
    fn without_the_state_that_a_round_starts_from_it_refuses() {
        let error = worker(0.0).step(train(3, 7)).unwrap_err();
        assert!(error.to_string().contains("no state of round 6"), "{error}");
    }

    #[test]
    fn steps_that_end_in_no_number_are_an_absence_and_are_forgotten() {
        let mut diverging = trainer(3);
        diverging.training.local_steps = 40;
        diverging.training.learning_rate = 1e30;
        diverging.training.weight_decay = 1.0;
        let mut worker = Worker::new(diverging, Faults::none(1));
        let before = worker.state().bytes;
        let message = only_message(worker.step(train(3, 1)).unwrap());
        assert_eq!(message, Message::Absent { round: Round(1) });
        assert_eq!(worker.state().bytes, before);
    }

    #[test]
    fn a_planned_absence_is_announced_and_changes_nothing() {
        let always = Faults { absences: 1.0, ..Faults::none(1) };
        let mut absent = Worker::new(trainer(3), always);
        let before = absent.state().bytes;
        let message = only_message(absent.step(train(3, 1)).unwrap());
        assert_eq!(message, Message::Absent { round: Round(1) });
        assert_eq!(absent.state().bytes, before);
    }
}
