//! The ranges of a config's values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};

use super::config::{Aggregation, Config, Faults, Threat};
use crate::catalog::ConfigError;
use crate::training::Schedule;

/// Reports every value of `config` outside of its range, and keys that exclude each other.
pub(super) fn check(config: &Config, errors: &mut Vec<ConfigError>) {
    let mut check = Check { spans: &config.spans, errors };
    check.name(&config.name);
    check.seeds(&config.seeds);
    check.range("schema", config.schema, config.schema == 1, "1, the only version so far");

    let validation = config.data.validation;
    let below_one = "from 0 to below 1";
    check.range("data.validation", validation, (0.0..1.0).contains(&validation), below_one);

    let training = &config.training;
    let million = 1_000_000;
    check.whole("training.rounds", training.rounds as usize, 1..=million);
    check.whole("training.batch", training.batch, 1..=million);
    check.whole("training.local_steps", training.local_steps as usize, 1..=10_000);
    check.either("training.local_steps", "training.local_epochs");
    if let Some(epochs) = training.local_epochs {
        check.whole("training.local_epochs", epochs as usize, 1..=1_000);
    }
    if let Some(clients) = training.clients_per_round {
        check.whole("training.clients_per_round", clients, 1..=usize::MAX);
    }
    if let Some(clip) = training.clip {
        check.range("training.clip", clip, clip > 0.0 && clip.is_finite(), "above 0");
    }
    if let Some(fault) = training.schedule.as_ref().and_then(Schedule::fault) {
        check.report("training.schedule", fault, "");
    }
    check.whole("evaluation.every", config.evaluation.every as usize, 1..=usize::MAX);
    let rate = training.learning_rate;
    check.range("training.learning_rate", rate, rate > 0.0 && rate.is_finite(), "above 0");
    let decay = training.weight_decay;
    check.range("training.weight_decay", decay, decay >= 0.0 && decay.is_finite(), "0 or more");
    let momentum = training.momentum;
    check.range("training.momentum", momentum, (0.0..1.0).contains(&momentum), below_one);
    check.faults(&config.faults);
    if let Some(dampening) = training.dampening {
        let damps = (0.0..=1.0).contains(&dampening);
        check.range("training.dampening", dampening, damps, "from 0 to 1");
    }

    let (latency, bandwidth) = (config.network.latency, config.network.bandwidth);
    check.range("network.latency", latency, latency >= 0.0 && latency.is_finite(), "0 or more");
    let carries = bandwidth > 0.0 && bandwidth.is_finite();
    check.range("network.bandwidth", bandwidth, carries, "above 0");

    check.either("aggregation.rule", "aggregation.like");
    check.either("aggregation.before", "aggregation.like");
    check.either("threat.attack", "threat.like");
    check.prices(&config.threat);
    check.some_rule(&config.aggregation);
}

/// Where values stand, and what is wrong with them.
struct Check<'a> {
    spans: &'a BTreeMap<&'static str, Range<usize>>,
    errors: &'a mut Vec<ConfigError>,
}

impl Check<'_> {
    fn report(&mut self, key: &str, message: String, help: &str) {
        let help = Some(help.to_owned()).filter(|help| !help.is_empty());
        self.errors.push(ConfigError { message, span: self.spans.get(key).cloned(), help });
    }

    fn range(&mut self, key: &str, value: impl Display, holds: bool, range: &str) {
        if !holds {
            self.report(key, format!("`{key}` is {value} and must be {range}"), "");
        }
    }

    fn whole(&mut self, key: &str, value: usize, range: RangeInclusive<usize>) {
        let shown = match *range.end() {
            end if end >= u32::MAX as usize => format!("{} or more", range.start()),
            end => format!("from {} to {end}", range.start()),
        };
        self.range(key, value, range.contains(&value), &shown);
    }

    fn faults(&mut self, faults: &Faults) {
        let below_one = "from 0 to below 1";
        let absences = faults.absences;
        self.range("faults.absences", absences, (0.0..1.0).contains(&absences), below_one);
        let first_round = 1..=u32::MAX as usize;
        if let Some(partition) = &faults.partition {
            let share = partition.share;
            self.range("faults.partition.share", share, (0.0..1.0).contains(&share), below_one);
            self.whole("faults.partition.from", partition.from as usize, first_round.clone());
        }
        if let Some(slow) = &faults.slow {
            let factor = slow.factor;
            let slows = factor >= 1.0 && factor.is_finite();
            self.range("faults.slow.factor", factor, slows, "1 or more");
            self.either("faults.slow.count", "faults.slow.nodes");
        }
        if let Some(flood) = &faults.flood {
            self.whole("faults.flood.from", flood.from as usize, first_round);
            let billion = 0..=1_000_000_000;
            let (requests, capacity) = (flood.requests as usize, flood.capacity as usize);
            self.whole("faults.flood.requests", requests, billion.clone());
            self.whole("faults.flood.capacity", capacity, billion);
        }
    }

    /// What the attacker can spend, and what it is spent on, must both be known.
    fn prices(&mut self, threat: &Threat) {
        self.either("threat.corrupted", "threat.budget");
        if let Some(budget) = threat.budget {
            let holds = budget >= 0.0 && budget.is_finite();
            self.range("threat.budget", budget, holds, "0 or more");
        }
        if let Some(price) = threat.identity_price {
            let holds = price > 0.0 && price.is_finite();
            self.range("threat.identity_price", price, holds, "above 0");
        }
        let (alone, other) = match (threat.budget, threat.identity_price) {
            (Some(_), None) => ("threat.budget", "threat.identity_price"),
            (None, Some(_)) => ("threat.identity_price", "threat.budget"),
            _ => return,
        };
        let message = format!("`{alone}` says nothing without `{other}`");
        self.report(alone, message, "give both, or `threat.corrupted` in their place");
    }

    fn name(&mut self, name: &str) {
        let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || name.len() > 64 || !name.chars().all(allowed) {
            let shown: String = name.chars().take(80).collect();
            let message = format!("`name` is {shown:?}, which cannot name a folder everywhere");
            self.report("name", message, "use 1 to 64 letters, digits, `_` and `-`");
        }
    }

    fn seeds(&mut self, seeds: &[u64]) {
        if seeds.is_empty() {
            self.report("seeds", "`seeds` holds no seed".to_owned(), "write seeds = [1]");
        }
        if let Some(seed) = seeds.iter().find(|&&seed| seed >= 1 << 63) {
            let message = format!("`seeds` holds {seed}, and seeds must be below 2^63");
            self.report("seeds", message, "");
        }
        let mut seen = BTreeSet::new();
        if let Some(seed) = seeds.iter().find(|&&seed| !seen.insert(seed)) {
            let message = format!("`seeds` holds {seed} twice");
            self.report("seeds", message, "the same seed gives the same run: keep one");
        }
    }

    fn either(&mut self, one: &str, other: &str) {
        if self.spans.contains_key(one) && self.spans.contains_key(other) {
            let message = format!("`{one}` and `{other}` cannot stand together");
            self.report(other, message, "keep one of them");
        }
    }

    fn some_rule(&mut self, aggregation: &Aggregation) {
        let written = |key: &str| self.spans.contains_key(key);
        if aggregation.like.is_empty() && written("aggregation.like") {
            self.report(
                "aggregation.like",
                "`aggregation.like` names nothing".to_owned(),
                "for example: like = [\"byzfl.NNM\", \"byzfl.TrMean\"]",
            );
        } else if !written("aggregation.rule") && !written("aggregation.like") {
            self.report(
                "aggregation",
                "[aggregation] names no rule".to_owned(),
                "for example: rule = \"median\"",
            );
        }
    }
}
