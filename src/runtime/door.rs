//! The door: accepts connections and shows out those who do not say who they are.
//!
//! Anybody can connect. A connection that has not proved an identity within
//! [`INTRODUCTION`] is closed, there are never more than [`STRANGERS_MAX`] such connections, and
//! each that leaves without having proved one is counted against its address.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Sleep, sleep};
use tokio_stream::Stream;
use tonic::transport::server::Connected;

/// How long a connection may stay without having proved an identity.
pub const INTRODUCTION: Duration = Duration::from_secs(10);

/// How many connections without an identity there may be at a time.
pub const STRANGERS_MAX: usize = 256;

/// Addresses whose strangers are counted apart; the rest are counted together.
const ADDRESSES_MAX: usize = 1000;

/// Who came without proving an identity, by address.
#[derive(Debug, Default)]
pub struct Strangers {
    counts: Mutex<BTreeMap<String, u64>>,
    inside: AtomicUsize,
}

impl Strangers {
    /// Counts one against `address`.
    pub fn count(&self, address: Option<IpAddr>, reason: &str) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let name = address.map_or_else(|| "elsewhere".to_owned(), |address| address.to_string());
        let full = counts.len() >= ADDRESSES_MAX && !counts.contains_key(&name);
        let name = if full { "elsewhere".to_owned() } else { name };
        let total = counts.entry(name.clone()).or_default();
        *total += 1;
        // A flood of strangers must not become a flood of lines.
        if *total <= 10 {
            tracing::warn!("a stranger from {name}: {reason}");
        }
    }

    /// How many there were from each address.
    pub fn counts(&self) -> BTreeMap<String, u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One connection, as requests on it see it.
#[derive(Debug, Clone)]
pub struct Visitor {
    /// Where it comes from.
    pub address: IpAddr,
    proved: Arc<AtomicBool>,
}

impl Visitor {
    /// From now on the connection may stay.
    pub fn prove(&self) {
        self.proved.store(true, Ordering::Relaxed);
    }
}

/// Accepts connections from a listener.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    strangers: Arc<Strangers>,
}

impl Door {
    /// A door at this listener.
    pub fn new(listener: TcpListener, strangers: Arc<Strangers>) -> Self {
        Door { listener, strangers }
    }
}

impl Stream for Door {
    type Item = io::Result<Guest>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (stream, address) = match self.listener.poll_accept(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
            Poll::Ready(Ok(accepted)) => accepted,
        };
        let crowded = self.strangers.inside.fetch_add(1, Ordering::Relaxed) >= STRANGERS_MAX;
        // Rounds are ping-pong: without this each would wait for a delayed acknowledgement.
        let _ = stream.set_nodelay(true);
        Poll::Ready(Some(Ok(Guest::new(stream, address, Arc::clone(&self.strangers), crowded))))
    }
}

/// A connection that is watched until it has proved an identity.
#[derive(Debug)]
pub struct Guest {
    stream: TcpStream,
    visitor: Visitor,
    patience: Option<Pin<Box<Sleep>>>,
    strangers: Arc<Strangers>,
    counted_inside: bool,
}

impl Guest {
    fn new(
        stream: TcpStream,
        address: SocketAddr,
        strangers: Arc<Strangers>,
        crowded: bool,
    ) -> Self {
        let patience = if crowded { Duration::ZERO } else { INTRODUCTION };
        Guest {
            stream,
            visitor: Visitor { address: address.ip(), proved: Arc::new(AtomicBool::new(false)) },
            patience: Some(Box::pin(sleep(patience))),
            strangers,
            counted_inside: true,
        }
    }

    fn leave_the_strangers(&mut self) {
        if std::mem::take(&mut self.counted_inside) {
            self.strangers.inside.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Whether a connection without an identity has overstayed.
    fn overstayed(&mut self, context: &mut Context<'_>) -> bool {
        if self.visitor.proved.load(Ordering::Relaxed) {
            self.patience = None;
            self.leave_the_strangers();
            return false;
        }
        self.patience.as_mut().is_some_and(|sleep| sleep.as_mut().poll(context).is_ready())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.leave_the_strangers();
        if !self.visitor.proved.load(Ordering::Relaxed) {
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
        if guest.overstayed(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut guest.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Guest {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
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
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
