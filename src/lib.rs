//! byzlab: a security lab for decentralized federated learning.
//!
//! Many workers train one model together and some of them lie. The lab runs that as an experiment:
//! a file names the data, the system, the defence and the attacker, every combination runs with
//! several seeds, and what comes out is how much accuracy the worst attack costs. The same
//! experiment runs in one process or as many that talk gRPC, and gives the same bits.
//!
//! ```
//! use std::sync::Arc;
//! use std::sync::atomic::AtomicBool;
//!
//! use byzlab::datasets::NoFiles;
//! use byzlab::experiment::data::{Provider, Reach};
//! use byzlab::experiment::plan::Plan;
//! use byzlab::experiment::run::{Cell, Options, run_local};
//! use byzlab::experiment::source::Source;
//! use byzlab::experiment::{store, sweep::Sweep};
//!
//! # let folder = tempfile::tempdir()?;
//! # let out = folder.path().to_path_buf();
//! let source = Source::new("tiny", b"
//!     schema = 1
//!     name = 'tiny'
//!     model = 'softmax'
//!     data.set.digits = { train = 300, test = 100 }
//!     training = { rounds = 30, learning_rate = 0.3, momentum = 0.9 }
//!     system.central.workers = 5
//!     aggregation = { rule = 'median', byzantine = 1 }
//!     threat = { corrupted = 1, attack.inner_product.epsilon = 9.0 }
//!     sweep.'aggregation.rule' = ['mean', 'median']
//! ")?;
//! let mut cells = Vec::new();
//! for cell in Sweep::read(&source).map_err(|errors| source.render_all(&errors, false))? {
//!     let plan = Plan::check(&cell.config, cell.seed);
//!     let plan = plan.map_err(|errors| source.render_all(&errors, false))?;
//!     cells.push(Cell { swept: cell.swept, plan });
//! }
//! let stop = Arc::new(AtomicBool::new(false));
//! let options =
//!     Options { out, jobs: 1, threads: 1, rerun: false, checkpoint_seconds: 10.0, stop };
//! let data = Provider::new(Box::new(NoFiles), Reach::Everything);
//! run_local(&cells, &[0, 1], &data, &options, &|_, _| {})?;
//!
//! let accuracy = |cell: &Cell| {
//!     store::summary(&options.folder(&cell.plan.run_id())).map(|run| run.final_accuracy)
//! };
//! let (mean, median) = (accuracy(&cells[0]).unwrap(), accuracy(&cells[1]).unwrap());
//! assert!(mean < 0.2 && median > 0.4, "mean {mean}, median {median}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The modules, from the ground up
//!
//! Each uses what stands above it in this list and nothing below; a test holds that.
//!
//! - Vocabulary: [`catalog`] (lists of pluggable parts), [`node`], [`seed`] (named random streams),
//!   [`vector`], [`dataset`], [`graph`], [`kernels`] (loops over rows and columns) and [`memory`].
//! - Catalogs, one file for each member: [`aggregators`], [`preaggregators`], [`attacks`],
//!   [`poisons`], [`threats`], [`downfalls`], [`topologies`], [`peer_rules`], [`sampling`],
//!   [`datasets`], [`partitions`], [`models`] and [`metrics`].
//! - Who takes part: [`ledger`] (what was agreed on, so that nobody can change it unseen),
//!   [`training`], [`like`] (other libraries by name), [`protocol`] (every participant as a state
//!   machine) and [`systems`] (how they are wired).
//! - [`runtime`]: one process or many; the only user of clock, threads, sockets and files.
//! - [`experiment`]: a config as typed, a plan that is checked, a run that leaves files.
//! - [`analyses`]: exact models of what experiments measure.
//! - [`report`]: tables and findings from what runs have left.
//! - [`cli`]: one file for each command.
#![deny(clippy::disallowed_methods, clippy::disallowed_types)]

/// Raised with every change that changes the bits of results, so that old results are not taken
/// for new ones. A test pins the digests of small runs to it.
pub const RESULTS_VERSION: u32 = 4;

// 0 vocabulary
pub mod catalog;
pub mod dataset;
pub mod graph;
pub mod kernels;
pub mod memory;
pub mod node;
pub mod npy;
pub mod seed;
pub mod vector;

// 1 catalogs
pub mod aggregators;
pub mod attacks;
pub mod datasets;
pub mod downfalls;
pub mod metrics;
pub mod models;
pub mod partitions;
pub mod peer_rules;
pub mod poisons;
pub mod preaggregators;
pub mod sampling;
pub mod threats;
pub mod topologies;

// 2 protocol
pub mod ledger;
pub mod like;
pub mod protocol;
pub mod systems;
pub mod training;

// 3 runtimes
pub mod runtime;

// 4 experiment
pub mod experiment;

// 5 analyses
pub mod analyses;

// 6 report
pub mod report;

// 7 command line
pub mod cli;
