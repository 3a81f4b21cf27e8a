//! The protocol: every participant is a state machine, `step(event) -> actions`.
//!
//! A machine has no clock, no socket and no randomness of its own; time, messages and streams
//! are handed in. So the same machines run in one process and as processes of their own, and
//! both give the same bits. Honest machines hold no attack code: the adversary is a machine of
//! its own, which speaks for the identities it holds.
//!
//! What both runtimes promise each other is listed in [`crate::runtime`].

pub mod admission;
pub mod adversary;
pub mod aggregation;
pub mod agreement;
pub mod bridge;
pub mod collection;
pub mod consensus;
pub mod early;
pub mod echo;
pub mod fault;
pub mod follower;
pub mod forger;
pub mod history;
mod lent;
pub mod machine;
pub mod meetings;
pub mod member;
pub mod mesh_adversary;
pub mod message;
pub mod participation;
pub mod peer;
pub mod record;
pub mod region;
pub mod replica;
pub mod server;
pub mod turncoat;
pub mod worker;

pub use admission::{Reason, Refusal};
pub use machine::{Action, Event, Machine, MachineState, ProtocolError, Timer};
pub use message::{Claims, Message};
pub use record::{Outcome, Own, RoundRecord, SenderRecord};
