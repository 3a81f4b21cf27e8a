//! `byzlab bench`: how fast this program is on this machine. One file for each subject.

mod aggregators;
mod bandwidth;
mod stopwatch;

use clap::{Args, Subcommand};

/// Measures how fast this program is on this machine.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    subject: Subject,
}

#[derive(Debug, Subcommand)]
enum Subject {
    Aggregators(aggregators::Arguments),
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    match &arguments.subject {
        Subject::Aggregators(arguments) => aggregators::run(arguments),
    }
}
