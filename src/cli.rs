//! The command line: one file per command.

pub mod data;
pub mod schema;
