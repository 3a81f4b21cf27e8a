//! The office: a coordinator's listener with its hub, served on a thread of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tonic::transport::Server;

use super::RunError;
use super::door::{Door, INTRODUCTION, Strangers};
use super::hub::{Hub, Seats, Service};
use super::participant::{CONNECTION_WINDOW, STREAM_WINDOW};
use super::token::Tokens;
use super::wire::ENVELOPE_MAX;
use super::wire::proto::federation_server::FederationServer;
use crate::vector::Digest;

/// How long those who attend may take to leave when everything is over.
const GOODBYE: Duration = Duration::from_secs(2);

/// A coordinator that can be talked to.
#[derive(Debug)]
pub struct Office {
    /// Who is who, and which runs are open.
    pub hub: Arc<Hub>,
    /// Who came without an identity.
    pub strangers: Arc<Strangers>,
    /// Where it listens.
    pub address: SocketAddr,
    /// The runtime that serves the lines.
    pub handle: Handle,
    closing: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Office {
    /// Listens at `address`; port 0 takes any free port. Who has not introduced itself after half
    /// of `patience` is shown out.
    pub fn open(
        address: &str,
        plan: Digest,
        tokens: Tokens,
        seats: Seats,
        patience: Duration,
    ) -> Result<Self, RunError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| RunError::Network(format!("no runtime to be had: {error}")))?;
        let listener = runtime.block_on(TcpListener::bind(address)).map_err(|error| {
            RunError::Network(format!(
                "cannot listen at {address}: {error}; choose another port, or 0 for any that is free"
            ))
        })?;
        let bound = listener
            .local_addr()
            .map_err(|error| RunError::Network(format!("the listener has no address: {error}")))?;
        let strangers = Arc::new(Strangers::default());
        let introduction = (patience / 2).clamp(Duration::from_secs(1), INTRODUCTION);
        let hub = Hub::new(plan, tokens, seats, Arc::clone(&strangers), introduction);
        let hub = Arc::new(hub);
        let handle = runtime.handle().clone();
        let (closing, closed) = oneshot::channel::<()>();
        let door = Door::new(listener, Arc::clone(&strangers), introduction);
        let service = FederationServer::new(Service(Arc::clone(&hub)))
            .max_decoding_message_size(ENVELOPE_MAX);
        let thread = std::thread::spawn(move || {
            let serving = Server::builder()
                .initial_stream_window_size(STREAM_WINDOW)
                .initial_connection_window_size(CONNECTION_WINDOW)
                .max_concurrent_streams(64)
                .http2_keepalive_interval(Some(Duration::from_secs(20)))
                .add_service(service)
                .serve_with_incoming(door);
            runtime.block_on(async {
                tokio::select! {
                    served = serving => {
                        if let Err(error) = served {
                            tracing::error!("the coordinator cannot serve: {error}");
                        }
                    }
                    _ = closed => {}
                }
            });
        });
        Ok(Office {
            hub,
            strangers,
            address: bound,
            handle,
            closing: Some(closing),
            thread: Some(thread),
        })
    }

    /// Tells everybody that it is over, and stops listening once they have heard it and left, or
    /// have had time enough.
    pub fn close(mut self) {
        let left = async { timeout(GOODBYE, self.hub.dismiss()).await };
        // Who is still there does not mean to leave.
        let _ = self.handle.block_on(left);
        self.stop();
    }

    fn stop(&mut self) {
        drop(self.closing.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported; nothing is left to be done about it here.
            let _ = thread.join();
        }
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        self.stop();
    }
}
