//! Analyses: what can be said exactly, without a run or around many of them.

pub mod capture;
pub mod percolation;
pub mod points_of_failure;
pub mod robustness;
pub mod sampling;
pub mod topology;
