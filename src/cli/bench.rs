//! `byzlab bench`: how fast this program is on this machine. One file for each subject.

mod aggregators;
mod bandwidth;
mod stopwatch;
mod training;

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
    Training(training::Arguments),
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    match &arguments.subject {
        Subject::Aggregators(arguments) => aggregators::run(arguments),
        Subject::Training(arguments) => training::run(arguments),
    }
}

/// Reads a number of seconds.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if (0.0..=3600.0).contains(&seconds) {
        Ok(seconds)
    } else {
        Err(format!("{seconds} is not in 0 .. 3600"))
    }
}
