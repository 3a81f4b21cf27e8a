//! The command line: one file per command.
//!
//! Data go to standard output, everything else to standard error. Exit codes: 0 done, 1 the run
//! failed, 2 usage or config.

pub mod aggregate;
pub mod attack;
mod settings;
pub mod usage;

use std::error::Error;
use std::io::{ErrorKind, Write};

use clap::{Parser, Subcommand};

use usage::Usage;

/// A security lab for decentralized federated learning.
#[derive(Debug, Parser)]
#[command(name = "byzlab", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Aggregate(aggregate::Arguments),
    Attack(attack::Arguments),
}

/// Reads the command line and does what it says.
pub fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Aggregate(arguments) => aggregate::run(&arguments),
        Command::Attack(arguments) => attack::run(&arguments),
    }
}

/// The exit code of an error: 2 if it is about what the user wrote, else 1.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    if error.chain().any(<dyn Error>::is::<Usage>) { 2 } else { 1 }
}

/// Writes data to standard output. A reader that has seen enough and left is no error.
fn print(text: &str) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn usage_is_found_under_context() {
        let usage = anyhow::Error::from(Usage::new("no such rule"));
        assert_eq!(exit_code(&usage.context("reading the command line")), 2);
        assert_eq!(exit_code(&anyhow::anyhow!("the disk is full")), 1);
    }
}
