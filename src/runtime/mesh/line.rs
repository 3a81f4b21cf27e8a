//! A line from one node to another: what is said on it arrives in order, or the line ends.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::{Channel, Endpoint};

use super::exchange::Heard;
use crate::node::NodeId;
use crate::protocol::Message;
use crate::runtime::participant::{CONNECTION_WINDOW, STREAM_WINDOW};
use crate::runtime::wire::envelopes;
use crate::runtime::wire::proto::envelope::Body;
use crate::runtime::wire::proto::exchange_client::ExchangeClient;
use crate::runtime::wire::proto::{Envelope, Introduction};

/// How long a neighbour is tried to be reached.
const REACHING: Duration = Duration::from_secs(10);

/// Between two tries.
const RETRY: Duration = Duration::from_millis(50);

/// The speaker's end of a line. Dropped, it ends the line.
#[derive(Debug)]
pub struct Line {
    outgoing: mpsc::UnboundedSender<Envelope>,
}

impl Line {
    /// Opens a line to whoever listens at `address`.
    ///
    /// If nobody can be reached there, or the line breaks, `events` hears that `to` has ended.
    pub fn open(
        address: String,
        introduction: Introduction,
        to: NodeId,
        events: mpsc::Sender<Heard>,
    ) -> Self {
        let (outgoing, said) = mpsc::unbounded_channel();
        let _ = outgoing.send(Envelope { body: Some(Body::Introduction(introduction)) });
        tokio::spawn(async move {
            let Some(channel) = reach(&address).await else {
                tracing::warn!("nobody answers at {address} for node {to}");
                let _ = events.send(Heard::Ended { from: to }).await;
                return;
            };
            let said = UnboundedReceiverStream::new(said);
            if let Err(status) = ExchangeClient::new(channel).deliver(said).await {
                tracing::debug!("the line to node {to} broke: {}", status.message());
                let _ = events.send(Heard::Ended { from: to }).await;
            }
        });
        Line { outgoing }
    }

    /// Says something. A line whose other end is gone swallows it.
    pub fn say(&self, message: &Message) {
        for envelope in envelopes(message) {
            let _ = self.outgoing.send(envelope);
        }
    }
}

async fn reach(address: &str) -> Option<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .ok()?
        .tcp_nodelay(true)
        .connect_timeout(Duration::from_secs(2))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let deadline = Instant::now() + REACHING;
    while Instant::now() < deadline {
        if let Ok(channel) = endpoint.connect().await {
            return Some(channel);
        }
        sleep(RETRY).await;
    }
    None
}
