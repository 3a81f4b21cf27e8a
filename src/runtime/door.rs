//! The door: accepts connections and shows out those who do not say who they are.
//!
//! Anybody can connect. A connection that has not proved an identity after a while, or has sent
//! more than an introduction takes, is closed and counted against its address. When the room for
//! strangers is full, the one who has waited longest makes place for the newcomer, so that idle
//! crowds keep nobody out; and an identity that is proved has a few connections, not any number.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};
use tokio_stream::Stream;
use tonic::transport::server::Connected;

use crate::node::NodeId;

/// How long a connection may stay at most without having proved an identity.
pub const INTRODUCTION: Duration = Duration::from_secs(10);

/// How many bytes a connection may send before it has proved an identity. A hello takes a few
/// hundred; without this, strangers could fill the memory with the beginnings of messages.
const INTRODUCTION_BYTES: usize = 64 * 1024;

/// How many connections without an identity there may be at a time.
pub const STRANGERS_MAX: usize = 256;

/// How many connections one identity may have at a time. An honest one has a single one, or two
/// while a broken one has not been noticed yet.
pub const CONNECTIONS_MAX: usize = 4;

/// Between two tries to accept a connection when the system refuses.
const PAUSE: Duration = Duration::from_millis(50);

/// Addresses whose strangers are counted apart; the rest are counted together.
const ADDRESSES_MAX: usize = 1000;

/// Lines about the same stranger; the rest are only counted. A flood of strangers must not become
/// a flood of lines.
const TOLD_MAX: u64 = 10;

/// Who came in vain: strangers by address, and identities that could not be let in.
#[derive(Debug, Default)]
pub struct Strangers {
    counts: Mutex<BTreeMap<String, u64>>,
    turned_away: Mutex<BTreeMap<NodeId, u64>>,
}

impl Strangers {
    /// Counts one against `address`.
    pub fn count(&self, address: Option<IpAddr>, reason: &str) {
        let mut counts = locked(&self.counts);
        let name = address.map_or_else(|| "elsewhere".to_owned(), |address| address.to_string());
        let full = counts.len() >= ADDRESSES_MAX && !counts.contains_key(&name);
        let name = if full { "elsewhere".to_owned() } else { name };
        let total = counts.entry(name.clone()).or_default();
        *total += 1;
        if *total <= TOLD_MAX {
            tracing::warn!("a stranger from {name}: {reason}");
        }
    }

    /// Counts one against an identity that was proved and could not be let in all the same.
    pub fn turn_away(&self, node: NodeId, reason: &str) {
        let mut turned_away = locked(&self.turned_away);
        let total = turned_away.entry(node).or_default();
        *total += 1;
        if *total <= TOLD_MAX {
            tracing::warn!("node {node} is turned away: {reason}");
        }
    }

    /// How many strangers there were from each address.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        locked(&self.counts).clone()
    }

    /// How often each identity was turned away.
    pub fn turned_away(&self) -> BTreeMap<NodeId, u64> {
        locked(&self.turned_away).clone()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everybody inside, in the order in which they came.
#[derive(Debug)]
struct Crowd {
    /// How many strangers there may be.
    room: usize,
    /// How many connections one identity may have.
    connections: usize,
    arrivals: u64,
    inside: BTreeMap<u64, Inside>,
}

/// Somebody inside; dropped, it is shown out.
#[derive(Debug)]
struct Inside {
    who: Who,
    _stays: oneshot::Sender<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Stranger(IpAddr),
    Known(NodeId),
}

impl Default for Crowd {
    fn default() -> Self {
        let (room, connections) = (STRANGERS_MAX, CONNECTIONS_MAX);
        Crowd { room, connections, arrivals: 0, inside: BTreeMap::new() }
    }
}

impl Crowd {
    fn strangers(&self) -> usize {
        self.inside.values().filter(|inside| inside.is_stranger()).count()
    }

    /// Lets a stranger in, in place of another one if there are too many.
    fn enter(&mut self, address: IpAddr) -> (u64, oneshot::Receiver<()>) {
        if self.strangers() >= self.room {
            self.make_room();
        }
        let (stays, out) = oneshot::channel();
        let arrival = self.arrivals;
        self.arrivals += 1;
        let who = Who::Stranger(address);
        self.inside.insert(arrival, Inside { who, _stays: stays });
        (arrival, out)
    }

    /// Shows out half of the strangers, and has room for no more than the rest from now on: what
    /// the system has run out of is needed for the runs' files as well.
    fn shrink(&mut self) {
        self.room = (self.strangers() / 2).max(1);
        while self.strangers() > self.room {
            self.make_room();
        }
    }

    /// Shows out the stranger who came first from the address that most strangers are from.
    fn make_room(&mut self) {
        let mut counts: BTreeMap<Who, usize> = BTreeMap::new();
        for inside in self.inside.values().filter(|inside| inside.is_stranger()) {
            *counts.entry(inside.who).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count);
        if let Some((who, _)) = most {
            self.show_out_first(who);
        }
    }

    fn show_out_first(&mut self, who: Who) {
        let first = self.inside.iter().find(|(_, inside)| inside.who == who);
        if let Some(arrival) = first.map(|(&arrival, _)| arrival) {
            self.inside.remove(&arrival);
        }
    }

    /// Somebody has proved to be `node`, whose oldest connection gives way if it has too many.
    fn know(&mut self, arrival: u64, node: NodeId) {
        let who = Who::Known(node);
        if let Some(inside) = self.inside.get_mut(&arrival) {
            inside.who = who;
        }
        let connections = self.inside.values().filter(|inside| inside.who == who).count();
        if connections > self.connections {
            self.show_out_first(who);
        }
    }
}

impl Inside {
    fn is_stranger(&self) -> bool {
        matches!(self.who, Who::Stranger(_))
    }
}

/// One connection, as requests on it see it.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// Where it comes from.
    pub address: IpAddr,
    arrival: u64,
    proved: Arc<AtomicBool>,
    crowd: Arc<Mutex<Crowd>>,
}

impl Visitor {
    /// From now on the connection may stay, as this node's.
    pub fn prove(&self, node: NodeId) {
        if !self.proved.swap(true, Ordering::Relaxed) {
            locked(&self.crowd).know(self.arrival, node);
        }
    }

    fn has_proved(&self) -> bool {
        self.proved.load(Ordering::Relaxed)
    }
}

/// Accepts connections from a listener.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    strangers: Arc<Strangers>,
    introduction: Duration,
    crowd: Arc<Mutex<Crowd>>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Door {
    /// A door at this listener, at which an introduction may take so long.
    pub fn new(listener: TcpListener, strangers: Arc<Strangers>, introduction: Duration) -> Self {
        Door { listener, strangers, introduction, crowd: Arc::default(), pause: None }
    }

    /// The same door with room for so many connections of one identity.
    #[must_use]
    pub fn with_connections(self, connections: usize) -> Self {
        locked(&self.crowd).connections = connections;
        self
    }

    fn admit(&self, stream: TcpStream, address: SocketAddr) -> Guest {
        // Rounds are ping-pong: without this each would wait for a delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        let (arrival, out) = locked(&self.crowd).enter(address.ip());
        Guest {
            stream,
            visitor: Visitor {
                address: address.ip(),
                arrival,
                proved: Arc::default(),
                crowd: Arc::clone(&self.crowd),
            },
            patience: Some(Box::pin(sleep(self.introduction))),
            out: Some(out),
            heard: 0,
            strangers: Arc::clone(&self.strangers),
        }
    }
}

impl Stream for Door {
    type Item = io::Result<Guest>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            match ready!(self.listener.poll_accept(context)) {
                Ok((stream, address)) => {
                    return Poll::Ready(Some(Ok(self.admit(stream, address))));
                }
                // Passed on, this would close the door for good. Most likely there are too many
                // open files, so strangers have to go.
                Err(error) => {
                    self.strangers.count(None, &format!("cannot be let in: {error}"));
                    locked(&self.crowd).shrink();
                    self.pause = Some(Box::pin(sleep(PAUSE)));
                }
            }
        }
    }
}

/// A connection that is watched until it has proved an identity.
#[derive(Debug)]
pub struct Guest {
    stream: TcpStream,
    visitor: Visitor,
    patience: Option<Pin<Box<Sleep>>>,
    out: Option<oneshot::Receiver<()>>,
    heard: usize,
    strangers: Arc<Strangers>,
}

impl Guest {
    /// Whether the connection may stay, in every state that it is polled in: one that never
    /// reads would otherwise not notice that it is to go.
    fn stays(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if let Some(out) = &mut self.out
            && Pin::new(out).poll(context).is_ready()
        {
            self.out = None;
        }
        if self.visitor.has_proved() {
            self.patience = None;
        }
        let late =
            self.patience.as_mut().is_some_and(|sleep| sleep.as_mut().poll(context).is_ready());
        let loud = !self.visitor.has_proved() && self.heard > INTRODUCTION_BYTES;
        if self.out.is_none() || late || loud {
            // A sleep that is over must not be asked again.
            self.patience = None;
            self.out = None;
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        locked(&self.visitor.crowd).inside.remove(&self.visitor.arrival);
        if !self.visitor.has_proved() {
            self.strangers.count(Some(self.visitor.address), "left without proving an identity");
        }
    }
}

impl Connected for Guest {
    type ConnectInfo = Visitor;

    fn connect_info(&self) -> Visitor {
        self.visitor.clone()
    }
}

impl AsyncRead for Guest {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let guest = self.get_mut();
        guest.stays(context)?;
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut guest.stream).poll_read(context, buffer));
        guest.heard = guest.heard.saturating_add(buffer.filled().len() - before);
        Poll::Ready(read)
    }
}

impl AsyncWrite for Guest {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let guest = self.get_mut();
        guest.stays(context)?;
        Pin::new(&mut guest.stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let guest = self.get_mut();
        guest.stays(context)?;
        Pin::new(&mut guest.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn is_out(out: &mut oneshot::Receiver<()>) -> bool {
        matches!(out.try_recv(), Err(oneshot::error::TryRecvError::Closed))
    }

    #[test]
    fn a_full_room_makes_place_at_the_cost_of_the_largest_group() {
        let mut crowd = Crowd::default();
        let (_, mut alone) = crowd.enter(address(1));
        let (_, mut first) = crowd.enter(address(2));
        let (_, mut second) = crowd.enter(address(2));
        let mut rest: Vec<_> = (3..STRANGERS_MAX).map(|_| crowd.enter(address(2)).1).collect();
        assert!(!is_out(&mut first));
        let (newcomer, mut stays) = crowd.enter(address(3));
        assert!(is_out(&mut first) && !is_out(&mut second) && !is_out(&mut stays));
        // Who has proved an identity takes no room among the strangers.
        crowd.know(newcomer, NodeId(0));
        crowd.enter(address(2));
        assert!(!is_out(&mut second));
        crowd.enter(address(2));
        assert!(is_out(&mut second) && !is_out(&mut alone));
        assert!(!rest.iter_mut().any(is_out));
    }

    #[test]
    fn a_system_that_runs_out_costs_half_of_the_strangers_and_their_room() {
        let mut crowd = Crowd::default();
        let mut outs: Vec<_> = (0..40).map(|_| crowd.enter(address(1)).1).collect();
        crowd.shrink();
        assert_eq!(outs.iter_mut().filter_map(|out| is_out(out).then_some(())).count(), 20);
        crowd.enter(address(2));
        assert_eq!(crowd.strangers(), 20);
        for _ in 0..10 {
            crowd.shrink();
        }
        assert_eq!((crowd.strangers(), crowd.room), (1, 1));
    }

    #[test]
    fn an_identity_keeps_its_newest_connections() {
        let mut crowd = Crowd::default();
        let mut outs = Vec::new();
        for _ in 0..=CONNECTIONS_MAX {
            let (arrival, out) = crowd.enter(address(1));
            crowd.know(arrival, NodeId(7));
            outs.push(out);
        }
        let gone: Vec<bool> = outs.iter_mut().map(is_out).collect();
        assert!(gone[0] && !gone[1..].contains(&true));
    }

    #[test]
    fn strangers_are_counted_by_address_and_not_in_any_number_of_addresses() {
        let strangers = Strangers::default();
        for index in 0..ADDRESSES_MAX as u32 + 50 {
            strangers.count(Some(IpAddr::from(index.to_be_bytes())), "a test");
        }
        let counts = strangers.counts();
        assert_eq!(counts.len(), ADDRESSES_MAX + 1);
        assert_eq!(counts["elsewhere"], 50);
    }
}
