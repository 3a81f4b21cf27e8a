//! The config: an experiment as it was typed.
//!
//! Plain data. Every value has the right type and lies in the range that its own documentation
//! gives, and that is all: nothing here is built, resolved or compared with anything else. What
//! needs a catalog (is there such a rule, are these its parameters), two values at once (`f`
//! against the number of workers) or the outside world (files, threads) belongs to the plan.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::ops::Range;

use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

use super::document::{Document, Key, moved};
use super::schema;
use crate::attacks::Knowledge;
use crate::catalog::{Choice, ConfigError};

/// The keys of a file in their order, without those inside of choices and the sweep.
pub(super) const KEYS: &[&str] = &[
    "schema",
    "name",
    "question",
    "seeds",
    "data.set",
    "data.partition",
    "model",
    "training.rounds",
    "training.batch",
    "training.learning_rate",
    "training.momentum",
    "training.dampening",
    "training.weight_decay",
    "training.local_steps",
    "system",
    "aggregation.byzantine",
    "aggregation.before",
    "aggregation.rule",
    "aggregation.like",
    "threat.corrupted",
    "threat.placement",
    "threat.knowledge",
    "threat.attack",
    "threat.like",
    "threat.poison",
    "faults.absences",
    "evaluation.every",
];

/// The tables that hold such keys.
pub(super) const SECTIONS: &[&str] =
    &["data", "training", "aggregation", "threat", "faults", "evaluation"];

/// The keys that name one member of a catalog; its parameters can be reached by longer keys.
pub(super) const CHOICES: &[&str] = &[
    "data.set",
    "data.partition",
    "model",
    "system",
    "aggregation.rule",
    "threat.placement",
    "threat.attack",
    "threat.poison",
];

/// A file with nothing in it that could be left out. What is missing or wrong in a user's file
/// is read as it stands here, so that the rest can still be checked; and it serves as example.
const SMALLEST: &str = r#"
schema = 1
name = "quickstart"
data = { set = "digits" }
model = "softmax"
training = { rounds = 150, learning_rate = 0.3 }
aggregation = { rule = "median" }
"#;

/// How many errors are gathered before reading stops.
pub(super) const ERRORS_MAX: usize = 20;

/// A byzlab experiment: which rule, in which system, against which attack, on which data.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The version of this format: 1.
    #[schemars(range(min = 1, max = 1))]
    pub schema: u32,
    /// What the experiment is called, and its folder of results: 1 to 64 letters, digits, `_`
    /// and `-`.
    #[schemars(regex(pattern = "^[A-Za-z0-9_-]{1,64}$"))]
    pub name: String,
    /// What it is to find out, in one sentence. Default: none.
    #[serde(default)]
    pub question: Option<String>,
    /// One run for each seed, below 2^63 and all different. Default: `[1]`.
    #[serde(default = "first_seed")]
    #[schemars(extend("minItems" = 1, "uniqueItems" = true))]
    pub seeds: Vec<u64>,
    /// What is learnt from, and who holds which part of it.
    pub data: Data,
    /// The architecture that is trained.
    #[serde(deserialize_with = "later")]
    #[schemars(schema_with = "schema::model")]
    pub model: Choice,
    /// How each worker trains.
    pub training: Training,
    /// Who takes part and how they are wired. Default: `central`.
    #[serde(default = "central", deserialize_with = "later")]
    #[schemars(schema_with = "schema::system")]
    pub system: Choice,
    /// How many updates become one.
    pub aggregation: Aggregation,
    /// Who attacks, and how. Default: nobody.
    #[serde(default)]
    pub threat: Threat,
    /// What fails without any malice. Default: nothing.
    #[serde(default)]
    pub faults: Faults,
    /// When the model is tested.
    #[serde(default)]
    pub evaluation: Evaluation,
    /// Dotted keys (`"aggregation.rule"`, `"threat.attack.inner_product.epsilon"`), each with an
    /// array of values. There is one run for each combination of values and seed; the last key
    /// varies fastest, and the seed faster still. Default: none.
    #[serde(default, deserialize_with = "later")]
    #[schemars(schema_with = "schema::sweep")]
    #[expect(
        dead_code,
        reason = "expanded before a config is read, and named here for the schema"
    )]
    sweep: (),
    #[serde(skip)]
    spans: BTreeMap<&'static str, Range<usize>>,
}

/// The samples.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// The data set.
    #[serde(deserialize_with = "later")]
    #[schemars(schema_with = "schema::dataset")]
    pub set: Choice,
    /// Which samples each node holds. Default: `iid`.
    #[serde(default = "iid", deserialize_with = "later")]
    #[schemars(schema_with = "schema::partition")]
    pub partition: Choice,
}

/// Stochastic gradient descent, as each worker does it.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// How many rounds there are: 1 to 1,000,000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub rounds: u32,
    /// Samples in each gradient: 1 to 1,000,000. Default: 25.
    #[serde(default = "twenty_five")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub batch: usize,
    /// How far a step goes along the update: above 0.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub learning_rate: f32,
    /// The share of its last momentum that a worker keeps: 0 to below 1. Default: 0.
    #[serde(default)]
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub momentum: f32,
    /// How much less a new gradient counts, `momentum * m + (1 - dampening) * gradient`: 0 to 1.
    /// Default: the same as `momentum`.
    #[serde(default)]
    #[schemars(range(min = 0, max = 1))]
    pub dampening: Option<f32>,
    /// The pull of every parameter towards 0, added to its gradient: 0 or more. Default: 0.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub weight_decay: f32,
    /// Gradient steps that a worker takes in a round: 1 to 10,000. Default: 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 10_000))]
    pub local_steps: u32,
}

/// The defence. Either `rule`, perhaps with parts `before` it, or `like`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Aggregation {
    /// How many byzantine senders the rule is told to expect, `f`. Default: 0.
    #[serde(default)]
    pub byzantine: usize,
    /// What happens to the updates before the rule sees them, in order. Default: nothing.
    #[serde(default, deserialize_with = "later")]
    #[schemars(schema_with = "schema::preaggregators")]
    pub before: Vec<Choice>,
    /// The rule.
    #[serde(default, deserialize_with = "later")]
    #[schemars(schema_with = "schema::rule")]
    pub rule: Option<Choice>,
    /// In place of `rule` and `before`: what another library does, with that library's own
    /// parameters (`"byzfl.Krum"`), a chain in order.
    #[serde(default, deserialize_with = "later")]
    #[schemars(schema_with = "schema::likes")]
    pub like: Vec<Choice>,
}

/// The attacker.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Threat {
    /// How many nodes are corrupted, whatever the rule was told. Default: 0.
    #[serde(default)]
    pub corrupted: usize,
    /// Which ones. Default: the `first`.
    #[serde(default = "first", deserialize_with = "later")]
    #[schemars(schema_with = "schema::placement")]
    pub placement: Choice,
    /// What the attacker sees before it answers. Default: `omniscient`.
    #[serde(default = "omniscient")]
    pub knowledge: Knowledge,
    /// What corrupted nodes send. Default: `none`, what honest nodes would send.
    #[serde(default, deserialize_with = "later")]
    #[schemars(schema_with = "schema::attack")]
    pub attack: Option<Choice>,
    /// In place of `attack`: what another library does, with that library's own parameters
    /// (`"byzfl.ALittleIsEnough"`).
    #[serde(default, deserialize_with = "later")]
    #[schemars(schema_with = "schema::like")]
    pub like: Option<Choice>,
    /// What is done to the samples of corrupted nodes. Default: `none`.
    #[serde(default, deserialize_with = "later")]
    #[schemars(schema_with = "schema::poison")]
    pub poison: Option<Choice>,
}

/// Trouble that nobody intends.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Faults {
    /// The probability that a node is absent in a round, drawn from the seed: 0 to below 1.
    /// Default: 0.
    #[serde(default)]
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub absences: f64,
}

/// The tests on data that nobody trains on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Rounds from one test to the next, 1 or more; the last round is always tested.
    /// Default: 10.
    #[serde(default = "ten")]
    #[schemars(range(min = 1))]
    pub every: u32,
}

impl Default for Threat {
    fn default() -> Self {
        Threat {
            corrupted: 0,
            placement: first(),
            knowledge: omniscient(),
            attack: None,
            like: None,
            poison: None,
        }
    }
}

impl Default for Evaluation {
    fn default() -> Self {
        Evaluation { every: ten() }
    }
}

fn first_seed() -> Vec<u64> {
    vec![1]
}

fn one() -> u32 {
    1
}

fn ten() -> u32 {
    10
}

fn twenty_five() -> usize {
    25
}

fn central() -> Choice {
    Choice::named("central")
}

fn iid() -> Choice {
    Choice::named("iid")
}

fn first() -> Choice {
    Choice::named("first")
}

fn omniscient() -> Knowledge {
    Knowledge::Omniscient
}

/// What stands in a field that serde must pass over.
trait Unread {
    fn unread() -> Self;
}

impl Unread for () {
    fn unread() -> Self {}
}

impl Unread for Choice {
    fn unread() -> Self {
        Choice::named("")
    }
}

impl<T> Unread for Option<T> {
    fn unread() -> Self {
        None
    }
}

impl<T> Unread for Vec<T> {
    fn unread() -> Self {
        Vec::new()
    }
}

/// Passes over a value that is read from the document afterwards: a choice keeps the places of
/// its parameters, which would not survive serde.
fn later<'de, D: Deserializer<'de>, T: Unread>(deserializer: D) -> Result<T, D::Error> {
    IgnoredAny::deserialize(deserializer)?;
    Ok(T::unread())
}

impl Config {
    /// Reads a document without its sweep. All that is wrong with it is told at once.
    pub(super) fn read(document: &Document) -> Result<Self, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let Some(mut config) = read_fields(document, &mut errors) else { return Err(errors) };
        config.spans = SECTIONS
            .iter()
            .chain(KEYS)
            .filter_map(|key| Some((*key, document.get(key)?.span())))
            .collect();
        config.read_choices(document, &mut errors);
        config.check(&mut errors);
        if errors.is_empty() { Ok(config) } else { Err(errors) }
    }

    /// Where the value of a key stands: `aggregation.byzantine`, or a section like `threat`.
    ///
    /// None if it was left out, and for keys inside of choices, which have their own places.
    pub fn span(&self, key: &str) -> Option<Range<usize>> {
        self.spans.get(key).cloned()
    }

    fn read_choices(&mut self, document: &Document, errors: &mut Vec<ConfigError>) {
        let mut read = |key| choices(document, key, errors);
        let mut one = |key| read(key).and_then(|mut chosen| chosen.pop());
        // What is missing has been told, or has its default.
        let fill = |field: &mut Choice, choice: Option<Choice>| {
            choice.into_iter().for_each(|choice| *field = choice);
        };
        fill(&mut self.data.set, one("data.set"));
        fill(&mut self.data.partition, one("data.partition"));
        fill(&mut self.model, one("model"));
        fill(&mut self.system, one("system"));
        fill(&mut self.threat.placement, one("threat.placement"));
        self.aggregation.rule = one("aggregation.rule");
        self.threat.like = one("threat.like");
        self.threat.attack = one("threat.attack").filter(|choice| choice.name != "none");
        self.threat.poison = one("threat.poison").filter(|choice| choice.name != "none");
        self.aggregation.before = read("aggregation.before").unwrap_or_default();
        self.aggregation.like = read("aggregation.like").unwrap_or_default();
    }

    fn check(&self, errors: &mut Vec<ConfigError>) {
        let spans = &self.spans;
        let mut check = Check { spans, errors };
        check.name(&self.name);
        check.seeds(&self.seeds);
        check.range("schema", self.schema, self.schema == 1, "1, the only version so far");

        let training = &self.training;
        let Training { rounds, batch, learning_rate, momentum, .. } = *training;
        let (decay, steps) = (training.weight_decay, training.local_steps);
        let dampening = training.dampening.unwrap_or(momentum);
        let to_a_million = 1..=1_000_000;
        let to_one = 0.0..1.0;
        let million = "from 1 to 1000000";
        check.range("training.rounds", rounds, to_a_million.contains(&rounds), million);
        check.range("training.batch", batch, (1..=1_000_000).contains(&batch), million);
        let positive = learning_rate > 0.0 && learning_rate.is_finite();
        check.range("training.learning_rate", learning_rate, positive, "a number above 0");
        let below_one = "from 0 to below 1";
        check.range("training.momentum", momentum, (0.0..1.0).contains(&momentum), below_one);
        let damped = training.dampening.is_none() || (0.0..=1.0).contains(&dampening);
        check.range("training.dampening", dampening, damped, "from 0 to 1");
        let decays = decay >= 0.0 && decay.is_finite();
        check.range("training.weight_decay", decay, decays, "0 or more");
        let few = (1..=10_000).contains(&steps);
        check.range("training.local_steps", steps, few, "from 1 to 10000");
        let absences = self.faults.absences;
        check.range("faults.absences", absences, to_one.contains(&absences), below_one);
        let every = self.evaluation.every;
        check.range("evaluation.every", every, every >= 1, "1 or more");

        check.either("aggregation.rule", "aggregation.like");
        check.either("aggregation.before", "aggregation.like");
        check.either("threat.attack", "threat.like");
        check.some_rule(&self.aggregation);
    }
}

/// Checks that need more than a type.
struct Check<'a> {
    spans: &'a BTreeMap<&'static str, Range<usize>>,
    errors: &'a mut Vec<ConfigError>,
}

impl Check<'_> {
    fn report(&mut self, key: &str, message: String, help: &str) {
        let error = ConfigError { message, span: self.spans.get(key).cloned(), help: None };
        self.errors.push(if help.is_empty() { error } else { error.help(help) });
    }

    fn range(&mut self, key: &str, value: impl Display, holds: bool, range: &str) {
        if !holds {
            self.report(key, format!("`{key}` is {value} and must be {range}"), "");
        }
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

/// The choices at a key, which holds one or an array of them.
///
/// For keys that hold one, an array is an error, and so is `none` with parameters.
fn choices(document: &Document, key: &str, errors: &mut Vec<ConfigError>) -> Option<Vec<Choice>> {
    let value = document.get(key)?.clone();
    let chain = !CHOICES.contains(&key) && key != "threat.like";
    let values = match value.get_ref().as_array().filter(|_| chain) {
        Some(values) => values.to_vec(),
        None => vec![value],
    };
    let mut chosen = Vec::new();
    for value in values {
        match Choice::from_value(value).and_then(without_parameters) {
            Ok(choice) => chosen.push(choice),
            Err(error) => {
                errors.push(ConfigError { message: format!("`{key}`: {error}"), ..error.clone() });
            }
        }
    }
    Some(chosen)
}

/// Refuses parameters of `none`, which would be lost.
fn without_parameters(choice: Choice) -> Result<Choice, ConfigError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}
    if choice.name == "none" {
        choice.parameters.clone().read::<Nothing>()?;
    }
    Ok(choice)
}

/// Reads all that serde can read. After each error the document is mended at that place and
/// read again, so that the next error shows, too.
fn read_fields(document: &Document, errors: &mut Vec<ConfigError>) -> Option<Config> {
    let mut mended = document.clone();
    let smallest = Document::built_in(SMALLEST);
    while errors.len() < ERRORS_MAX {
        let error = match Config::deserialize(toml::Deserializer::from(mended.root())) {
            Ok(config) => return Some(config),
            Err(error) => error,
        };
        let Some(key) = key_of(&error, &mended) else {
            errors.push(error.into());
            return None;
        };
        mended.take(&key);
        if let Some(value) = smallest.get(&key) {
            let nowhere = usize::MAX..usize::MAX;
            let value = moved(value.clone(), &|_| nowhere.clone());
            mended.set(&Key { name: key.clone(), span: nowhere.clone() }, value).ok()?;
        }
        errors.push(explain(&key, error));
    }
    None
}

/// The dotted key that an error is about.
fn key_of(error: &toml::de::Error, document: &Document) -> Option<String> {
    let Some(missing) = error.message().strip_prefix("missing field `") else {
        return document.locate(&error.span()?);
    };
    let missing = missing.trim_end_matches('`');
    let required = SECTIONS.iter().chain(KEYS);
    required
        .filter(|key| key.rsplit('.').next() == Some(missing))
        .find(|key| document.get(key).is_none())
        .map(|key| (*key).to_owned())
}

/// Serde's message in the words of the file.
fn explain(key: &str, error: toml::de::Error) -> ConfigError {
    let error = ConfigError::from(error);
    if error.message.starts_with("missing field") {
        let message = if SECTIONS.contains(&key) {
            format!("the section [{key}] is missing")
        } else {
            format!("`{key}` is missing")
        };
        return ConfigError { message, ..error }.help(example(key));
    }
    let (what, expected) = error.message.split_once(", expected ").unwrap_or((&error.message, ""));
    if what.starts_with("unknown field") {
        let help = error.help.unwrap_or_else(|| format!("there are: {}", listed(expected)));
        return ConfigError { message: format!("no key is called `{key}`"), help: None, ..error }
            .help(help);
    }
    if let Some(wrong) = what.strip_prefix("unknown variant ") {
        let help = error.help.unwrap_or_else(|| format!("there are: {}", listed(expected)));
        return ConfigError { message: format!("`{key}` cannot be {wrong}"), help: None, ..error }
            .help(help);
    }
    let expected = match expected {
        "u32" | "u64" | "usize" => ", expected a whole number, 0 or more".to_owned(),
        "f32" | "f64" => ", expected a number".to_owned(),
        "a sequence" => ", expected an array".to_owned(),
        _ if expected.starts_with("struct ") => ", expected a table".to_owned(),
        "" => String::new(),
        _ => format!(", expected {expected}"),
    };
    let message = format!("`{key}`: {what}{expected}");
    ConfigError { message, ..error }
}

/// Serde's "one of `a`, `b`" as a list.
fn listed(expected: &str) -> String {
    expected.trim_start_matches("one of ").replace('`', "")
}

/// How a required key can look.
fn example(key: &str) -> String {
    let name = key.rsplit('.').next().unwrap_or(key);
    let value = Document::built_in(SMALLEST).get(key).map(toml::Spanned::span);
    format!("for example: {name} = {}", value.map_or("", |span| &SMALLEST[span]))
}
