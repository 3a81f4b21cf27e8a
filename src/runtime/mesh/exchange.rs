//! The exchange: where a process listens for its neighbours.
//!
//! Who comes must name a line that the coordinator has told of, with its secret. What is said on
//! the line then belongs to its sender, whoever relays it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use crate::node::NodeId;
use crate::protocol::{Event, Reason};
use crate::runtime::RunError;
use crate::runtime::door::{Door, INTRODUCTION, Strangers, Visitor};
use crate::runtime::participant::{CONNECTION_WINDOW, STREAM_WINDOW};
use crate::runtime::wire::proto::envelope::Body;
use crate::runtime::wire::proto::exchange_server::{Exchange, ExchangeServer};
use crate::runtime::wire::proto::{Envelope, Introduction, Welcome};
use crate::runtime::wire::{Assembler, ENVELOPE_MAX};

/// How long a neighbour that was told of a run earlier waits for this process to hear of it.
const PATIENCE: Duration = Duration::from_secs(30);

/// How often the system asks whether a neighbour that says nothing is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// How many lines one neighbour may have to this process at a time, in all runs that are open.
const LINES_MAX: usize = 1024;

/// What comes in on a line.
#[derive(Debug)]
pub enum Heard {
    /// An event for the seat's machine.
    Event(Event),
    /// A line has ended, and its sender says nothing more.
    Ended {
        /// Who spoke on it.
        from: NodeId,
    },
}

/// A line that may be opened to this process.
#[derive(Debug, Clone)]
pub struct Expected {
    /// What the sender must know.
    pub secret: Vec<u8>,
    /// Whether it is the adversary's wiretap.
    pub tap: bool,
}

/// The lines of one run, by sender and receiver; a wiretap has its own.
pub type Expectations = BTreeMap<(NodeId, NodeId, bool), Expected>;

/// A run that lines can be opened in.
#[derive(Debug, Clone)]
struct Open {
    expected: Arc<Expectations>,
    values: usize,
    events: mpsc::Sender<Heard>,
}

/// All runs that lines can be opened in.
#[derive(Debug)]
pub struct Switchboard {
    runs: Mutex<BTreeMap<String, Open>>,
    changed: watch::Sender<u64>,
    strangers: Arc<Strangers>,
}

impl Switchboard {
    fn runs(&self) -> MutexGuard<'_, BTreeMap<String, Open>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets neighbours speak in a run from now on.
    pub fn open(
        &self,
        run_id: &str,
        expected: Expectations,
        values: usize,
        events: mpsc::Sender<Heard>,
    ) {
        let open = Open { expected: Arc::new(expected), values, events };
        self.runs().insert(run_id.to_owned(), open);
        self.changed.send_modify(|count| *count += 1);
    }

    /// Ends a run.
    pub fn close(&self, run_id: &str) {
        self.runs().remove(run_id);
    }

    /// The run of an introduction, once this process has heard of it.
    async fn find(&self, introduction: &Introduction) -> Option<(Open, bool)> {
        let mut changed = self.changed.subscribe();
        let search = async {
            loop {
                let open = self.runs().get(&introduction.run_id).cloned();
                if let Some(open) = open {
                    return Some(open);
                }
                if changed.changed().await.is_err() {
                    return None;
                }
            }
        };
        let open = timeout(PATIENCE, search).await.ok().flatten()?;
        let (from, to) = (NodeId(introduction.from), NodeId(introduction.to));
        let expected = open.expected.get(&(from, to, introduction.tap))?;
        // Compared as digests, so that the time it takes tells nothing about the secret.
        let right = blake3::hash(&expected.secret) == blake3::hash(&introduction.secret);
        let tap = expected.tap;
        right.then_some((open, tap))
    }
}

/// Listens for neighbours, and says where.
pub async fn listen() -> Result<(Arc<Switchboard>, SocketAddr), RunError> {
    let failed =
        |error: std::io::Error| RunError::Network(format!("cannot listen for neighbours: {error}"));
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let strangers = Arc::new(Strangers::default());
    let (changed, _) = watch::channel(0);
    let switchboard =
        Switchboard { runs: Mutex::default(), changed, strangers: Arc::clone(&strangers) };
    let switchboard = Arc::new(switchboard);
    let door =
        Door::new(listener, strangers, PATIENCE.max(INTRODUCTION)).with_connections(LINES_MAX);
    let service = ExchangeServer::new(Service(Arc::clone(&switchboard)))
        .max_decoding_message_size(ENVELOPE_MAX);
    tokio::spawn(async move {
        let serving = Server::builder()
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_concurrent_streams(64)
            .http2_keepalive_interval(Some(KEEP_ALIVE))
            .http2_keepalive_timeout(Some(KEEP_ALIVE))
            .add_service(service)
            .serve_with_incoming(door);
        if let Err(error) = serving.await {
            tracing::error!("neighbours cannot be served: {error}");
        }
    });
    Ok((switchboard, address))
}

/// The service that neighbours call.
#[derive(Debug)]
struct Service(Arc<Switchboard>);

#[tonic::async_trait]
impl Exchange for Service {
    type DeliverStream = ReceiverStream<Result<Welcome, Status>>;

    async fn deliver(
        &self,
        request: Request<Streaming<Envelope>>,
    ) -> Result<Response<Self::DeliverStream>, Status> {
        let visitor = request.extensions().get::<Visitor>().cloned();
        let mut incoming = request.into_inner();
        let first = timeout(INTRODUCTION, incoming.message()).await;
        let Ok(Ok(Some(Envelope { body: Some(Body::Introduction(introduction)) }))) = first else {
            return Err(self.stranger(visitor.as_ref(), "a line without an introduction"));
        };
        let Some((open, tap)) = self.0.find(&introduction).await else {
            return Err(self.stranger(visitor.as_ref(), "a line that nobody has told of"));
        };
        let (from, to) = (NodeId(introduction.from), NodeId(introduction.to));
        if let Some(visitor) = visitor {
            visitor.prove(from);
        }
        let (answers, replies) = mpsc::channel(1);
        let _ = answers.try_send(Ok(Welcome {}));
        tokio::spawn(async move {
            hear(incoming, from, to, tap, &open).await;
            drop(answers);
        });
        Ok(Response::new(ReceiverStream::new(replies)))
    }
}

/// Takes in what is said on a line until it ends, or the run does.
async fn hear(mut incoming: Streaming<Envelope>, from: NodeId, to: NodeId, tap: bool, open: &Open) {
    let mut assembler = Assembler::new(open.values);
    loop {
        let event = match incoming.message().await {
            Ok(Some(envelope)) => match assembler.take(envelope) {
                Ok(None) => continue,
                Ok(Some(message)) if tap => Event::Tapped { from, message },
                Ok(Some(message)) => Event::Received { from, to, message },
                Err(_) if tap => continue,
                Err(reason) => Event::Garbled { from, reason },
            },
            Err(status) if is_senders_fault(&status) && !tap => {
                let reason = Reason::Malformed(status.message().to_owned());
                let _ = open.events.send(Heard::Event(Event::Garbled { from, reason })).await;
                break;
            }
            Ok(None) | Err(_) => break,
        };
        if open.events.send(Heard::Event(event)).await.is_err() {
            return;
        }
    }
    let _ = open.events.send(Heard::Ended { from }).await;
}

impl Service {
    fn stranger(&self, visitor: Option<&Visitor>, reason: &str) -> Status {
        self.0.strangers.count(visitor.map(|visitor| visitor.address), reason);
        Status::unauthenticated(reason.to_owned())
    }
}

fn is_senders_fault(status: &Status) -> bool {
    use tonic::Code;
    matches!(status.code(), Code::Internal | Code::OutOfRange | Code::ResourceExhausted)
        && std::error::Error::source(status).is_none()
}
