//! The hub: the coordinator's gRPC service. It knows who is who and brings each conversation to
//! the run that it belongs to; what is said there is the business of the run's driver.

mod happening;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_stream::Stream;
use tokio_stream::wrappers::{ReceiverStream, UnboundedReceiverStream};
use tonic::{Code, Request, Response, Status, Streaming};

pub use self::happening::{Happening, Line};
use super::door::{Strangers, Visitor};
use super::mesh::account::Listener;
use super::mesh::supervisor::Addresses;
use super::token::Tokens;
use super::wire::proto::envelope::Body;
use super::wire::proto::federation_server::Federation;
use super::wire::proto::{
    Account, Assignment, AttendRequest, Credential, Directive, Envelope, Hello, Tapped, account,
};
use super::wire::{Assembler, parts};
use super::{Cast, Seat};
use crate::RESULTS_VERSION;
use crate::node::NodeId;
use crate::protocol::Reason;
use crate::vector::Digest;

/// What waits for a driver at most; senders wait for room.
const WAITING_MAX: usize = 64;

/// Rounds of honest messages that may wait for an adversary that reads along.
const TAPPED_ROUNDS_MAX: usize = 4;

/// The most letters of an address.
const ADDRESS_MAX: usize = 260;

/// Directives that may wait for a seat: the directory and the end.
const DIRECTIVES_MAX: usize = 4;

/// The seats that speak for each identity in any run of a sweep.
pub type Seats = BTreeMap<NodeId, BTreeSet<Seat>>;

/// A run that is open for conversations.
#[derive(Debug, Clone)]
struct Open {
    cast: Cast,
    values: usize,
    driver: mpsc::Sender<Happening>,
}

/// Everything that conversations need to find their run.
#[derive(Debug)]
pub struct Hub {
    plan: Digest,
    tokens: Tokens,
    seats: Seats,
    strangers: Arc<Strangers>,
    introduction: Duration,
    lines: AtomicU64,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    open: BTreeMap<String, Open>,
    attending: BTreeMap<Seat, mpsc::UnboundedSender<Result<Assignment, Status>>>,
    addresses: BTreeMap<Seat, String>,
}

impl Hub {
    /// A hub for a sweep with this digest, whose identities have these secrets and sit on these
    /// seats. A conversation begins with a hello, which may take as long as `introduction`.
    pub fn new(
        plan: Digest,
        tokens: Tokens,
        seats: Seats,
        strangers: Arc<Strangers>,
        introduction: Duration,
    ) -> Self {
        let lines = AtomicU64::new(0);
        Hub { plan, tokens, seats, strangers, introduction, lines, book: Mutex::default() }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a run: whoever has a part in it is told, and what they say comes out here.
    pub fn open(&self, run_id: &str, cast: &Cast, values: usize) -> mpsc::Receiver<Happening> {
        let (driver, happenings) = mpsc::channel(WAITING_MAX);
        let mut book = self.book();
        for seat in cast.seats() {
            if let Some(process) = book.attending.get(&seat) {
                let _ = process.send(Ok(assignment(run_id)));
            }
        }
        book.open.insert(run_id.to_owned(), Open { cast: cast.clone(), values, driver });
        happenings
    }

    /// Closes a run.
    pub fn close(&self, run_id: &str) {
        self.book().open.remove(run_id);
    }

    /// Tells every process that the sweep is over, and waits until all have left.
    pub async fn dismiss(&self) {
        let attending = std::mem::take(&mut self.book().attending);
        for process in attending.values() {
            let _ = process.send(Ok(assignment("")));
        }
        for process in attending.values() {
            process.closed().await;
        }
    }

    /// Who a credential proves to be, on which connection.
    fn prove(
        &self,
        credential: Option<&Credential>,
        visitor: Option<&Visitor>,
    ) -> Result<NodeId, Status> {
        let address = visitor.map(|visitor| visitor.address);
        let stranger = |reason: String| {
            self.strangers.count(address, &reason);
            Status::unauthenticated(reason)
        };
        let credential = credential.ok_or_else(|| stranger("no credential".to_owned()))?;
        let node = NodeId(credential.node);
        let token = self.tokens.get(&node);
        if !token.is_some_and(|token| token.matches(&credential.token)) {
            return Err(stranger(format!("wrong secret for node {node}")));
        }
        if let Some(visitor) = visitor {
            visitor.prove(node);
        }
        match self.disagreement(node, credential) {
            Some(reason) => Err(self.turn_away(node, Code::FailedPrecondition, reason)),
            None => Ok(node),
        }
    }

    /// In what a peer differs from the coordinator so that no run of theirs can be the same.
    fn disagreement(&self, node: NodeId, credential: &Credential) -> Option<String> {
        let Credential { results_version, plan, .. } = credential;
        if *results_version != RESULTS_VERSION {
            return Some(format!(
                "node {node} produces results of version {results_version}, the coordinator of \
                 version {RESULTS_VERSION}: install the same byzlab on both"
            ));
        }
        (plan != self.plan.as_bytes()).then(|| {
            let digits = |byte: &u8| format!("{byte:02x}");
            let theirs = plan.iter().take(8).map(digits).collect::<Vec<_>>().concat();
            let ours = &self.plan.to_string()[..16];
            format!(
                "node {node} has another plan than the coordinator (digest {theirs} here, {ours} \
                 there): give both the same config, --set and --seeds, and the same bytes in the \
                 files that it names"
            )
        })
    }

    /// Counts it against an identity that it cannot be let in.
    fn turn_away(&self, node: NodeId, code: Code, reason: String) -> Status {
        self.strangers.turn_away(node, &reason);
        Status::new(code, reason)
    }

    /// The open run of a hello, in which the seat that says it must speak for its node.
    async fn find(&self, hello: &Hello, node: NodeId) -> Result<Open, Status> {
        let open = self.book().open.get(&hello.run_id).cloned();
        let open = open.ok_or_else(|| {
            let reason = format!("run {} is not open", printable(&hello.run_id));
            self.turn_away(node, Code::NotFound, reason)
        })?;
        let seat = seat_of(node, hello.adversary);
        let Some(voice) = open.cast.voices.get(&node) else {
            let reason = format!("node {node} has no part in this run");
            return Err(self.turn_away(node, Code::PermissionDenied, reason));
        };
        if *voice != seat {
            let what = format!("{seat} does not speak for node {node} in this run");
            return Err(open.deny(node, what).await);
        }
        Ok(open)
    }
}

impl Open {
    /// Counts it in the run that a node wants what it may not have.
    async fn deny(&self, node: NodeId, what: String) -> Status {
        let reason = Reason::Denied(what.clone());
        // Where the run has just ended there is nothing to be counted in.
        let _ = self.driver.send(Happening::Denied { node, reason }).await;
        Status::permission_denied(what)
    }
}

fn seat_of(node: NodeId, adversary: bool) -> Seat {
    if adversary { Seat::Adversary } else { Seat::Node(node) }
}

fn assignment(run_id: &str) -> Assignment {
    Assignment { run_id: run_id.to_owned() }
}

/// A stranger's text, fit for a message.
fn printable(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).take(16).collect()
}

/// A service that can be shared by connections and drivers.
#[derive(Debug, Clone)]
pub struct Service(pub Arc<Hub>);

type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Federation for Service {
    type AttendStream = Replies<Assignment>;
    type ConverseStream = Replies<Envelope>;
    type WiretapStream = Replies<Tapped>;
    type ReportStream = Replies<Directive>;

    async fn attend(
        &self,
        request: Request<AttendRequest>,
    ) -> Result<Response<Self::AttendStream>, Status> {
        let visitor = request.extensions().get::<Visitor>().cloned();
        let request = request.into_inner();
        let node = self.0.prove(request.credential.as_ref(), visitor.as_ref())?;
        let seat = seat_of(node, request.adversary);
        if !self.0.seats.get(&node).is_some_and(|seats| seats.contains(&seat)) {
            let reason = format!("{seat} never speaks for node {node} in this experiment");
            return Err(self.0.turn_away(node, Code::PermissionDenied, reason));
        }
        let (sender, assignments) = mpsc::unbounded_channel();
        let mut book = self.0.book();
        for (run_id, open) in &book.open {
            if open.cast.seats().contains(&seat) {
                let _ = sender.send(Ok(assignment(run_id)));
            }
        }
        book.attending.insert(seat, sender);
        book.addresses.insert(seat, request.address.chars().take(ADDRESS_MAX).collect());
        Ok(Response::new(Box::pin(UnboundedReceiverStream::new(assignments))))
    }

    async fn converse(
        &self,
        request: Request<Streaming<Envelope>>,
    ) -> Result<Response<Self::ConverseStream>, Status> {
        let visitor = request.extensions().get::<Visitor>().cloned();
        let mut incoming = request.into_inner();
        let first = timeout(self.0.introduction, incoming.message()).await;
        let hello = match first {
            Ok(Ok(Some(Envelope { body: Some(Body::Hello(hello)) }))) => hello,
            Ok(Err(status)) if !is_senders_fault(&status) => return Err(status),
            _ => {
                let address = visitor.as_ref().map(|visitor| visitor.address);
                self.0.strangers.count(address, "a conversation without a hello");
                return Err(Status::unauthenticated("a conversation begins with a hello"));
            }
        };
        let node = self.0.prove(hello.credential.as_ref(), visitor.as_ref())?;
        let open = self.0.find(&hello, node).await?;
        // The message that it answered, the next one, and the end.
        let (outgoing, replies) = mpsc::channel(2 * parts(open.values) + 1);
        let (hold, held) = watch::channel(());
        let id = self.0.lines.fetch_add(1, Ordering::Relaxed);
        let line = Line { id, process: hello.process, outgoing, hold };
        let gone = |_| Status::not_found("the run has just ended");
        open.driver.send(Happening::Joined { node, line }).await.map_err(gone)?;
        tokio::spawn(listen(node, id, incoming, open, held));
        Ok(Response::new(Box::pin(ReceiverStream::new(replies))))
    }

    async fn report(
        &self,
        request: Request<Streaming<Account>>,
    ) -> Result<Response<Self::ReportStream>, Status> {
        let visitor = request.extensions().get::<Visitor>().cloned();
        let mut incoming = request.into_inner();
        let first = timeout(self.0.introduction, incoming.message()).await;
        let Ok(Ok(Some(Account { body: Some(account::Body::Hello(hello)) }))) = first else {
            let address = visitor.as_ref().map(|visitor| visitor.address);
            self.0.strangers.count(address, "an account without a hello");
            return Err(Status::unauthenticated("an account begins with a hello"));
        };
        let node = self.0.prove(hello.credential.as_ref(), visitor.as_ref())?;
        let open = self.0.find(&hello, node).await?;
        let seat = seat_of(node, hello.adversary);
        let (directives, replies) = mpsc::channel(DIRECTIVES_MAX);
        let line = self.0.lines.fetch_add(1, Ordering::Relaxed);
        let process = hello.process;
        let gone = |_| Status::not_found("the run has just ended");
        let reporting = Happening::Reporting { seat, process, line, directives };
        open.driver.send(reporting).await.map_err(gone)?;
        tokio::spawn(account_of(seat, line, incoming, open));
        Ok(Response::new(Box::pin(ReceiverStream::new(replies))))
    }

    async fn wiretap(
        &self,
        request: Request<Hello>,
    ) -> Result<Response<Self::WiretapStream>, Status> {
        let visitor = request.extensions().get::<Visitor>().cloned();
        let hello = request.into_inner();
        let node = self.0.prove(hello.credential.as_ref(), visitor.as_ref())?;
        let open = self.0.find(&hello, node).await?;
        if !open.cast.tapped || open.cast.voices.get(&node) != Some(&Seat::Adversary) {
            let what = format!("node {node} has no wiretap in the plan of this run");
            return Err(open.deny(node, what).await);
        }
        let round = open.cast.honest.len() * parts(open.values);
        let (outgoing, tapped) = mpsc::channel((TAPPED_ROUNDS_MAX * round).max(1));
        let gone = |_| Status::not_found("the run has just ended");
        open.driver.send(Happening::Tapping { outgoing }).await.map_err(gone)?;
        Ok(Response::new(Box::pin(ReceiverStream::new(tapped))))
    }
}

/// Takes in what one seat tells until it has nothing more to tell.
async fn account_of(seat: Seat, line: u64, mut incoming: Streaming<Account>, open: Open) {
    let mut listener = Listener::new(open.values);
    while let Ok(Some(account)) = incoming.message().await {
        match listener.take(account) {
            Ok(None) => {}
            Ok(Some(tale)) => {
                if open.driver.send(Happening::Told { seat, line, tale }).await.is_err() {
                    return;
                }
            }
            Err(status) => {
                tracing::warn!("{seat}: {}", status.message());
                break;
            }
        }
    }
    let _ = open.driver.send(Happening::Hushed { seat, line }).await;
}

impl Addresses for Hub {
    fn address(&self, seat: Seat) -> Option<String> {
        self.book().addresses.get(&seat).cloned()
    }
}

/// Takes in what one node says until it leaves or is shown out.
async fn listen(
    node: NodeId,
    line: u64,
    mut incoming: Streaming<Envelope>,
    open: Open,
    mut held: watch::Receiver<()>,
) {
    let mut assembler = Assembler::new(open.values);
    loop {
        let envelope = tokio::select! {
            envelope = incoming.message() => envelope,
            // The driver has dropped the other end: it has no more time for this node.
            _ = held.changed() => return,
        };
        let happening = match envelope {
            Ok(Some(envelope)) => match assembler.take(envelope) {
                Ok(None) => continue,
                Ok(Some(message)) => Happening::Said { node, line, message },
                Err(reason) => Happening::Garbled { node, line, reason },
            },
            Ok(None) => Happening::Left { node, line },
            Err(status) => {
                // A broken connection says nothing about who broke it; bytes that do not decode,
                // or that are too many for one message, are the sender's own.
                if is_senders_fault(&status) {
                    let reason = Reason::Malformed(status.message().to_owned());
                    let _ = open.driver.send(Happening::Garbled { node, line, reason }).await;
                }
                Happening::Left { node, line }
            }
        };
        let over = matches!(happening, Happening::Left { .. });
        if open.driver.send(happening).await.is_err() || over {
            return;
        }
    }
}

fn is_senders_fault(status: &Status) -> bool {
    matches!(status.code(), Code::Internal | Code::OutOfRange | Code::ResourceExhausted)
        && std::error::Error::source(status).is_none()
}
