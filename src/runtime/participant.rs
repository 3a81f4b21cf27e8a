//! The other end of a conversation: a process that speaks for a worker, or for the adversary.
//!
//! It attends, is told which runs begin, and plays its seat in each: it builds the seat's machine
//! from its own plan and its own data, takes up the state that it kept, and talks. The
//! coordinator sends it models and nothing else; what to run, the process knows by itself.

mod apart;
mod broken;
mod lifeline;
mod talk;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, mpsc};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::sleep;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::transport::{Channel, Endpoint};

use self::broken::{Broken, abort, broken, root};
pub use self::lifeline::attend;
use self::talk::{Heard, Talk, hear, hear_taps};
use super::mesh::exchange::{self, Switchboard};
use super::mesh::session::Judging;
use super::token::Tokens;
use super::wire::proto::envelope::Body;
use super::wire::proto::federation_client::FederationClient;
use super::wire::proto::{AttendRequest, Credential, Envelope, Hello};
use super::{RunError, Seat, checkpoint};
use crate::RESULTS_VERSION;
use crate::node::NodeId;
use crate::protocol::{Action, Event, Machine, MachineState};
use crate::vector::Digest;

/// How long a first connection is tried for.
pub const FIRST_CONNECTION: Duration = Duration::from_secs(5);

/// Between two tries to connect.
const RETRY: Duration = Duration::from_millis(100);

/// HTTP/2 windows: a model of a hundred thousand parameters crosses without a pause, and a
/// hostile peer cannot make anybody hold more than this.
pub const STREAM_WINDOW: u32 = 1 << 20;

/// The window of a whole connection.
pub const CONNECTION_WINDOW: u32 = 2 << 20;

/// One run in which a seat has a part.
pub struct Part {
    /// The seat's machine, not yet restored.
    pub machine: Box<dyn Machine>,
    /// Whom it talks as, and about what.
    pub lines: Lines,
    /// Where its states are kept.
    pub checkpoint: PathBuf,
}

/// The lines that a seat needs in a run.
#[derive(Debug, Clone)]
pub struct Lines {
    /// The identities that the seat speaks for, ascending.
    pub identities: Vec<NodeId>,
    /// How many values a model has.
    pub values: usize,
    /// Whether the seat reads what the honest send.
    pub tapped: bool,
    /// Where the run has no coordinator: after which rounds models are judged.
    pub apart: Option<Judging>,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Part").field("lines", &self.lines).finish_non_exhaustive()
    }
}

/// Makes a seat's part in a run: from the plan, with the seat's own data.
pub type Casting = dyn Fn(&str) -> Result<Part, String> + Send + Sync;

/// How a process takes part.
#[derive(Clone)]
pub struct Participation {
    /// Where the coordinator listens: `127.0.0.1:7700`.
    pub address: String,
    /// The seat.
    pub seat: Seat,
    /// The secrets of the identities it speaks for.
    pub tokens: Tokens,
    /// The digest of its plan.
    pub plan: Digest,
    /// How long a lost connection is tried to be taken up again.
    pub patience: Duration,
    /// Makes its parts.
    pub casting: Arc<Casting>,
    /// Whether any of its runs has no coordinator, so that neighbours come to it.
    pub listens: bool,
}

impl std::fmt::Debug for Participation {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Participation")
            .field("address", &self.address)
            .field("seat", &self.seat)
            .finish_non_exhaustive()
    }
}

/// A machine that is kept while its connection is away.
type Kept = Arc<Mutex<Option<Part>>>;

/// Where neighbours come in, if they do.
type Reception = Option<(Arc<Switchboard>, SocketAddr)>;

/// A participation in the middle of it.
#[derive(Debug, Clone)]
struct Attendance {
    participation: Participation,
    reception: Reception,
}

impl std::ops::Deref for Attendance {
    type Target = Participation;

    fn deref(&self) -> &Participation {
        &self.participation
    }
}

impl Participation {
    /// Takes part until the coordinator says that the sweep is over.
    pub async fn run(&self) -> Result<(), RunError> {
        let reception = if self.listens { Some(exchange::listen().await?) } else { None };
        Attendance { participation: self.clone(), reception }.run().await
    }
}

impl Attendance {
    async fn run(&self) -> Result<(), RunError> {
        let mut channel = self.connect(FIRST_CONNECTION).await?;
        let mut kept: BTreeMap<String, Kept> = BTreeMap::new();
        loop {
            match self.attend(&channel, &mut kept).await {
                Ok(()) | Err(Broken::Over) => return Ok(()),
                Err(Broken::Final(error)) => return Err(error),
                Err(Broken::Lost(reason)) => {
                    tracing::warn!("{}: {reason}; trying to come back", self.seat);
                    channel = self.connect(self.patience).await?;
                }
            }
        }
    }

    /// A connection, tried for as long as `patience`.
    async fn connect(&self, patience: Duration) -> Result<Channel, RunError> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address))
            .map_err(|error| {
                RunError::Network(format!(
                    "`{}` is no address: {error}; write host:port",
                    self.address
                ))
            })?
            .tcp_nodelay(true)
            .connect_timeout(Duration::from_secs(2))
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .keep_alive_while_idle(true);
        let deadline = Instant::now() + patience;
        loop {
            match endpoint.connect().await {
                Ok(channel) => return Ok(channel),
                Err(error) if Instant::now() >= deadline => {
                    return Err(RunError::Network(format!(
                        "no coordinator answers at {} ({}): start `byzlab coordinator --listen {}` \
                         first, or check the address",
                        self.address,
                        root(&error),
                        self.address
                    )));
                }
                Err(_) => sleep(RETRY).await,
            }
        }
    }

    fn credential(&self, node: NodeId) -> Credential {
        Credential {
            node: node.0,
            token: self.tokens.get(&node).map_or_else(Vec::new, |token| token.as_bytes().to_vec()),
            plan: self.plan.as_bytes().to_vec(),
            results_version: RESULTS_VERSION,
        }
    }

    fn first_identity(&self) -> NodeId {
        match self.seat {
            Seat::Node(node) => node,
            Seat::Adversary => *self.tokens.keys().next().expect("an adversary has identities"),
        }
    }

    /// Attends on one connection until it breaks or everything is over.
    async fn attend(
        &self,
        channel: &Channel,
        kept: &mut BTreeMap<String, Kept>,
    ) -> Result<(), Broken> {
        let mut client = FederationClient::new(channel.clone());
        let request = AttendRequest {
            credential: Some(self.credential(self.first_identity())),
            adversary: self.seat == Seat::Adversary,
            address: self.reception.as_ref().map_or_else(String::new, |(_, at)| at.to_string()),
        };
        let mut assignments =
            client.attend(request).await.map_err(|status| broken(&status))?.into_inner();
        let (ended, mut ends) = mpsc::unbounded_channel();
        let mut sessions: BTreeMap<String, JoinHandle<()>> = BTreeMap::new();
        loop {
            tokio::select! {
                assignment = assignments.message() => {
                    let assignment = assignment.map_err(|status| broken(&status));
                    let assignment = match assignment {
                        Ok(assignment) => assignment,
                        Err(error) => {
                            abort(&sessions);
                            return Err(error);
                        }
                    };
                    let Some(assignment) = assignment else {
                        abort(&sessions);
                        return Err(Broken::Lost("the coordinator went away".to_owned()));
                    };
                    if assignment.run_id.is_empty() {
                        return Ok(());
                    }
                    let part = Arc::clone(kept.entry(assignment.run_id.clone()).or_default());
                    let session = self.clone().session(
                        assignment.run_id.clone(),
                        channel.clone(),
                        part,
                        ended.clone(),
                    );
                    sessions.insert(assignment.run_id, tokio::spawn(session));
                }
                Some((run_id, end)) = ends.recv() => match end {
                    Ok(()) => {
                        kept.remove(&run_id);
                        sessions.remove(&run_id);
                    }
                    Err(error) => {
                        abort(&sessions);
                        return Err(error);
                    }
                },
            }
        }
    }

    /// Plays one run, and tells how it ended.
    async fn session(
        self,
        run_id: String,
        channel: Channel,
        kept: Kept,
        ended: mpsc::UnboundedSender<(String, Result<(), Broken>)>,
    ) {
        let end = match self.play(&run_id, channel, kept).await {
            // A run that does not need this seat may be over before it comes. Its other runs go
            // on.
            Err(Broken::Over) => Ok(()),
            end => end,
        };
        let _ = ended.send((run_id, end));
    }

    /// Plays one run. The machine outlives a lost connection: it is kept for the next one.
    async fn play(&self, run_id: &str, channel: Channel, kept: Kept) -> Result<(), Broken> {
        let mut slot = kept.lock().await;
        let part = match slot.take() {
            Some(part) => part,
            None => self.make(run_id).await?,
        };
        if let Some(judging) = part.lines.apart {
            return self.play_apart(run_id, channel, part, judging).await;
        }
        let (part, end) = self.talk(run_id, channel, part).await;
        *slot = part;
        end
    }

    /// The seat's part in a run, with the states that were kept of it.
    async fn make(&self, run_id: &str) -> Result<Part, Broken> {
        let (casting, seat, id) = (Arc::clone(&self.casting), self.seat, run_id.to_owned());
        let made = spawn_blocking(move || {
            let mut part = casting(&id)?;
            if part.lines.apart.is_some() {
                return Ok(part);
            }
            let name = seat.to_string();
            let states: Vec<(_, Vec<u8>)> =
                checkpoint::read(&part.checkpoint, &name).map_err(|error| error.to_string())?;
            for (round, bytes) in states {
                let state = MachineState { round, bytes };
                part.machine.restore(&state).map_err(|error| error.to_string())?;
            }
            Ok(part)
        });
        self.unless_panicked(made.await)?.map_err(Broken::fatal)
    }

    /// Talks until the run is over or the connection breaks; gives the part back if it can.
    async fn talk(
        &self,
        run_id: &str,
        channel: Channel,
        mut part: Part,
    ) -> (Option<Part>, Result<(), Broken>) {
        let mut talk = match self.begin(run_id, channel, part.lines.clone()).await {
            Ok(talk) => talk,
            Err(error) => return (Some(part), Err(error)),
        };
        if let Err(error) = part.machine.step(Event::Start) {
            return (Some(part), Err(Broken::fatal(format!("{}: {error}", self.seat))));
        }
        while let Some(heard) = talk.heard.recv().await {
            let event = match heard {
                Heard::Event(event) => event,
                Heard::Finished => {
                    let name = self.seat.to_string();
                    checkpoint::remove(&part.checkpoint, &name);
                    return (None, Ok(()));
                }
                Heard::ShownOut { identity, reason } => {
                    tracing::warn!("{reason}");
                    talk.outgoing.remove(&identity);
                    if talk.outgoing.is_empty() {
                        // There may be other runs, in which the seat is still wanted.
                        return (None, Ok(()));
                    }
                    continue;
                }
                Heard::Broken(status) => return (Some(part), Err(broken(&status))),
            };
            let seat = self.seat;
            let stepped = spawn_blocking(move || step(part, seat, event)).await;
            let actions = match self.unless_panicked(stepped) {
                Ok((back, actions)) => {
                    part = back;
                    actions
                }
                Err(error) => return (None, Err(error)),
            };
            match actions {
                Ok(actions) => talk.say(actions),
                Err(error) => return (Some(part), Err(Broken::fatal(error))),
            }
        }
        (Some(part), Err(Broken::Lost("the coordinator went away".to_owned())))
    }

    fn unless_panicked<T>(&self, joined: Result<T, tokio::task::JoinError>) -> Result<T, Broken> {
        joined.map_err(|error| Broken::fatal(format!("{} panicked: {error}", self.seat)))
    }

    /// Opens a conversation for each identity, each on a connection of its own, and the wiretap.
    async fn begin(&self, run_id: &str, channel: Channel, lines: Lines) -> Result<Talk, Broken> {
        let (events, heard) = mpsc::channel(1024);
        let mut outgoing = BTreeMap::new();
        let mut listeners = Vec::new();
        for (index, &identity) in lines.identities.iter().enumerate() {
            let channel = match index {
                0 => channel.clone(),
                _ => self.connect(FIRST_CONNECTION).await.map_err(Broken::Final)?,
            };
            let hello = self.hello(run_id, identity);
            let mut client = FederationClient::new(channel);
            if index == 0 && lines.tapped {
                let tapped =
                    client.wiretap(hello.clone()).await.map_err(|status| broken(&status))?;
                listeners.push(tokio::spawn(hear_taps(
                    tapped.into_inner(),
                    lines.values,
                    events.clone(),
                )));
            }
            let (sender, receiver) = mpsc::unbounded_channel();
            let _ = sender.send(Envelope { body: Some(Body::Hello(hello)) });
            let incoming = client
                .converse(UnboundedReceiverStream::new(receiver))
                .await
                .map_err(|status| broken(&status))?
                .into_inner();
            outgoing.insert(identity, sender);
            listeners.push(tokio::spawn(hear(identity, incoming, lines.values, events.clone())));
        }
        Ok(Talk { heard, outgoing, listeners })
    }

    fn hello(&self, run_id: &str, identity: NodeId) -> Hello {
        Hello {
            credential: Some(self.credential(identity)),
            run_id: run_id.to_owned(),
            process: std::process::id(),
            adversary: self.seat == Seat::Adversary,
        }
    }
}

/// Steps a machine, and keeps its state before anything that it says leaves the process.
fn step(mut part: Part, seat: Seat, event: Event) -> (Part, Result<Vec<Action>, String>) {
    let actions = part.machine.step(event).map_err(|error| format!("{seat}: {error}"));
    let speaks = actions.as_ref().is_ok_and(|actions| !actions.is_empty());
    if speaks {
        let state = part.machine.state();
        let name = seat.to_string();
        let kept = checkpoint::write(&part.checkpoint, &name, state.round, &state.bytes);
        if let Err(error) = kept {
            return (part, Err(format!("{seat}: state not kept: {error}")));
        }
    }
    (part, actions)
}

#[cfg(test)]
mod tests;
