//! What a hub passes on to the driver of a run.

use tokio::sync::{mpsc, watch};
use tonic::Status;

use crate::node::NodeId;
use crate::protocol::{Message, Reason};
use crate::runtime::Seat;
use crate::runtime::mesh::account::Tale;
use crate::runtime::mesh::supervisor::Directives;
use crate::runtime::wire::proto::{Envelope, Tapped};

/// What happens on the lines of one run.
#[derive(Debug)]
pub enum Happening {
    /// Somebody speaks for a node from now on.
    Joined {
        /// The node.
        node: NodeId,
        /// The connection.
        line: Line,
    },
    /// A whole message came.
    Said {
        /// Who said it.
        node: NodeId,
        /// On which connection.
        line: u64,
        /// What it says.
        message: Message,
    },
    /// Something came that is no message.
    Garbled {
        /// Who sent it.
        node: NodeId,
        /// On which connection.
        line: u64,
        /// What was wrong.
        reason: Reason,
    },
    /// Somebody asked for what is not its part.
    Denied {
        /// Who asked.
        node: NodeId,
        /// For what.
        reason: Reason,
    },
    /// A connection broke.
    Left {
        /// Who spoke on it.
        node: NodeId,
        /// Which connection.
        line: u64,
    },
    /// A seat of a run without a coordinator is ready, and tells from now on what it does.
    Reporting {
        /// The seat.
        seat: Seat,
        /// Its process.
        process: u32,
        /// On which connection.
        line: u64,
        /// Where its directives go.
        directives: Directives,
    },
    /// A seat has told something.
    Told {
        /// The seat.
        seat: Seat,
        /// On which connection.
        line: u64,
        /// What it tells.
        tale: Tale,
    },
    /// A seat tells nothing any more.
    Hushed {
        /// The seat.
        seat: Seat,
        /// On which connection.
        line: u64,
    },
    /// The adversary reads along from now on.
    Tapping {
        /// Where it reads.
        outgoing: mpsc::Sender<Result<Tapped, Status>>,
    },
}

/// A connection on which one node speaks in one run.
#[derive(Debug)]
pub struct Line {
    /// Tells it from earlier ones of the same node.
    pub id: u64,
    /// The process at the other end.
    pub process: u32,
    /// What goes to the node. It has room for what an answering node has not read yet; one for
    /// which there is no room answers without reading.
    pub outgoing: mpsc::Sender<Result<Envelope, Status>>,
    /// Dropped to close the connection.
    pub hold: watch::Sender<()>,
}
