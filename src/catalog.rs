//! Catalogs: one static list per kind of pluggable part.
//!
//! `list`, `explain`, the README's tables, the schema, the messages for wrong names and the
//! conformance tests all read these lists. A new member is one new file and two adjacent lines.

mod nested;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use schemars::Schema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

pub use nested::Nested;

/// What is wrong with a value that a user wrote, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConfigError {
    /// A lowercase fragment with the values in it.
    pub message: String,
    /// The bytes of the source text it is about, where there is a source text.
    pub span: Option<Range<usize>>,
    /// What to do.
    pub help: Option<String>,
}

impl ConfigError {
    /// An error that is not yet tied to a place.
    pub fn new(message: impl Into<String>) -> Self {
        ConfigError { message: message.into(), span: None, help: None }
    }

    /// The same error at `span`, unless it has a place already.
    #[must_use]
    pub fn at(mut self, span: Range<usize>) -> Self {
        self.span.get_or_insert(span);
        self
    }

    /// The same error with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl From<toml::de::Error> for ConfigError {
    fn from(error: toml::de::Error) -> Self {
        let message = error.message().lines().next().unwrap_or_default().to_owned();
        let help = unknown_field(&message)
            .and_then(|(wrong, known)| did_you_mean(wrong, known.iter().copied()));
        ConfigError { message, span: error.span(), help }
    }
}

/// Splits serde's "unknown field `x`, expected one of `a`, `b`" (or variant) into its names.
fn unknown_field(message: &str) -> Option<(&str, Vec<&str>)> {
    if !message.starts_with("unknown ") {
        return None;
    }
    let mut quoted = message.split('`').skip(1).step_by(2);
    let wrong = quoted.next()?;
    Some((wrong, quoted.collect()))
}

/// "did you mean `krum`?" for the closest of `known`, if any is close.
pub fn did_you_mean<'a>(wrong: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    known
        .map(|name| (strsim::jaro_winkler(wrong, name), name))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| format!("did you mean `{name}`?"))
}

/// Source text that lives as long as the process.
///
/// Values point into the text they were parsed from, and cells, workers and messages hold on to
/// them; a process reads one config and a few overrides, so the text is never given back.
pub fn keep(text: &str) -> &'static str {
    Box::leak(text.to_owned().into_boxed_str())
}

/// The parameters that a user gave to one member, with their place in the source text.
#[derive(Debug, Clone)]
pub struct Parameters(Spanned<DeValue<'static>>);

impl Parameters {
    /// No parameters: the defaults.
    pub fn none() -> Self {
        Parameters(Spanned::new(0..0, DeValue::Table(DeTable::default())))
    }

    /// Parameters written as a TOML document, for tables in code and for `--set`.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        let table = DeTable::parse(keep(text))?;
        Ok(Parameters(Spanned::new(table.span(), DeValue::Table(table.into_inner()))))
    }

    /// Parameters cut out of a larger document.
    pub fn from_value(value: Spanned<DeValue<'static>>) -> Self {
        Parameters(value)
    }

    /// Where they stand in the source text.
    pub fn span(&self) -> Range<usize> {
        self.0.span()
    }

    /// Reads them as `P`, whose field names, defaults and units are the documentation.
    pub fn read<P: DeserializeOwned>(self) -> Result<P, ConfigError> {
        let span = self.0.span();
        P::deserialize(ValueDeserializer::from(self.0))
            .map_err(|error| ConfigError::from(error).at(span))
    }

    /// Reads them as `P`, lets `make` check them and build the member, and keeps what they
    /// resolved to.
    pub fn build<T: ?Sized, P: DeserializeOwned + Serialize>(
        self,
        make: impl FnOnce(P) -> Result<Arc<T>, ConfigError>,
    ) -> Result<Built<T>, ConfigError> {
        let table = self.0.clone();
        let parameters: P = self.read()?;
        let resolved = serde_json::to_value(&parameters)
            .map_err(|error| ConfigError::new(format!("parameters do not serialise: {error}")))?;
        let value = make(parameters).map_err(|error| point_at_field(error, &table))?;
        Ok(Built { value, parameters: resolved })
    }
}

/// A check that names a field in backticks is shown at that field.
fn point_at_field(error: ConfigError, table: &Spanned<DeValue<'static>>) -> ConfigError {
    let field = error.message.split('`').nth(1).unwrap_or_default().to_owned();
    let place = table.get_ref().get(field.as_str()).map_or(table.span(), Spanned::span);
    error.at(place)
}

/// A member made from its parameters.
pub struct Built<T: ?Sized> {
    /// The member itself.
    pub value: Arc<T>,
    /// Its parameters with every default filled in.
    pub parameters: serde_json::Value,
}

/// One member of a catalog.
pub struct Entry<T: ?Sized + 'static, C: 'static = ()> {
    /// What configs call it: `krum`.
    pub name: &'static str,
    /// One line.
    pub summary: &'static str,
    /// Authors, venue, year.
    pub reference: &'static str,
    /// The member's own source file; its module documentation is what `explain` prints.
    pub source: &'static str,
    /// What the member promises; the conformance tests hold it to that.
    pub claims: C,
    /// Names, units and defaults of the parameters.
    pub parameters: fn() -> Schema,
    /// Checks parameters and makes the member.
    pub build: fn(Parameters) -> Result<Built<T>, ConfigError>,
}

impl<T: ?Sized, C> Entry<T, C> {
    /// The member's manual page: the documentation at the head of its file.
    pub fn manual(&self) -> String {
        manual_of(self.source)
    }
}

/// The `//!` lines at the head of a source file, without their marks.
pub fn manual_of(source: &str) -> String {
    let lines: Vec<&str> = source
        .lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    lines.join("\n")
}

impl<T: ?Sized, C> fmt::Debug for Entry<T, C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Entry").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<T: ?Sized> fmt::Debug for Built<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Built")
            .field("parameters", &self.parameters)
            .finish_non_exhaustive()
    }
}

/// All members of one kind.
#[derive(Debug)]
pub struct Catalog<T: ?Sized + 'static, C: 'static = ()> {
    /// What one member is called: `aggregator`.
    pub kind: &'static str,
    /// The members, in the order in which they are listed.
    pub entries: &'static [&'static Entry<T, C>],
}

impl<T: ?Sized, C> Catalog<T, C> {
    /// The member called `name`.
    pub fn find(&self, name: &str) -> Result<&'static Entry<T, C>, ConfigError> {
        self.entries.iter().copied().find(|entry| entry.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.entries.iter().map(|entry| entry.name).collect();
            let help = did_you_mean(name, names.iter().copied())
                .unwrap_or_else(|| format!("there are: {}", names.join(", ")));
            ConfigError::new(format!("no {} is called `{name}`", self.kind)).help(help)
        })
    }

    /// Finds and builds what the user chose.
    pub fn build(&self, choice: &Choice) -> Result<Member<T>, ConfigError> {
        let entry = self.find(&choice.name).map_err(|error| error.at(choice.span.clone()))?;
        let built = (entry.build)(choice.parameters.clone())
            .map_err(|error| error.at(choice.span.clone()))?;
        Ok(Member { name: entry.name, parameters: built.parameters, value: built.value })
    }

    /// Builds `name` with its defaults.
    pub fn build_default(&self, name: &str) -> Result<Member<T>, ConfigError> {
        self.build(&Choice::named(name))
    }
}

/// A member that was chosen, with its parameters resolved.
pub struct Member<T: ?Sized> {
    /// Its name in the catalog.
    pub name: &'static str,
    /// Its parameters with every default filled in.
    pub parameters: serde_json::Value,
    /// The member itself.
    pub value: Arc<T>,
}

impl<T: ?Sized> Member<T> {
    /// `{ "krum": { … } }`: what the run's resolved config records.
    pub fn resolved(&self) -> serde_json::Value {
        let mut table = serde_json::Map::new();
        table.insert(self.name.to_owned(), self.parameters.clone());
        serde_json::Value::Object(table)
    }
}

impl<T: ?Sized> Clone for Member<T> {
    fn clone(&self) -> Self {
        Member {
            name: self.name,
            parameters: self.parameters.clone(),
            value: Arc::clone(&self.value),
        }
    }
}

impl<T: ?Sized> fmt::Debug for Member<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.name, self.parameters)
    }
}

/// A name and parameters, as a user writes them: `"krum"` or `{ krum = { keep = 1 } }`.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The member's name.
    pub name: String,
    /// Where the name stands.
    pub span: Range<usize>,
    /// Its parameters.
    pub parameters: Parameters,
}

impl Choice {
    /// `name` with its defaults, from no text.
    pub fn named(name: &str) -> Self {
        Choice { name: name.to_owned(), span: 0..0, parameters: Parameters::none() }
    }

    /// `name` with parameters written as a TOML document.
    pub fn with(name: &str, toml: &str) -> Result<Self, ConfigError> {
        Ok(Choice { parameters: Parameters::from_toml(toml)?, ..Choice::named(name) })
    }

    /// Reads a choice from its place in a document.
    pub fn from_value(value: Spanned<DeValue<'static>>) -> Result<Self, ConfigError> {
        let span = value.span();
        match value.into_inner() {
            DeValue::String(name) => Ok(Choice {
                name: name.into_owned(),
                span: span.clone(),
                parameters: Parameters(Spanned::new(span, DeValue::Table(DeTable::default()))),
            }),
            DeValue::Table(table) => {
                let count = table.len();
                let mut members = table.into_iter();
                let (Some((key, parameters)), 1) = (members.next(), count) else {
                    return Err(ConfigError::new(format!(
                        "expected one name with its parameters, found {count}"
                    ))
                    .at(span)
                    .help("write a name, or { name = { parameter = value } }"));
                };
                Ok(Choice {
                    span: key.span(),
                    name: key.into_inner().into_owned(),
                    parameters: Parameters(parameters),
                })
            }
            other => Err(ConfigError::new(format!(
                "expected a name or a table with one name, found {}",
                other.type_str()
            ))
            .at(span)),
        }
    }
}
