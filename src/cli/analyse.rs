//! `byzlab analyse`: what can be said without a run. One file for each analysis.

mod capture;
mod percolation;
mod points_of_failure;
mod robustness;
mod sampling;
mod topology;
mod trials;

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
    #[command(name = "points_of_failure")]
    PointsOfFailure(points_of_failure::Arguments),
    Percolation(percolation::Arguments),
    Robustness(robustness::Arguments),
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    match &arguments.analysis {
        Analysis::Sampling(arguments) => sampling::run(arguments),
        Analysis::Capture(arguments) => capture::run(arguments),
        Analysis::Topology(arguments) => topology::run(arguments),
        Analysis::PointsOfFailure(arguments) => points_of_failure::run(arguments),
        Analysis::Percolation(arguments) => percolation::run(arguments),
        Analysis::Robustness(arguments) => robustness::run(arguments),
    }
}
