//! Analyses: exact models and searches beside the experiments.

pub mod capture;
pub mod percolation;
pub mod points_of_failure;
pub mod sampling;
