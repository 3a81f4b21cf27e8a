//! `byzlab worker`: one seat of an experiment, in a process of its own.

use std::io::{BufRead, Read};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use super::experiment::ExperimentArguments;
use super::run::provider;
use super::usage::Usage;
use crate::experiment::data::Reach;
use crate::experiment::distributed::{SeatOptions, identities, participation};
use crate::experiment::store;
use crate::node::NodeId;
use crate::runtime::participant::attend;
use crate::runtime::token::{self, Tokens};
use crate::runtime::{RunError, Seat};

/// Takes a worker's seat, or the colluding adversary's, at a coordinator.
///
/// It reads its own data and its own copy of the experiment file; the coordinator sends it models
/// and nothing else. Killed and started again, it goes on from the state that it kept.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    experiment: ExperimentArguments,
    /// Where the coordinator listens: host:port
    #[arg(long, value_name = "ADDRESS")]
    connect: String,
    /// The worker to be
    #[arg(long, value_name = "N", required_unless_present = "adversary")]
    node: Option<u32>,
    /// Speaks for all colluding identities in place of one worker; needs the secrets of all of
    /// them
    #[arg(long, conflicts_with = "node")]
    adversary: bool,
    /// The file with this seat's secrets; `-` reads them from standard input up to an empty line,
    /// and ends the worker when standard input closes
    #[arg(long, value_name = "FILE")]
    tokens: PathBuf,
    /// Where the states of unfinished runs are kept
    #[arg(long, value_name = "DIR", default_value = "byzlab-state")]
    state: PathBuf,
    /// Seconds for which a lost connection is tried to be taken up again
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    patience: f64,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let from_parent = arguments.tokens.as_os_str() == "-";
    let tokens = if from_parent { from_standard_input()? } else { from_file(&arguments.tokens)? };
    let experiment = arguments.experiment.read()?;
    let seat = arguments.node.map_or(Seat::Adversary, |node| Seat::Node(NodeId(node)));
    let held = identities(&experiment.cells, seat);
    if held.is_empty() {
        return Err(Usage::new(format!("{seat} has no part in this experiment")).into());
    }
    let missing = held.iter().find(|node| !tokens.contains_key(node));
    if let Some(node) = missing {
        let file = arguments.tokens.display();
        return Err(Usage::new(format!("{file} has no secret for node {node}")).into());
    }
    let tokens = tokens.into_iter().filter(|(node, _)| held.contains(node)).collect();
    let data = provider(arguments.experiment.data_dir.clone(), Reach::OwnShards);
    let options = SeatOptions {
        connect: arguments.connect.clone(),
        seat,
        tokens,
        patience: Duration::from_secs_f64(arguments.patience.clamp(0.0, 1e9)),
        state: arguments.state.clone(),
    };
    attend(participation(experiment.cells, Arc::new(data), options), from_parent)?;
    Ok(())
}

fn from_file(path: &std::path::Path) -> Result<Tokens, RunError> {
    token::from_text(&store::read_text(path)?, &path.display().to_string())
}

/// The secrets that a parent hands over before anything else; bounded, as all that is read.
fn from_standard_input() -> anyhow::Result<Tokens> {
    let mut text = String::new();
    for line in std::io::stdin().lock().take(1 << 20).lines() {
        let line = line?;
        if line.is_empty() {
            break;
        }
        text.push_str(&line);
        text.push('\n');
    }
    Ok(token::from_text(&text, "standard input")?)
}
