//! byzlab: a security lab for decentralized federated learning.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

/// Raised with every change that changes the bits of results, so that old results are not taken
/// for new ones. A test pins the digests of small runs to it.
pub const RESULTS_VERSION: u32 = 1;

// 0 vocabulary
pub mod catalog;
pub mod dataset;
pub mod kernels;
pub mod memory;
pub mod node;
pub mod seed;
pub mod vector;

// 1 catalogs
pub mod aggregators;
pub mod attacks;
pub mod datasets;
pub mod metrics;
pub mod models;
pub mod partitions;
pub mod poisons;
pub mod preaggregators;
pub mod threats;

// 2 protocol
pub mod like;
pub mod protocol;
pub mod systems;
pub mod training;

// 3 runtimes
pub mod runtime;

// 4 experiment
pub mod experiment;

// 6 report
pub mod report;

// 7 command line
pub mod cli;
