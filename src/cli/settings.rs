//! `--set key=value`: parameters of members on the command line.

use schemars::Schema;

use super::usage::Usage;
use crate::catalog::{Choice, did_you_mean};

/// One `--set`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Setting {
    key: String,
    value: toml::Value,
}

impl Setting {
    /// Reads `key=value`, the value as TOML, else as JSON, else as a bare word.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (key, value) =
            text.split_once('=').ok_or_else(|| format!("expected key=value, got `{text}`"))?;
        let value = parse_value(value.trim())?;
        Ok(Setting { key: key.trim().to_owned(), value })
    }

    /// The text that `key` is set to, if this sets it to a text.
    pub(super) fn text_of(&self, key: &str) -> Option<&str> {
        if self.key == key { self.value.as_str() } else { None }
    }

    /// Sets `key` to `value`.
    pub(super) fn new(key: &str, value: toml::Value) -> Self {
        Setting { key: key.to_owned(), value }
    }
}

fn parse_value(text: &str) -> Result<toml::Value, String> {
    let toml = toml::from_str::<toml::Table>(&format!("value = {text}"));
    // More than one key: the text has a line break and goes on behind the value.
    if let Some(value) =
        toml.ok().filter(|table| table.len() == 1).and_then(|mut table| table.remove("value"))
    {
        return Ok(value);
    }
    if let Ok(json) = serde_json::from_str::<serde_json::Value>(text) {
        return toml::Value::try_from(json).map_err(|error| format!("`{text}`: {error}"));
    }
    let bare = |letter: char| letter.is_ascii_alphanumeric() || "._-+".contains(letter);
    if !text.is_empty() && text.chars().all(bare) {
        return Ok(toml::Value::String(text.to_owned()));
    }
    Err(format!("`{text}` is neither a TOML or JSON value nor a word"))
}

/// A choice for each of `members`, given as name and parameters, with the settings whose names
/// it knows.
///
/// A setting goes to every member that knows its name, and is an error where none does.
pub(super) fn choose(
    members: &[(&str, Schema)],
    settings: &[Setting],
) -> Result<Vec<Choice>, Usage> {
    let known: Vec<Vec<&str>> = members.iter().map(|(_, schema)| parameters(schema)).collect();
    for (index, setting) in settings.iter().enumerate() {
        if !known.iter().flatten().any(|name| *name == setting.key) {
            return Err(unknown(&setting.key, members, &known));
        }
        if settings[..index].iter().any(|earlier| earlier.key == setting.key) {
            return Err(Usage(format!("`{}` is set twice", setting.key)));
        }
    }
    let choose_one = |((name, _), known): (&(&str, Schema), &Vec<&str>)| {
        let table: toml::Table = settings
            .iter()
            .filter(|setting| known.contains(&setting.key.as_str()))
            .map(|setting| (setting.key.clone(), setting.value.clone()))
            .collect();
        Ok(Choice::with(name, &table.to_string())?)
    };
    members.iter().zip(&known).map(choose_one).collect()
}

/// The names of a member's parameters.
fn parameters(schema: &Schema) -> Vec<&str> {
    let properties = schema.get("properties").and_then(serde_json::Value::as_object);
    properties.into_iter().flat_map(|fields| fields.keys().map(String::as_str)).collect()
}

fn unknown(key: &str, members: &[(&str, Schema)], known: &[Vec<&str>]) -> Usage {
    let help = did_you_mean(key, known.iter().flatten().copied()).unwrap_or_else(|| {
        let lists = members.iter().zip(known).map(|((member, _), known)| {
            let names = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            format!("{member} has {names}")
        });
        lists.collect::<Vec<_>>().join("; ")
    });
    Usage(format!("no parameter is called `{key}`; {help}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::like;

    fn setting(text: &str) -> Setting {
        Setting::parse(text).unwrap()
    }

    fn members() -> Vec<(&'static str, Schema)> {
        ["byzfl.NNM", "flower.aggregate_krum"]
            .map(|name| (name, (like::find(name).unwrap().parameters)()))
            .to_vec()
    }

    #[test]
    fn values_are_toml_json_or_words() {
        let value = |text| parse_value(text).unwrap();
        assert_eq!(value("3"), toml::Value::Integer(3));
        assert_eq!(value("0.5"), toml::Value::Float(0.5));
        assert_eq!(value("true"), toml::Value::Boolean(true));
        assert_eq!(value("\"1..n\""), toml::Value::String("1..n".to_owned()));
        assert_eq!(value("1..n"), toml::Value::String("1..n".to_owned()));
        assert_eq!(value("[1, 2]").as_array().map(Vec::len), Some(2));
        assert_eq!(value("{\"a\": 1}"), value("{ a = 1 }"));
        for wrong in ["", "1\nother = 2", "[1", "a b", "null"] {
            assert!(parse_value(wrong).is_err(), "{wrong:?}");
        }
        assert!(Setting::parse("keep").is_err());
    }

    #[test]
    fn a_setting_reaches_every_member_that_knows_it() {
        let choices = choose(&members(), &[setting("f=2"), setting("to_keep=3")]).unwrap();
        let resolved = like::chain(&choices, None).unwrap();
        assert_eq!(resolved.before[0].byzantine, Some(2));
        let rule = resolved.rule.unwrap();
        assert_eq!(rule.byzantine, Some(2));
        assert_eq!(rule.member.parameters["keep"], 3);
    }

    #[test]
    fn a_setting_that_nobody_knows_is_refused() {
        let refuse = |text| choose(&members(), &[setting(text)]).unwrap_err().0;
        assert_eq!(refuse("to_kep=3"), "no parameter is called `to_kep`; did you mean `to_keep`?");
        assert_eq!(
            refuse("zzz=3"),
            "no parameter is called `zzz`; byzfl.NNM has f; flower.aggregate_krum has f, \
             to_keep, weights"
        );
        let twice = choose(&members(), &[setting("f=1"), setting("f=2")]).unwrap_err();
        assert_eq!(twice.0, "`f` is set twice");
    }
}
