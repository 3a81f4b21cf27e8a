//! What a seat tells the observer of its run: accounts as bytes and back.

use std::sync::Arc;

use bytes::Bytes;
use ndarray::Array1;
use tonic::Status;

use super::Kept;
use crate::node::{NodeId, Round};
use crate::protocol::RoundRecord;
use crate::runtime::wire::proto::account::Body;
use crate::runtime::wire::proto::{Account, Chunk, Closed, Finished, Progress, Refused, Sent};
use crate::runtime::wire::{CHUNK, from_little_endian, little_endian};
use crate::vector::as_slice;

/// The most letters of a refusal's reason.
const REASON_MAX: usize = 300;

/// One thing that a seat tells.
#[derive(Debug)]
pub enum Tale {
    /// A node sent so many bytes to another.
    Sent {
        /// The round that they belong to.
        round: Round,
        /// Who sent them.
        from: NodeId,
        /// To whom.
        to: NodeId,
        /// How many.
        bytes: u64,
    },
    /// A node closed a round.
    Closed(Box<RoundRecord>),
    /// A message was refused.
    Refused {
        /// The round that was open.
        round: Round,
        /// Who sent it.
        from: NodeId,
        /// Why.
        reason: String,
    },
    /// Everything that belongs to this round and those before has been said.
    Progress(Round),
    /// The seat has no more to do.
    Finished,
}

/// The accounts that tell of a closed round, with its model where it is to be judged.
pub(super) fn closed(record: &RoundRecord, judged: bool) -> Vec<Account> {
    let bytes = match judged {
        true => little_endian(as_slice(&record.model)),
        false => Bytes::new(),
    };
    let values = if judged { record.model.len() as u64 } else { 0 };
    let mut accounts = vec![account(Body::Closed(Closed { record: Kept::encode(record), values }))];
    let mut start = 0;
    while start < bytes.len() {
        let end = bytes.len().min(start + CHUNK);
        accounts.push(account(Body::Chunk(Chunk { data: bytes.slice(start..end) })));
        start = end;
    }
    accounts
}

/// The account of sent bytes.
pub(super) fn sent(round: Round, from: NodeId, to: NodeId, bytes: u64) -> Account {
    account(Body::Sent(Sent { round: round.0, from: from.0, to: to.0, bytes }))
}

/// The account of a refusal.
pub(super) fn refused(round: Round, from: NodeId, reason: &str) -> Account {
    let reason = reason.chars().take(REASON_MAX).collect();
    account(Body::Refused(Refused { round: round.0, from: from.0, reason }))
}

/// The account of a round of which everything is said.
pub(super) fn progress(round: Round) -> Account {
    account(Body::Progress(Progress { round: round.0 }))
}

/// The last account.
pub(super) fn finished() -> Account {
    account(Body::Finished(Finished {}))
}

pub(super) fn account(body: Body) -> Account {
    Account { body: Some(body) }
}

/// Puts accounts of one seat together.
#[derive(Debug)]
pub struct Listener {
    values: usize,
    pending: Option<(Kept, Vec<u8>)>,
}

impl Listener {
    /// A listener in a run whose models have `values` values.
    pub fn new(values: usize) -> Self {
        Listener { values, pending: None }
    }

    /// Takes one account in; a tale comes out with its last part.
    pub fn take(&mut self, account: Account) -> Result<Option<Tale>, Status> {
        let nonsense = |what: &str| Status::invalid_argument(format!("an account {what}"));
        match account.body {
            Some(Body::Chunk(chunk)) => self.take_chunk(&chunk),
            _ if self.pending.is_some() => Err(nonsense("before the last one was whole")),
            Some(Body::Closed(closed)) => {
                let kept: Kept = postcard::from_bytes(&closed.record)
                    .map_err(|_| nonsense("of a round that does not decode"))?;
                if closed.values == 0 {
                    let nothing = Arc::new(Array1::zeros(0));
                    return Ok(Some(Tale::Closed(Box::new(kept.with_model(nothing)))));
                }
                if closed.values != self.values as u64 {
                    return Err(nonsense("of a model of another length"));
                }
                self.pending = Some((kept, Vec::with_capacity(self.values * size_of::<f32>())));
                Ok(None)
            }
            Some(Body::Sent(Sent { round, from, to, bytes })) => {
                let (round, from, to) = (Round(round), NodeId(from), NodeId(to));
                Ok(Some(Tale::Sent { round, from, to, bytes }))
            }
            Some(Body::Refused(Refused { round, from, reason })) => {
                let reason = reason.chars().take(REASON_MAX).collect();
                Ok(Some(Tale::Refused { round: Round(round), from: NodeId(from), reason }))
            }
            Some(Body::Progress(Progress { round })) => Ok(Some(Tale::Progress(Round(round)))),
            Some(Body::Finished(Finished {})) => Ok(Some(Tale::Finished)),
            Some(Body::Hello(_)) | None => Err(nonsense("that says nothing")),
        }
    }

    fn take_chunk(&mut self, chunk: &Chunk) -> Result<Option<Tale>, Status> {
        let whole = self.values * size_of::<f32>();
        let Some((_, bytes)) = &mut self.pending else {
            return Err(Status::invalid_argument("a chunk of nothing"));
        };
        if chunk.data.is_empty() || bytes.len() + chunk.data.len() > whole {
            return Err(Status::invalid_argument("a chunk that does not fit its model"));
        }
        bytes.extend_from_slice(&chunk.data);
        if bytes.len() < whole {
            return Ok(None);
        }
        let (kept, bytes) = self.pending.take().expect("checked above");
        let model = Arc::new(from_little_endian(&bytes));
        Ok(Some(Tale::Closed(Box::new(kept.with_model(model)))))
    }
}
