//! What several nodes say of one round, made one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Records;
use super::standing::Held;
use crate::experiment::plan::Plan;
use crate::node::NodeId;
use crate::protocol::{RoundRecord, SenderRecord};
use crate::vector::Digest;

/// What tables call every node of a run.
pub(super) fn roles(plan: &Plan) -> BTreeMap<NodeId, &'static str> {
    let workers = plan.roster();
    let worker = |node: &NodeId| match plan.threat.corrupts(*node) {
        true => "corrupted",
        false if plan.threat.fallen.contains(node) => "fallen",
        false => "worker",
    };
    let mut roles: BTreeMap<NodeId, &'static str> =
        workers.ids().iter().map(|node| (*node, worker(node))).collect();
    roles.extend(plan.wiring.parts().into_iter().map(|part| (part.node, part.role)));
    roles
}

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

/// The models that honest nodes hold: their own, or the server's.
pub(super) fn held(records: &Records, honest: &BTreeSet<NodeId>) -> BTreeMap<NodeId, Held> {
    let of = |record: &RoundRecord| (Arc::clone(&record.model), record.digest);
    let trained = records.iter().filter(|(_, record)| record.own.is_some());
    let mut held: BTreeMap<NodeId, Held> =
        trained.map(|(&node, record)| (node, of(record))).collect();
    held.retain(|node, _| honest.contains(node));
    if held.is_empty()
        && let Some(record) = records.values().next()
    {
        held.extend(honest.iter().map(|&node| (node, of(record))));
    }
    held
}
