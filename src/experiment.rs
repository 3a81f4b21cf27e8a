//! Experiments: a config as typed, a plan that is checked, a run that leaves files.
//!
//! [`config`] is what the user wrote, [`sweep`] expands it into cells, [`plan`] checks a cell and
//! builds everything that it names, [`run`] drives cells on a runtime and [`store`] keeps what
//! they come to.

pub mod casting;
mod check;
pub mod config;
pub mod data;
pub mod distributed;
mod document;
pub mod edges;
pub mod event;
pub mod plan;
mod read;
pub mod recorder;
pub mod run;
pub mod schema;
pub mod source;
pub mod store;
mod surveys;
pub mod sweep;
pub mod trial;
