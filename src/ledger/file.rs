//! A ledger as lines of JSON: the genesis, then a block with its certificate in each.
//!
//! A line has one spelling: what is read must be, byte for byte, what would be written. So a
//! change that JSON would not notice, a space or another order, is a change as well.

use std::io::{self, BufRead, Read};

use serde::{Deserialize, Serialize};

use super::chain::{Chain, Entry, Fault};
use super::genesis::{Genesis, GenesisError};
use super::hex;
use crate::node::Round;
use crate::vector::Digest;

/// The name of a ledger in the folder of a run.
pub const FILE_NAME: &str = "ledger.jsonl";

/// The longest line that is read, in bytes: room for the updates of 100 000 senders.
pub const LINE_MAX: usize = 16 << 20;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beginning {
    /// What is known before the first round.
    pub genesis: Genesis,
    /// Its hash, the parent of the first block.
    #[serde(with = "hex")]
    pub hash: Digest,
}

/// Why a file is not a ledger, or not the one that it was.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It has no first line.
    #[error("it is empty; a ledger begins with its genesis")]
    Empty,
    /// It cannot be read.
    #[error("line {line} cannot be read: {error}")]
    Read {
        /// From 1.
        line: u64,
        /// Why.
        error: io::Error,
    },
    /// A line is longer than any that is written.
    #[error("line {line} is longer than {LINE_MAX} bytes")]
    Long {
        /// From 1.
        line: u64,
    },
    /// The last line has no end.
    #[error("line {line} has no end: the file was cut off in the middle of it")]
    Cut {
        /// From 1.
        line: u64,
    },
    /// A line is not what belongs there.
    #[error("line {line} is not {what}: {message}")]
    Syntax {
        /// From 1.
        line: u64,
        /// What belongs there.
        what: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// The genesis cannot begin a ledger.
    #[error("line 1: {0}")]
    Genesis(#[from] GenesisError),
    /// The genesis is not what its hash says.
    #[error("line 1: the genesis has the hash {expected}, and {got} is written beside it")]
    GenesisHash {
        /// What comes out.
        expected: Digest,
        /// What is written.
        got: Digest,
    },
    /// A block does not follow from those before it.
    #[error("line {line} (round {round}): {fault}")]
    Block {
        /// From 1.
        line: u64,
        /// The round after that of the block before.
        round: Round,
        /// What does not match.
        fault: Fault,
    },
}

/// The first line of a ledger, with its end.
pub fn first_line(genesis: &Genesis) -> String {
    written(&Beginning { genesis: genesis.clone(), hash: genesis.hash() })
}

/// The line of a block, with its end.
pub fn line(entry: &Entry) -> String {
    written(entry)
}

fn written<T: Serialize>(value: &T) -> String {
    let mut text = serde_json::to_string(value).expect("plain data has a spelling");
    text.push('\n');
    text
}

/// Reads a whole ledger and checks everything that can be checked without another source. Each
/// block is shown to `visit` with the length of its line in bytes, once it has been checked.
///
/// Memory is bounded by one line and 64 bytes for each block.
pub fn read(
    mut input: impl BufRead,
    mut visit: impl FnMut(&Entry, usize),
) -> Result<Chain, FileError> {
    let first = next_line(&mut input, 1)?.ok_or(FileError::Empty)?;
    let beginning: Beginning = parse(&first, 1, "a genesis")?;
    let mut chain = Chain::new(beginning.genesis)?;
    if *chain.id() != beginning.hash {
        return Err(FileError::GenesisHash { expected: *chain.id(), got: beginning.hash });
    }
    for line in 2.. {
        let Some(text) = next_line(&mut input, line)? else { break };
        let entry: Entry = parse(&text, line, "a block")?;
        let round = chain.round().next();
        chain.append_entry(&entry).map_err(|fault| FileError::Block { line, round, fault })?;
        visit(&entry, text.len());
    }
    Ok(chain)
}

/// The next line with its end, or nothing at the end of the file.
fn next_line(input: &mut impl BufRead, line: u64) -> Result<Option<Vec<u8>>, FileError> {
    let mut bytes = Vec::new();
    let mut bounded = input.take(LINE_MAX as u64 + 1);
    bounded.read_until(b'\n', &mut bytes).map_err(|error| FileError::Read { line, error })?;
    match bytes.last() {
        None => Ok(None),
        Some(_) if bytes.len() > LINE_MAX => Err(FileError::Long { line }),
        Some(b'\n') => Ok(Some(bytes)),
        Some(_) => Err(FileError::Cut { line }),
    }
}

fn parse<T>(bytes: &[u8], line: u64, what: &'static str) -> Result<T, FileError>
where
    T: Serialize + for<'de> Deserialize<'de>,
{
    let wrong = |message| FileError::Syntax { line, what, message };
    let value: T = serde_json::from_slice(bytes).map_err(|error| {
        // The error names line 1 of what it was given, which is a line of ours.
        wrong(error.to_string().replace(" at line 1 column", " at column"))
    })?;
    if written(&value).as_bytes() == bytes {
        return Ok(value);
    }
    Err(wrong("it is not spelt as the program writes it, so it was altered".to_owned()))
}
