//! `byzlab attack`: what an omniscient adversary sends, given the honest updates in a file, and
//! the rule to try it on where the attack searches with that.

mod against;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{ArgGroup, Args};
use ndarray::{Array1, Array2, ArrayView2, s};
use serde::Serialize;

use self::against::Against;
use super::aggregate::{lines, lists, table};
use super::settings::{Setting, choose};
use super::usage::Usage;
use crate::attacks::{self, Attack, AttackError, View};
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
    /// A part of the rule that the attack is tried on, as another library does it; repeat for a
    /// chain, in order. For attacks that search with the rule.
    #[arg(long, value_name = "LIBRARY.NAME")]
    against: Vec<String>,
    /// The declared number of byzantine senders of that rule [default: the library's].
    #[arg(long, value_name = "F", requires = "against")]
    byzantine: Option<usize>,
    /// What the corrupted identities would have sent, shape (corrupted, coordinates), for attacks
    /// that change that [default: the mean of the honest updates].
    #[arg(long, value_name = "OWN.npy")]
    own: Option<PathBuf>,
    /// A parameter, for the attack and every part of the rule that knows it; with --like and
    /// --against, by the library's own name.
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
    let (attack, against) = choose_parts(arguments)?;
    let honest = npy::read_matrix(&arguments.input).map_err(Usage::from)?;
    let own = own(arguments, honest.ncols())?;
    let corrupted = arguments.corrupted as usize;
    if let Some(doubt) = attack.value.doubt(honest.nrows() + corrupted, corrupted) {
        tracing::warn!("{doubt}");
    }
    let sent = craft(&attack, against.as_ref(), honest.view(), own.view(), arguments)?;
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

/// The attack, and the rule that it is tried on.
fn choose_parts(arguments: &Arguments) -> Result<(Member<dyn Attack>, Option<Against>), Usage> {
    let name = arguments.like.as_ref().or(arguments.attack.as_ref()).expect("clap requires one");
    let mut schemas = Vec::new();
    if arguments.like.is_some() {
        let entry = like::find(name)?;
        schemas.push((entry.name, (entry.parameters)()));
    } else {
        let entry = attacks::CATALOG.find(name)?;
        schemas.push((entry.name, (entry.parameters)()));
    }
    for part in &arguments.against {
        let entry = like::find(part)?;
        schemas.push((entry.name, (entry.parameters)()));
    }
    let choices = choose(&schemas, &arguments.settings)?;
    let (attack, against) = choices.split_first().expect("there is an attack");
    let attack = match &arguments.like {
        Some(_) => like::attack(attack)?,
        None => attacks::CATALOG.build(attack)?,
    };
    let against = match against {
        [] => None,
        parts => Some(Against::new(parts, arguments.byzantine, arguments.seed)?),
    };
    Ok((attack, against))
}

/// What the identities would have sent, if that was given.
fn own(arguments: &Arguments, columns: usize) -> Result<Array2<f32>, Usage> {
    let Some(path) = &arguments.own else { return Ok(Array2::zeros((0, columns))) };
    let own = npy::read_matrix(path)?;
    let corrupted = arguments.corrupted as usize;
    if own.dim() == (corrupted, columns) {
        return Ok(own);
    }
    let (rows, found) = own.dim();
    Err(Usage(format!(
        "{} holds {rows} rows of {found}, and {corrupted} identities are corrupted in a model of \
         {columns}",
        path.display()
    )))
}

/// One row per identity that is asked for: all corrupted ones, or the first.
fn craft(
    attack: &Member<dyn Attack>,
    against: Option<&Against>,
    honest: ArrayView2<'_, f32>,
    own: ArrayView2<'_, f32>,
    arguments: &Arguments,
) -> Result<Array2<f32>, Usage> {
    let asked = if arguments.each { arguments.corrupted as usize } else { 1 };
    let identities: Vec<NodeId> = (0..asked as u32).map(NodeId).collect();
    let corrupted = arguments.corrupted as usize;
    let global = Array1::zeros(honest.ncols());
    let defence = |rows: ArrayView2<'_, f32>| match against {
        Some(against) => against.aggregate(rows),
        None => Err("no rule was given".to_owned()),
    };
    let view = View {
        round: Round(1),
        global: global.view(),
        identities: &identities,
        own: own.slice(s![..asked.min(own.nrows()), ..]),
        honest: Some(&honest.into()),
        senders: &[],
        participants: honest.nrows() + corrupted,
        corrupted,
        defence: if against.is_some() { Some(&defence) } else { None },
        victim: None,
    };
    let mut rng = run_stream(arguments.seed, Purpose::Attack);
    let crafted = attack.value.craft(&view, &mut Memory::default(), &mut rng);
    let crafted = crafted.map_err(|error| match error {
        AttackError::NoDefence { attack } => Usage(format!(
            "{attack} searches with the rule: name it with --against, such as --against \
             byzfl.TrMean --set f=1"
        )),
        error => error.into(),
    })?;
    crafted.per_node().ok_or_else(|| Usage(format!("{} sends nothing", attack.name)))
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
