//! Whether a peer has more corrupted neighbours than its rule is prepared for.

use std::sync::Arc;

use crate::catalog::ConfigError;
use crate::experiment::config::Config;
use crate::node::{NodeId, Round};
use crate::protocol::mesh_adversary::Defence;
use crate::protocol::peer::tolerated;
use crate::systems::{System, Wiring, peer_rule};
use crate::threats::Threat;

/// How many peers a message names.
const NAMED: usize = 8;

/// Refuses a run in which some honest peer has more corrupted neighbours than its rule tolerates,
/// unless the system allows that.
pub(super) fn exposed(
    config: &Config,
    system: &dyn System,
    wiring: &dyn Wiring,
    rule: &Defence,
    threat: &Threat,
) -> Result<(), ConfigError> {
    let Some(meetings) = wiring.meetings() else { return Ok(()) };
    if system.allows_overload() || (threat.corrupted.is_empty() && threat.fallen.is_empty()) {
        return Ok(());
    }
    let declared = system.byzantine().unwrap_or(config.aggregation.byzantine);
    let rule = peer_rule(rule);
    // A graph that is always the same need not be looked at again.
    let rounds =
        if wiring.graph().is_some_and(|first| Arc::ptr_eq(&first, &meetings.graph(Round(2)))) {
            1
        } else {
            config.training.rounds
        };
    for round in (1..=rounds).map(Round) {
        let graph = meetings.graph(round);
        let falls = |node: &&NodeId| threat.corrupts(**node) || threat.fallen.contains(node);
        let mut overloaded = Vec::new();
        for node in graph.nodes().filter(|node| !falls(&node)) {
            let neighbours = graph.neighbours(node);
            let liars = neighbours.iter().filter(falls).count();
            let stands = tolerated(&*rule, neighbours.len(), declared);
            if liars > stands {
                overloaded.push((node, liars, stands, neighbours.len()));
            }
        }
        if !overloaded.is_empty() {
            return Err(
                refusal(&overloaded, (rounds > 1).then_some(round)).at(config.system.span.clone())
            );
        }
    }
    Ok(())
}

/// Names the peers, what they have around them and what their rule tolerates.
fn refusal(overloaded: &[(NodeId, usize, usize, usize)], round: Option<Round>) -> ConfigError {
    let mut named: Vec<String> = overloaded
        .iter()
        .take(NAMED)
        .map(|(node, liars, stands, neighbours)| {
            format!("node {node} has {liars} among {neighbours} and tolerates {stands}")
        })
        .collect();
    if overloaded.len() > NAMED {
        named.push(format!("and {} more", overloaded.len() - NAMED));
    }
    let when = round.map_or_else(String::new, |round| format!(" in round {round}"));
    ConfigError::new(format!(
        "more neighbours of some peers are corrupted than their rule tolerates{when}: {}",
        named.join(", ")
    ))
    .help("declare more (`byzantine`), corrupt fewer, or set `allow_overload = true`")
}
