//! `byzlab analyse`: what can be said without a run. One file for each analysis.

mod capture;
mod sampling;
mod topology;

use clap::{Args, Subcommand};

/// Computes what can be said without a run, or around many of them.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    analysis: Analysis,
}

#[derive(Debug, Subcommand)]
enum Analysis {
    Sampling(sampling::Arguments),
    Capture(capture::Arguments),
    Topology(topology::Arguments),
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    match &arguments.analysis {
        Analysis::Sampling(arguments) => sampling::run(arguments),
        Analysis::Capture(arguments) => capture::run(arguments),
        Analysis::Topology(arguments) => topology::run(arguments),
    }
}
