//! The wire: protocol messages as bytes and back, in one place.
//!
//! A message with a vector is a header and chunks of at most [`CHUNK`] bytes. What comes in is
//! put together by an [`Assembler`], which knows how long vectors of this run are and never
//! holds more than one of them per sender.

use std::sync::Arc;

use bytes::Bytes;
use ndarray::Array1;
use prost::Message as _;
use prost::encoding::encoded_len_varint;

use crate::node::{NodeId, Round};
use crate::protocol::{Message, Reason};
use crate::vector::{Digest, Shared, as_slice};

/// Generated from `proto/byzlab/v1/federation.proto`.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]
pub mod proto {
    tonic::include_proto!("byzlab.v1");
}

use proto::envelope::Body;
use proto::{
    Absent, Ballot, Block, Chunk, Claim, Claims, Copy, Envelope, Fetch, Model, Settled, Share,
    Train,
};

/// The most bytes of a vector in one envelope.
pub const CHUNK: usize = 256 * 1024;

/// What a chunk counts at least while chunks are dropped, in bytes.
const CHUNK_COST: usize = 1024;

/// The most bytes of one envelope that a coordinator takes in. It holds the unfinished envelopes
/// of all streams of all connections, so this is well below gRPC's own limit.
pub const ENVELOPE_MAX: usize = 2 * CHUNK;

/// How many envelopes carry a message with a vector of `values` values.
pub fn parts(values: usize) -> usize {
    1 + (values * size_of::<f32>()).div_ceil(CHUNK)
}

/// The envelopes that carry a message, in order.
pub fn envelopes(message: &Message) -> Vec<Envelope> {
    let (header, vector) = header(message);
    let mut envelopes = vec![Envelope { body: Some(header) }];
    if let Some(vector) = vector {
        let bytes = little_endian(as_slice(vector));
        let mut start = 0;
        while start < bytes.len() {
            let end = bytes.len().min(start + CHUNK);
            let data = bytes.slice(start..end);
            envelopes.push(Envelope { body: Some(Body::Chunk(Chunk { data })) });
            start = end;
        }
    }
    envelopes
}

fn header(message: &Message) -> (Body, Option<&Shared>) {
    match message {
        Message::Train { round, model } => {
            (Body::Train(Train { round: round.0, values: model.len() as u64 }), Some(model))
        }
        Message::Share { round, update, loss, samples } => {
            let values = update.len() as u64;
            let share = Share { round: round.0, values, loss: *loss, samples: *samples };
            (Body::Share(share), Some(update))
        }
        Message::Model { round, model, degree } => {
            let values = model.len() as u64;
            (Body::Model(Model { round: round.0, values, degree: *degree }), Some(model))
        }
        Message::Copy { round, sender, update, loss, samples } => {
            let (values, sender) = (update.len() as u64, sender.0);
            let copy = Copy { round: round.0, values, sender, loss: *loss, samples: *samples };
            (Body::Copy(copy), Some(update))
        }
        other => (short(other), None),
    }
}

/// A message without a vector.
fn short(message: &Message) -> Body {
    let round = message.round().0;
    match message {
        Message::Claims { claims, .. } => {
            let claim = |(sender, digest): &(NodeId, Option<Digest>)| Claim {
                sender: sender.0,
                digest: digest.map_or_else(Vec::new, |digest| digest.as_bytes().to_vec()),
            };
            Body::Claims(Claims { round, claims: claims.iter().map(claim).collect() })
        }
        Message::Fetch { sender, .. } => Body::Fetch(Fetch { round, sender: sender.0 }),
        Message::Settled { .. } => Body::Settled(Settled { round }),
        Message::Ballot { ballot, .. } => Body::Ballot(Ballot { round, ballot: ballot.to_vec() }),
        Message::Block { block, .. } => Body::Block(Block { round, block: block.to_vec() }),
        Message::Absent { .. } => Body::Absent(Absent { round }),
        _ => unreachable!("messages with vectors have headers of their own"),
    }
}

/// How many bytes the envelopes of a message have, without making them.
pub fn encoded_len(message: &Message) -> u64 {
    let (header, vector) = header(message);
    let header = Envelope { body: Some(header) }.encoded_len();
    let bytes = vector.map_or(0, |vector| vector.len() * size_of::<f32>());
    let full = bytes / CHUNK;
    let rest = bytes % CHUNK;
    let chunks = full * chunk_len(CHUNK) + if rest > 0 { chunk_len(rest) } else { 0 };
    (header + chunks) as u64
}

/// The encoded length of an envelope with a chunk of `data` bytes: two nested fields, each a
/// key of one byte, a length and its content.
fn chunk_len(data: usize) -> usize {
    let chunk = 1 + encoded_len_varint(data as u64) + data;
    1 + encoded_len_varint(chunk as u64) + chunk
}

pub(super) fn little_endian(values: &[f32]) -> Bytes {
    if cfg!(target_endian = "little") {
        return Bytes::copy_from_slice(bytemuck::cast_slice(values));
    }
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

pub(super) fn from_little_endian(bytes: &[u8]) -> Array1<f32> {
    let (values, rest) = bytes.as_chunks::<4>();
    debug_assert!(rest.is_empty(), "an assembled vector is whole");
    values.iter().map(|value| f32::from_le_bytes(*value)).collect()
}

/// Puts envelopes of one sender together to messages.
#[derive(Debug)]
pub struct Assembler {
    values: usize,
    pending: Option<Pending>,
    /// While the chunks of a refused message are dropped: how many bytes of them may still come
    /// before they are refused in their turn.
    dropping: Option<usize>,
}

#[derive(Debug)]
struct Pending {
    header: Body,
    bytes: Vec<u8>,
}

impl Assembler {
    /// An assembler for vectors of `values` values.
    pub fn new(values: usize) -> Self {
        Assembler { values, pending: None, dropping: None }
    }

    /// Takes one envelope in; a message comes out with its last part.
    ///
    /// What is wrong is said once per message: the chunks of a refused one are dropped, until
    /// they are more than any message of this run has. Then each of them is refused.
    pub fn take(&mut self, envelope: Envelope) -> Result<Option<Message>, Reason> {
        match envelope.body {
            Some(Body::Chunk(chunk)) => self.take_chunk(&chunk),
            Some(body) => self.take_header(body),
            None => Err(malformed("an envelope with nothing in it")),
        }
    }

    /// How many bytes a vector has.
    fn whole(&self) -> usize {
        self.values * size_of::<f32>()
    }

    /// Refuses a message, and drops the rest of it.
    fn refuse(&mut self, reason: Reason) -> Result<Option<Message>, Reason> {
        self.pending = None;
        self.dropping = Some(self.whole() + CHUNK);
        Err(reason)
    }

    fn take_header(&mut self, header: Body) -> Result<Option<Message>, Reason> {
        if self.pending.is_some() {
            return self.refuse(malformed("a new message before the last one was whole"));
        }
        self.dropping = None;
        let promised = match &header {
            Body::Train(train) => train.values,
            Body::Share(share) => share.values,
            Body::Model(model) => model.values,
            Body::Copy(copy) => copy.values,
            short => return whole(short).map(Some),
        };
        if promised != self.values as u64 {
            return self.refuse(Reason::Length { expected: self.values, got: promised });
        }
        let bytes = Vec::with_capacity(self.whole());
        self.pending = Some(Pending { header, bytes });
        Ok(None)
    }

    fn take_chunk(&mut self, chunk: &Chunk) -> Result<Option<Message>, Reason> {
        if let Some(left) = self.dropping {
            // Many small chunks, or empty ones, are a flood as well.
            let left = left.checked_sub(chunk.data.len().max(CHUNK_COST));
            self.dropping = Some(left.unwrap_or(0));
            return left
                .map(|_| None)
                .ok_or_else(|| malformed("more chunks of a refused message than any message has"));
        }
        let whole = self.whole();
        let Some(pending) = &mut self.pending else {
            return self.refuse(malformed("a chunk that belongs to no message"));
        };
        if chunk.data.is_empty() {
            return self.refuse(malformed("an empty chunk"));
        }
        let length = pending.bytes.len() + chunk.data.len();
        if length > whole {
            let what = format!("{length} bytes where the model has {whole}");
            return self.refuse(Reason::Malformed(what));
        }
        pending.bytes.extend_from_slice(&chunk.data);
        if length < whole {
            return Ok(None);
        }
        let Pending { header, bytes } = self.pending.take().expect("checked above");
        let vector = Arc::new(from_little_endian(&bytes));
        Ok(Some(match header {
            Body::Train(train) => Message::Train { round: Round(train.round), model: vector },
            Body::Share(share) => Message::Share {
                round: Round(share.round),
                update: vector,
                loss: share.loss,
                samples: share.samples,
            },
            Body::Model(model) => {
                Message::Model { round: Round(model.round), model: vector, degree: model.degree }
            }
            Body::Copy(copy) => Message::Copy {
                round: Round(copy.round),
                sender: NodeId(copy.sender),
                update: vector,
                loss: copy.loss,
                samples: copy.samples,
            },
            _ => unreachable!("only messages with vectors wait for chunks"),
        }))
    }
}

/// A message that is whole with its header.
fn whole(header: &Body) -> Result<Message, Reason> {
    Ok(match header {
        Body::Absent(absent) => Message::Absent { round: Round(absent.round) },
        Body::Settled(settled) => Message::Settled { round: Round(settled.round) },
        Body::Fetch(fetch) => {
            Message::Fetch { round: Round(fetch.round), sender: NodeId(fetch.sender) }
        }
        Body::Claims(Claims { round, claims }) => {
            let claims = claims.iter().map(claim).collect::<Result<_, Reason>>()?;
            Message::Claims { round: Round(*round), claims: Arc::new(claims) }
        }
        Body::Ballot(Ballot { round, ballot }) => {
            Message::Ballot { round: Round(*round), ballot: ballot.as_slice().into() }
        }
        Body::Block(Block { round, block }) => {
            Message::Block { round: Round(*round), block: block.as_slice().into() }
        }
        _ => return Err(malformed("a message that has no place in a round")),
    })
}

fn claim(claim: &Claim) -> Result<(NodeId, Option<Digest>), Reason> {
    let digest = match claim.digest.as_slice() {
        [] => None,
        bytes => {
            let bytes = bytes.try_into();
            let bytes = bytes.map_err(|_| malformed("a digest that has not 32 bytes"))?;
            Some(Digest::from_bytes(bytes))
        }
    };
    Ok((NodeId(claim.sender), digest))
}

fn malformed(what: &str) -> Reason {
    Reason::Malformed(what.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(values: usize) -> Message {
        Message::Share {
            round: Round(300),
            update: Arc::new((0..values).map(|value| value as f32 - 0.5).collect()),
            loss: 0.25,
            samples: 769,
        }
    }

    #[test]
    fn messages_come_back_whole_and_their_length_is_known_before() {
        let model = Arc::new(Array1::from_elem(70_000, 1.5f32));
        let messages = [
            share(7850),
            share(200_000),
            share(65_536),
            Message::Train { round: Round(1), model },
            Message::Absent { round: Round(7) },
            Message::Model {
                round: Round(2),
                model: Arc::new(Array1::from_elem(300, -2.5f32)),
                degree: 16,
            },
            Message::Copy {
                round: Round(3),
                sender: NodeId(4),
                update: Arc::new(Array1::from_elem(70_000, 0.25f32)),
                loss: 0.5,
                samples: 12,
            },
            Message::Claims {
                round: Round(4),
                claims: Arc::new(vec![(NodeId(0), Some(Digest::of(&[1.0]))), (NodeId(900), None)]),
            },
            Message::Fetch { round: Round(5), sender: NodeId(0) },
            Message::Settled { round: Round(6) },
            Message::Ballot { round: Round(7), ballot: [1, 2, 3].as_slice().into() },
            Message::Block { round: Round(8), block: vec![9; 1000].into() },
        ];
        for message in messages {
            let envelopes = envelopes(&message);
            if let Some(vector) = header(&message).1 {
                assert_eq!(envelopes.len(), parts(vector.len()));
            }
            let bytes: usize = envelopes.iter().map(prost::Message::encoded_len).sum();
            assert_eq!(bytes as u64, encoded_len(&message));
            let values = header(&message).1.map_or(5, |vector| vector.len());
            let mut assembler = Assembler::new(values);
            let mut whole = None;
            for envelope in envelopes {
                assert!(whole.is_none());
                whole = assembler.take(envelope).unwrap();
            }
            assert_eq!(whole, Some(message));
        }
    }

    #[test]
    fn a_wrong_length_is_refused_before_anything_is_held() {
        let mut assembler = Assembler::new(10);
        let giant = Share { round: 1, values: 1 << 40, loss: 0.0, samples: 1 };
        let refusal = assembler.take(Envelope { body: Some(Body::Share(giant)) });
        assert_eq!(refusal, Err(Reason::Length { expected: 10, got: 1 << 40 }));
        // Its chunks are dropped without another word.
        let chunk =
            || Envelope { body: Some(Body::Chunk(Chunk { data: Bytes::from_static(&[0; 64]) })) };
        assert_eq!(assembler.take(chunk()), Ok(None));
        assert_eq!(assembler.take(chunk()), Ok(None));
    }

    #[test]
    fn a_flood_of_chunks_after_a_refusal_is_refused_again() {
        let chunk = |bytes: usize| Envelope {
            body: Some(Body::Chunk(Chunk { data: Bytes::from(vec![0; bytes]) })),
        };
        let mut assembler = Assembler::new(10);
        assert!(assembler.take(chunk(4)).is_err());
        // One message's worth and a chunk are dropped, small chunks at a price.
        assert_eq!(assembler.take(chunk(CHUNK + 40 - 3 * CHUNK_COST)), Ok(None));
        for bytes in [0, 1, CHUNK_COST] {
            assert_eq!(assembler.take(chunk(bytes)), Ok(None));
        }
        for bytes in [0, 1, 64] {
            assert!(matches!(assembler.take(chunk(bytes)), Err(Reason::Malformed(_))));
        }
        // The next message is judged by itself.
        let absent = Absent { round: 3 };
        let taken = assembler.take(Envelope { body: Some(Body::Absent(absent)) });
        assert_eq!(taken, Ok(Some(Message::Absent { round: Round(3) })));
    }

    #[test]
    fn chunks_must_belong_to_a_message_and_fill_it_exactly() {
        let chunk = |bytes: usize| Envelope {
            body: Some(Body::Chunk(Chunk { data: Bytes::from(vec![0; bytes]) })),
        };
        let start = || {
            let header = Share { round: 1, values: 2, loss: 0.0, samples: 1 };
            Envelope { body: Some(Body::Share(header)) }
        };
        let mut assembler = Assembler::new(2);
        assert!(matches!(assembler.take(chunk(4)), Err(Reason::Malformed(_))));
        let mut assembler = Assembler::new(2);
        assembler.take(start()).unwrap();
        let too_long = Reason::Malformed("12 bytes where the model has 8".to_owned());
        assert_eq!(assembler.take(chunk(12)), Err(too_long));
        let mut assembler = Assembler::new(2);
        assembler.take(start()).unwrap();
        assert_eq!(assembler.take(chunk(4)), Ok(None));
        assert!(matches!(assembler.take(start()), Err(Reason::Malformed(_))));
        let mut assembler = Assembler::new(2);
        assert!(matches!(assembler.take(Envelope { body: None }), Err(Reason::Malformed(_))));
    }
}
