//! Other libraries, by name: which of our members, with which parameters, is what they do.
//!
//! `like = "byzfl.Krum"` is no second implementation. Each entry turns a library's own
//! parameters, with its own defaults, into the name of one of our members, that member's
//! parameters, and the library's `f`. Everything after that is the ordinary path, so what a run
//! records is our member with every convention spelled out.
//!
//! Only conventions that were compared with outputs of the library itself have an entry.

mod attacks;
mod authors;
mod blades_legacy;
mod byzfl;
mod centres;
mod crypto_ku;
mod epfl;
mod epfml;
mod fedlib;
mod fldetector;
mod flower;
mod ndss21;
mod samples;
mod signguard;

use std::fmt;

use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::aggregators::{self, Aggregator};
use crate::attacks::{Attack, CATALOG as ATTACKS};
use crate::catalog::{Catalog, Choice, ConfigError, Member, Parameters, did_you_mean};
use crate::preaggregators::{self, Chain, Link, PreAggregator};

pub use samples::Samples;

/// The tables of all libraries.
static LIBRARIES: [&[Entry]; 15] = [
    byzfl::ENTRIES,
    centres::ENTRIES,
    flower::ENTRIES,
    epfml::ENTRIES,
    fedlib::ENTRIES,
    fedlib::clusters::ENTRIES,
    ndss21::ENTRIES,
    epfl::ENTRIES,
    crypto_ku::ENTRIES,
    crypto_ku::clusters::ENTRIES,
    crypto_ku::layers::ENTRIES,
    blades_legacy::ENTRIES,
    authors::ENTRIES,
    signguard::ENTRIES,
    fldetector::ENTRIES,
];

/// One name of another library.
pub struct Entry {
    /// The library and its name for the part: `byzfl.Krum`.
    pub name: &'static str,
    /// What kind of part it is.
    pub kind: Kind,
    /// Our member that does it.
    pub member: &'static str,
    /// The library's own parameters, with its defaults.
    pub parameters: fn() -> Schema,
    /// The library's default for `f`, where the part has one.
    byzantine: Option<usize>,
    /// From the library's parameters to ours.
    translate: fn(Parameters) -> Result<Translation, ConfigError>,
}

impl fmt::Debug for Entry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Entry")
            .field("name", &self.name)
            .field("member", &self.member)
            .finish_non_exhaustive()
    }
}

/// What a name of another library stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A rule, which ends a chain.
    Aggregator,
    /// A step before the rule.
    PreAggregator,
    /// What corrupted identities send.
    Attack,
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Kind::Aggregator => "an aggregator",
            Kind::PreAggregator => "a pre-aggregator",
            Kind::Attack => "an attack",
        })
    }
}

/// What one set of a library's parameters comes to.
#[derive(Default)]
struct Translation {
    /// Our member's parameters as a TOML document.
    parameters: String,
    /// `f`, where the user gave it.
    byzantine: Option<usize>,
    /// What each row counts, where the user gave it.
    samples: Option<Samples>,
}

impl Translation {
    /// Our member with these parameters.
    fn to(parameters: impl Into<String>) -> Self {
        Translation { parameters: parameters.into(), ..Translation::default() }
    }
}

/// One part of a chain that was named after another library.
pub struct Part<T: ?Sized> {
    /// The name that was given: `byzfl.Krum`.
    pub like: &'static str,
    /// Our member with its parameters resolved, which is what a run records.
    pub member: Member<T>,
    /// `f` for this part: as given; else the declared one (`None`); else the library's default.
    pub byzantine: Option<usize>,
}

impl<T: ?Sized> Part<T> {
    /// The part as a link of a chain.
    pub fn link(&self) -> Link<T> {
        Link { part: self.member.value.clone(), byzantine: self.byzantine }
    }
}

impl<T: ?Sized> fmt::Debug for Part<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} = {:?}, f = {:?}", self.like, self.member, self.byzantine)
    }
}

/// A chain that was named after other libraries.
#[derive(Debug)]
pub struct Resolved {
    /// The pre-aggregators in order.
    pub before: Vec<Part<dyn PreAggregator>>,
    /// The rule at the end, if the chain has one.
    pub rule: Option<Part<dyn Aggregator>>,
    /// What each row counts, where the library's parameters say so; else the caller's counts.
    pub samples: Option<Samples>,
}

impl Resolved {
    /// The pre-aggregators as links.
    pub fn links(&self) -> Vec<Link<dyn PreAggregator>> {
        self.before.iter().map(Part::link).collect()
    }

    /// The whole chain, if it ends in a rule.
    pub fn chain(&self) -> Option<Chain> {
        let rule = self.rule.as_ref()?.link();
        Some(Chain { before: self.links(), rule })
    }
}

/// All entries, library by library.
pub fn entries() -> impl Iterator<Item = &'static Entry> {
    LIBRARIES.iter().chain(&attacks::LIBRARIES).copied().flatten()
}

/// The entry called `name`.
pub fn find(name: &str) -> Result<&'static Entry, ConfigError> {
    entries().find(|entry| entry.name == name).ok_or_else(|| {
        let help = did_you_mean(name, entries().map(|entry| entry.name)).unwrap_or_else(|| {
            let names: Vec<&str> = entries().map(|entry| entry.name).collect();
            format!("there are: {}", names.join(", "))
        });
        ConfigError::new(format!("nothing of another library is called `{name}`")).help(help)
    })
}

/// Reads a chain: pre-aggregators in order, then at most one rule.
///
/// `declared` is the caller's number of byzantine senders. A part that is given no `f` of its own
/// takes that; without it, the library's default.
pub fn chain(choices: &[Choice], declared: Option<usize>) -> Result<Resolved, ConfigError> {
    let mut resolved = Resolved { before: Vec::new(), rule: None, samples: None };
    for choice in choices {
        let entry = find(&choice.name).map_err(|error| error.at(choice.span.clone()))?;
        if let Some(rule) = &resolved.rule {
            let message = format!("`{}` stands behind the rule `{}`", entry.name, rule.like);
            return Err(ConfigError::new(message)
                .at(choice.span.clone())
                .help("a chain is any number of pre-aggregators and then one rule"));
        }
        match entry.kind {
            Kind::PreAggregator => {
                let (part, _) = entry.part(&preaggregators::CATALOG, choice, declared)?;
                resolved.before.push(part);
            }
            Kind::Aggregator => {
                let (part, samples) = entry.part(&aggregators::CATALOG, choice, declared)?;
                resolved.rule = Some(part);
                resolved.samples = samples;
            }
            Kind::Attack => return Err(entry.misplaced(choice, "aggregate")),
        }
    }
    if choices.is_empty() {
        return Err(ConfigError::new("the chain is empty")
            .help("name a rule, with pre-aggregators before it if any"));
    }
    Ok(resolved)
}

/// Reads an attack.
pub fn attack(choice: &Choice) -> Result<Member<dyn Attack>, ConfigError> {
    let entry = find(&choice.name).map_err(|error| error.at(choice.span.clone()))?;
    if entry.kind != Kind::Attack {
        return Err(entry.misplaced(choice, "attack"));
    }
    Ok(entry.part(&ATTACKS, choice, None)?.0.member)
}

impl Entry {
    /// Our member for this entry with the user's parameters, and the sample counts among them.
    fn part<T: ?Sized, C>(
        &'static self,
        catalog: &Catalog<T, C>,
        choice: &Choice,
        declared: Option<usize>,
    ) -> Result<(Part<T>, Option<Samples>), ConfigError> {
        let translation = (self.translate)(choice.parameters.clone())
            .map_err(|error| self.explain(error).at(choice.span.clone()))?;
        let member = Choice::with(self.member, &translation.parameters)
            .and_then(|ours| catalog.build(&ours))
            .map_err(|error| self.refused(error, &translation.parameters, choice))?;
        let otherwise = if declared.is_none() { self.byzantine } else { None };
        let byzantine = translation.byzantine.or(otherwise);
        Ok((Part { like: self.name, member, byzantine }, translation.samples))
    }

    /// Says whose parameters were read, since they are not those of our member.
    fn explain(&self, error: ConfigError) -> ConfigError {
        ConfigError { message: format!("{}: {}", self.name, error.message), ..error }
    }

    /// A refusal by our member is about our parameters, in text that no file holds.
    fn refused(&self, error: ConfigError, parameters: &str, choice: &Choice) -> ConfigError {
        let with = if parameters.is_empty() { "" } else { " with " };
        let parameters = parameters.replace('\n', ", ");
        let message =
            format!("{} is {}{with}{parameters}: {}", self.name, self.member, error.message);
        ConfigError { message, span: Some(choice.span.clone()), help: error.help }
    }

    fn misplaced(&self, choice: &Choice, purpose: &str) -> ConfigError {
        let message = format!("`{}` is {} and cannot {purpose}", self.name, self.kind);
        ConfigError::new(message).at(choice.span.clone())
    }
}

/// Reads the library's parameters as `P` and makes a translation from them.
fn read<P: DeserializeOwned>(
    parameters: Parameters,
    translate: impl FnOnce(P) -> Result<Translation, ConfigError>,
) -> Result<Translation, ConfigError> {
    translate(parameters.read()?)
}

/// A number as TOML, refused if it is NaN or infinite.
fn number(parameter: &str, value: f64) -> Result<String, ConfigError> {
    if value.is_finite() {
        // The debug form keeps a point or an exponent, so that TOML reads a float.
        return Ok(format!("{value:?}"));
    }
    Err(ConfigError::new(format!("`{parameter}` must be a finite number, got {value}")))
}

/// Lists of numbers as TOML, each refused if it is NaN or infinite.
fn numbers(parameter: &str, lists: &[Vec<f64>]) -> Result<String, ConfigError> {
    let list = |list: &Vec<f64>| -> Result<String, ConfigError> {
        let values: Result<Vec<String>, _> = list.iter().map(|&x| number(parameter, x)).collect();
        Ok(format!("[{}]", values?.join(", ")))
    };
    let lists: Result<Vec<String>, _> = lists.iter().map(list).collect();
    Ok(format!("[{}]", lists?.join(", ")))
}

/// No parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// What a rule takes that asks for the number of byzantine rows alone.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Tolerance {
    /// How many byzantine rows to tolerate; absent: the declared number, else 0.
    f: Option<usize>,
}

impl Tolerance {
    fn with(self, parameters: &str) -> Translation {
        Translation { byzantine: self.f, ..Translation::to(parameters) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn choice(name: &str, toml: &str) -> Choice {
        Choice::with(name, toml).unwrap()
    }

    #[test]
    fn names_are_unique_and_carry_their_library() {
        let mut names: Vec<&str> = entries().map(|entry| entry.name).collect();
        assert!(names.iter().all(|name| name.split('.').count() == 2));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), entries().count());
    }

    #[test]
    fn every_entry_builds_its_member_with_the_librarys_defaults() {
        for entry in entries() {
            let choice = Choice::named(entry.name);
            let built = match entry.kind {
                Kind::Attack => attack(&choice).map(|member| member.name),
                _ => {
                    chain(&[choice], None).map(|resolved| match (resolved.rule, resolved.before) {
                        (Some(rule), _) => rule.member.name,
                        (None, before) => before[0].member.name,
                    })
                }
            };
            assert_eq!(built.unwrap(), entry.member, "{}", entry.name);
        }
    }

    #[test]
    fn attacks_take_the_librarys_parameters() {
        let member = attack(&choice("byzfl.ALittleIsEnough", "tau = 0.5")).unwrap();
        assert_eq!(
            member.resolved(),
            json!({ "little_is_enough": {
                "deviations": 0.5, "formula": false, "sign": "plus", "sample": true,
            } })
        );
        let member = attack(&Choice::named("byzfl.InnerProductManipulation")).unwrap();
        assert_eq!(member.resolved(), json!({ "inner_product": { "epsilon": 2.0 } }));
        let member = attack(&choice("byzfl.Gaussian", "sigma = 1e-300")).unwrap();
        assert_eq!(member.parameters, json!({ "mean": 0.0, "deviation": 1e-300 }));
    }

    #[test]
    fn a_wrong_parameter_is_answered_with_the_librarys_own() {
        let error = attack(&choice("byzfl.ALittleIsEnough", "taw = 0.5")).unwrap_err();
        assert_eq!(error.message, "byzfl.ALittleIsEnough: unknown field `taw`, expected `tau`");
        assert_eq!(error.help.as_deref(), Some("did you mean `tau`?"));
        let error = attack(&choice("byzfl.SignFlipping", "factor = 2.0")).unwrap_err();
        assert!(error.message.contains("unknown field `factor`"), "{}", error.message);
    }

    #[test]
    fn a_wrong_name_or_kind_is_refused() {
        let error = find("byzfl.krum").unwrap_err();
        assert_eq!(error.help.as_deref(), Some("did you mean `byzfl.Krum`?"));
        let error = attack(&Choice::named("byzfl.Average")).unwrap_err();
        assert_eq!(error.message, "`byzfl.Average` is an aggregator and cannot attack");
        let error = chain(&[Choice::named("byzfl.Gaussian")], None).unwrap_err();
        assert_eq!(error.message, "`byzfl.Gaussian` is an attack and cannot aggregate");
        assert_eq!(chain(&[], None).unwrap_err().message, "the chain is empty");
    }

    #[test]
    fn a_rule_ends_the_chain() {
        let names = ["byzfl.Average", "flower.aggregate"].map(Choice::named);
        let error = chain(&names, None).unwrap_err();
        assert_eq!(error.message, "`flower.aggregate` stands behind the rule `byzfl.Average`");
    }

    #[test]
    fn a_refusal_of_our_member_names_both_sides() {
        let error = attack(&choice("byzfl.Gaussian", "sigma = -1.0")).unwrap_err();
        assert_eq!(
            error.message,
            "byzfl.Gaussian is gaussian with mean = 0.0, deviation = -1.0: `deviation` must be at \
             least 0, got -1"
        );
        let error = attack(&choice("byzfl.Gaussian", "mu = inf")).unwrap_err();
        assert_eq!(error.message, "byzfl.Gaussian: `mu` must be a finite number, got inf");
    }

    #[test]
    fn sample_counts_come_with_the_librarys_parameters() {
        let one = |toml| chain(&[choice("flower.aggregate", toml)], None);
        assert_eq!(one("").unwrap().samples, None);
        assert_eq!(one("weights = [3, 4]").unwrap().samples, Some(Samples::Listed(vec![3, 4])));
        assert_eq!(one("weights = \"1..n\"").unwrap().samples, Some(Samples::Ascending));
        for wrong in ["weights = \"n..1\"", "weights = [-1]", "weights = 3"] {
            assert!(one(wrong).is_err(), "{wrong}");
        }
    }
}
