//! `byzlab analyse`: exact models and searches beside the experiments.

pub mod capture;
pub mod sampling;

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
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    match &arguments.analysis {
        Analysis::Sampling(arguments) => sampling::run(arguments),
        Analysis::Capture(arguments) => capture::run(arguments),
    }
}
