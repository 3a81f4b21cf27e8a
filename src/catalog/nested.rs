//! A choice among the parameters of another member: the topology of a gossip system.

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Choice, ConfigError};

/// A name, or a table of one name with its parameters, as text and without its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nested(Value);

impl Nested {
    /// `name` with its defaults.
    pub fn named(name: &str) -> Self {
        Nested(Value::String(name.to_owned()))
    }

    /// The choice that is written here. It has no place of its own in the file.
    pub fn choice(&self) -> Result<Choice, ConfigError> {
        match &self.0 {
            Value::String(name) => Ok(Choice::named(name)),
            Value::Object(table) if table.len() == 1 => {
                let (name, parameters) = table.iter().next().expect("there is one");
                let text = toml::to_string(parameters).map_err(|error| {
                    ConfigError::new(format!("parameters of {name} cannot be read: {error}"))
                })?;
                Choice::with(name, &text)
            }
            _ => Err(ConfigError::new("expected a name or a table with one name")
                .help("write a name, or { name = { parameter = value } }")),
        }
    }
}

impl JsonSchema for Nested {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Nested".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "oneOf": [
                { "type": "string" },
                { "type": "object", "minProperties": 1, "maxProperties": 1 }
            ]
        })
    }
}
