//! The ledger in a run's folder.

use std::io::{BufWriter, Write};

use super::{LEDGER, RunFolder, open_cut};
use crate::runtime::RunError;

impl RunFolder {
    /// Keeps a ledger, which begins with `first`, from now on.
    pub fn keep_ledger(&mut self, first: &str) -> Result<(), RunError> {
        let path = self.path.join(LEDGER);
        self.ledger = Some(BufWriter::new(open_cut(&path, self.ledger_length)?));
        if self.ledger_length == 0 { self.ledger_line(first) } else { Ok(()) }
    }

    /// Appends a line to the ledger, if one is kept.
    pub fn ledger_line(&mut self, line: &str) -> Result<(), RunError> {
        let Some(ledger) = &mut self.ledger else { return Ok(()) };
        let written = ledger.write_all(line.as_bytes());
        written.map_err(|error| self.file_error(LEDGER, error))
    }
}
