//! From a document to a config: with serde, except for choices, which must keep the places of
//! their parameters.

use serde::Deserialize;

use super::check::check;
use super::config::{CHOICES, Config, KEYS, SECTIONS};
use super::document::{Document, Key, Value, moved};
use crate::catalog::{Choice, ConfigError};

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

/// Reads a document without its sweep. All that is wrong with it is told at once.
pub(super) fn config(mut document: Document) -> Result<Config, Vec<ConfigError>> {
    let mut errors = Vec::new();
    let Some(mut config) = read_fields(&mut document, &mut errors) else { return Err(errors) };
    let keys = SECTIONS.iter().chain(KEYS);
    config.spans = keys.filter_map(|key| Some((*key, document.get(key)?.span()))).collect();
    read_choices(&mut config, &document, &mut errors);
    check(&config, &mut errors);
    if errors.is_empty() { Ok(config) } else { Err(errors) }
}

/// Reads all that serde can read. After each error the document is mended at that place and
/// read again, so that the next error shows, too.
fn read_fields(document: &mut Document, errors: &mut Vec<ConfigError>) -> Option<Config> {
    while errors.len() < ERRORS_MAX {
        let error = match Config::deserialize(toml::Deserializer::from(document.root())) {
            Ok(config) => return Some(config),
            Err(error) => error,
        };
        let place = missing_key(&error, document).map(|key| (key, None));
        let place = place.or_else(|| {
            let (key, wrong) = document.cut(&error.span()?)?;
            Some((key, Some(wrong)))
        });
        let Some((key, wrong)) = place else {
            errors.push(error.into());
            return None;
        };
        let error = explain(&key, error);
        mend(document, &key, wrong, &error);
        errors.push(error);
    }
    None
}

/// Puts something at a key that was missing or `wrong`: the value of the smallest file, or, if
/// there is no such key, what is wrong here at the key that was probably meant.
fn mend(document: &mut Document, key: &str, wrong: Option<Value>, error: &ConfigError) {
    let nowhere = usize::MAX..usize::MAX;
    let (name, value) = if let Some(value) = Document::built_in(SMALLEST).get(key) {
        (key.to_owned(), moved(value.clone(), &|_| nowhere.clone()))
    } else if let (Some(meant), Some(wrong)) = (meant(key, error), wrong) {
        if document.get(&meant).is_some() {
            return;
        }
        (meant, wrong)
    } else {
        return;
    };
    if let Err(error) = document.set(&Key { name, span: nowhere }, value) {
        debug_assert!(false, "a table that serde has read holds no {key}: {error}");
    }
}

/// The key that the advice suggests.
fn meant(key: &str, error: &ConfigError) -> Option<String> {
    let name = error.help.as_ref()?.strip_prefix("did you mean `")?.split('`').next()?;
    let section = key.rsplit_once('.').map(|(section, _)| format!("{section}."));
    let meant = section.unwrap_or_default() + name;
    SECTIONS.iter().chain(KEYS).any(|known| *known == meant).then_some(meant)
}

/// The dotted key that an error misses.
fn missing_key(error: &toml::de::Error, document: &Document) -> Option<String> {
    let missing = error.message().strip_prefix("missing field `")?.trim_end_matches('`');
    let keys = SECTIONS.iter().chain(KEYS);
    let missing = |key: &&str| key.rsplit('.').next() == Some(missing);
    keys.copied().filter(missing).find(|key| document.get(key).is_none()).map(str::to_owned)
}

/// Fills in what serde has passed over.
fn read_choices(config: &mut Config, document: &Document, errors: &mut Vec<ConfigError>) {
    let mut read = |key| choices(document, key, errors);
    let mut one = |key| read(key).and_then(|mut chosen| chosen.pop());
    // What is missing has been told, or has its default.
    let fill = |field: &mut Choice, choice: Option<Choice>| {
        if let Some(choice) = choice {
            *field = choice;
        }
    };
    fill(&mut config.data.set, one("data.set"));
    fill(&mut config.data.partition, one("data.partition"));
    fill(&mut config.model, one("model"));
    fill(&mut config.system, one("system"));
    fill(&mut config.threat.placement, one("threat.placement"));
    config.aggregation.rule = one("aggregation.rule");
    config.threat.like = one("threat.like");
    config.threat.attack = one("threat.attack").filter(|choice| choice.name != "none");
    config.threat.poison = one("threat.poison").filter(|choice| choice.name != "none");
    config.threat.downfall = one("threat.downfall").filter(|choice| choice.name != "none");
    config.aggregation.before = read("aggregation.before").unwrap_or_default();
    config.aggregation.like = read("aggregation.like").unwrap_or_default();
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
    match choice.parameters.clone().read::<Nothing>() {
        Err(error) if choice.name == "none" => {
            Err(ConfigError { message: "`none` has no parameters".to_owned(), ..error })
        }
        _ => Ok(choice),
    }
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
        let help = match error.help {
            _ if key.contains('"') => "dots divide a key where it has no quotes".to_owned(),
            Some(help) => help,
            None => format!("there are: {}", listed(expected)),
        };
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
