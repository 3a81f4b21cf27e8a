//! The sweep: one cell for each combination of the swept values and each seed.

use serde_json::Value as Json;
use toml::de::{DeTable, DeValue};

use super::config::Config;
use super::document::{Document, Key, Value, to_json};
use super::edges::EdgeFiles;
use super::read::{self, ERRORS_MAX};
use super::source::Source;
use super::surveys::Surveys;
use crate::catalog::ConfigError;

/// The most cells that one experiment may have.
pub const CELLS_MAX: usize = 100_000;

/// Keys that are one and the same for all cells.
pub(super) const FIXED: [&str; 4] = ["schema", "name", "question", "seeds"];

/// One run of an experiment.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The swept keys with their values here, in the order in which they were written.
    pub swept: Vec<(String, Json)>,
    /// The seed.
    pub seed: u64,
    /// The config with the swept values in it; its `seeds` are still all of them.
    pub config: Config,
}

/// A document and the keys that vary over it.
#[derive(Debug)]
pub struct Sweep {
    base: Document,
    axes: Vec<Axis>,
}

#[derive(Debug)]
struct Axis {
    key: Key,
    values: Vec<Value>,
}

impl Sweep {
    /// Reads an experiment: its cells in the order in which they are run. The last axis varies
    /// fastest, and the seed faster still.
    ///
    /// Errors of all cells come at once, but each only once and at most some twenty.
    pub fn read(source: &Source) -> Result<Vec<Cell>, Vec<ConfigError>> {
        Sweep::cells(source).map_err(|mut errors| {
            errors.sort_by_key(|error| error.span.as_ref().map_or(0, |span| span.start));
            errors
        })
    }

    fn cells(source: &Source) -> Result<Vec<Cell>, Vec<ConfigError>> {
        let mut base = Document::read(source)?;
        let mut files = Files::beside(&source.file_part().origin);
        let mut errors = Vec::new();
        let mut axes = Vec::new();
        match base.take("sweep").map(|sweep| (sweep.span(), sweep.into_inner())) {
            None => {}
            Some((_, DeValue::Table(table))) => find_axes(table, "", &mut axes, &mut errors),
            Some((span, other)) => errors.push(not_an_axis("sweep", &other).at(span)),
        }
        axes.sort_by_key(|axis: &Axis| axis.key.span.start);
        axes.retain(|axis| !base.overridden.iter().any(|set| ends(set, &axis.key)));
        for (place, axis) in axes.iter().enumerate() {
            let before = axes[..place].iter().map(|axis| &axis.key);
            errors.extend(clash(&axis.key, before.chain(&base.overridden)));
        }
        if !errors.is_empty() {
            // What is wrong beside the sweep is told with it.
            errors.extend(files.resolve(&mut base).err());
            errors.extend(read::config(base).err().unwrap_or_default());
            return Err(errors);
        }
        Sweep { base, axes }.expand(&mut files)
    }

    fn expand(&self, files: &mut Files) -> Result<Vec<Cell>, Vec<ConfigError>> {
        let combinations = self.combinations(1)?;
        let mut cells = Vec::new();
        let mut errors: Vec<ConfigError> = Vec::new();
        for index in 0..combinations {
            let picked = self.combination(index);
            match self.document(&picked, files).and_then(read::config) {
                Ok(config) if errors.is_empty() => {
                    self.combinations(config.seeds.len())?;
                    let swept = || {
                        let json = |value: &Value| to_json(value.get_ref());
                        picked.iter().map(|(key, value)| (key.name.clone(), json(value))).collect()
                    };
                    cells.extend(config.seeds.iter().map(|&seed| Cell {
                        swept: swept(),
                        seed,
                        config: config.clone(),
                    }));
                }
                Ok(_) => {}
                Err(found) => {
                    let new = found.into_iter().filter(|error| !errors.contains(error));
                    let new: Vec<ConfigError> = new.collect();
                    errors.extend(new);
                }
            }
            if errors.len() >= ERRORS_MAX {
                break;
            }
        }
        if errors.is_empty() { Ok(cells) } else { Err(errors) }
    }

    /// How many combinations there are, unless they make too many cells.
    fn combinations(&self, seeds: usize) -> Result<usize, Vec<ConfigError>> {
        let mut sizes = self.axes.iter().map(|axis| axis.values.len());
        let combinations = sizes.try_fold(1, usize::checked_mul);
        if let Some(all) = combinations
            && all.saturating_mul(seeds) <= CELLS_MAX
        {
            return Ok(all);
        }
        let sizes = self.axes.iter().map(|axis| axis.values.len().to_string());
        let product = sizes.chain([seeds.to_string()]).collect::<Vec<_>>().join(" x ");
        let message = format!("{product} (seeds) are more than {CELLS_MAX} runs");
        let help = "sweep fewer values, or split the experiment";
        let error = ConfigError::new(message).help(help);
        Err(vec![match self.axes.first() {
            Some(axis) => error.at(axis.key.span.clone()),
            None => error,
        }])
    }

    /// The value of each axis in one combination.
    fn combination(&self, index: usize) -> Vec<(&Key, &Value)> {
        let mut rest = index;
        let mut picked: Vec<(&Key, &Value)> = Vec::new();
        for axis in self.axes.iter().rev() {
            picked.push((&axis.key, &axis.values[rest % axis.values.len()]));
            rest /= axis.values.len();
        }
        picked.reverse();
        picked
    }

    /// The base with these values in it.
    fn document(
        &self,
        picked: &[(&Key, &Value)],
        files: &mut Files,
    ) -> Result<Document, Vec<ConfigError>> {
        let mut document = self.base.clone();
        for (key, value) in picked {
            document.set(key, (*value).clone()).map_err(|error| vec![error])?;
        }
        files.resolve(&mut document).map_err(|error| vec![error])?;
        Ok(document)
    }
}

/// The files that an experiment names.
#[derive(Debug)]
struct Files {
    edges: EdgeFiles,
    surveys: Surveys,
}

impl Files {
    fn beside(experiment: &str) -> Self {
        let (edges, surveys) = (EdgeFiles::beside(experiment), Surveys::beside(experiment));
        Files { edges, surveys }
    }

    /// Puts into a document what the files hold that it names.
    fn resolve(&mut self, document: &mut Document) -> Result<(), ConfigError> {
        self.edges.resolve(document)?;
        self.surveys.resolve(document)
    }
}

/// Collects the arrays of a table and of the tables in it.
fn find_axes(
    table: DeTable<'static>,
    above: &str,
    axes: &mut Vec<Axis>,
    errors: &mut Vec<ConfigError>,
) {
    for (written, value) in table {
        let name = match above {
            "" => written.get_ref().to_string(),
            above => format!("{above}.{}", written.get_ref()),
        };
        let key = Key { name, span: written.span() };
        let span = value.span();
        match value.into_inner() {
            DeValue::Table(inner) => find_axes(inner, &key.name, axes, errors),
            DeValue::Array(values) => match check_axis(&key, values.len()) {
                Ok(()) => axes.push(Axis { key, values: values.into_iter().collect() }),
                Err(error) => errors.push(error.at(span)),
            },
            other => errors.push(not_an_axis(&key.name, &other).at(span)),
        }
    }
}

fn check_axis(key: &Key, values: usize) -> Result<(), ConfigError> {
    if FIXED.contains(&key.name.as_str()) {
        let error = ConfigError::new(format!("`{}` cannot be swept", key.name));
        let help = "it belongs to the whole experiment, which is run with each of its `seeds`";
        return Err(error.at(key.span.clone()).help(help));
    }
    key.known()?;
    if values == 0 {
        let message = format!("the sweep over `{}` has no values", key.name);
        return Err(ConfigError::new(message).help("give it some, or take the line out"));
    }
    Ok(())
}

fn not_an_axis(key: &str, value: &DeValue<'_>) -> ConfigError {
    let expected = if key == "sweep" { "a table of arrays" } else { "an array of values" };
    let found = value.type_str();
    ConfigError::new(format!("`{key}`: expected {expected}, found {found}"))
        .help("for example: \"aggregation.rule\" = [\"mean\", \"median\"]")
}

/// Whether an override puts an end to a sweep.
fn ends(set: &Key, axis: &Key) -> bool {
    axis.is_within(&set.name) || set.replaces(axis)
}

/// The error if a key cannot be swept because one of `others` would be lost or ambiguous.
fn clash<'a>(axis: &Key, others: impl IntoIterator<Item = &'a Key>) -> Option<ConfigError> {
    others.into_iter().find_map(|other| {
        let (name, other_name) = (&axis.name, &other.name);
        let reason = if axis.is_within(other_name) || other.is_within(name) {
            "one holds the other"
        } else if axis.replaces(other) || other.replaces(axis) {
            "only one of them can stand"
        } else if let (Some((choice, member)), Some((other_choice, other_member))) =
            (axis.choice(), other.choice())
            && choice == other_choice
            && member != other_member
        {
            "they choose different members"
        } else {
            return None;
        };
        let message = format!("`{name}` cannot be swept beside `{other_name}`: {reason}");
        let help = "take one of them out, or sweep over whole values";
        Some(ConfigError::new(message).at(axis.span.clone()).help(help))
    })
}

/// A swept value in few characters, for tables and plots: `krum`, `inner_product(epsilon=4)`,
/// `0.5`.
pub fn label(value: &Json) -> String {
    match value {
        Json::String(text) => text.clone(),
        Json::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => float.to_string(),
            None => number.to_string(),
        },
        Json::Array(items) => format!("[{}]", labels(items.iter().map(label))),
        Json::Object(entries) => {
            let mut members = entries.iter();
            match (members.next(), members.next()) {
                (Some((name, Json::Object(parameters))), None) if parameters.is_empty() => {
                    name.clone()
                }
                (Some((name, Json::Object(parameters))), None) => {
                    format!("{name}({})", labels(assignments(parameters)))
                }
                _ => format!("{{{}}}", labels(assignments(entries))),
            }
        }
        Json::Bool(_) | Json::Null => value.to_string(),
    }
}

fn assignments(entries: &serde_json::Map<String, Json>) -> impl Iterator<Item = String> {
    entries.iter().map(|(key, value)| format!("{key}={}", label(value)))
}

fn labels(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_are_short() {
        for (value, expected) in [
            (json!("none"), "none"),
            (json!({ "krum": {} }), "krum"),
            (json!({ "inner_product": { "epsilon": 4.0 } }), "inner_product(epsilon=4)"),
            (json!({ "a": { "x": 0.25, "y": [1, 2] } }), "a(x=0.25, y=[1, 2])"),
            (json!({ "a": 1, "b": true }), "{a=1, b=true}"),
            (json!(0.5), "0.5"),
            (json!(13), "13"),
        ] {
            assert_eq!(label(&value), expected);
        }
    }

    fn key(name: &str) -> Key {
        Key { name: name.to_owned(), span: 0..0 }
    }

    #[test]
    fn which_keys_clash() {
        for (axis, other, clashes) in [
            ("training.momentum", "training.batch", false),
            ("threat.attack", "threat.poison", false),
            ("threat.attack", "threat.attack", true),
            ("threat.attack", "threat.attack.inner_product.epsilon", true),
            ("threat.attack.a.x", "threat.attack.a.y", false),
            ("threat.attack.a.x", "threat.attack.b.x", true),
            ("aggregation.rule", "aggregation.like", true),
            ("aggregation.before", "aggregation.like", true),
            ("training.batch", "training.batches", false),
        ] {
            assert_eq!(clash(&key(axis), [&key(other)]).is_some(), clashes, "{axis} {other}");
            assert_eq!(clash(&key(other), [&key(axis)]).is_some(), clashes, "{other} {axis}");
        }
    }

    #[test]
    fn an_override_ends_the_sweeps_below_it() {
        assert!(ends(&key("threat.attack"), &key("threat.attack.a.x")));
        assert!(ends(&key("aggregation.like"), &key("aggregation.rule")));
        assert!(!ends(&key("threat.attack.a.x"), &key("threat.attack")));
    }
}
