//! Who takes part in a round: everybody, or some who are drawn for it.

use crate::catalog::ConfigError;
use crate::experiment::config::Config;
use crate::node::Round;
use crate::protocol::participation::Participation;
use crate::systems::System;

use super::Plan;

/// Who takes part, if not everybody does.
pub(super) fn turnout(
    config: &Config,
    system: &dyn System,
    seed: u64,
) -> Result<Option<Participation>, ConfigError> {
    let Some(count) = config.training.clients_per_round else { return Ok(None) };
    let workers = system.workers();
    let refusal = |message: String, help: &str| {
        let place = config.span("training.clients_per_round").unwrap_or_default();
        Err(ConfigError::new(message).at(place).help(help))
    };
    if !system.draws_workers() {
        return refusal(
            format!("workers are drawn by servers that all share, and {} has none", system.label()),
            "take system `central` or `replicated`, or leave clients_per_round out",
        );
    }
    if count > workers {
        return refusal(
            format!("{count} of {workers} workers cannot be drawn for a round"),
            "lower clients_per_round, or add workers",
        );
    }
    Ok(Some(Participation { seed, workers: workers as u32, count: count as u32 }))
}

impl Plan {
    /// The share of rounds for which more of the corrupted are drawn than were declared, where
    /// not everybody takes part.
    pub fn overdrawn(&self) -> Option<f64> {
        let participation = self.faults.participation?;
        let corrupted = |round: u32| {
            let draws = |node: &&crate::node::NodeId| participation.draws(Round(round), **node);
            self.threat.corrupted.iter().filter(draws).count()
        };
        let over = (1..=self.rounds).filter(|&round| corrupted(round) > self.byzantine).count();
        Some(over as f64 / f64::from(self.rounds))
    }
}
