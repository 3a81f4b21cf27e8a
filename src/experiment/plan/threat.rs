//! The threat that a config asks for: who is corrupted, and what they do.

use serde_json::{Value, json};

use super::as_written;
use crate::attacks::{self, Attack, AttackError};
use crate::catalog::{ConfigError, Member};
use crate::downfalls::{self, Downfall};
use crate::experiment::config::{self, Config};
use crate::like;
use crate::node::NodeId;
use crate::poisons;
use crate::seed::{Purpose, run_stream};
use crate::systems::{System, Takes, Wiring};
use crate::threats::{self, Field, Threat};

/// A threat with its names.
pub(super) struct PlannedThreat {
    pub(super) threat: Threat,
    pub(super) label: String,
    pub(super) downfall: String,
    pub(super) resolved: Value,
}

/// Checks the threat against the system, and places it.
pub(super) fn planned_threat(
    config: &Config,
    system: &dyn System,
    wiring: &dyn Wiring,
    seed: u64,
) -> Result<PlannedThreat, ConfigError> {
    let workers = system.workers();
    let corrupted = corrupted(&config.threat);
    if corrupted >= workers {
        return Err(all_corrupted(config, corrupted, workers));
    }
    let placement = threats::CATALOG.build(&config.threat.placement)?;
    let attack = attack(config)?;
    let poison = match &config.threat.poison {
        Some(choice) => Some(poisons::CATALOG.build(choice)?),
        None => None,
    };
    let knowledge = config.threat.knowledge;
    if let Some((attack, _)) = &attack
        && knowledge < attack.value.needs()
    {
        return Err(ConfigError::new(format!(
            "{} needs knowledge {:?} and has {:?}",
            attack.name,
            attack.value.needs(),
            knowledge
        ))
        .at(config.span("threat.knowledge").unwrap_or_default()));
    }
    if let Some((attack, _)) = attack.as_ref().filter(|_| corrupted > 0) {
        let place = config.threat.attack.as_ref().or(config.threat.like.as_ref());
        let aimed = attack.value.directed() && wiring.meetings().is_none();
        if aimed && system.takes() != Takes::Nothing {
            let refusal = AttackError::NoVictim { attack: attack.name };
            return Err(ConfigError::new(refusal.to_string())
                .at(place.map_or(0..0, |choice| choice.span.clone())));
        }
        let among = config.training.clients_per_round.unwrap_or(workers).min(workers);
        admitted(&*attack.value, knowledge, among, corrupted, workers).map_err(|refusal| {
            ConfigError::new(refusal.to_string())
                .at(place.map_or(0..0, |choice| choice.span.clone()))
        })?;
    }
    let graph = wiring.graph();
    let placed = placement
        .value
        .place(
            &Field { workers, graph: graph.as_deref() },
            corrupted,
            &mut run_stream(seed, Purpose::Placement),
        )
        .map_err(|error| error.at(config.span("threat.placement").unwrap_or_default()))?;
    let downfall = match &config.threat.downfall {
        Some(choice) => Some(downfalls::CATALOG.build(choice)?),
        None => None,
    };
    let fallen = match &downfall {
        Some(downfall) => fallen(downfall, wiring, &placed).map_err(|error| {
            let place = config.threat.downfall.as_ref().map(|choice| choice.span.clone());
            error.at(place.unwrap_or_default())
        })?,
        None => Vec::new(),
    };
    let directed = attack.as_ref().is_some_and(|(attack, _)| attack.value.directed());
    let named = |member: Option<Value>| member.unwrap_or_else(|| json!("none"));
    let mut resolved = json!({
        "corrupted": corrupted,
        "placement": placement.resolved(),
        "knowledge": knowledge,
        "poison": named(poison.as_ref().map(Member::resolved)),
    });
    let (key, value) = match &attack {
        Some((_, Some(like))) => ("like", like.clone()),
        Some((attack, None)) => ("attack", attack.resolved()),
        None => ("attack", json!("none")),
    };
    resolved[key] = value;
    name_what_is_asked_for(&mut resolved, config, downfall.as_ref());
    let threatens = corrupted > 0;
    Ok(PlannedThreat {
        label: attack
            .as_ref()
            .filter(|_| threatens)
            .map_or("none", |(attack, _)| attack.name)
            .to_owned(),
        downfall: downfall.as_ref().map_or("none", |downfall| downfall.name).to_owned(),
        threat: Threat {
            corrupted: placed,
            knowledge,
            attack: attack.map(|(attack, _)| attack.value).filter(|_| threatens),
            poison: poison.map(|poison| poison.value).filter(|_| threatens),
            equivocates: config.threat.equivocate.unwrap_or(directed),
            understates_degree: config.threat.understate_degree,
            fall: downfall.map(|downfall| downfall.value.fall()),
            fallen,
        },
        resolved,
    })
}

/// Whether an attack can work with so many `corrupted`, or with any number of them that may be
/// `among` those who are drawn for a round.
fn admitted(
    attack: &dyn Attack,
    knowledge: attacks::Knowledge,
    among: usize,
    corrupted: usize,
    workers: usize,
) -> Result<(), AttackError> {
    let usual = (corrupted * among).div_ceil(workers);
    let admitted = attack.admits(knowledge, among, usual);
    let works = |liars| attack.admits(knowledge, among, liars).is_ok();
    if among < workers && (1..=corrupted.min(among)).any(works) {
        return Ok(());
    }
    admitted
}

/// Names what else a config asks for. What it does not is left out, so that the runs of earlier
/// experiments keep their names.
fn name_what_is_asked_for(
    resolved: &mut Value,
    config: &Config,
    downfall: Option<&Member<dyn Downfall>>,
) {
    if let Some(equivocates) = config.threat.equivocate {
        resolved["equivocate"] = json!(equivocates);
    }
    if config.threat.understate_degree {
        resolved["understate_degree"] = json!(true);
    }
    if let Some(downfall) = downfall {
        resolved["downfall"] = downfall.resolved();
    }
}

/// How many identities are corrupted: as many as are named, or as many as the budget buys.
fn corrupted(threat: &config::Threat) -> usize {
    match (threat.budget, threat.identity_price) {
        // A hair more, since 0.3 buys three identities at 0.1 each, and 0.3 / 0.1 is below 3.
        (Some(budget), Some(price)) => (budget / price * (1.0 + 1e-12)).floor() as usize,
        _ => threat.corrupted,
    }
}

fn all_corrupted(config: &Config, corrupted: usize, workers: usize) -> ConfigError {
    if let (Some(budget), Some(price)) = (config.threat.budget, config.threat.identity_price) {
        let place = config.span("threat.identity_price").unwrap_or_default();
        return ConfigError::new(format!(
            "a budget of {budget} buys {corrupted} identities at {price} each, and there are \
             {workers} workers: at least one must be honest"
        ))
        .at(place)
        .help("raise the price, lower the budget, or add workers");
    }
    ConfigError::new(format!(
        "{corrupted} of {workers} workers are corrupted: at least one must be honest"
    ))
    .at(config.span("threat.corrupted").unwrap_or_default())
}

/// The parts that fall, ascending. Corrupted workers have fallen already.
fn fallen(
    downfall: &Member<dyn Downfall>,
    wiring: &dyn Wiring,
    corrupted: &[NodeId],
) -> Result<Vec<NodeId>, ConfigError> {
    let mut valuable = wiring.valuable();
    // A yardstick has no parts that could fall.
    if valuable.is_empty() {
        return Ok(Vec::new());
    }
    valuable.retain(|node| !corrupted.contains(node));
    downfall.value.targets().choose(&valuable)
}

/// An attack, and what the config wrote if it used another library's name.
type ChosenAttack = (Member<dyn Attack>, Option<Value>);

/// The attack that a config asks for.
fn attack(config: &Config) -> Result<Option<ChosenAttack>, ConfigError> {
    if let Some(like) = &config.threat.like {
        return Ok(Some((like::attack(like)?, Some(as_written(like)?))));
    }
    let Some(choice) = &config.threat.attack else { return Ok(None) };
    Ok(Some((attacks::CATALOG.build(choice)?, None)))
}
