//! What the records of a round say together.

use std::collections::BTreeMap;

use super::Records;
use super::standing::Held;
use crate::node::NodeId;
use crate::protocol::SenderRecord;
use crate::vector::Digest;

/// What became of everybody who was expected to share, as the first node saw it that expected it:
/// one that collects before one that only tells of what it refused.
pub(super) fn senders(records: &Records) -> BTreeMap<NodeId, SenderRecord> {
    let mut senders: BTreeMap<NodeId, SenderRecord> = BTreeMap::new();
    for sender in records.values().flat_map(|record| &record.senders) {
        let known = senders.entry(sender.node).or_insert_with(|| sender.clone());
        if known.norm.is_none() && sender.norm.is_some() {
            *known = sender.clone();
        }
    }
    senders
}

/// Why the round came to nothing for some nodes, in the words of the first.
pub(super) fn skipped(records: &Records) -> Option<String> {
    let reasons: Vec<&String> =
        records.values().filter_map(|record| record.skipped.as_ref()).collect();
    let first = reasons.first()?;
    Some(match records.len() {
        1 => (*first).clone(),
        nodes => format!("{} of {nodes} nodes: {first}", reasons.len()),
    })
}

/// The digest of the one model, or over all of them in node order.
pub(super) fn digest(held: &BTreeMap<NodeId, Held>) -> String {
    let digests: Vec<&Digest> = held.values().map(|(_, digest)| digest).collect();
    match digests.as_slice() {
        [first, rest @ ..] if rest.iter().all(|digest| digest == first) => first.to_string(),
        _ => Digest::of_digests(digests).to_string(),
    }
}
