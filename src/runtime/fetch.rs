//! Fetching: downloads a data set's files from the first mirror that serves the right bytes.
//!
//! A download goes into `*.part`, resumes there after a cut, and takes its name, by a rename, only
//! after the digest of its unpacked bytes was found right. Mirrors are not trusted: a wrong file,
//! an endless one or silence costs a bounded amount of disk and time, and the next mirror is asked.

#![allow(
    clippy::disallowed_methods,
    reason = "downloads are written to disk here and nowhere else"
)]

use std::fmt;
use std::fs::{self, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ureq::http::Response;
use ureq::{Agent, Body};

use super::archive::unpack;
use super::files::{DataFolders, is_packed, names, verify};
use crate::datasets::{DataError, File};

/// How often one address is asked for one file, resumptions included.
const ATTEMPTS: usize = 5;

/// How long a mirror may say nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// Downloads files.
#[derive(Debug, Clone)]
pub struct Fetcher {
    agent: Agent,
}

/// How far a download is.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a> {
    /// What is downloaded.
    pub file: &'a File,
    /// From where.
    pub address: &'a str,
    /// Bytes on disk, of earlier attempts too.
    pub received: u64,
    /// Bytes that there will be, if the mirror says so.
    pub total: Option<u64>,
}

/// Why files could not be fetched.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FetchError {
    /// Nobody said where to put them, and the user has no cache folder.
    #[error("there is no folder to fetch into: name one with --data-dir or BYZLAB_DATA")]
    Nowhere,
    /// Another process is at it.
    #[error("another fetch into {folder} is running: wait until it has ended")]
    Busy {
        /// The folder.
        folder: String,
    },
    /// Every mirror failed.
    #[error("{file} could not be had from any mirror:{}", lines(refusals))]
    Unavailable {
        /// The data set and the file.
        file: String,
        /// What each address answered.
        refusals: Vec<Refusal>,
    },
    /// The disk failed.
    #[error("{path}: {error}")]
    Disk {
        /// Where.
        path: String,
        /// What the system said.
        error: Arc<io::Error>,
    },
}

/// What came of asking one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The address.
    pub address: String,
    /// Why it did not do.
    pub reason: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.address, self.reason)
    }
}

/// One refusal per line; without any, that there was nobody to ask.
fn lines(refusals: &[Refusal]) -> String {
    if refusals.is_empty() {
        return " none is named".to_owned();
    }
    let lines: Vec<String> = refusals.iter().map(|refusal| format!("\n  {refusal}")).collect();
    lines.concat()
}

/// Where a mirror serves `file`: packed first, as it is where it has no packed one. What is called
/// packed itself is served as it is.
pub fn addresses(mirror: &str, file: &File) -> Vec<String> {
    let mirror = mirror.trim_end_matches('/');
    endings(file).iter().map(|ending| format!("{mirror}/{}{ending}", file.name)).collect()
}

/// What a mirror may put behind the name of a file.
fn endings(file: &File) -> &'static [&'static str] {
    if file.is_packed() { &[""] } else { &[".gz", ""] }
}

/// What one download comes to when it does not succeed.
enum Trouble {
    /// The mirror does not have the file under this name.
    Absent(String),
    /// The connection broke; what came is kept.
    Cut(String),
    /// What lies in `*.part` is of no use to this mirror; it has been deleted.
    Stale(String),
    /// The mirror is of no use.
    Useless(String),
    /// Trying elsewhere would not help.
    Fatal(FetchError),
}

impl Default for Fetcher {
    fn default() -> Self {
        Fetcher::new()
    }
}

impl Fetcher {
    /// Waits half a minute at most for each answer, and goes through the proxy that the
    /// environment names, if it names one.
    pub fn new() -> Self {
        Fetcher { agent: configuration(PATIENCE).build().new_agent() }
    }

    /// Asks mirrors directly, without a proxy, and waits `patience` at most for each answer.
    pub fn direct(patience: Duration) -> Self {
        Fetcher { agent: configuration(patience).proxy(None).build().new_agent() }
    }

    /// Gets those of `files` that are not in `folders`, or are broken there, into the first
    /// folder. Returns the paths of what was fetched; nothing is asked of the network if all are
    /// there already.
    pub fn fetch(
        &self,
        files: &[&File],
        mirrors: &[String],
        folders: &DataFolders,
        watch: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Vec<PathBuf>, FetchError> {
        if files.iter().all(|file| folders.check(file).is_ok()) {
            return Ok(Vec::new());
        }
        let home = folders.home().ok_or(FetchError::Nowhere)?;
        let _lock = lock(home)?;
        let mut fetched = Vec::new();
        for file in files.iter().filter(|file| file.archive.is_none()) {
            if folders.check(file).is_err() {
                fetched.push(self.fetch_file(file, mirrors, &home.join(&file.folder), watch)?);
            }
        }
        let packed: Vec<&File> =
            files.iter().copied().filter(|file| file.archive.is_some()).collect();
        if packed.iter().any(|file| folders.check(file).is_err()) {
            fetched.extend(self.fetch_archive(&packed, mirrors, folders, home, watch)?);
        }
        Ok(fetched)
    }

    /// Unpacks files from their archive, which is asked for unless it lies in one of the folders.
    fn fetch_archive(
        &self,
        files: &[&File],
        mirrors: &[String],
        folders: &DataFolders,
        home: &Path,
        watch: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Vec<PathBuf>, FetchError> {
        let Some((first, archive)) =
            files.iter().find_map(|file| Some((*file, file.archive.as_ref()?)))
        else {
            return Ok(Vec::new());
        };
        let (served, set) = (first.served(), home.join(&first.folder));
        let path = match folders.check(&served) {
            Ok(path) => path,
            Err(_) => self.fetch_file(&served, mirrors, &set, watch)?,
        };
        fs::create_dir_all(&set).map_err(|error| disk(&set, error))?;
        unpack(&path, &archive.folder, files, &set).map_err(|error| disk(&path, error))
    }

    /// Asks one mirror after the other for `file`, into the folder `set`.
    fn fetch_file(
        &self,
        file: &File,
        mirrors: &[String],
        set: &Path,
        watch: &mut dyn FnMut(Progress<'_>),
    ) -> Result<PathBuf, FetchError> {
        fs::create_dir_all(set).map_err(|error| disk(set, error))?;
        let mut refusals = Vec::new();
        for mirror in mirrors {
            for (address, name) in addresses(mirror, file).into_iter().zip(endings(file)) {
                let part = set.join(format!("{}{name}.part", file.name));
                let reason = match self.obtain(file, &address, &part, watch) {
                    Ok(()) => return put_in_place(&part, set, file),
                    Err(Trouble::Fatal(error)) => return Err(error),
                    Err(Trouble::Absent(reason)) => {
                        refusals.push(Refusal { address, reason });
                        continue;
                    }
                    Err(Trouble::Cut(why) | Trouble::Stale(why) | Trouble::Useless(why)) => why,
                };
                refusals.push(Refusal { address, reason });
                break;
            }
        }
        Err(FetchError::Unavailable { file: file.path(), refusals })
    }

    /// Asks one address until `part` holds the right bytes, or there is no hope left.
    ///
    /// Mirrors pack the same file differently, so a digest that is wrong after a resumption may
    /// only mean that two packings were mixed: the same mirror is asked once more from the start.
    fn obtain(
        &self,
        file: &File,
        address: &str,
        part: &Path,
        watch: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), Trouble> {
        let mut last = Trouble::Useless("was not asked".to_owned());
        for _ in 0..ATTEMPTS {
            let before = length(part);
            last = match self.download(file, address, part, watch) {
                Ok(()) => match verify_part(part, file)? {
                    None => return Ok(()),
                    Some(wrong) if before > 0 => Trouble::Stale(wrong),
                    Some(wrong) => return Err(Trouble::Useless(wrong)),
                },
                Err(Trouble::Cut(why)) if length(part) > before => Trouble::Cut(why),
                Err(Trouble::Stale(why)) => Trouble::Stale(why),
                Err(trouble) => return Err(trouble),
            };
        }
        Err(last)
    }

    /// Asks once, for what is missing in `part`, and appends it there.
    fn download(
        &self,
        file: &File,
        address: &str,
        part: &Path,
        watch: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), Trouble> {
        let cap = size_cap(file);
        let had = length(part);
        // Any other encoding than the file's own would make a range of bytes mean something else.
        let mut request = self.agent.get(address).header("Accept-Encoding", "identity");
        if had > 0 {
            request = request.header("Range", format!("bytes={had}-"));
        }
        let mut response = request.call().map_err(|error| Trouble::Useless(error.to_string()))?;
        let start = match response.status().as_u16() {
            200 => 0,
            206 if begins_at(&response, had) => had,
            206 | 416 if had > 0 => {
                remove(part)?;
                return Err(Trouble::Stale(format!("does not resume at byte {had}")));
            }
            status @ (403 | 404 | 410) => {
                return Err(Trouble::Absent(format!("answered {status}")));
            }
            status => return Err(Trouble::Useless(format!("answered {status}"))),
        };
        let total = response.body().content_length().map(|rest| start + rest);
        if total.is_some_and(|total| total > cap) {
            return Err(too_large(part, cap)?);
        }
        let mut output = fs::OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(start == 0)
            .append(start > 0)
            .open(part)
            .map_err(|error| Trouble::Fatal(disk(part, error)))?;
        let mut received = start;
        let mut input = response.body_mut().as_reader();
        let mut buffer = vec![0; 64 << 10];
        loop {
            watch(Progress { file, address, received, total });
            let count = match input.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) => {
                    return Err(Trouble::Cut(format!("broke off after {received} bytes: {error}")));
                }
            };
            received += count as u64;
            if received > cap {
                return Err(too_large(part, cap)?);
            }
            output
                .write_all(&buffer[..count])
                .map_err(|error| Trouble::Fatal(disk(part, error)))?;
        }
        output.sync_all().map_err(|error| Trouble::Fatal(disk(part, error)))
    }
}

/// How requests are made.
fn configuration(patience: Duration) -> ureq::config::ConfigBuilder<ureq::typestate::AgentScope> {
    Agent::config_builder()
        .user_agent(concat!("byzlab/", env!("CARGO_PKG_VERSION")))
        .http_status_as_error(false)
        .timeout_resolve(Some(patience))
        .timeout_connect(Some(patience))
        .timeout_recv_response(Some(patience))
        .timeout_per_read(Some(patience))
}

/// The most that is downloaded for `file`: packed it should be smaller, and is rarely much larger.
fn size_cap(file: &File) -> u64 {
    file.bytes.saturating_mul(4).saturating_add(1 << 20)
}

/// Whether an answer of part of the file is the part from byte `start` on.
fn begins_at(response: &Response<Body>, start: u64) -> bool {
    let range = response.headers().get("Content-Range").and_then(|range| range.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {start}-")))
}

/// What is wrong with the bytes in `part`, which is deleted if anything is.
fn verify_part(part: &Path, file: &File) -> Result<Option<String>, Trouble> {
    let Err(error) = verify(part, file) else { return Ok(None) };
    match error.downcast::<DataError>() {
        Ok(DataError::Broken { message, .. }) => {
            remove(part)?;
            Ok(Some(message))
        }
        Ok(other) => Err(Trouble::Useless(other.to_string())),
        Err(error) => Err(Trouble::Fatal(disk(part, error))),
    }
}

/// Gives a checked download its name, and deletes the broken file that it replaces.
fn put_in_place(part: &Path, set: &Path, file: &File) -> Result<PathBuf, FetchError> {
    let [plain, packed] = names(set, file);
    let is_packed = !file.is_packed() && is_packed(part).map_err(|error| disk(part, error))?;
    let (place, other) = if is_packed { (packed, plain) } else { (plain, packed) };
    fs::rename(part, &place).map_err(|error| disk(&place, error))?;
    if other.exists() && file.packed.is_none() {
        fs::remove_file(&other).map_err(|error| disk(&other, error))?;
    }
    Ok(place)
}

/// Deletes `part`, since more comes than any honest mirror would send.
fn too_large(part: &Path, cap: u64) -> Result<Trouble, Trouble> {
    remove(part)?;
    Ok(Trouble::Useless(format!("sends more than {cap} bytes")))
}

/// How many bytes `path` has; none if there is no such file.
fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |data| data.len())
}

/// Deletes `path` if it is there.
fn remove(path: &Path) -> Result<(), Trouble> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Trouble::Fatal(disk(path, error)))
        }
        _ => Ok(()),
    }
}

/// Keeps a second fetch out of `home` until the returned file is dropped.
///
/// The system lets go of the lock when its holder ends, however it ends, so none is ever stale
/// and the empty file may stay.
fn lock(home: &Path) -> Result<fs::File, FetchError> {
    fs::create_dir_all(home).map_err(|error| disk(home, error))?;
    let path = home.join(".fetch.lock");
    let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|error| disk(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(FetchError::Busy { folder: home.display().to_string() })
        }
        Err(TryLockError::Error(error)) => Err(disk(&path, error)),
    }
}

fn disk(path: &Path, error: io::Error) -> FetchError {
    FetchError::Disk { path: path.display().to_string(), error: Arc::new(error) }
}
