//! A line from one node to another: what is said on it arrives in order, or the line ends.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use super::exchange::Heard;
use crate::node::NodeId;
use crate::protocol::Message;
use crate::runtime::participant::{CONNECTION_WINDOW, STREAM_WINDOW};
use crate::runtime::wire::envelopes;
use crate::runtime::wire::proto::envelope::Body;
use crate::runtime::wire::proto::exchange_client::ExchangeClient;
use crate::runtime::wire::proto::{Envelope, Introduction, Welcome};

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
        tokio::spawn(async move {
            if let Err(status) = speak(&address, introduction, said).await {
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

/// Introduces the speaker, and once it is welcome passes on what it says. Who has not heard of the
/// run yet hears no more than the introduction from somebody it cannot know.
async fn speak(
    address: &str,
    introduction: Introduction,
    mut said: mpsc::UnboundedReceiver<Envelope>,
) -> Result<(), Status> {
    let channel = reach(address).await.ok_or_else(|| {
        tracing::warn!("nobody answers at {address} for node {}", introduction.to);
        Status::unavailable("nobody answers")
    })?;
    let (words, outgoing) = mpsc::unbounded_channel();
    let _ = words.send(Envelope { body: Some(Body::Introduction(introduction)) });
    let mut client = ExchangeClient::new(channel);
    let mut answers = client.deliver(UnboundedReceiverStream::new(outgoing)).await?.into_inner();
    let Some(Welcome {}) = answers.message().await? else { return Ok(()) };
    loop {
        tokio::select! {
            word = said.recv() => match word {
                Some(word) => drop(words.send(word)),
                None => break,
            },
            end = answers.message() => return end.map(drop),
        }
    }
    drop(words);
    answers.message().await.map(drop)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ndarray::Array1;

    use super::*;
    use crate::node::Round;
    use crate::protocol::Event;
    use crate::runtime::mesh::exchange::{Expectations, Expected, listen};

    const VALUES: usize = 50_000;

    /// Words of 200 kB each, far more than anybody may say who is not known.
    fn word(round: u32) -> Message {
        let update = Arc::new(Array1::from_elem(VALUES, round as f32));
        Message::Share { round: Round(round), update, loss: 0.0, samples: 1 }
    }

    #[tokio::test]
    async fn whoever_hears_late_of_a_run_hears_everything() {
        let (switchboard, address) = listen().await.unwrap();
        let (from, to, secret) = (NodeId(1), NodeId(2), vec![7; 32]);
        let introduction = Introduction {
            run_id: "run".to_owned(),
            from: from.0,
            to: to.0,
            secret: secret.clone(),
            tap: false,
        };
        let (events, mut own) = mpsc::channel(8);
        let line = Line::open(address.to_string(), introduction, to, events);
        for round in 1..=20 {
            line.say(&word(round));
        }
        drop(line);
        sleep(Duration::from_millis(200)).await;
        let expected = Expectations::from([((from, to, false), Expected { secret, tap: false })]);
        let (events, mut heard) = mpsc::channel(8);
        switchboard.open("run", expected, VALUES, events);
        for round in 1..=20 {
            match heard.recv().await {
                Some(Heard::Event(Event::Received { message, .. })) => {
                    assert_eq!(message, word(round));
                }
                other => panic!("word {round} was expected, not {other:?}"),
            }
        }
        assert!(matches!(heard.recv().await, Some(Heard::Ended { from: NodeId(1) })));
        switchboard.close("run");
        assert!(own.recv().await.is_none(), "nothing broke");
    }
}
