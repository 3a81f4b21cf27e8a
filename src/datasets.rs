//! Data sets: shapes, labels and samples by index.
//!
//! Members decode bytes that they are handed and never look for a file themselves; who hands
//! them over has found the file, and checks it while it is read.

mod digits;

use std::fmt::Debug;
use std::io::{self, Read};
use std::sync::Arc;

use crate::catalog::Catalog;
use crate::dataset::{Samples, Shape, Split};

/// All data sets.
pub static CATALOG: Catalog<dyn Dataset> = Catalog { kind: "data set", entries: &[&digits::ENTRY] };

/// A labelled data set with a training and a test split.
pub trait Dataset: Debug + Send + Sync {
    /// What each sample looks like; known without reading anything.
    fn shape(&self) -> Shape;

    /// How many samples a split has; known without reading anything.
    fn len(&self, split: Split) -> usize;

    /// The files that a split is read from; none where samples are drawn by a procedure.
    fn files(&self, split: Split) -> Vec<&'static File>;

    /// All labels of a split, in order.
    fn labels(&self, split: Split, store: &dyn Store) -> Result<Vec<u8>, DataError>;

    /// The samples at `indices`, in that order. Memory is what these need, not the whole split,
    /// so that a worker holds its own shard only.
    fn samples(
        &self,
        split: Split,
        indices: &[usize],
        store: &dyn Store,
    ) -> Result<Samples, DataError>;
}

/// Where bytes of files come from: the file system in a run, memory in a test.
pub trait Store: Send + Sync {
    /// The unpacked bytes of `file`. The reader fails at the end if they are not the bytes that
    /// the manifest promises, so read to the end before trusting them.
    fn open(&self, file: &File) -> Result<Box<dyn Read>, DataError>;
}

/// A store without files, for data sets that need none.
#[derive(Debug, Clone, Copy)]
pub struct NoFiles;

impl Store for NoFiles {
    fn open(&self, file: &File) -> Result<Box<dyn Read>, DataError> {
        Err(DataError::Missing { file: file.name.to_owned(), looked: Vec::new() })
    }
}

/// A file of a data set, as its manifest describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The folder of the data set, under each place where data are looked for: `mnist`.
    pub folder: &'static str,
    /// Its name without `.gz`: `train-images-idx3-ubyte`.
    pub name: &'static str,
    /// How many bytes it has when unpacked.
    pub bytes: u64,
    /// The SHA-256 of the unpacked bytes, in hexadecimal.
    pub sha256: &'static str,
}

/// Why samples could not be had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum DataError {
    /// A file is nowhere.
    #[error("{file} was not found, neither as it is nor with .gz, in {}", looked.join(", "))]
    Missing {
        /// Its name.
        file: String,
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
