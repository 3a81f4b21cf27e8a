//! `byzlab analyse`: what can be said without a run. One file for each analysis.

mod topology;

use clap::{Args, Subcommand};

/// Computes what can be said without a run.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    analysis: Analysis,
}

#[derive(Debug, Subcommand)]
enum Analysis {
    Topology(topology::Arguments),
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    match &arguments.analysis {
        Analysis::Topology(arguments) => topology::run(arguments),
    }
}
