//! How many samples each row stands for, as users write it.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use crate::catalog::ConfigError;

/// The word for counts that grow with the row.
const ASCENDING: &str = "1..n";

/// Sample counts: a list with one per row, or `"1..n"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Samples {
    /// One count per row.
    Listed(Vec<u64>),
    /// Row `i` counts `i`, from 1: what comparisons between libraries use.
    Ascending,
}

impl Samples {
    /// The counts of `rows` rows.
    pub fn counts(&self, rows: usize) -> Result<Vec<u64>, ConfigError> {
        match self {
            Samples::Ascending => Ok((1..=rows as u64).collect()),
            Samples::Listed(counts) if counts.len() == rows => Ok(counts.clone()),
            Samples::Listed(counts) => {
                Err(ConfigError::new(format!("{} sample counts for {rows} rows", counts.len()))
                    .help("give one count per row"))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Samples {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListOrWord)
    }
}

/// Accepts both forms.
struct ListOrWord;

impl<'de> Visitor<'de> for ListOrWord {
    type Value = Samples;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a list of sample counts or \"{ASCENDING}\"")
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Samples, E> {
        if word == ASCENDING {
            return Ok(Samples::Ascending);
        }
        Err(E::invalid_value(serde::de::Unexpected::Str(word), &self))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Samples, A::Error> {
        let mut counts = Vec::new();
        while let Some(count) = items.next_element()? {
            counts.push(count);
        }
        Ok(Samples::Listed(counts))
    }
}

impl JsonSchema for Samples {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Samples".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "oneOf": [
            { "const": ASCENDING },
            { "type": "array", "items": { "type": "integer", "minimum": 0 } },
        ] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_fit_the_rows_or_are_refused() {
        assert_eq!(Samples::Ascending.counts(3).unwrap(), [1, 2, 3]);
        assert_eq!(Samples::Listed(vec![5, 6]).counts(2).unwrap(), [5, 6]);
        let error = Samples::Listed(vec![5, 6]).counts(3).unwrap_err();
        assert_eq!(error.message, "2 sample counts for 3 rows");
    }
}
