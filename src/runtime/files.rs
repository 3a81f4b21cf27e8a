//! Files: finds a data set's files, unpacks them and checks every byte on the way through.

#![allow(
    clippy::disallowed_methods,
    reason = "this is the store that hands bytes to the pure layers: it opens files, and reads the \
              one variable that names a folder of them"
)]

use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use etcetera::BaseStrategy;
use flate2::bufread::GzDecoder;
use sha2::{Digest, Sha256};

use super::ahead::Ahead;
use super::archive::{SUMS, recorded};
use crate::datasets::{DataError, File, Listed, Source, Store};

/// The variable that names a folder of data sets.
pub const VARIABLE: &str = "BYZLAB_DATA";

/// How many bytes are read at a time.
const BUFFER: usize = 64 << 10;

/// The folders in which data are looked for, in order. A set lies in a folder of its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataFolders(Vec<PathBuf>);

impl DataFolders {
    /// `given` (by `--data-dir`), then `environment` (the value of `BYZLAB_DATA`), then `byzlab`
    /// in the user's cache folder. An empty value counts as none.
    pub fn new(given: Option<PathBuf>, environment: Option<OsString>) -> Self {
        let named = environment.filter(|value| !value.is_empty()).map(PathBuf::from);
        let cache = etcetera::choose_base_strategy().ok().map(|user| user.cache_dir());
        DataFolders::of(
            [given, named, cache.map(|cache| cache.join("byzlab"))].into_iter().flatten(),
        )
    }

    /// The same, with the environment that the process has.
    pub fn from_environment(given: Option<PathBuf>) -> Self {
        DataFolders::new(given, std::env::var_os(VARIABLE))
    }

    /// These folders and no other.
    pub fn of(folders: impl IntoIterator<Item = PathBuf>) -> Self {
        DataFolders(folders.into_iter().collect())
    }

    /// The first folder, where fetched files go.
    pub fn home(&self) -> Option<&Path> {
        self.0.first().map(PathBuf::as_path)
    }

    /// Where `file` is, packed or not, in the first folder that has it. Its content is not read.
    pub fn find(&self, file: &File) -> Result<PathBuf, DataError> {
        let sets = || self.0.iter().map(|folder| folder.join(&file.folder));
        // Unpacked bytes whose digest nobody published cannot be checked, and are not looked at;
        // what comes in an archive was unpacked from it.
        let [plain, packed] = [file.packed.is_none(), file.archive.is_none()];
        let looked_at = |set: PathBuf| names(&set, file).into_iter().zip([plain, packed]);
        let candidates = sets().flat_map(looked_at).filter_map(|(path, at)| at.then_some(path));
        candidates
            .into_iter()
            .find(|path| path.is_file())
            .ok_or_else(|| file.missing(sets().map(|set| set.display().to_string()).collect()))
    }

    /// Where `file` is, if all of its bytes are right.
    pub fn check(&self, file: &File) -> Result<PathBuf, DataError> {
        let path = self.find(file)?;
        verify(&path, file).map_err(|error| file.unreadable(error))?;
        Ok(path)
    }
}

impl Store for DataFolders {
    fn open(&self, file: &File) -> Result<Box<dyn Read>, DataError> {
        let path = self.find(file)?;
        let reader = open(&path, file).map_err(|error| match error.downcast::<DataError>() {
            Ok(error) => error,
            Err(error) => {
                DataError::Io { file: path.display().to_string(), error: Arc::new(error) }
            }
        })?;
        Ok(Box::new(BufReader::with_capacity(BUFFER, reader)))
    }

    fn given(&self, path: &str) -> Result<Box<dyn Source>, DataError> {
        given(path)
    }

    fn list(&self, path: &str) -> Result<Vec<Listed>, DataError> {
        list(path).map_err(|error| DataError::Io { file: path.to_owned(), error: Arc::new(error) })
    }
}

/// The most entries of a folder that are listed.
const LISTED_MAX: usize = 10_000_000;

/// What is in a folder, by name. Hidden entries are passed over.
fn list(path: &str) -> io::Result<Vec<Listed>> {
    let mut listed = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            return Err(io::Error::other(format!("{} is no text", entry.file_name().display())));
        };
        if !name.starts_with('.') {
            // What a link leads to counts, and not the link.
            listed.push(Listed { name, is_folder: entry.path().is_dir() });
        }
        if listed.len() > LISTED_MAX {
            return Err(io::Error::other(format!("holds more than {LISTED_MAX} entries")));
        }
    }
    listed.sort();
    Ok(listed)
}

/// A file that a user named. Folders and what is no plain file are refused.
fn given(path: &str) -> Result<Box<dyn Source>, DataError> {
    let opened = fs::File::open(path).and_then(|file| match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("is no file")),
    });
    match opened {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => Err(DataError::Io { file: path.to_owned(), error: Arc::new(error) }),
    }
}

/// What `file` may be called in the folder of its set: as it is, and packed.
pub(super) fn names(set: &Path, file: &File) -> [PathBuf; 2] {
    [set.join(&file.name), set.join(format!("{}.gz", file.name))]
}

/// Reads `path` to its end; fails if it does not hold the bytes of `file`.
pub(super) fn verify(path: &Path, file: &File) -> io::Result<()> {
    let mut reader = open(path, file)?;
    let mut buffer = vec![0; BUFFER];
    while reader.read(&mut buffer)? > 0 {}
    Ok(())
}

/// Whether the file at `path` is packed: what it is called says nothing certain.
pub(super) fn is_packed(path: &Path) -> io::Result<bool> {
    begins_packed(&mut BufReader::new(fs::File::open(path)?))
}

/// The unpacked bytes of `path`, checked while they are read.
fn open(path: &Path, file: &File) -> io::Result<CheckedReader<Box<dyn Read>>> {
    let place = path.display().to_string();
    let mut stored = BufReader::with_capacity(BUFFER, fs::File::open(path)?);
    // What is called an archive is taken as it is.
    let packed = !file.is_packed() && begins_packed(&mut stored)?;
    if file.archive.is_some() {
        let digest = recorded(path).ok_or_else(|| unrecorded(&place, file))?;
        return Ok(CheckedReader::held_to(Box::new(stored), place, file.bytes, &digest));
    }
    let unpacked: Box<dyn Read> = match &file.packed {
        None if packed => Box::new(Ahead::of(GzDecoder::new(stored), BUFFER)?),
        None => Box::new(stored),
        Some(promise) => {
            let checked =
                CheckedReader::held_to(stored, place.clone(), promise.bytes, &promise.sha256);
            let unpacked = GzDecoder::new(BufReader::with_capacity(BUFFER, checked));
            Box::new(Ahead::of(Drained(unpacked), BUFFER)?)
        }
    };
    Ok(CheckedReader::new(unpacked, place, file))
}

/// The error for a file from an archive that nobody has unpacked with its digest recorded.
fn unrecorded(place: &str, file: &File) -> io::Error {
    let set = &file.folder;
    let message = format!(
        "its digest is published by nobody, and is not in {SUMS} beside it: run `byzlab data fetch \
         {set}`, which unpacks it from the archive {} and records it",
        file.served().name
    );
    let error = DataError::Broken { file: place.to_owned(), message };
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Unpacks, and reads what was packed to its end once there is nothing more to unpack, so that
/// whoever checks it has seen all of it.
struct Drained<R>(GzDecoder<R>);

impl<R: BufRead> Read for Drained<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(buffer)?;
        if count == 0 && !buffer.is_empty() {
            io::copy(self.0.get_mut(), &mut io::sink())?;
        }
        Ok(count)
    }
}

/// Whether the mark of gzip comes next.
fn begins_packed(reader: &mut impl BufRead) -> io::Result<bool> {
    Ok(reader.fill_buf()?.starts_with(&[0x1f, 0x8b]))
}

/// A reader that counts and hashes what passes, and fails at the end if it is not the bytes that
/// a manifest promises.
///
/// It never asks for more than one byte past the promised length, so that a small packed file
/// cannot unpack into a large one. Its failures are [`DataError::Broken`] inside an
/// [`io::Error`]; after the first, every read fails alike.
pub struct CheckedReader<R> {
    reader: R,
    place: String,
    bytes: u64,
    sha256: String,
    hasher: Sha256,
    seen: u64,
    outcome: Option<Result<(), String>>,
}

impl<R: Read> CheckedReader<R> {
    /// Reads from `reader` what should be the bytes of `file`; errors name `place`.
    pub fn new(reader: R, place: String, file: &File) -> Self {
        Self::held_to(reader, place, file.bytes, &file.sha256)
    }

    /// Reads what should be so many bytes with this digest, which is empty if it is not known.
    fn held_to(reader: R, place: String, bytes: u64, sha256: &str) -> Self {
        CheckedReader {
            reader,
            place,
            bytes,
            sha256: sha256.to_owned(),
            hasher: Sha256::new(),
            seen: 0,
            outcome: None,
        }
    }

    /// Reads on, and settles the outcome when there is nothing left or something wrong.
    fn advance(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = (self.bytes + 1 - self.seen).min(buffer.len() as u64) as usize;
        let count = match self.reader.read(&mut buffer[..room]) {
            // A checked reader below has said what is wrong.
            Err(error)
                if error
                    .get_ref()
                    .is_some_and(<dyn std::error::Error + Send + Sync>::is::<DataError>) =>
            {
                return Err(error);
            }
            Err(error) if is_damage(&error) => {
                let message = format!("does not unpack after {} bytes: {error}", self.seen);
                self.outcome = Some(Err(message));
                return Ok(0);
            }
            read => read?,
        };
        self.seen += count as u64;
        self.hasher.update(&buffer[..count]);
        if count == 0 || self.seen > self.bytes {
            self.outcome = Some(self.judge());
        }
        Ok(count)
    }

    /// Whether everything that was promised came, and nothing else.
    fn judge(&mut self) -> Result<(), String> {
        let (seen, bytes) = (self.seen, self.bytes);
        if seen > bytes {
            return Err(format!("holds more than the {bytes} bytes that its manifest promises"));
        }
        if seen < bytes {
            return Err(format!("ends after {seen} of {bytes} bytes"));
        }
        let found = hexadecimal(&self.hasher.finalize_reset());
        if self.sha256.is_empty() || found == self.sha256 {
            return Ok(());
        }
        Err(format!("its SHA-256 is {found}, and its manifest promises {}", self.sha256))
    }
}

impl<R: Read> Read for CheckedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let count = if self.outcome.is_none() { self.advance(buffer)? } else { 0 };
        match &self.outcome {
            None | Some(Ok(())) => Ok(count),
            Some(Err(message)) => {
                let (file, message) = (self.place.clone(), message.clone());
                let error = DataError::Broken { file, message };
                Err(io::Error::new(io::ErrorKind::InvalidData, error))
            }
        }
    }
}

impl<R> std::fmt::Debug for CheckedReader<R> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("CheckedReader")
            .field("place", &self.place)
            .field("seen", &self.seen)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

/// Whether an error says that packed bytes are damaged or cut off, and not that the disk failed.
fn is_damage(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    matches!(error.kind(), InvalidData | InvalidInput | UnexpectedEof)
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `abc`, whose digest is in FIPS 180-4.
    fn abc() -> File {
        File {
            folder: "letters".into(),
            name: "abc".into(),
            bytes: 3,
            sha256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".into(),
            packed: None,
            archive: None,
        }
    }

    fn read(bytes: &[u8]) -> Result<Vec<u8>, String> {
        let mut reader = CheckedReader::new(bytes, "here".into(), &abc());
        let mut all = Vec::new();
        reader.read_to_end(&mut all).map_err(|error| error.to_string())?;
        Ok(all)
    }

    #[test]
    fn the_right_bytes_pass() {
        assert_eq!(read(b"abc"), Ok(b"abc".to_vec()));
    }

    #[test]
    fn other_bytes_fail_with_both_values() {
        assert_eq!(read(b"ab").unwrap_err(), "here: ends after 2 of 3 bytes");
        let longer = "here: holds more than the 3 bytes that its manifest promises";
        assert_eq!(read(b"abcd").unwrap_err(), longer);
        let wrong = read(b"abd").unwrap_err();
        assert!(wrong.starts_with("here: its SHA-256 is a52d159f"), "{wrong}");
        assert!(wrong.ends_with(&abc().sha256), "{wrong}");
    }

    #[test]
    fn it_stops_one_byte_past_the_promise_and_stays_failed() {
        let mut endless = CheckedReader::new(io::repeat(7), "here".into(), &abc());
        let mut buffer = [0; 100];
        assert!(endless.read(&mut buffer).is_err());
        assert_eq!(endless.seen, 4);
        assert!(endless.read(&mut buffer).is_err());
        assert_eq!(endless.seen, 4);
    }

    #[test]
    fn folders_are_searched_in_order() {
        let folders = DataFolders::new(Some("given".into()), Some("named".into()));
        assert_eq!(folders.0[..2], [PathBuf::from("given"), PathBuf::from("named")]);
        assert_eq!(folders.home(), Some(Path::new("given")));
        let unnamed = DataFolders::new(None, Some("".into()));
        assert!(!unnamed.0.contains(&PathBuf::new()));
        assert!(unnamed.0.iter().all(|folder| folder.ends_with("byzlab")));
    }
}
