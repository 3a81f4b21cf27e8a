//! Checkpoints: the last two states under a name, whole or recognisably not.
//!
//! A state is written beside the two that are kept and takes its place by being renamed, so a
//! process that is killed at any moment leaves the last two before, or the last two with it. Each
//! file carries its round and the digest of its content; a file that does not match its digest is
//! as good as absent.
//!
//! The rounds need not follow each other: whoever is drawn now and then has a part in a few.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::RunError;
use crate::node::Round;

/// What a file begins with; the last byte is the version of the format.
const MAGIC: &[u8; 8] = b"byzckpt\x01";

/// Bytes before the content: magic, round, digest.
const HEADER: usize = ROUND.end + 32;

/// Where the round stands in a header.
const ROUND: Range<usize> = 8..12;

/// The two states that are kept under a name, in the order in which they were written.
const KEPT: [&str; 2] = ["older", "newest"];

/// The state that is being written.
const NEXT: &str = "next";

/// Keeps `state` as the one after `round`, beside the one that was kept before it. A round that
/// is done again, or a run that begins anew, replaces the newest and leaves the older.
pub fn write<S: Serialize>(
    folder: &Path,
    name: &str,
    round: Round,
    state: &S,
) -> Result<(), RunError> {
    fs::create_dir_all(folder).map_err(|error| RunError::file(folder, error))?;
    let content = postcard::to_allocvec(state).expect("plain data encodes");
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&round.0.to_le_bytes());
    header.extend_from_slice(&digest(round, &content));
    let path = |which: &str| path(folder, name, which);
    let [older, newest] = KEPT.map(path);
    let kept = || {
        let mut file = fs::File::create(path(NEXT))?;
        file.write_all(&header)?;
        file.write_all(&content)?;
        if round_of(&newest)?.is_some_and(|before| before < round) {
            fs::rename(&newest, &older)?;
        }
        fs::rename(path(NEXT), &newest)
    };
    kept().map_err(|error| RunError::file(&newest, error))
}

/// The states that are whole, the one that was written last at the end; none where nothing was
/// kept.
pub fn read<S: DeserializeOwned>(folder: &Path, name: &str) -> Result<Vec<(Round, S)>, RunError> {
    let mut states = Vec::new();
    for which in KEPT {
        let path = path(folder, name, which);
        match fs::read(&path) {
            Ok(bytes) => states.extend(decode(&bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(RunError::file(&path, error)),
        }
    }
    Ok(states)
}

/// Removes what was kept under a name, if anything was.
pub fn remove(folder: &Path, name: &str) {
    for which in KEPT.into_iter().chain([NEXT]) {
        // Somebody else may have removed the whole folder: then there is nothing left to do.
        let _ = fs::remove_file(path(folder, name, which));
    }
}

fn path(folder: &Path, name: &str, which: &str) -> PathBuf {
    folder.join(format!("{name}.{which}"))
}

/// The round that a file says it is of, if there is such a file.
fn round_of(path: &Path) -> io::Result<Option<Round>> {
    let mut header = [0; ROUND.end];
    match fs::File::open(path).and_then(|mut file| file.read_exact(&mut header)) {
        Ok(()) => Ok(round(&header)),
        Err(error) if [ErrorKind::NotFound, ErrorKind::UnexpectedEof].contains(&error.kind()) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The round in a header.
fn round(header: &[u8]) -> Option<Round> {
    let bytes = header.get(ROUND)?.try_into().ok()?;
    header.starts_with(MAGIC).then_some(Round(u32::from_le_bytes(bytes)))
}

fn decode<S: DeserializeOwned>(bytes: &[u8]) -> Option<(Round, S)> {
    let (header, content) = bytes.split_at_checked(HEADER)?;
    let round = round(header)?;
    let intact = header[ROUND.end..] == digest(round, content);
    intact.then(|| postcard::from_bytes(content).ok()).flatten().map(|state| (round, state))
}

fn digest(round: Round, content: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&round.0.to_le_bytes());
    hasher.update(content);
    *hasher.finalize().as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(folder: &Path) -> Vec<u32> {
        let states: Vec<(Round, Vec<u32>)> = read(folder, "node-3").unwrap();
        states
            .into_iter()
            .map(|(round, state)| {
                assert_eq!(state, vec![round.0; 4]);
                round.0
            })
            .collect()
    }

    fn keep(folder: &Path, round: u32) {
        write(folder, "node-3", Round(round), &vec![round; 4]).unwrap();
    }

    #[test]
    fn the_last_two_states_are_kept_however_far_apart() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        assert!(kept(folder).is_empty());
        for round in 1..=5 {
            keep(folder, round);
        }
        assert_eq!(kept(folder), [4, 5]);
        // Drawn in odd rounds alone.
        keep(folder, 9);
        keep(folder, 13);
        assert_eq!(kept(folder), [9, 13]);
        keep(folder, 13);
        assert_eq!(kept(folder), [9, 13], "a round that is done again");
        keep(folder, 1);
        assert_eq!(kept(folder), [9, 1], "a run that begins anew");
        keep(folder, 2);
        assert_eq!(kept(folder), [1, 2]);
        remove(folder, "node-3");
        assert!(fs::read_dir(folder).unwrap().next().is_none());
    }

    #[test]
    fn a_torn_state_is_not_believed_and_nothing_is_lost_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        keep(folder, 4);
        keep(folder, 5);
        let newest = path(folder, "node-3", "newest");
        let whole = fs::read(&newest).unwrap();
        for length in [0, 5, HEADER, whole.len() - 1] {
            fs::write(&newest, &whole[..length]).unwrap();
            assert_eq!(kept(folder), [4], "{length} bytes");
        }
        let mut altered = whole.clone();
        altered[HEADER] ^= 1;
        fs::write(&newest, &altered).unwrap();
        assert_eq!(kept(folder), [4]);
        fs::write(&newest, &whole).unwrap();

        // Killed while it wrote, and killed between the two renamings.
        fs::write(path(folder, "node-3", NEXT), &whole[..HEADER]).unwrap();
        assert_eq!(kept(folder), [4, 5]);
        fs::rename(&newest, path(folder, "node-3", "older")).unwrap();
        assert_eq!(kept(folder), [5]);
        keep(folder, 7);
        assert_eq!(kept(folder), [5, 7]);
    }
}
