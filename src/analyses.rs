//! Analyses: what can be said exactly, without a run or around many of them.

pub mod topology;
