//! What a participant is: a machine that turns events into actions.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::worker::Pupil;
use super::{Message, Reason, Refusal, RoundRecord};
use crate::attacks::AttackError;
use crate::node::{NodeId, Round};
use crate::training::Begun;
use crate::vector::Shared;

/// Something that happens to a machine.
#[derive(Debug, Clone)]
pub enum Event {
    /// The run begins, or goes on after [`Machine::restore`] or on new connections: what was
    /// asked and not answered is asked again.
    Start,
    /// A message arrives. `to` tells a machine that speaks for several identities which is meant.
    Received {
        /// Who sent it; the runtime vouches for that.
        from: NodeId,
        /// Who it is for.
        to: NodeId,
        /// What it says.
        message: Message,
    },
    /// The wiretap shows what an honest node has sent.
    Tapped {
        /// Who sent it.
        from: NodeId,
        /// What it says.
        message: Message,
    },
    /// What a node sent could not be made a message of, or not of the run's. Its turn in the
    /// round is over if the reason says so.
    Garbled {
        /// Who sent it.
        from: NodeId,
        /// What was wrong with it.
        reason: Reason,
    },
    /// The runtime has given up on a node: it is absent from now on.
    Lost {
        /// The node that stays away.
        node: NodeId,
    },
    /// The round that the machine has recorded is kept: it may begin the next one. Only machines
    /// of a system without a coordinator are told.
    Proceed,
    /// A time that the machine asked for is over.
    Expired {
        /// Which one.
        timer: Timer,
    },
}

/// A time that a machine waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer {
    /// Whose it is.
    pub node: NodeId,
    /// The round that it was set in.
    pub round: Round,
    /// Tells it from others of that round.
    pub name: u64,
}

/// Something that a machine wants done.
#[derive(Debug, Clone)]
pub enum Action {
    /// Deliver a message.
    Send {
        /// The identity that speaks.
        from: NodeId,
        /// The one it speaks to.
        to: NodeId,
        /// What it says.
        message: Message,
    },
    /// Count what was refused, against its sender.
    Refuse(Refusal),
    /// Keep what a round came to.
    Record(RoundRecord),
    /// Say when this time is over.
    Wait {
        /// Which time.
        timer: Timer,
        /// How long, in milliseconds; virtual ones in a simulation.
        milliseconds: u64,
    },
    /// The run is over.
    Finish,
}

/// A participant: server, worker, adversary.
pub trait Machine: Send {
    /// Takes in one event and says what is to be done, in this order.
    fn step(&mut self, event: Event) -> Result<Vec<Action>, ProtocolError>;

    /// Whom it waits for: those who would be lost if they stayed silent.
    fn awaits(&self) -> Vec<NodeId> {
        Vec::new()
    }

    /// The last round of which everything is said that this machine has to say.
    fn closed(&self) -> Round {
        self.state().round
    }

    /// Who is going to train in answer to this event, if a runtime that has several such machines
    /// may [begin](crate::training::begin_together) their rounds together.
    fn pupil(&self, event: &Event) -> Option<Pupil<'_>> {
        let _ = event;
        None
    }

    /// Takes the beginning of its round from that model, to go on from when the event comes.
    fn begin(&mut self, round: Round, model: &Shared, begun: Begun) {
        let _ = (round, model, begun);
    }

    /// What the machine must know to go on after the last round it has finished.
    fn state(&self) -> MachineState;

    /// Takes a state back. A machine is given its last two states, the older one first, so that
    /// it can repeat the last round if it is asked to.
    fn restore(&mut self, state: &MachineState) -> Result<(), ProtocolError>;
}

/// A machine's state between two rounds, as bytes for a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineState {
    /// The last round that is finished in it.
    pub round: Round,
    /// The encoded state.
    pub bytes: Vec<u8>,
}

impl MachineState {
    /// Encodes a state.
    pub fn encode<S: Serialize>(round: Round, state: &S) -> Self {
        let bytes = postcard::to_allocvec(state).expect("plain data encodes");
        MachineState { round, bytes }
    }

    /// Decodes a state that this version wrote.
    pub fn decode<S: DeserializeOwned>(&self) -> Result<S, ProtocolError> {
        postcard::from_bytes(&self.bytes).map_err(|error| ProtocolError::State {
            message: format!("state of round {} does not decode: {error}", self.round),
        })
    }
}

impl ProtocolError {
    /// The error of a machine that was handed what it can never be sent.
    pub fn unexpected(machine: &'static str, event: &Event) -> Self {
        let event = format!("{event:?}").chars().take(120).collect();
        ProtocolError::Unexpected { machine, event }
    }
}

/// Why a machine cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// An event that this machine can never be sent.
    #[error("{machine} was sent what it does not understand: {event}")]
    Unexpected {
        /// The kind of machine.
        machine: &'static str,
        /// What came.
        event: String,
    },
    /// A checkpoint is missing or cannot be used.
    #[error("{message}")]
    State {
        /// What is wrong with it.
        message: String,
    },
    /// The attack could not be crafted.
    #[error("round {round}: {error}")]
    Attack {
        /// The round.
        round: Round,
        /// Why.
        error: AttackError,
    },
}
