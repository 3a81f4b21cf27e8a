//! The config: an experiment as it was typed.
//!
//! Plain data. Every value has the right type and lies in the range that its own documentation
//! gives, and that is all: nothing here is built, resolved or compared with anything else. What
//! needs a catalog (is there such a rule, are these its parameters), two values at once (`f`
//! against the number of workers) or the outside world (files, threads) belongs to the plan.

mod data;
mod faults;
mod training;

use std::collections::BTreeMap;
use std::ops::Range;

use schemars::JsonSchema;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};

pub use self::data::{Data, Holders};
pub use self::faults::{Faults, Flood, Partition, Side, Slow, Target};
pub use self::training::Training;
use super::schema;
use crate::attacks::Knowledge;
use crate::catalog::Choice;

/// The keys of a file in their order, without those inside of choices and the sweep.
pub(super) const KEYS: &[&str] = &[
    "schema",
    "name",
    "question",
    "seeds",
    "data.set",
    "data.partition",
    "data.scale",
    "data.holders",
    "data.validation",
    "model",
    "training.rounds",
    "training.batch",
    "training.learning_rate",
    "training.momentum",
    "training.dampening",
    "training.momentum_at",
    "training.weight_decay",
    "training.local_steps",
    "training.local_epochs",
    "training.draw",
    "training.clip",
    "training.schedule",
    "training.clients_per_round",
    "system",
    "aggregation.byzantine",
    "aggregation.trusted",
    "aggregation.before",
    "aggregation.rule",
    "aggregation.like",
    "threat.corrupted",
    "threat.budget",
    "threat.identity_price",
    "threat.placement",
    "threat.knowledge",
    "threat.attack",
    "threat.like",
    "threat.poison",
    "threat.equivocate",
    "threat.understate_degree",
    "threat.downfall",
    "faults.absences",
    "faults.partition.from",
    "faults.partition.until",
    "faults.partition.share",
    "faults.partition.by",
    "faults.slow.count",
    "faults.slow.nodes",
    "faults.slow.factor",
    "faults.flood.node",
    "faults.flood.requests",
    "faults.flood.capacity",
    "faults.flood.from",
    "network.latency",
    "network.bandwidth",
    "evaluation.every",
    "evaluation.classes",
    "evaluation.robustness",
];

/// The tables that hold such keys.
pub(super) const SECTIONS: &[&str] = &[
    "data",
    "training",
    "aggregation",
    "threat",
    "faults",
    "faults.partition",
    "faults.slow",
    "faults.flood",
    "network",
    "evaluation",
];

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
    "threat.downfall",
];

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
    /// What goes wrong in the network. Default: nothing.
    #[serde(default)]
    pub faults: Faults,
    /// The network that virtual time is told for. Default: 50 ms and 12.5 MB/s.
    #[serde(default)]
    pub network: Network,
    /// When the model is tested.
    #[serde(default)]
    pub evaluation: Evaluation,
    /// Dotted keys (`"aggregation.rule"`, `"threat.attack.inner_product.epsilon"`), each with an
    /// array of values. There is one run for each combination of values and seed; the last key
    /// varies fastest, and the seed faster still. Default: none.
    #[serde(default, deserialize_with = "later")]
    #[schemars(schema_with = "schema::sweep")]
    #[expect(dead_code, reason = "expanded before a config is read, and named for the schema")]
    sweep: (),
    #[serde(skip)]
    pub(super) spans: BTreeMap<&'static str, Range<usize>>,
}

/// The defence. Either `rule`, perhaps with parts `before` it, or `like`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Aggregation {
    /// How many byzantine senders the rule is told to expect, `f`. Default: 0.
    #[serde(default)]
    pub byzantine: usize,
    /// How many samples of the training set the server holds itself, clean, and trains on as a
    /// worker would, for a rule that needs an update it can trust. Default: 0.
    #[serde(default)]
    pub trusted: usize,
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
    /// In place of `corrupted`: what the attacker can spend on identities, 0 or more, in the unit
    /// of `identity_price`. It buys as many of the workers' identities as it can pay.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub budget: Option<f64>,
    /// What one identity costs the attacker: above 0.
    #[serde(default)]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub identity_price: Option<f64>,
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
    /// Whether corrupted nodes tell every receiver another lie. Default: attacks that speak to one
    /// peer at a time do, others do not.
    #[serde(default)]
    pub equivocate: Option<bool>,
    /// Whether corrupted peers say that they have no neighbours, which buys them the largest
    /// weight in a mixing matrix of Metropolis and Hastings. Default: false.
    #[serde(default)]
    pub understate_degree: bool,
    /// What becomes of the parts of the system that the attacker brings down or takes over.
    /// Default: `none`.
    #[serde(default, deserialize_with = "later")]
    #[schemars(schema_with = "schema::downfall")]
    pub downfall: Option<Choice>,
}

/// The lines between nodes, for virtual time.
///
/// A round takes as many latencies as it has messages that wait for each other, and the time in
/// which the busiest node sends and receives its bytes. Training takes no virtual time.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// From one node to another, in milliseconds: 0 or more. Default: 50.
    #[serde(default = "fifty")]
    #[schemars(range(min = 0))]
    pub latency: f64,
    /// What a node sends and receives, in megabytes a second: above 0. Default: 12.5.
    #[serde(default = "hundred_megabit")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub bandwidth: f64,
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
    /// Whether the accuracy on each class is recorded, at the price of one more pass over the test
    /// data. Default: false.
    #[serde(default)]
    pub classes: bool,
    /// Whether every round's aggregate is measured against the mean of what the honest sent, where
    /// one server aggregates, at the price of a pass over all updates. Default: false.
    #[serde(default)]
    pub robustness: bool,
}

impl Default for Threat {
    fn default() -> Self {
        Threat {
            corrupted: 0,
            budget: None,
            identity_price: None,
            placement: first(),
            knowledge: omniscient(),
            attack: None,
            like: None,
            poison: None,
            equivocate: None,
            understate_degree: false,
            downfall: None,
        }
    }
}

impl Default for Network {
    fn default() -> Self {
        Network { latency: fifty(), bandwidth: hundred_megabit() }
    }
}

impl Default for Evaluation {
    fn default() -> Self {
        Evaluation { every: ten(), classes: false, robustness: false }
    }
}

fn first_seed() -> Vec<u64> {
    vec![1]
}

fn fifty() -> f64 {
    50.0
}

fn hundred_megabit() -> f64 {
    12.5
}

fn ten() -> u32 {
    10
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
    /// Where the value of a key stands: `aggregation.byzantine`, or a section like `threat`.
    ///
    /// None if it was left out, and for keys inside of choices, which have their own places.
    pub fn span(&self, key: &str) -> Option<Range<usize>> {
        self.spans.get(key).cloned()
    }
}
