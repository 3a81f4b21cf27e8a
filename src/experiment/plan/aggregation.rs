//! The defence that a config asks for: a chain of our members, or of another library's names.

use std::sync::Arc;

use serde_json::{Value, json};

use super::as_written;
use crate::aggregators;
use crate::catalog::{Choice, ConfigError, Member};
use crate::experiment::config::Config;
use crate::like;
use crate::peer_rules;
use crate::preaggregators::{self, Chain, Link, PreAggregator};
use crate::protocol::mesh_adversary::Defence;
use crate::systems::{System, Takes, Wiring};

/// The rule that a config asks for.
pub(super) struct Aggregation {
    pub(super) rule: Defence,
    pub(super) label: String,
    pub(super) resolved: Value,
}

pub(super) fn aggregation(config: &Config) -> Result<Aggregation, ConfigError> {
    let declared = config.aggregation.byzantine;
    if !config.aggregation.like.is_empty() {
        return like_aggregation(&config.aggregation.like, declared);
    }
    let rule = config.aggregation.rule.as_ref().ok_or_else(|| {
        ConfigError::new("aggregation names neither a rule nor one to be like")
            .help("write rule = { krum = {} }, or like = \"byzfl.Krum\"")
    })?;
    if is_peer_rule(&rule.name) {
        return peer_aggregation(config, rule);
    }
    let before: Vec<Member<dyn PreAggregator>> = config
        .aggregation
        .before
        .iter()
        .map(|choice| preaggregators::CATALOG.build(choice))
        .collect::<Result<_, _>>()?;
    let rule = aggregators::CATALOG.build(rule)?;
    let names: Vec<&str> = before.iter().map(|member| member.name).chain([rule.name]).collect();
    let chain = Chain {
        before: before
            .iter()
            .map(|member| Link { part: Arc::clone(&member.value), byzantine: None })
            .collect(),
        rule: Link { part: Arc::clone(&rule.value), byzantine: None },
    };
    Ok(Aggregation {
        label: names.join("+"),
        resolved: json!({
            "byzantine": declared,
            "trusted": (config.aggregation.trusted > 0).then_some(config.aggregation.trusted),
            "before": before.iter().map(Member::resolved).collect::<Vec<Value>>(),
            "rule": rule.resolved(),
        }),
        rule: Defence::Rule(Arc::new(chain)),
    })
}

/// Whether this is a rule of peers, and no aggregation rule.
fn is_peer_rule(name: &str) -> bool {
    aggregators::CATALOG.find(name).is_err() && peer_rules::CATALOG.find(name).is_ok()
}

/// A rule of peers, which reads models and not rows that other parts could have changed.
fn peer_aggregation(config: &Config, choice: &Choice) -> Result<Aggregation, ConfigError> {
    if let Some(before) = config.aggregation.before.first() {
        return Err(ConfigError::new(format!("nothing can come before {}", choice.name))
            .at(before.span.clone())
            .help("a peer rule takes its neighbours' models as they are"));
    }
    let rule = peer_rules::CATALOG.build(choice)?;
    Ok(Aggregation {
        label: rule.name.to_owned(),
        resolved: json!({
            "byzantine": config.aggregation.byzantine,
            "before": [],
            "rule": rule.resolved(),
        }),
        rule: Defence::Peer(rule.value),
    })
}

/// The rule under another library's name.
fn like_aggregation(like: &[Choice], declared: usize) -> Result<Aggregation, ConfigError> {
    let resolved = like::chain(like, Some(declared))?;
    let names: Vec<&str> = like.iter().map(|choice| choice.name.as_str()).collect();
    if resolved.samples.is_some() {
        return Err(ConfigError::new("`weights` cannot be given in a run")
            .at(like.last().map_or(0..0, |choice| choice.span.clone()))
            .help("workers declare their own sample counts"));
    }
    let chain = resolved.chain().ok_or_else(|| {
        ConfigError::new(format!("{} ends in no rule", names.join(", ")))
            .at(like.last().map_or(0..0, |choice| choice.span.clone()))
            .help("name an aggregation rule last, for example \"byzfl.TrMean\"")
    })?;
    Ok(Aggregation {
        label: names.join("+"),
        resolved: json!({
            "byzantine": declared,
            "like": like.iter().map(as_written).collect::<Result<Vec<Value>, _>>()?,
        }),
        rule: Defence::Rule(Arc::new(chain)),
    })
}

/// Whether a rule that needs trusted data has a server that holds some, and only such a rule.
fn trustworthy(config: &Config, wiring: &dyn Wiring, rule: &Defence) -> Result<(), ConfigError> {
    let trusted = config.aggregation.trusted;
    let needed = matches!(rule, Defence::Rule(rule) if rule.needs_trusted());
    let problem = match (needed, trusted) {
        (true, 0) => {
            ConfigError::new("the rule needs an update from trusted data, and there are none")
                .help("write aggregation.trusted = 100: the samples that the server holds itself")
        }
        (true, _) if !wiring.coordinated() => {
            ConfigError::new("the rule needs a server that trains on trusted data itself")
                .help("take system `central` without a downfall, or another rule")
        }
        (false, 1..) => {
            ConfigError::new(format!("the rule makes no use of aggregation.trusted = {trusted}"))
                .help("leave it out, or take a rule that does: fltrust")
        }
        _ => return Ok(()),
    };
    Err(problem)
}

/// Whether the system can use the rule at all, and whether that can stand the declared liars when
/// nobody is missing.
pub(super) fn tolerable(
    config: &Config,
    system: &dyn System,
    wiring: &dyn Wiring,
    rule: &Defence,
) -> Result<(), ConfigError> {
    let place = config.aggregation.rule.as_ref().or(config.aggregation.like.last());
    let place = place.map_or(0..0, |choice| choice.span.clone());
    if matches!(rule, Defence::Peer(_)) && system.takes() == Takes::Rules {
        let label = system.label();
        return Err(ConfigError::new(format!("a peer rule needs peers, and {label} has none"))
            .at(place)
            .help("use it in system `gossip`, or take an aggregation rule"));
    }
    if system.takes() != Takes::Nothing {
        trustworthy(config, wiring, rule).map_err(|error| error.at(place.clone()))?;
    }
    let declared = system.byzantine().unwrap_or(config.aggregation.byzantine);
    let drawn = config.training.clients_per_round.filter(|_| system.draws_workers());
    let admitted = match (drawn, rule) {
        (Some(drawn), Defence::Rule(rule)) if system.takes() != Takes::Nothing => {
            rule.admits(drawn.min(system.workers()), declared)
        }
        _ => wiring.admits(rule, declared),
    };
    admitted.map_err(|refusal| {
        let rows = match drawn {
            Some(drawn) => format!("draw more clients_per_round (now {drawn})"),
            None => format!("add workers (now {})", system.workers()),
        };
        ConfigError::new(refusal.to_string()).at(place).help(format!(
            "lower aggregation.byzantine (now {declared}), {rows}, or take another rule"
        ))
    })
}
