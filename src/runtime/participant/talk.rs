//! The lines of one seat in one run: what is said on them and what is heard.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tonic::{Code, Status, Streaming};

use crate::node::NodeId;
use crate::protocol::{Action, Event, Reason};
use crate::runtime::wire::proto::envelope::Body;
use crate::runtime::wire::proto::{Envelope, Tapped};
use crate::runtime::wire::{Assembler, envelopes};

/// The open conversations of one seat in one run.
pub(super) struct Talk {
    pub(super) heard: mpsc::Receiver<Heard>,
    pub(super) outgoing: BTreeMap<NodeId, mpsc::UnboundedSender<Envelope>>,
    pub(super) listeners: Vec<JoinHandle<()>>,
}

impl Talk {
    /// Sends what a machine wants sent.
    pub(super) fn say(&self, actions: Vec<Action>) {
        for action in actions {
            if let Action::Send { from, message, .. } = action {
                let Some(line) = self.outgoing.get(&from) else { continue };
                for envelope in envelopes(&message) {
                    // A broken line is reported by the half that listens.
                    let _ = line.send(envelope);
                }
            }
        }
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        self.listeners.iter().for_each(JoinHandle::abort);
    }
}

/// What comes in on any of a seat's lines.
pub(super) enum Heard {
    Event(Event),
    Finished,
    ShownOut { identity: NodeId, reason: String },
    Broken(Status),
}

/// Listens to what the server sends one identity.
pub(super) async fn hear(
    identity: NodeId,
    mut incoming: Streaming<Envelope>,
    values: usize,
    events: mpsc::Sender<Heard>,
) {
    let mut assembler = Assembler::new(values);
    loop {
        let heard = match incoming.message().await {
            Ok(Some(Envelope { body: Some(Body::Finished(_)) })) => Heard::Finished,
            Ok(Some(envelope)) => match assembler.take(envelope) {
                Ok(None) => continue,
                Ok(Some(message)) => {
                    Heard::Event(Event::Received { from: SERVER, to: identity, message })
                }
                Err(reason) => Heard::Broken(nonsense(&reason)),
            },
            Ok(None) => Heard::Broken(Status::unavailable("the coordinator hung up")),
            Err(status) if status.code() == Code::Aborted => {
                Heard::ShownOut { identity, reason: status.message().to_owned() }
            }
            Err(status) => Heard::Broken(status),
        };
        let last = !matches!(heard, Heard::Event(_));
        if events.send(heard).await.is_err() || last {
            return;
        }
    }
}

/// Who a server is to a participant: it answers on the line that it was asked on.
const SERVER: NodeId = NodeId(u32::MAX);

/// Listens to the wiretap.
pub(super) async fn hear_taps(
    mut incoming: Streaming<Tapped>,
    values: usize,
    events: mpsc::Sender<Heard>,
) {
    let mut assemblers: BTreeMap<u32, Assembler> = BTreeMap::new();
    loop {
        let heard = match incoming.message().await {
            Ok(Some(tapped)) => {
                let assembler =
                    assemblers.entry(tapped.from).or_insert_with(|| Assembler::new(values));
                match assembler.take(tapped.envelope.unwrap_or_default()) {
                    Ok(None) => continue,
                    Ok(Some(message)) => {
                        Heard::Event(Event::Tapped { from: NodeId(tapped.from), message })
                    }
                    Err(reason) => Heard::Broken(nonsense(&reason)),
                }
            }
            // The end of the wiretap is the end of the run, which the other lines tell as well.
            Ok(None) => return,
            Err(status) => Heard::Broken(status),
        };
        let last = !matches!(heard, Heard::Event(_));
        if events.send(heard).await.is_err() || last {
            return;
        }
    }
}

fn nonsense(reason: &Reason) -> Status {
    Status::invalid_argument(format!("the coordinator sent nonsense: {reason}"))
}
