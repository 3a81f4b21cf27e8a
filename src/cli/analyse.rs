//! `byzlab analyse`: exact models and searches beside the experiments.

pub mod capture;
pub mod percolation;
pub mod points_of_failure;
pub mod sampling;
mod trials;

use clap::{Args, Subcommand};

/// Answer a question by an exact model or a search of its own.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    analysis: Analysis,
}

#[derive(Debug, Subcommand)]
enum Analysis {
    Sampling(sampling::Arguments),
    Capture(capture::Arguments),
    #[command(name = "points_of_failure")]
    PointsOfFailure(points_of_failure::Arguments),
    Percolation(percolation::Arguments),
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    match &arguments.analysis {
        Analysis::Sampling(arguments) => sampling::run(arguments),
        Analysis::Capture(arguments) => capture::run(arguments),
        Analysis::PointsOfFailure(arguments) => points_of_failure::run(arguments),
        Analysis::Percolation(arguments) => percolation::run(arguments),
    }
}
