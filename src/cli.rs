//! The command line: one file per command.
//!
//! Data go to standard output, everything else to standard error. Exit codes: 0 done, 1 the run
//! failed, 2 usage or config.
#![allow(clippy::doc_markdown, reason = "doc comments of arguments are help texts")]

pub mod aggregate;
pub mod analyse;
pub mod attack;
pub mod bench;
pub mod compare;
pub mod coordinator;
pub mod data;
pub mod experiment;
pub mod explain;
pub mod ledger;
pub mod list;
pub mod run;
pub mod schema;
mod settings;
pub mod usage;
pub mod worker;

use std::error::Error;
use std::io::{ErrorKind, IsTerminal, Write};

use anyhow::Context;

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
    Run(run::Arguments),
    List(list::Arguments),
    Explain(explain::Arguments),
    Aggregate(aggregate::Arguments),
    Attack(attack::Arguments),
    Analyse(analyse::Arguments),
    Bench(bench::Arguments),
    Compare(compare::Arguments),
    Data(data::Arguments),
    Ledger(ledger::Arguments),
    Coordinator(coordinator::Arguments),
    Worker(worker::Arguments),
    /// Prints the JSON Schema of experiment files
    Schema,
}

/// Reads the command line and does what it says.
pub fn main() -> anyhow::Result<()> {
    log_to_standard_error();
    match Arguments::parse().command {
        Command::Run(arguments) => run::run(&arguments),
        Command::List(arguments) => list::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Aggregate(arguments) => aggregate::run(&arguments),
        Command::Attack(arguments) => attack::run(&arguments),
        Command::Analyse(arguments) => analyse::run(&arguments),
        Command::Bench(arguments) => {
            crate::runtime::heap::keep_large_blocks();
            bench::run(&arguments)
        }
        Command::Compare(arguments) => compare::run(&arguments),
        Command::Data(arguments) => data::run(arguments),
        Command::Ledger(arguments) => ledger::run(&arguments),
        Command::Coordinator(arguments) => coordinator::run(&arguments),
        Command::Worker(arguments) => worker::run(&arguments),
        Command::Schema => schema::run(),
    }
}

/// Sends what is noted on the way to standard error, without times: logs carry their own.
fn log_to_standard_error() {
    let colour = std::io::stderr().is_terminal();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::INFO)
        .with_target(false)
        .without_time()
        .with_ansi(colour)
        .finish();
    // A test that runs several commands has set one before.
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// The program that runs, to start children of it.
pub(crate) fn this_program() -> anyhow::Result<std::path::PathBuf> {
    std::env::current_exe().context("this program's own file cannot be found")
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
