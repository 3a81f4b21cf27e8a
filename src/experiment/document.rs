//! The document behind a config: a tree of values that know their place, and how dotted keys
//! replace parts of it.

use std::borrow::Cow;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::config::{CHOICES, KEYS, SECTIONS};
use super::source::{Part, Source};
use crate::catalog::{ConfigError, did_you_mean, keep};

/// A value and its place in the source.
pub(super) type Value = Spanned<DeValue<'static>>;

/// Keys of which only one can stand: setting the first takes the others away. A `like` names a
/// whole chain, so that nothing is left to come before it.
const INSTEAD: [(&str, &[&str]); 9] = [
    ("aggregation.rule", &["aggregation.like"]),
    ("aggregation.like", &["aggregation.rule", "aggregation.before"]),
    ("threat.attack", &["threat.like"]),
    ("threat.like", &["threat.attack"]),
    ("threat.corrupted", &["threat.budget", "threat.identity_price"]),
    ("threat.budget", &["threat.corrupted"]),
    ("threat.identity_price", &["threat.corrupted"]),
    ("faults.slow.count", &["faults.slow.nodes"]),
    ("faults.slow.nodes", &["faults.slow.count"]),
];

/// A dotted key and where it was written.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) name: String,
    pub(super) span: Range<usize>,
}

impl Key {
    /// Refuses a key that no config has.
    pub(super) fn known(&self) -> Result<(), ConfigError> {
        let name = self.name.as_str();
        let known = KEYS.contains(&name)
            || SECTIONS.contains(&name)
            || self.choice().is_some_and(|(_, member)| !member.is_empty());
        if known && !name.ends_with('.') && !name.contains("..") {
            return Ok(());
        }
        let help = did_you_mean(name, KEYS.iter().copied())
            .unwrap_or_else(|| format!("there are: {}", KEYS.join(", ")));
        Err(ConfigError::new(format!("no key is called `{name}`")).at(self.span.clone()).help(help))
    }

    /// Whether it names `outer` or something inside of it.
    pub(super) fn is_within(&self, outer: &str) -> bool {
        self.name.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    /// For a key that leads into the parameters of a choice: the choice's key and the member.
    pub(super) fn choice(&self) -> Option<(&'static str, &str)> {
        CHOICES.iter().find_map(|choice| {
            let inside = self.name.strip_prefix(choice)?.strip_prefix('.')?;
            Some((*choice, inside.split('.').next().unwrap_or_default()))
        })
    }

    /// Whether setting it takes `other` away.
    pub(super) fn replaces(&self, other: &Key) -> bool {
        INSTEAD.iter().any(|(one, others)| {
            self.is_within(one) && others.iter().any(|gone| other.is_within(gone))
        })
    }
}

/// What was written, overrides included.
#[derive(Debug, Clone)]
pub(super) struct Document {
    root: DeTable<'static>,
    /// The keys that overrides have set.
    pub(super) overridden: Vec<Key>,
}

impl Document {
    /// Parses a source and applies its overrides.
    pub(super) fn read(source: &Source) -> Result<Self, Vec<ConfigError>> {
        let root = DeTable::parse(source.file_part().text).map_err(|error| vec![error.into()])?;
        let mut document = Document { root: root.into_inner(), overridden: Vec::new() };
        let mut errors = Vec::new();
        for part in source.override_parts() {
            if let Err(error) = document.assign(part) {
                errors.push(error.at(part.range()));
            }
        }
        if errors.is_empty() { Ok(document) } else { Err(errors) }
    }

    /// A document from text of our own.
    pub(super) fn built_in(text: &'static str) -> Self {
        let root = DeTable::parse(text).expect("our own text is TOML").into_inner();
        Document { root, overridden: Vec::new() }
    }

    fn assign(&mut self, part: &Part) -> Result<(), ConfigError> {
        let Some((key, value)) = part.text.split_once('=') else {
            return Err(ConfigError::new(format!("`{}` gives no value", part.text))
                .help("write --set key=value, as in --set training.rounds=50"));
        };
        let value_start = part.start + key.len() + 1;
        let name = key.trim().trim_matches(['"', '\'']).to_owned();
        let key = Key { name, span: part.start..part.start + key.trim_end().len() };
        key.known()?;
        self.set(&key, override_value(value, value_start)?)?;
        self.overridden.push(key);
        Ok(())
    }

    /// The value at a dotted key.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        let mut names = key.split('.');
        let first = self.root.get(names.next()?)?;
        names.try_fold(first, |value, name| value.get_ref().get(name))
    }

    /// The root, to be read.
    pub(super) fn root(&self) -> Spanned<DeTable<'static>> {
        Spanned::new(0..0, self.root.clone())
    }

    /// Cuts out the value at a dotted key.
    pub(super) fn take(&mut self, key: &str) -> Option<Value> {
        let Some((parents, last)) = key.rsplit_once('.') else { return self.root.remove(key) };
        let mut table = &mut self.root;
        for name in parents.split('.') {
            let DeValue::Table(inner) = table.get_mut(name)?.get_mut() else { return None };
            table = inner;
        }
        table.remove(last)
    }

    /// Puts `value` at a dotted key, making the tables on the way, and takes away what cannot
    /// stand beside it.
    ///
    /// A key into the parameters of a member chooses this member.
    pub(super) fn set(&mut self, key: &Key, value: Value) -> Result<(), ConfigError> {
        for (_, others) in INSTEAD.iter().filter(|(one, _)| key.is_within(one)) {
            others.iter().for_each(|other| drop(self.take(other)));
        }
        let (parents, last) = key.name.rsplit_once('.').unwrap_or(("", &key.name));
        let mut table = &mut self.root;
        let mut depth = 0;
        for name in parents.split('.').filter(|name| !name.is_empty()) {
            depth += name.len() + 1;
            let path = &key.name[..depth - 1];
            let inner = table.entry(spanned_key(key, name)).or_insert_with(|| empty_table(key));
            if let Some((_, member)) = key.choice().filter(|(choice, _)| *choice == path) {
                choose(inner, member, key);
            }
            let found = inner.get_ref().type_str();
            let DeValue::Table(inner) = inner.get_mut() else {
                return Err(ConfigError::new(format!(
                    "`{}` cannot be set: `{path}` is no table but {found}",
                    key.name
                ))
                .at(key.span.clone()));
            };
            table = inner;
        }
        table.remove(last);
        table.insert(spanned_key(key, last), value);
        Ok(())
    }

    /// Cuts out the innermost entry that covers `span`: its dotted key and its value.
    pub(super) fn cut(&mut self, span: &Range<usize>) -> Option<(String, Value)> {
        cut(&mut self.root, span)
    }
}

fn cut(table: &mut DeTable<'static>, span: &Range<usize>) -> Option<(String, Value)> {
    // An inner entry may lie outside of its table's own span, which is the header alone.
    for (key, value) in table.iter_mut() {
        if let DeValue::Table(inner) = value.get_mut()
            && let Some((name, value)) = cut(inner, span)
        {
            return Some((format!("{}.{name}", shown(key.get_ref())), value));
        }
    }
    let covers = |outer: Range<usize>| outer.start <= span.start && span.end <= outer.end;
    let mut entries = table.iter();
    let (key, _) = entries.find(|(key, value)| covers(key.span()) || covers(value.span()))?;
    let name = key.get_ref().to_string();
    let value = table.remove(name.as_str())?;
    Some((shown(&name), value))
}

/// One name of a dotted key, in quotes if it holds dots itself.
fn shown(name: &str) -> String {
    if name.contains('.') { format!("\"{name}\"") } else { name.to_owned() }
}

fn spanned_key(key: &Key, name: &str) -> Spanned<Cow<'static, str>> {
    Spanned::new(key.span.clone(), Cow::Owned(name.to_owned()))
}

fn empty_table(key: &Key) -> Value {
    Spanned::new(key.span.clone(), DeValue::Table(DeTable::default()))
}

/// Makes a choice, in whichever form it was written, a table that holds `member` or nothing.
fn choose(choice: &mut Value, member: &str, key: &Key) {
    match choice.get_ref() {
        DeValue::Table(members) if members.len() == 1 && members.contains_key(member) => {}
        DeValue::String(name) if name == member => {
            let name = Spanned::new(choice.span(), name.clone());
            let parameters = Spanned::new(choice.span(), DeValue::Table(DeTable::default()));
            *choice.get_mut() = DeValue::Table(DeTable::from_iter([(name, parameters)]));
        }
        _ => *choice = empty_table(key),
    }
}

/// The value of an override, which begins at `start` in the source.
fn override_value(written: &str, start: usize) -> Result<Value, ConfigError> {
    let text = written.trim();
    let start = start + (written.len() - written.trim_start().len());
    let span = start..start + text.len();
    if text.is_empty() {
        return Err(ConfigError::new("no value is given").help("write --set key=value"));
    }
    let error = match DeValue::parse(keep(text)) {
        Ok(value) => return Ok(moved(value, &|place| place.start + start..place.end + start)),
        Err(error) => error,
    };
    if let Ok(json) = serde_json::from_str(text) {
        return from_json(json, &span);
    }
    if text.starts_with(['{', '[', '"', '\'']) {
        let place = error.span().map(|place| place.start + start..place.end + start);
        let message = error.message().lines().next().unwrap_or_default();
        return Err(ConfigError::new(message)
            .at(place.unwrap_or(span))
            .help("the value is read as TOML, or else as JSON"));
    }
    Ok(Spanned::new(span, DeValue::String(Cow::Owned(text.to_owned()))))
}

/// The same value at another place.
pub(super) fn moved(value: Value, place: &dyn Fn(Range<usize>) -> Range<usize>) -> Value {
    let span = place(value.span());
    let value = match value.into_inner() {
        DeValue::Array(items) => {
            DeValue::Array(items.into_iter().map(|item| moved(item, place)).collect::<DeArray>())
        }
        DeValue::Table(entries) => {
            let moved = entries.into_iter().map(|(key, value)| {
                (Spanned::new(place(key.span()), key.into_inner()), moved(value, place))
            });
            DeValue::Table(moved.collect())
        }
        scalar => scalar,
    };
    Spanned::new(span, value)
}

fn from_json(json: serde_json::Value, span: &Range<usize>) -> Result<Value, ConfigError> {
    use serde_json::Value as Json;
    let value = match json {
        Json::Null => {
            return Err(ConfigError::new("null is no value here").at(span.clone()));
        }
        Json::Bool(flag) => DeValue::Boolean(flag),
        Json::Number(number) => DeValue::parse(keep(&number.to_string()))?.into_inner(),
        Json::String(text) => DeValue::String(Cow::Owned(text)),
        Json::Array(items) => {
            let items: Result<DeArray, _> =
                items.into_iter().map(|item| from_json(item, span)).collect();
            DeValue::Array(items?)
        }
        Json::Object(entries) => {
            let entries: Result<DeTable, ConfigError> = entries
                .into_iter()
                .map(|(key, value)| {
                    Ok((Spanned::new(span.clone(), Cow::Owned(key)), from_json(value, span)?))
                })
                .collect();
            DeValue::Table(entries?)
        }
    };
    Ok(Spanned::new(span.clone(), value))
}

/// The value as JSON. Numbers that JSON lacks (`inf`, `nan`) become their names.
pub(super) fn to_json(value: &DeValue<'_>) -> serde_json::Value {
    use serde_json::Value as Json;
    match value {
        DeValue::String(text) => Json::from(text.as_ref()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map(Json::from)
            .or_else(|_| u64::from_str_radix(number.as_str(), number.radix()).map(Json::from))
            .unwrap_or_else(|_| Json::from(number.to_string())),
        DeValue::Float(number) => number
            .as_str()
            .parse()
            .ok()
            .and_then(serde_json::Number::from_f64)
            .map_or_else(|| Json::from(number.as_str()), Json::Number),
        DeValue::Boolean(flag) => Json::from(*flag),
        DeValue::Datetime(time) => Json::from(time.to_string()),
        DeValue::Array(items) => items.iter().map(|item| to_json(item.get_ref())).collect(),
        DeValue::Table(entries) => entries
            .iter()
            .map(|(key, value)| (key.get_ref().to_string(), to_json(value.get_ref())))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(text: &'static str, name: &str, value: &'static str) -> serde_json::Value {
        let mut document = Document::built_in(text);
        let key = Key { name: name.to_owned(), span: 0..0 };
        document.set(&key, DeValue::parse(value).unwrap()).unwrap();
        to_json(&DeValue::Table(document.root().into_inner()))
    }

    #[test]
    fn a_key_into_a_choice_chooses() {
        let expected = json!({ "threat": { "attack": { "mimic": { "target": 1 } } } });
        for before in [
            "",
            "threat.attack = 'mimic'",
            "threat.attack = 'none'",
            "threat.attack = { sign_flip = { scale = 2 } }",
            "[threat.attack.mimic]\ntarget = 3",
        ] {
            assert_eq!(set(before, "threat.attack.mimic.target", "1"), expected, "{before}");
        }
        let kept = set("model = { mlp = { hidden = [8] } }", "model.mlp.seed", "1");
        assert_eq!(kept, json!({ "model": { "mlp": { "hidden": [8], "seed": 1 } } }));
    }

    #[test]
    fn a_like_takes_the_place_of_the_whole_chain() {
        let text = "aggregation = { byzantine = 2, before = ['arc'], rule = 'krum' }";
        let expected = json!({ "aggregation": { "byzantine": 2, "like": "byzfl.Krum" } });
        assert_eq!(set(text, "aggregation.like", "'byzfl.Krum'"), expected);
    }

    #[test]
    fn nothing_is_set_below_a_number() {
        let mut document = Document::built_in("training = 3");
        let key = Key { name: "training.rounds".to_owned(), span: 4..9 };
        let error = document.set(&key, DeValue::parse("1").unwrap()).unwrap_err();
        assert_eq!(
            error.message,
            "`training.rounds` cannot be set: `training` is no table but integer"
        );
        assert_eq!(error.span, Some(4..9));
    }

    #[test]
    fn the_innermost_key_at_a_place() {
        let text = "'y.x' = 0\na = 1\n[b]\nc = 2\n[b.d]\ne = { f = 3 }\n";
        let cut = |part: &str| {
            let start = text.find(part).unwrap();
            Document::built_in(text).cut(&(start..start + part.len())).unwrap().0
        };
        assert_eq!(cut("1"), "a");
        assert_eq!(cut("c"), "b.c");
        assert_eq!(cut("3"), "b.d.e.f");
        assert_eq!(cut("[b]"), "b");
        assert_eq!(cut("x"), "\"y.x\"");
        assert!(Document::built_in(text).cut(&(900..901)).is_none());
    }

    #[test]
    fn numbers_that_json_lacks_keep_their_names() {
        let value = DeValue::parse("[inf, -1.5, 0x10, 18446744073709551615]").unwrap();
        assert_eq!(to_json(value.get_ref()), json!(["inf", -1.5, 16, u64::MAX]));
    }

    #[test]
    fn overrides_are_toml_or_json_or_words() {
        let read = |text| override_value(text, 100).map(|value| to_json(value.get_ref()));
        assert_eq!(read(" 5 ").unwrap(), json!(5));
        assert_eq!(read("{ krum = {} }").unwrap(), json!({ "krum": {} }));
        assert_eq!(
            read("{\"krum\": {\"f\": [1, 2.5]}}").unwrap(),
            json!({"krum": {"f": [1, 2.5]}})
        );
        assert_eq!(read("krum").unwrap(), json!("krum"));
        assert_eq!(override_value(" 'a'", 100).unwrap().span(), 101..104);
        assert_eq!(read("{\"a\": null}").unwrap_err().message, "null is no value here");
        assert!(read("").is_err());
    }
}
