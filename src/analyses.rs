//! Analyses: exact models and searches beside the experiments.

pub mod capture;
pub mod sampling;
