//! Checkpoints: the last two states under a name, whole or recognisably not.
//!
//! A state is written to one of two files in turn, so a process that is killed while it writes
//! leaves the state before. Each file carries its round and the digest of its content; a file
//! that does not match its digest is as good as absent.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::RunError;
use crate::node::Round;

/// What a file begins with; the last byte is the version of the format.
const MAGIC: &[u8; 8] = b"byzckpt\x01";

/// Bytes before the content: magic, round, digest.
const HEADER: usize = 8 + 4 + 32;

/// Keeps `state` as the one after `round`, beside the one after the round before.
pub fn write<S: Serialize>(
    folder: &Path,
    name: &str,
    round: Round,
    state: &S,
) -> Result<(), RunError> {
    fs::create_dir_all(folder).map_err(|error| RunError::file(folder, error))?;
    let content = postcard::to_allocvec(state).expect("plain data encodes");
    let path = slot(folder, name, round.0 % 2);
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(MAGIC);
    header.extend_from_slice(&round.0.to_le_bytes());
    header.extend_from_slice(&digest(round, &content));
    let written = fs::File::create(&path)
        .and_then(|mut file| file.write_all(&header).and_then(|()| file.write_all(&content)));
    written.map_err(|error| RunError::file(&path, error))
}

/// The states that are whole, the older first; none where nothing was kept.
pub fn read<S: DeserializeOwned>(folder: &Path, name: &str) -> Result<Vec<(Round, S)>, RunError> {
    let mut states = Vec::new();
    for parity in 0..2 {
        let path = slot(folder, name, parity);
        match fs::read(&path) {
            Ok(bytes) => states.extend(decode(&bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(RunError::file(&path, error)),
        }
    }
    states.sort_by_key(|(round, _)| *round);
    Ok(states)
}

/// Removes what was kept under a name, if anything was.
pub fn remove(folder: &Path, name: &str) {
    for parity in 0..2 {
        // Somebody else may have removed the whole folder: then there is nothing left to do.
        let _ = fs::remove_file(slot(folder, name, parity));
    }
}

fn slot(folder: &Path, name: &str, parity: u32) -> PathBuf {
    folder.join(format!("{name}.{parity}"))
}

fn decode<S: DeserializeOwned>(bytes: &[u8]) -> Option<(Round, S)> {
    let (header, content) = bytes.split_at_checked(HEADER)?;
    let round = Round(u32::from_le_bytes(header[8..12].try_into().ok()?));
    let intact = header.starts_with(MAGIC) && header[12..] == digest(round, content);
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

    #[test]
    fn the_last_two_states_are_kept_and_a_torn_one_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        for round in 1..=5 {
            write(folder.path(), "node-3", Round(round), &vec![round; 4]).unwrap();
        }
        let states: Vec<(Round, Vec<u32>)> = read(folder.path(), "node-3").unwrap();
        assert_eq!(states, [(Round(4), vec![4; 4]), (Round(5), vec![5; 4])]);

        let newest = slot(folder.path(), "node-3", 1);
        let whole = fs::read(&newest).unwrap();
        fs::write(&newest, &whole[..whole.len() - 1]).unwrap();
        let states: Vec<(Round, Vec<u32>)> = read(folder.path(), "node-3").unwrap();
        assert_eq!(states, [(Round(4), vec![4; 4])]);

        let mut altered = whole;
        altered[HEADER] ^= 1;
        fs::write(&newest, &altered).unwrap();
        assert_eq!(read::<Vec<u32>>(folder.path(), "node-3").unwrap().len(), 1);
        assert!(read::<Vec<u32>>(folder.path(), "nobody").unwrap().is_empty());
    }
}
