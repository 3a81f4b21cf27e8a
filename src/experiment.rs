//! Experiments: a config as typed, a plan that is checked, a run.

mod check;
pub mod config;
mod document;
mod read;
pub mod schema;
pub mod source;
pub mod sweep;
