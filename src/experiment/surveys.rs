//! Data sets from files of the user's: `npz = { path = "x.npz" }` gets what the file holds.
//!
//! This happens while the experiment is read, so that a plan knows shape and sizes without reading
//! anything, and holds the digest of the bytes. Where the file lies is not part of a run's
//! identity; what it holds is.
#![allow(clippy::disallowed_methods, reason = "an experiment's files are read beside it")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::document::{Document, Key, Value, moved, to_json};
use crate::catalog::{ConfigError, Parameters, keep};
use crate::datasets::{FROM_PATHS, Survey, SurveyError, survey};
use crate::runtime::files::DataFolders;

/// The parameters that name files.
pub(super) const PATHS: [&str; 2] = ["path", "test_path"];

/// The files of one experiment, each surveyed once.
#[derive(Debug)]
pub(super) struct Surveys {
    folder: PathBuf,
    /// What was found, by set and parameters.
    found: BTreeMap<String, Survey>,
}

impl Surveys {
    /// Those beside the experiment file of this name.
    pub(super) fn beside(experiment: &str) -> Self {
        let folder = Path::new(experiment).parent().map(Path::to_path_buf).unwrap_or_default();
        Surveys { folder, found: BTreeMap::new() }
    }

    /// Puts into a document what the files hold that its data set names.
    pub(super) fn resolve(&mut self, document: &mut Document) -> Result<(), ConfigError> {
        FROM_PATHS.iter().try_for_each(|set| self.resolve_set(set, document))
    }

    fn resolve_set(&mut self, set: &str, document: &mut Document) -> Result<(), ConfigError> {
        let key = format!("data.set.{set}");
        if document.get(&format!("{key}.path")).is_none() {
            return Ok(());
        }
        for name in PATHS {
            self.place(&format!("{key}.{name}"), document)?;
        }
        let pinned = document.take(&format!("{key}.survey"));
        let Some(parameters) = document.get(&key).cloned() else { return Ok(()) };
        let span = document.get(&format!("{key}.path")).map_or(0..0, Value::span);
        let label = format!("{set} {}", to_json(parameters.get_ref()));
        let found = match self.found.get(&label) {
            Some(found) => found.clone(),
            None => {
                read(set, Parameters::from_value(parameters)).map_err(|e| e.at(span.clone()))?
            }
        };
        if let Some(pinned) = pinned {
            held_to(&found, pinned)?;
        }
        let text = toml::to_string(&found).expect("a survey is TOML");
        let table = DeTable::parse(keep(&text)).expect("what was written can be read").into_inner();
        let table = toml::Spanned::new(0..0, DeValue::Table(table));
        let value = moved(table, &|_| span.clone());
        self.found.insert(label, found);
        document.set(&Key { name: format!("{key}.survey"), span: span.clone() }, value)
    }

    /// Makes a path that starts at the experiment's folder one that starts at the root.
    fn place(&self, key: &str, document: &mut Document) -> Result<(), ConfigError> {
        let Some(named) = document.get(key) else { return Ok(()) };
        let span = named.span();
        // What is no text is refused where the parameters are read.
        let Some(name) = named.get_ref().as_str() else { return Ok(()) };
        let path = self.folder.join(name);
        let path = std::path::absolute(&path).unwrap_or(path).display().to_string();
        let value = toml::Spanned::new(span.clone(), DeValue::String(path.into()));
        document.set(&Key { name: key.to_owned(), span }, value)
    }
}

fn read(set: &str, parameters: Parameters) -> Result<Survey, ConfigError> {
    survey(set, parameters, &DataFolders::of([])).map_err(|error| match error {
        SurveyError::Config(error) => error,
        SurveyError::Data(error) => ConfigError::new(error.to_string()),
    })
}

/// Refuses files that are not those that a config pins.
fn held_to(found: &Survey, pinned: Value) -> Result<(), ConfigError> {
    let span = pinned.span();
    let pinned: Survey = Parameters::from_value(pinned).read()?;
    if pinned.digest == found.digest {
        return Ok(());
    }
    Err(ConfigError::new(format!(
        "the data are others than the experiment was planned with: their digest is {}, and \
         `survey` has {}",
        found.digest, pinned.digest
    ))
    .at(span)
    .help("use the same files, or take `survey` out to plan with these"))
}
