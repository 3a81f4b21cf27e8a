//! `byzlab aggregate`: one rule, or a chain that ends in one, on the updates in a file.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{ArgGroup, Args};
use ndarray::{Array1, Array2};
use serde::Serialize;

use super::settings::{Setting, choose};
use super::usage::Usage;
use crate::aggregators::{self, Aggregate, Aggregator, Context};
use crate::catalog::{Catalog, Member};
use crate::like::{self, Samples};
use crate::memory::Memory;
use crate::node::{NodeId, Round};
use crate::preaggregators::{self, Chain, Link, PreAggregator};
use crate::runtime::npy;
use crate::seed::{Purpose, run_stream};

/// Aggregate the updates in a .npy file: one row per sender, 4 or 8 byte floats.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("chain").required(true).multiple(true).args(["rule", "before", "like"])))]
pub struct Arguments {
    /// The updates, shape (senders, coordinates).
    #[arg(value_name = "IN.npy")]
    input: PathBuf,
    /// The rule.
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    /// A pre-aggregator before the rule; repeat for several, in order.
    #[arg(long, value_name = "NAME")]
    before: Vec<String>,
    /// A part as another library does it, such as byzfl.Krum; repeat for a chain, in order.
    #[arg(long, value_name = "LIBRARY.NAME", conflicts_with_all = ["rule", "before"])]
    like: Vec<String>,
    /// The declared number of byzantine senders [default: 0, or the library's].
    #[arg(long, value_name = "F")]
    byzantine: Option<usize>,
    /// A parameter, for every part that knows it; with --like, by the library's own name.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = Setting::parse)]
    settings: Vec<Setting>,
    /// The number of samples behind each row, for rules that weigh by it.
    #[arg(long, value_name = "COUNTS", value_delimiter = ',')]
    samples: Vec<u64>,
    /// The update from trusted data, for rules that compare with one: a .npy file of one vector.
    #[arg(long, value_name = "TRUSTED.npy")]
    trusted: Option<PathBuf>,
    /// The seed, for parts that draw.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the result here in place of standard output.
    #[arg(long, value_name = "OUT.npy")]
    output: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let parts = Parts::choose(arguments)?;
    let updates = npy::read_matrix(&arguments.input).map_err(Usage::from)?;
    let (rows, columns) = updates.dim();
    let result = parts.apply(updates, arguments)?;
    if let Some(output) = &arguments.output {
        let written = match &result {
            Outcome::Vector(aggregate) => npy::write_vector(output, aggregate.vector.view()),
            Outcome::Updates(updates) => npy::write_matrix(output, updates.view()),
        };
        written.context("writing the result")?;
    }
    if arguments.json {
        return super::print(&parts.report(rows, columns, &result, arguments)?);
    }
    match (&arguments.output, &result) {
        (Some(_), _) => Ok(()),
        (None, Outcome::Vector(aggregate)) => super::print(&lines(&aggregate.vector)),
        (None, Outcome::Updates(updates)) => super::print(&table(updates)),
    }
}

/// What was asked for, built.
struct Parts {
    /// Each part with its resolved parameters, in order.
    chain: Vec<serde_json::Value>,
    before: Vec<Link<dyn PreAggregator>>,
    /// The rule and its name in our catalog.
    rule: Option<(&'static str, Link<dyn Aggregator>)>,
    samples: Option<Samples>,
}

/// What comes out of a chain.
enum Outcome {
    /// Of a chain that ends in a rule.
    Vector(Aggregate),
    /// Of pre-aggregators alone.
    Updates(Array2<f32>),
}

impl Parts {
    fn choose(arguments: &Arguments) -> Result<Self, Usage> {
        let mut parts = if arguments.like.is_empty() {
            Parts::ours(arguments)?
        } else {
            Parts::like(arguments)?
        };
        if !arguments.samples.is_empty() {
            if parts.samples.is_some() {
                let message = "sample counts are given twice: by --samples and by --set weights";
                return Err(Usage::new(message));
            }
            parts.samples = Some(Samples::Listed(arguments.samples.clone()));
        }
        Ok(parts)
    }

    /// Members of our own catalogs.
    fn ours(arguments: &Arguments) -> Result<Self, Usage> {
        let mut schemas = Vec::new();
        for name in &arguments.before {
            schemas.push(schema(&preaggregators::CATALOG, name)?);
        }
        if let Some(rule) = &arguments.rule {
            schemas.push(schema(&aggregators::CATALOG, rule)?);
        }
        let mut choices = choose(&schemas, &arguments.settings)?;
        let rule = arguments.rule.as_ref().and_then(|_| choices.pop());
        let rule = rule.map(|choice| aggregators::CATALOG.build(&choice)).transpose()?;
        let before = choices
            .iter()
            .map(|choice| preaggregators::CATALOG.build(choice))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Parts {
            chain: before
                .iter()
                .map(Member::resolved)
                .chain(rule.iter().map(Member::resolved))
                .collect(),
            before: before.into_iter().map(link).collect(),
            rule: rule.map(|member| (member.name, link(member))),
            samples: None,
        })
    }

    /// Parts named after other libraries.
    fn like(arguments: &Arguments) -> Result<Self, Usage> {
        let mut schemas = Vec::new();
        for name in &arguments.like {
            let entry = like::find(name)?;
            schemas.push((entry.name, (entry.parameters)()));
        }
        let choices = choose(&schemas, &arguments.settings)?;
        let resolved = like::chain(&choices, arguments.byzantine)?;
        Ok(Parts {
            chain: resolved
                .before
                .iter()
                .map(|part| part.member.resolved())
                .chain(resolved.rule.iter().map(|part| part.member.resolved()))
                .collect(),
            before: resolved.links(),
            rule: resolved.rule.as_ref().map(|part| (part.member.name, part.link())),
            samples: resolved.samples,
        })
    }

    /// The chain on the updates of one round.
    fn apply(&self, updates: Array2<f32>, arguments: &Arguments) -> Result<Outcome, Usage> {
        let rows = updates.nrows();
        let senders: Vec<NodeId> = (0..rows as u32).map(NodeId).collect();
        let samples = self.samples.as_ref().map(|samples| samples.counts(rows)).transpose()?;
        let trusted = trusted(arguments, updates.ncols())?;
        let mut context = Context {
            round: Round(1),
            rounds_total: 1,
            byzantine: arguments.byzantine.unwrap_or(0),
            senders: &senders,
            samples: samples.as_deref(),
            previous: None,
            trusted: trusted.as_ref().map(|trusted| trusted.view()),
            head: None,
            memory: &mut Memory::default(),
            rng: &mut run_stream(arguments.seed, Purpose::Aggregation),
        };
        let Some((_, rule)) = &self.rule else {
            admit(&self.before, rows, context.byzantine)?;
            let updates = Chain::prepare(&self.before, updates, &mut context)?;
            return Ok(Outcome::Updates(updates));
        };
        let chain = Chain { before: self.before.clone(), rule: rule.clone() };
        chain.admits(rows, context.byzantine)?;
        Ok(Outcome::Vector(chain.aggregate(updates.view(), &mut context)?))
    }

    /// One line of JSON.
    fn report(
        &self,
        rows: usize,
        columns: usize,
        outcome: &Outcome,
        arguments: &Arguments,
    ) -> anyhow::Result<String> {
        let shown = arguments.output.is_none();
        let (vector, updates, weights) = match outcome {
            Outcome::Vector(aggregate) => {
                (Some(&aggregate.vector), None, aggregate.weights.as_ref())
            }
            Outcome::Updates(updates) => (None, Some(updates), None),
        };
        let report = Report {
            rule: self.rule.as_ref().map(|(name, _)| *name),
            chain: &self.chain,
            rows,
            columns,
            vector: vector.filter(|_| shown).map(|vector| vector.to_vec()),
            updates: updates.filter(|_| shown).map(lists),
            weights: weights.map(|vector| vector.to_vec()),
            output: arguments.output.as_ref().map(|path| path.display().to_string()),
        };
        Ok(serde_json::to_string(&report)? + "\n")
    }
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    rule: Option<&'static str>,
    chain: &'a [serde_json::Value],
    rows: usize,
    columns: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    vector: Option<Vec<f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updates: Option<Vec<Vec<f32>>>,
    weights: Option<Vec<f32>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
}

fn schema<T: ?Sized, C>(
    catalog: &Catalog<T, C>,
    name: &str,
) -> Result<(&'static str, schemars::Schema), Usage> {
    let entry = catalog.find(name)?;
    Ok((entry.name, (entry.parameters)()))
}

fn link<T: ?Sized>(member: Member<T>) -> Link<T> {
    Link { part: member.value, byzantine: None }
}

/// The trusted update, as long as a row of `columns` values.
fn trusted(arguments: &Arguments, columns: usize) -> Result<Option<Array1<f32>>, Usage> {
    let Some(path) = &arguments.trusted else { return Ok(None) };
    let trusted = npy::read_vector(path).map_err(Usage::from)?;
    if trusted.len() == columns {
        return Ok(Some(trusted));
    }
    let (path, length) = (path.display(), trusted.len());
    Err(Usage::new(format!("{path} holds {length} values, and the updates have {columns} each")))
}

/// Whether pre-aggregators alone can work on so many rows.
fn admit(
    before: &[Link<dyn PreAggregator>],
    mut rows: usize,
    byzantine: usize,
) -> Result<(), Usage> {
    for link in before {
        link.part.admits(rows, link.byzantine.unwrap_or(byzantine))?;
        rows = link.part.rows_out(rows);
    }
    Ok(())
}

/// One value per line.
pub(super) fn lines(vector: &Array1<f32>) -> String {
    let values: Vec<String> = vector.iter().map(f32::to_string).collect();
    values.join("\n") + "\n"
}

/// One row per line, values apart by a space.
pub(super) fn table(rows: &Array2<f32>) -> String {
    let line = |row: ndarray::ArrayView1<'_, f32>| {
        let values: Vec<String> = row.iter().map(f32::to_string).collect();
        values.join(" ") + "\n"
    };
    rows.rows().into_iter().map(line).collect()
}

/// A matrix as lists, for JSON.
pub(super) fn lists(rows: &Array2<f32>) -> Vec<Vec<f32>> {
    rows.rows().into_iter().map(|row| row.to_vec()).collect()
}
