//! Runtimes: the only users of clock, threads, sockets and files.
//!
//! Two runtimes drive the same machines. [`local`] steps them in one process; [`coordinator`] and
//! [`participant`] are the two ends of the `processes` runtime, in which every machine is an
//! operating-system process of its own that talks gRPC. Both give the same bits:
//!
//! 1. Rows are stacked by node, never by arrival.
//! 2. A round closes on content: every identity of the roster has shared or is absent. A deadline
//!    exists for real trouble; it marks the record `timed_out`, and then nothing is promised.
//! 3. There is no shared random stream (see [`crate::seed`]).
//! 4. Vectors cross the wire as raw little-endian `f32` bytes.
//! 5. A worker's job is one pure function, called by both runtimes; its state is data.
//! 6. Silence is a message, on the wire and on the wiretap.
//! 7. The first message of a sender in a round wins; what else comes is refused and counted.
//! 8. Reductions run in fixed order, so the number of threads does not matter.
//! 9. Bytes are the lengths of encoded messages, in both runtimes, and each is counted once
//!    however often a broken connection made it travel.
//!
//! Matrix products choose their kernel by processor, so all of this holds per processor type;
//! the run's manifest records which it was.
#![allow(
    clippy::disallowed_methods,
    reason = "this is the layer that owns clock, threads, sockets and files"
)]

mod ahead;
pub mod archive;
pub mod checkpoint;
pub mod coordinator;
pub mod door;
pub mod fetch;
pub mod files;
pub mod heap;
pub mod hub;
pub mod local;
pub mod lockstep;
pub mod mesh;
pub mod npy;
pub mod office;
pub mod participant;
pub mod process;
pub mod signal;
pub mod token;
pub mod wire;
pub mod wiretap;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;

use crate::node::{NodeId, Round};
use crate::protocol::{Machine, MachineState, Message, ProtocolError, Refusal, RoundRecord};

/// Where a machine sits: most speak for one node, the colluders' adversary for several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Seat {
    /// The machine of one node.
    Node(NodeId),
    /// The machine that speaks for all colluding identities.
    Adversary,
}

impl fmt::Display for Seat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Seat::Node(node) => write!(formatter, "node-{node}"),
            Seat::Adversary => write!(formatter, "adversary"),
        }
    }
}

/// Who sits where in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cast {
    /// The seat that speaks for each node.
    pub voices: BTreeMap<NodeId, Seat>,
    /// The honest identities.
    pub honest: BTreeSet<NodeId>,
    /// Whether the adversary is shown what the honest send.
    pub tapped: bool,
    /// The nodes that stop by plan.
    pub down: BTreeSet<NodeId>,
}

impl Cast {
    /// All seats, in order.
    pub fn seats(&self) -> BTreeSet<Seat> {
        self.voices.values().copied().collect()
    }

    /// The identities that a seat speaks for, ascending.
    pub fn identities(&self, seat: Seat) -> Vec<NodeId> {
        let held = self.voices.iter().filter(|(_, voice)| **voice == seat);
        held.map(|(node, _)| *node).collect()
    }
}

/// Machines by seat.
pub type Machines = BTreeMap<Seat, Box<dyn Machine>>;

/// States by seat, for a checkpoint.
pub type States = BTreeMap<Seat, MachineState>;

/// Watches a run and keeps what it comes to.
pub trait Observer {
    /// A message is part of the run, with the length of its encoding. A repeated call for the
    /// same sender, receiver and round is a retransmission.
    fn sent(&mut self, from: NodeId, to: NodeId, message: &Message, bytes: u64);

    /// A message was refused.
    fn refused(&mut self, refusal: &Refusal) -> Result<(), RunError>;

    /// A round was closed; says what is to be done next.
    fn closed(&mut self, record: &RoundRecord) -> Result<Next, RunError>;

    /// Keeps the states after `round`, so that the run can go on from there.
    fn checkpoint(&mut self, round: Round, states: &States) -> Result<(), RunError>;

    /// Something happened that is no part of the protocol: a process joined, left, was lost.
    fn noticed(&mut self, notice: Notice) -> Result<(), RunError>;
}

/// What a driver does after a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Go on.
    Continue,
    /// Keep a checkpoint and go on.
    Checkpoint,
    /// Keep a checkpoint and stop.
    Stop,
}

/// What happens around the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A process speaks for a node from now on.
    Joined {
        /// The node.
        node: NodeId,
        /// The process.
        process: u32,
    },
    /// The connection of a node broke.
    Left {
        /// The node.
        node: NodeId,
    },
    /// A node stayed away longer than the runtime's patience.
    Lost {
        /// The node.
        node: NodeId,
    },
}

/// Why a run ended before its last round.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It was asked to stop; the same command goes on from here.
    #[error("interrupted; the same command resumes")]
    Interrupted,
    /// A machine could not go on.
    #[error("{seat}: {error}")]
    Machine {
        /// Where the machine sits.
        seat: Seat,
        /// Why it stopped.
        error: ProtocolError,
    },
    /// No machine has anything to do and the run is not over: a fault of the protocol.
    #[error("the run stalled in round {round}: nobody has anything to do")]
    Stalled {
        /// The open round.
        round: Round,
    },
    /// A file could not be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which file.
        path: String,
        /// What the system said.
        error: io::Error,
    },
    /// Somebody else is writing the run.
    #[error("{0}: another process is writing this run; wait for it, or give --out another folder")]
    Busy(String),
    /// The network or another process failed.
    #[error("{0}")]
    Network(String),
}

impl RunError {
    /// An error about one file.
    pub fn file(path: impl AsRef<std::path::Path>, error: io::Error) -> Self {
        RunError::File { path: path.as_ref().display().to_string(), error }
    }
}

/// What the processor can do, as far as it chooses kernels: results are promised to be the same
/// to the last bit on processors that agree in this.
pub fn cpu_features() -> Vec<&'static str> {
    let mut features = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx2") {
            features.push("avx2");
        }
        if std::arch::is_x86_feature_detected!("fma") {
            features.push("fma");
        }
        if std::arch::is_x86_feature_detected!("avx512f") {
            features.push("avx512f");
        }
    }
    features
}

/// Seconds since 1970, for manifests.
pub fn unix_seconds() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |elapsed| elapsed.as_secs())
}

/// How many threads are worth having.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
