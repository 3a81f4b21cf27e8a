//! Manifests: what a data set's files are, where they come from and on what terms.
//!
//! A manifest is a file of `datasets/`, compiled in and parsed once. `datasets/README.md` explains
//! its keys.

use serde::Deserialize;

use super::File;
use crate::dataset::{Shape, Split};

/// What `datasets/<name>.toml` says.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What configs call the set, and the folder its files lie in.
    pub name: String,
    /// Who made it, and where it was first published.
    pub origin: String,
    /// On what terms it may be used.
    pub licence: String,
    /// Addresses of folders that serve the files, to be tried in turn.
    pub mirrors: Vec<String>,
    /// What every sample looks like.
    pub shape: Shape,
    /// How many samples each split has.
    pub samples: Counts,
    /// The archive that all files come in, where its digest is published and theirs are not.
    #[serde(default)]
    pub archive: Option<Archive>,
    /// The files, each with its digest.
    pub files: Vec<File>,
}

/// An archive, `.tar.gz`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// Its name.
    pub name: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// Their SHA-256, in hexadecimal.
    pub sha256: String,
    /// The folder in it that holds the files.
    pub folder: String,
}

/// Samples per split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// In the training split.
    pub train: usize,
    /// In the test split.
    pub test: usize,
}

impl Counts {
    /// In `split`.
    pub fn of(self, split: Split) -> usize {
        match split {
            Split::Train => self.train,
            Split::Test => self.test,
        }
    }
}

impl Manifest {
    /// Reads a manifest; its files are told which folder they belong to.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        let mut manifest: Manifest = toml::from_str(text)?;
        for file in &mut manifest.files {
            file.folder.clone_from(&manifest.name);
            file.archive.clone_from(&manifest.archive);
        }
        Ok(manifest)
    }

    /// The file called `name`.
    pub fn file(&self, name: &str) -> Option<&File> {
        self.files.iter().find(|file| file.name == name)
    }

    /// Bytes of all files together, unpacked.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
        name = "dots"
        origin = "us"
        licence = "any"
        mirrors = ["http://a/dots"]
        shape = { height = 2, width = 3, channels = 1, classes = 4 }
        samples = { train = 5, test = 1 }
        [[files]]
        name = "images"
        bytes = 46
        sha256 = "00"
        [[files]]
        name = "labels"
        bytes = 13
        sha256 = "11"
    "#;

    #[test]
    fn files_know_their_folder_and_sizes_add_up() {
        let manifest = Manifest::parse(TEXT).unwrap();
        let labels = manifest.file("labels").unwrap();
        assert_eq!((labels.folder.as_str(), labels.bytes), ("dots", 13));
        assert_eq!(labels.path(), "dots/labels");
        assert_eq!(manifest.bytes(), 59);
        assert_eq!(manifest.samples.of(Split::Train), 5);
        assert!(manifest.file("label").is_none());
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        let error = Manifest::parse(&TEXT.replace("sha256", "sha265")).unwrap_err();
        assert!(error.message().contains("sha265"), "{error}");
    }
}
