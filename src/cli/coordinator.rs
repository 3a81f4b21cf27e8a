//! `byzlab coordinator`: the server of an experiment, for workers on this or other hosts.

use std::path::PathBuf;

use clap::Args;

use super::experiment::ExperimentArguments;
use super::run::{OutputArguments, all_workers, execute, provider};
use crate::experiment::data::Reach;
use crate::experiment::distributed::{Coordination, seats};
use crate::runtime::{Seat, token};

/// Listens for the workers of an experiment and runs it with them.
///
/// Start `byzlab worker` with the same experiment for every worker, here or on other hosts.
/// Connections are in clear text; each identity proves itself by a secret.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    experiment: ExperimentArguments,
    /// Where to listen: host:port; port 0 takes any that is free
    #[arg(long, value_name = "ADDRESS")]
    listen: String,
    /// The file of the identities' secrets; drawn and written if it does not exist
    #[arg(long, value_name = "FILE")]
    tokens: PathBuf,
    #[command(flatten)]
    output: OutputArguments,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let experiment = arguments.experiment.read()?;
    let tokens = token::load_or_draw(&arguments.tokens, &all_workers(&experiment))?;
    let needed: Vec<String> = seats(&experiment.cells)
        .into_iter()
        .map(|seat| match seat {
            Seat::Node(node) => format!("--node {node}"),
            Seat::Adversary => "--adversary".to_owned(),
        })
        .collect();
    tracing::info!("waiting for byzlab worker with {}", needed.join(", "));
    let coordination = Coordination {
        listen: arguments.listen.clone(),
        tokens,
        patience: arguments.output.patience(),
        children: None,
    };
    let data = provider(arguments.experiment.data_dir.clone(), Reach::OwnShards);
    execute(&experiment, &arguments.output, data, Some(coordination))
}
