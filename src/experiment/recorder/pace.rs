//! How long a round takes on the configured network, in virtual time.

use std::collections::BTreeMap;

use super::traffic::Bytes;
use crate::experiment::config::Network;
use crate::experiment::plan::SlowNodes;
use crate::node::NodeId;

/// Bytes in a megabyte, as networks count.
const MEGABYTE: f64 = 1e6;

/// The seconds of a round with so many `steps`, messages that wait for each other.
///
/// The round waits for its slowest member in every step, and for whoever is busiest with its bytes
/// for as long as its own line takes. Who sends and receives nothing holds up nobody.
pub(super) fn seconds(
    traffic: &BTreeMap<NodeId, Bytes>,
    steps: u32,
    network: &Network,
    slow: &SlowNodes,
) -> f64 {
    let slowest = traffic.keys().map(|&node| slow.factor(node)).fold(1.0, f64::max);
    let waiting = f64::from(steps) * network.latency / 1000.0 * slowest;
    let busy = |(&node, bytes): (&NodeId, &Bytes)| {
        (bytes.sent + bytes.received) as f64 * slow.factor(node)
    };
    let busiest = traffic.iter().map(busy).fold(0.0, f64::max);
    waiting + busiest / (network.bandwidth * MEGABYTE)
}
