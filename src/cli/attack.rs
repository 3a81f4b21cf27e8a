//! `byzlab attack`: what an omniscient adversary sends, given the honest updates in a file.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{ArgGroup, Args};
use ndarray::{Array1, Array2, ArrayView2};
use serde::Serialize;

use super::aggregate::{lines, lists, table};
use super::settings::{Setting, choose};
use super::usage::Usage;
use crate::attacks::{self, Attack, Crafted, View};
use crate::catalog::Member;
use crate::like;
use crate::memory::Memory;
use crate::node::{NodeId, Round};
use crate::runtime::npy;
use crate::seed::{Purpose, run_stream};

/// Print what corrupted identities send against the honest updates in a .npy file.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("choice").required(true).args(["attack", "like"])))]
pub struct Arguments {
    /// The honest updates, shape (senders, coordinates).
    #[arg(value_name = "HONEST.npy")]
    input: PathBuf,
    /// The attack.
    #[arg(long, value_name = "NAME")]
    attack: Option<String>,
    /// The attack as another library does it, such as `byzfl.ALittleIsEnough`.
    #[arg(long, value_name = "LIBRARY.NAME")]
    like: Option<String>,
    /// A parameter; with --like, by the library's own name.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = Setting::parse)]
    settings: Vec<Setting>,
    /// How many identities are corrupted, beside those in the file.
    #[arg(long, value_name = "M", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    corrupted: u32,
    /// The seed, for attacks that draw.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One row for every corrupted identity, in place of the vector of the first.
    #[arg(long)]
    each: bool,
    /// Write the result here in place of standard output.
    #[arg(long, value_name = "OUT.npy")]
    output: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let attack = choose_attack(arguments)?;
    let honest = npy::read_matrix(&arguments.input).map_err(Usage::from)?;
    let sent = craft(&attack, honest.view(), arguments)?;
    if let Some(output) = &arguments.output {
        let written = if arguments.each {
            npy::write_matrix(output, sent.view())
        } else {
            npy::write_vector(output, sent.row(0))
        };
        written.context("writing the result")?;
    }
    if arguments.json {
        return super::print(&report(&attack, honest.dim(), &sent, arguments)?);
    }
    match (&arguments.output, arguments.each) {
        (Some(_), _) => Ok(()),
        (None, true) => super::print(&table(&sent)),
        (None, false) => super::print(&lines(&sent.row(0).to_owned())),
    }
}

fn choose_attack(arguments: &Arguments) -> Result<Member<dyn Attack>, Usage> {
    let name = arguments.like.as_ref().or(arguments.attack.as_ref()).expect("clap requires one");
    if arguments.like.is_some() {
        let entry = like::find(name)?;
        let choices = choose(&[(entry.name, (entry.parameters)())], &arguments.settings)?;
        return Ok(like::attack(&choices[0])?);
    }
    let entry = attacks::CATALOG.find(name)?;
    let choices = choose(&[(entry.name, (entry.parameters)())], &arguments.settings)?;
    Ok(attacks::CATALOG.build(&choices[0])?)
}

/// One row per identity that is asked for: all corrupted ones, or the first.
fn craft(
    attack: &Member<dyn Attack>,
    honest: ArrayView2<'_, f32>,
    arguments: &Arguments,
) -> Result<Array2<f32>, Usage> {
    let asked = if arguments.each { arguments.corrupted } else { 1 };
    let identities: Vec<NodeId> = (0..asked).map(NodeId).collect();
    let corrupted = arguments.corrupted as usize;
    let global = Array1::zeros(honest.ncols());
    let view = View {
        round: Round(1),
        global: global.view(),
        identities: &identities,
        own: ArrayView2::from_shape((0, honest.ncols()), &[]).expect("no rows, no elements"),
        honest: Some(honest),
        senders: &[],
        participants: honest.nrows() + corrupted,
        corrupted,
        defence: None,
        victim: None,
    };
    let mut rng = run_stream(arguments.seed, Purpose::Attack);
    match attack.value.craft(&view, &mut Memory::default(), &mut rng)? {
        Crafted::PerNode(rows) => Ok(rows),
        Crafted::Silence => Err(Usage(format!("{} sends nothing", attack.name))),
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    attack: &'a str,
    parameters: &'a serde_json::Value,
    rows: usize,
    columns: usize,
    corrupted: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    vector: Option<Vec<f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vectors: Option<Vec<Vec<f32>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
}

/// One line of JSON.
fn report(
    attack: &Member<dyn Attack>,
    (rows, columns): (usize, usize),
    sent: &Array2<f32>,
    arguments: &Arguments,
) -> anyhow::Result<String> {
    let shown = arguments.output.is_none();
    let report = Report {
        attack: attack.name,
        parameters: &attack.parameters,
        rows,
        columns,
        corrupted: arguments.corrupted,
        vector: (shown && !arguments.each).then(|| sent.row(0).to_vec()),
        vectors: (shown && arguments.each).then(|| lists(sent)),
        output: arguments.output.as_ref().map(|path| path.display().to_string()),
    };
    Ok(serde_json::to_string(&report)? + "\n")
}
