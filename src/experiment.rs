//! Experiments: a config as typed, a plan that is checked, a run.

pub mod config;
mod document;
pub mod schema;
pub mod source;
pub mod sweep;
