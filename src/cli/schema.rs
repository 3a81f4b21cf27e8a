//! `byzlab schema`: prints the JSON Schema of experiment files.

use std::io::Write;

use crate::experiment::schema;

/// Prints the schema to stdout, as it is kept in `byzlab.schema.json`.
pub fn run() -> anyhow::Result<()> {
    std::io::stdout().lock().write_all(schema::text().as_bytes())?;
    Ok(())
}
