//! The defence that a config asks for: a chain of our members, or of another library's names.

use serde_json::{Value, json};

use super::as_written;
use crate::aggregators::{self, Aggregator};
use crate::catalog::{Choice, ConfigError, Member};
use crate::experiment::config::Config;
use crate::like;
use crate::preaggregators::{self, Chain, Link, PreAggregator};
use crate::systems::System;

/// The rule that a config asks for.
pub(super) struct Aggregation {
    pub(super) chain: Chain,
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
    let before: Vec<Member<dyn PreAggregator>> = config
        .aggregation
        .before
        .iter()
        .map(|choice| preaggregators::CATALOG.build(choice))
        .collect::<Result<_, _>>()?;
    let rule = aggregators::CATALOG.build(rule)?;
    let names: Vec<&str> = before.iter().map(|member| member.name).chain([rule.name]).collect();
    Ok(Aggregation {
        label: names.join("+"),
        resolved: json!({
            "byzantine": declared,
            "before": before.iter().map(Member::resolved).collect::<Vec<Value>>(),
            "rule": rule.resolved(),
        }),
        chain: Chain {
            before: before
                .into_iter()
                .map(|member| Link { part: member.value, byzantine: None })
                .collect(),
            rule: Link { part: rule.value, byzantine: None },
        },
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
        chain,
    })
}

/// Whether the rule can stand the declared liars when nobody is missing.
pub(super) fn tolerable(
    config: &Config,
    system: &dyn System,
    rule: &Chain,
) -> Result<(), ConfigError> {
    rule.admits(system.rows(), config.aggregation.byzantine).map_err(|refusal| {
        let place = config.aggregation.rule.as_ref().or(config.aggregation.like.last());
        ConfigError::new(refusal.to_string())
            .at(place.map_or(0..0, |choice| choice.span.clone()))
            .help(format!(
                "lower aggregation.byzantine (now {}), add workers (now {}), or take another rule",
                config.aggregation.byzantine,
                system.workers()
            ))
    })
}
