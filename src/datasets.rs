//! Data sets: shapes, labels and samples by index.
//!
//! Members decode bytes that they are handed and never look for a file themselves; who hands
//! them over has found the file, and checks it while it is read.

mod cifar10;
mod csv;
mod digits;
mod fashion_mnist;
mod folder;
mod idx;
mod idx_images;
mod manifest;
mod mnist;
mod npz;
mod picture;
mod survey;
mod wanted;
mod zip;

use std::fmt::Debug;
use std::io::{self, Read, Seek};
use std::sync::Arc;

use serde::Deserialize;

pub use self::manifest::{Archive, Counts, Manifest};
pub use self::survey::Survey;
use crate::catalog::{Catalog, ConfigError, Parameters};
use crate::dataset::{Held, Raw, Samples, Scale, Shape, Split, Stored};

/// All data sets.
pub static CATALOG: Catalog<dyn Dataset> = Catalog {
    kind: "data set",
    entries: &[
        &digits::ENTRY,
        &mnist::ENTRY,
        &fashion_mnist::ENTRY,
        &cifar10::ENTRY,
        &npz::ENTRY,
        &csv::ENTRY,
        &folder::ENTRY,
    ],
};

/// A labelled data set with a training and a test split.
pub trait Dataset: Debug + Send + Sync {
    /// What each sample looks like; known without reading anything.
    fn shape(&self) -> Shape;

    /// How many samples a split has; known without reading anything.
    fn len(&self, split: Split) -> usize;

    /// The files that a split is read from; none where samples are drawn by a procedure.
    fn files(&self, split: Split) -> Vec<&'static File>;

    /// Where its files come from and on what terms; none where samples are drawn by a procedure.
    fn manifest(&self) -> Option<&'static Manifest> {
        None
    }

    /// All labels of a split, in order.
    fn labels(&self, split: Split, store: &dyn Store) -> Result<Vec<u8>, DataError>;

    /// How its values are stored.
    fn stored(&self) -> Stored {
        Stored::Bytes
    }

    /// How its values are scaled unless a config says otherwise.
    fn scale(&self) -> Scale;

    /// Mean and deviation of its training split, where it was measured.
    fn measured(&self) -> Option<Scale> {
        None
    }

    /// The samples at `indices`, in that order, with values as they are stored. Memory is what
    /// these need, not the whole split, so that a worker holds its own shard only.
    fn samples(&self, split: Split, indices: &[usize], store: &dyn Store)
    -> Result<Raw, DataError>;

    /// The same samples, to be scaled when they are read.
    fn held(
        &self,
        split: Split,
        indices: &[usize],
        scale: &Scale,
        store: &dyn Store,
    ) -> Result<Held, DataError> {
        let raw = self.samples(split, indices, store)?;
        Ok(Held::new(raw, scale, self.shape().channels))
    }

    /// The same samples, scaled.
    fn scaled(
        &self,
        split: Split,
        indices: &[usize],
        scale: &Scale,
        store: &dyn Store,
    ) -> Result<Samples, DataError> {
        Ok(self.held(split, indices, scale, store)?.samples())
    }
}

/// The sets that are read from files which their parameter `path` names. Their files are surveyed
/// when the experiment is read.
pub const FROM_PATHS: [&str; 3] = ["npz", "csv", "folder"];

/// Finds out what the files of a set hold that its parameters name.
///
/// # Panics
/// If the set is none of [`FROM_PATHS`].
pub fn survey(set: &str, parameters: Parameters, store: &dyn Store) -> Result<Survey, SurveyError> {
    match set {
        "npz" => npz::survey(parameters, store),
        "csv" => csv::survey(parameters, store),
        "folder" => folder::survey(parameters, store),
        other => unreachable!("{other} has no files that a user names"),
    }
}

/// Why files could not be surveyed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SurveyError {
    /// They could not be read, or are not what they should be.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The parameters are wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// Bytes that can be read from any place on.
pub trait Source: Read + Seek + Send {}

impl<T: Read + Seek + Send> Source for T {}

/// Where bytes of files come from: the file system in a run, memory in a test.
pub trait Store: Send + Sync {
    /// The unpacked bytes of `file`. The reader fails at the end if they are not the bytes that
    /// the manifest promises, so read to the end before trusting them.
    fn open(&self, file: &File) -> Result<Box<dyn Read>, DataError>;

    /// The bytes of a file that a user named.
    fn given(&self, path: &str) -> Result<Box<dyn Source>, DataError> {
        Err(not_found(path))
    }

    /// What is in a folder that a user named, by name, without what is hidden.
    fn list(&self, path: &str) -> Result<Vec<Listed>, DataError> {
        Err(not_found(path))
    }
}

/// What a folder holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// Its name in the folder.
    pub name: String,
    /// Whether it is a folder itself.
    pub is_folder: bool,
}

/// A store without files, for data sets that need none.
#[derive(Debug, Clone, Copy)]
pub struct NoFiles;

impl Store for NoFiles {
    fn open(&self, file: &File) -> Result<Box<dyn Read>, DataError> {
        Err(file.missing(Vec::new()))
    }
}

/// A file of a data set, as its manifest describes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// The folder of the data set, under each place where data are looked for: `mnist`. The
    /// manifest fills it in.
    #[serde(skip)]
    pub folder: String,
    /// Its name without `.gz`: `train-images-idx3-ubyte`.
    pub name: String,
    /// How many bytes it has when unpacked.
    pub bytes: u64,
    /// The SHA-256 of the unpacked bytes, in hexadecimal; empty where only the packed file's is
    /// published.
    #[serde(default)]
    pub sha256: String,
    /// The packed file, where its digest is published and that of the unpacked bytes is not. Then
    /// it is read packed.
    #[serde(default)]
    pub packed: Option<Packed>,
    /// The archive that it comes in, where the digest of that is published and its own is not. The
    /// manifest fills it in.
    #[serde(skip)]
    pub archive: Option<Archive>,
}

/// A file as it is served, packed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packed {
    /// How many bytes it has.
    pub bytes: u64,
    /// Their SHA-256, in hexadecimal.
    pub sha256: String,
}

impl File {
    /// The data set and the file: `mnist/train-images-idx3-ubyte`.
    pub fn path(&self) -> String {
        format!("{}/{}", self.folder, self.name)
    }

    /// The published digest that the file is held to: of its unpacked bytes, of the packed ones, or
    /// of the archive that it comes in.
    pub fn digest(&self) -> &str {
        let archive = self.archive.as_ref().map(|archive| &archive.sha256);
        let packed = self.packed.as_ref().map(|packed| &packed.sha256);
        archive.or(packed).unwrap_or(&self.sha256)
    }

    /// Whether it is a packed file itself, which is not to be unpacked.
    pub fn is_packed(&self) -> bool {
        self.name.strip_suffix(".gz").is_some()
    }

    /// What is fetched to get it: itself, or its archive.
    #[must_use]
    pub fn served(&self) -> File {
        let Some(archive) = &self.archive else { return self.clone() };
        File {
            folder: self.folder.clone(),
            name: archive.name.clone(),
            bytes: archive.bytes,
            sha256: archive.sha256.clone(),
            packed: None,
            archive: None,
        }
    }

    /// The error for a file that is in none of the folders `looked`.
    pub fn missing(&self, looked: Vec<String>) -> DataError {
        let file = match self.packed {
            Some(_) => format!("{}.gz", self.name),
            None => self.name.clone(),
        };
        let either = self.packed.is_none() && self.archive.is_none();
        DataError::Missing { set: self.folder.clone(), file, either, looked }
    }

    /// The error for content that is not what the manifest promises.
    pub fn broken(&self, what: impl Into<String>) -> DataError {
        self.with_advice(DataError::Broken { file: self.path(), message: what.into() })
    }

    /// What a failed read of this file means.
    ///
    /// A reader that checks what it reads fails with a [`DataError`] inside of the [`io::Error`],
    /// which names the path; an early end means that the file is truncated.
    pub fn unreadable(&self, error: io::Error) -> DataError {
        match error.downcast::<DataError>() {
            Ok(found) => self.with_advice(found),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.broken(format!("ends before its {} bytes", self.bytes))
            }
            Err(error) => DataError::Io { file: self.path(), error: Arc::new(error) },
        }
    }

    /// Adds to a broken file's error what to do about it.
    fn with_advice(&self, error: DataError) -> DataError {
        match error {
            DataError::Broken { file, message } => {
                let set = &self.folder;
                let advice = format!("delete the file and run `byzlab data fetch {set}`");
                DataError::Broken { file, message: format!("{message}: {advice}") }
            }
            other => other,
        }
    }
}

/// Why samples could not be had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DataError {
    /// A file is nowhere.
    #[error(
        "{set}/{file} was not found, {}in {}: run `byzlab data fetch {set}`, or name the folder \
         that holds {set}/ with --data-dir or BYZLAB_DATA",
        if *either { "neither as it is nor with .gz, " } else { "" },
        folders(looked)
    )]
    Missing {
        /// The data set's name.
        set: String,
        /// The file's name.
        file: String,
        /// Whether it was looked for as it is and packed.
        either: bool,
        /// The folders that were searched.
        looked: Vec<String>,
    },
    /// A file is not what its manifest promises.
    #[error("{file}: {message}")]
    Broken {
        /// Its path.
        file: String,
        /// What is wrong, with the values.
        message: String,
    },
    /// Reading failed.
    #[error("{file}: {error}")]
    Io {
        /// Its path.
        file: String,
        /// What the system said.
        error: Arc<io::Error>,
    },
}

fn not_found(path: &str) -> DataError {
    let error = Arc::new(io::Error::from(io::ErrorKind::NotFound));
    DataError::Io { file: path.to_owned(), error }
}

/// The error for an index that the split of a set does not have.
fn beyond(set: &str, index: usize, split: Split, len: usize) -> DataError {
    DataError::Broken {
        file: set.to_owned(),
        message: format!("sample {index} was asked for, and {split:?} has {len}"),
    }
}

/// The folders that were searched, for a message.
fn folders(looked: &[String]) -> String {
    if looked.is_empty() {
        "any folder (there is none to search)".into()
    } else {
        looked.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Cursor;

    use super::*;
    use crate::catalog::Choice;

    /// Files that a user named, in memory.
    #[derive(Default)]
    pub(super) struct Memory(pub(super) BTreeMap<String, Vec<u8>>);

    impl Memory {
        pub(super) fn of(path: &str, bytes: impl Into<Vec<u8>>) -> Self {
            Memory(BTreeMap::from([(path.to_owned(), bytes.into())]))
        }
    }

    impl Store for Memory {
        fn open(&self, file: &File) -> Result<Box<dyn Read>, DataError> {
            NoFiles.open(file)
        }

        fn given(&self, path: &str) -> Result<Box<dyn Source>, DataError> {
            match self.0.get(path) {
                Some(bytes) => Ok(Box::new(Cursor::new(bytes.clone()))),
                None => NoFiles.given(path),
            }
        }

        fn list(&self, path: &str) -> Result<Vec<Listed>, DataError> {
            let inside =
                |file: &String| file.strip_prefix(path)?.strip_prefix('/').map(str::to_owned);
            let listed = |rest: String| match rest.split_once('/') {
                Some((name, _)) => Listed { name: name.to_owned(), is_folder: true },
                None => Listed { name: rest, is_folder: false },
            };
            let mut found: Vec<Listed> = self.0.keys().filter_map(inside).map(listed).collect();
            found.dedup();
            if found.is_empty() { Err(not_found(path)) } else { Ok(found) }
        }
    }

    /// A set with these parameters, surveyed, or what it is refused with.
    pub(super) fn surveyed(
        set: &str,
        parameters: &str,
        store: &dyn Store,
    ) -> Result<(Survey, Arc<dyn Dataset>), String> {
        let found = survey(set, Parameters::from_toml(parameters).unwrap(), store)
            .map_err(|error| error.to_string())?;
        let written = format!("{parameters}\n[survey]\n{}", toml::to_string(&found).unwrap());
        let member = CATALOG.build(&Choice::with(set, &written).unwrap()).unwrap();
        Ok((found, member.value))
    }

    #[test]
    fn sets_from_files_need_an_experiment() {
        for set in FROM_PATHS {
            let parameters = "path = 'a'\nlabel = 'b'";
            let parameters = if set == "csv" { parameters } else { "path = 'a'" };
            let error = CATALOG.build(&Choice::with(set, parameters).unwrap()).unwrap_err();
            assert_eq!(error.message, "`path` = \"a\" was not read");
            let missing = CATALOG.build_default(set).unwrap_err();
            assert_eq!(missing.message, "missing field `path`");
        }
    }
}
