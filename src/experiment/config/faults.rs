//! `[faults]`: trouble in the network, planned from the seed.
//!
//! Nothing here is left to a clock or to real losses: who is cut off and which message is lost is
//! drawn before anybody trains, so that both runtimes come to the same bits, and whatever is lost
//! is announced, so that nobody waits for it.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Trouble in the network, intended or not.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// The probability that a node is absent in a round, drawn from the seed: 0 to below 1.
    /// Default: 0.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub absences: f64,
    /// Some workers are cut off from all others for some rounds. Default: nobody is.
    #[schemars(with = "Partition")]
    pub partition: Option<Partition>,
    /// Some nodes have worse lines than the others. Default: all have the same.
    #[schemars(with = "Slow")]
    pub slow: Option<Slow>,
    /// One node is sent more requests than it can take in. Default: none is.
    #[schemars(with = "Flood")]
    pub flood: Option<Flood>,
}

/// A network that falls apart for some rounds, and heals.
///
/// Peers go on on both sides, each among themselves. Where there are servers, these are on the
/// other side: who is cut off from them has nothing to share, hears no model and keeps its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Partition {
    /// The first round in which it is apart, from 1. Default: 1.
    #[schemars(range(min = 1))]
    pub from: u32,
    /// The last such round, not before `from`; the next one heals it. Default: the run's last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub until: Option<u32>,
    /// The share of the workers that is cut off, rounded up to whole ones: 0 to below 1.
    /// Default: 0.5.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub share: f64,
    /// Which ones. Default: the `first`.
    pub by: Side,
}

/// Which workers are cut off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// Those with the lowest numbers.
    #[default]
    First,
    /// Any, drawn from the seed.
    Random,
}

/// Nodes with worse lines than the others, which changes virtual time and nothing else.
///
/// Rounds are synchronous, so each takes as long as its slowest member: whoever sends or receives
/// in a round holds up everybody. Only who is alone holds up nobody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Slow {
    /// How many workers are slow, those with the highest numbers. Default: 1.
    pub count: usize,
    /// The nodes that are slow, workers or parts, in place of `count`. Default: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<u32>,
    /// How many times the latency of others they have, and what part of their bandwidth: 1 or
    /// more. Default: 10.
    #[schemars(range(min = 1))]
    pub factor: f64,
}

/// More requests than a node can take in.
///
/// Of everything that is sent to it in a round, `capacity / (requests + regular messages)` gets
/// through, each regular message with that probability; where all of it fits in, nothing is lost.
/// The requests themselves are in no table of bytes and take no virtual time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Flood {
    /// Which node, by its number, or the one that is worth `"most_valuable"` to an attacker.
    /// Default: that one.
    pub node: Target,
    /// Requests in each round, beside what the protocol sends: up to 1,000,000,000.
    /// Default: 1000.
    #[schemars(range(max = 1_000_000_000))]
    pub requests: u64,
    /// Messages that the node can take in in a round: up to 1,000,000,000. Default: 200.
    #[schemars(range(max = 1_000_000_000))]
    pub capacity: u64,
    /// The first round of the flood, from 1. Default: 1.
    #[schemars(range(min = 1))]
    pub from: u32,
}

/// The node that is flooded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Target {
    /// The one whose fall is worth most to an attacker.
    #[default]
    MostValuable,
    /// This one.
    Node(u32),
}

/// The word for the node whose fall is worth most.
const MOST_VALUABLE: &str = "most_valuable";

impl Default for Partition {
    fn default() -> Self {
        Partition { from: 1, until: None, share: 0.5, by: Side::default() }
    }
}

impl Default for Slow {
    fn default() -> Self {
        Slow { count: 1, nodes: Vec::new(), factor: 10.0 }
    }
}

impl Default for Flood {
    fn default() -> Self {
        Flood { node: Target::default(), requests: 1000, capacity: 200, from: 1 }
    }
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Target::MostValuable => serializer.serialize_str(MOST_VALUABLE),
            Target::Node(node) => serializer.serialize_u32(*node),
        }
    }
}

// Written out, because an untagged enum loses the place of an error.
impl<'de> Deserialize<'de> for Target {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrWord)
    }
}

struct NumberOrWord;

impl Visitor<'_> for NumberOrWord {
    type Value = Target;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a node's number or \"{MOST_VALUABLE}\"")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Target, E> {
        if word == MOST_VALUABLE {
            return Ok(Target::MostValuable);
        }
        Err(E::invalid_value(serde::de::Unexpected::Str(word), &self))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Target, E> {
        let unexpected = serde::de::Unexpected::Signed(number);
        u32::try_from(number).map(Target::Node).map_err(|_| E::invalid_value(unexpected, &self))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Target, E> {
        let unexpected = serde::de::Unexpected::Unsigned(number);
        u32::try_from(number).map(Target::Node).map_err(|_| E::invalid_value(unexpected, &self))
    }
}

impl JsonSchema for Target {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Target".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [
            { "type": "integer", "minimum": 0, "maximum": u32::MAX },
            { "type": "string", "enum": [MOST_VALUABLE] },
        ] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_number_or_the_word() {
        let read = |text: &str| toml::from_str::<Flood>(text).map(|flood| flood.node);
        assert_eq!(read("node = 7").unwrap(), Target::Node(7));
        assert_eq!(read("node = \"most_valuable\"").unwrap(), Target::MostValuable);
        assert_eq!(read("").unwrap(), Target::MostValuable);
        for wrong in ["node = -1", "node = \"server\"", "node = 4294967296", "node = true"] {
            let message = read(wrong).unwrap_err().message().to_owned();
            assert!(
                message.ends_with("expected a node's number or \"most_valuable\""),
                "{message}"
            );
        }
    }
}
