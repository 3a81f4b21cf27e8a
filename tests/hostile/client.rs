//! A gRPC client that says whatever it is told to, in the name of whomever it likes.

use std::thread::sleep;
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes};
use byzlab::RESULTS_VERSION;
use byzlab::node::Round;
use byzlab::protocol::Message;
use byzlab::runtime::wire::envelopes;
use byzlab::runtime::wire::proto::envelope::Body;
use byzlab::runtime::wire::proto::federation_client::FederationClient;
use byzlab::runtime::wire::proto::{
    Assignment, AttendRequest, Chunk, Credential, Envelope, Hello, Share, Tapped,
};
use prost::Message as _;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status, Streaming};

use super::lab::{DEADLINE, Lab, VALUES};

/// A connection to a coordinator.
pub(super) struct Client {
    handle: Handle,
    channel: Channel,
    _stop: oneshot::Sender<()>,
}

impl Client {
    pub(super) fn new(lab: &Lab) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let endpoint = Endpoint::from_shared(format!("http://{}", lab.address)).unwrap();
        // Small windows: whoever does not read is soon sent nothing more.
        let endpoint = endpoint.initial_stream_window_size(65_535);
        let channel = runtime.block_on(endpoint.connect()).unwrap();
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        std::thread::spawn(move || {
            let _ = runtime.block_on(stopped);
        });
        Client { handle, channel, _stop: stop }
    }

    pub(super) fn attend(&self, request: AttendRequest) -> Result<Streaming<Assignment>, Status> {
        let mut client = FederationClient::new(self.channel.clone());
        Ok(self.handle.block_on(client.attend(request))?.into_inner())
    }

    pub(super) fn wiretap(&self, hello: Hello) -> Result<Streaming<Tapped>, Status> {
        let mut client = FederationClient::new(self.channel.clone());
        Ok(self.handle.block_on(client.wiretap(hello))?.into_inner())
    }

    /// Opens a conversation with these first words.
    pub(super) fn converse(&self, first: impl Into<Words>) -> Result<Talk, Status> {
        let (words, said) = mpsc::channel(4);
        let first = first.into().0;
        self.handle.block_on(async {
            for word in first {
                let _ = words.send(word).await;
            }
        });
        let mut client = Grpc::new(self.channel.clone());
        let replies = self.handle.block_on(async {
            client.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
            let path = PathAndQuery::from_static("/byzlab.v1.Federation/Converse");
            client.streaming(Request::new(ReceiverStream::new(said)), path, Raw).await
        })?;
        let handle = self.handle.clone();
        Ok(Talk { handle, words, replies: replies.into_inner(), early: 0 })
    }
}

/// What an identity of the lab says of itself when it speaks the truth.
pub(super) fn credential(lab: &Lab, node: u32) -> Credential {
    Credential {
        node,
        token: lab.tokens[&node].clone(),
        plan: lab.plan.clone(),
        results_version: RESULTS_VERSION,
    }
}

pub(super) fn hello(lab: &Lab, node: u32) -> Hello {
    Hello {
        credential: Some(credential(lab, node)),
        run_id: lab.run_id.clone(),
        process: std::process::id(),
        adversary: false,
    }
}

/// One conversation. Dropped, it hangs up.
pub(super) struct Talk {
    handle: Handle,
    words: mpsc::Sender<Bytes>,
    replies: Streaming<Envelope>,
    /// How often it came before the run was open.
    pub(super) early: u64,
}

impl Talk {
    /// Opens a conversation as an identity of the lab, once the run is open.
    pub(super) fn open(client: &Client, lab: &Lab, node: u32) -> Self {
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut early = 0;
        loop {
            match client.converse(Body::Hello(hello(lab, node))) {
                Err(status) if status.code() == Code::NotFound && Instant::now() < deadline => {
                    early += 1;
                    sleep(Duration::from_millis(20));
                }
                opened => return Talk { early, ..opened.unwrap() },
            }
        }
    }

    /// Says this, and whether anybody still listens.
    pub(super) fn say(&self, words: impl Into<Words>) -> bool {
        self.handle.block_on(async {
            for word in words.into().0 {
                let sent = timeout(DEADLINE, self.words.send(word)).await;
                if !matches!(sent, Ok(Ok(()))) {
                    return false;
                }
            }
            true
        })
    }

    fn next(&mut self) -> Result<Option<Envelope>, Status> {
        let replies = &mut self.replies;
        let next = async { timeout(DEADLINE, replies.message()).await };
        self.handle.block_on(next).expect("the coordinator says something")
    }

    /// Reads on until it is asked to train, and in which round.
    pub(super) fn asked(&mut self) -> u32 {
        self.asked_or_ended().expect("the conversation goes on")
    }

    /// The same, or nothing when it is asked no more.
    pub(super) fn asked_or_ended(&mut self) -> Option<u32> {
        while let Some(envelope) = self.next().unwrap() {
            if let Some(Body::Train(train)) = envelope.body {
                return Some(train.round);
            }
        }
        None
    }

    /// Why the conversation was closed, if it was.
    pub(super) fn refused(&mut self) -> Option<Status> {
        let replies = &mut self.replies;
        self.handle.block_on(async {
            loop {
                match timeout(A_MOMENT, replies.message()).await {
                    Ok(Ok(Some(_))) => {}
                    Ok(Err(status)) => return Some(status),
                    Ok(Ok(None)) | Err(_) => return None,
                }
            }
        })
    }

    /// Reads on until the conversation is over: whether the run is, or why else.
    pub(super) fn ended(&mut self) -> Result<bool, Status> {
        let mut finished = false;
        while let Some(envelope) = self.next()? {
            finished |= matches!(envelope.body, Some(Body::Finished(_)));
        }
        Ok(finished)
    }
}

/// Encoded envelopes, or bytes that are none.
pub(super) struct Words(Vec<Bytes>);

impl From<Vec<Body>> for Words {
    fn from(bodies: Vec<Body>) -> Self {
        Words(bodies.into_iter().flat_map(|body| Words::from(body).0).collect())
    }
}

impl From<Body> for Words {
    fn from(body: Body) -> Self {
        Words(vec![Envelope { body: Some(body) }.encode_to_vec().into()])
    }
}

impl From<Message> for Words {
    fn from(message: Message) -> Self {
        Words(envelopes(&message).iter().map(|envelope| envelope.encode_to_vec().into()).collect())
    }
}

impl From<Bytes> for Words {
    fn from(bytes: Bytes) -> Self {
        Words(vec![bytes])
    }
}

/// An update as an honest worker sends it, all values alike but one.
pub(super) fn share(round: u32, value: f32, at: usize) -> Vec<Body> {
    let mut update = vec![0.01; VALUES];
    update[at] = value;
    let bytes: Vec<u8> = update.iter().flat_map(|value: &f32| value.to_le_bytes()).collect();
    vec![header(round, VALUES as u64), chunk(bytes)]
}

pub(super) fn header(round: u32, values: u64) -> Body {
    Body::Share(Share { round, values, loss: 1.0, samples: 50 })
}

pub(super) fn chunk(bytes: Vec<u8>) -> Body {
    Body::Chunk(Chunk { data: bytes.into() })
}

pub(super) fn absent(round: u32) -> Message {
    Message::Absent { round: Round(round) }
}

/// Sends bytes as they are, and reads envelopes.
#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Envelope;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, bytes: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(bytes);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Envelope;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Envelope>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        Envelope::decode(bytes).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

/// Long enough for what was sent to have arrived.
pub(super) const A_MOMENT: Duration = Duration::from_millis(300);
