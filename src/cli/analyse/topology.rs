//! `byzlab analyse topology`: how fast a graph mixes, how many liars it bears, where it is weak.

use std::path::Path;

use clap::Args;
use serde_json::json;

use crate::analyses::topology::{Breakdown, Eigenvalues, Topology};
use crate::catalog::Member;
use crate::cli::list::wrap;
use crate::cli::settings::{Setting, choose};
use crate::cli::usage::Usage;
use crate::experiment::edges;
use crate::graph::Graph;
use crate::node::NodeId;
use crate::seed::{Purpose, run_stream};
use crate::topologies::{self, connected};

/// The most nodes: the eigenvalues of one dense matrix of this size are found in a minute.
const NODES_MAX: i64 = 4000;

/// How many columns the names of the lines take.
const NAMES: usize = 24;

/// How many columns a page has.
const COLUMNS: usize = 80;

/// How many bridges are named.
const BRIDGES: usize = 5;

/// Says how fast a topology mixes, how many liars it bears and where it is weakest.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The topology: ring, dumbbell, two_worlds, …
    name: String,
    /// How many nodes it joins
    #[arg(long, value_name = "N", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(1..=NODES_MAX))]
    nodes: u32,
    /// A parameter of the topology
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = Setting::parse)]
    settings: Vec<Setting>,
    /// The seed, for topologies that draw
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (member, graph) = drawn(arguments)?;
    let found = Topology::of(&graph);
    if arguments.json {
        let mut report = serde_json::to_value(&found)?;
        report["topology"] = member.resolved();
        report["seed"] = json!(arguments.seed);
        return crate::cli::print(&format!("{report:#}\n"));
    }
    crate::cli::print(&page(&title(&member, arguments.seed), &found, &graph))
}

fn drawn(arguments: &Arguments) -> Result<(Member<dyn topologies::Topology>, Graph), Usage> {
    let entry = topologies::CATALOG.find(&arguments.name)?;
    let settings: Result<Vec<Setting>, Usage> = arguments.settings.iter().map(with_file).collect();
    let choices = choose(&[(entry.name, (entry.parameters)())], &settings?)?;
    let member = topologies::CATALOG.build(&choices[0])?;
    let mut rng = run_stream(arguments.seed, Purpose::Topology);
    let graph = member.value.graph(arguments.nodes as usize, &mut rng)?;
    Ok((member, graph))
}

/// The setting, or the edges of the file that it names.
fn with_file(setting: &Setting) -> Result<Setting, Usage> {
    let Some(file) = setting.text_of("file") else { return Ok(setting.clone()) };
    let edges = edges::read(Path::new(file))?.into_iter();
    let ends = |(from, to)| toml::Value::from(vec![i64::from(from), i64::from(to)]);
    Ok(Setting::new("edges", edges.map(ends).collect::<Vec<_>>().into()))
}

/// `small_world (beta 0.1, k 4), seed 1`; the seed only where it matters.
fn title(member: &Member<dyn topologies::Topology>, seed: u64) -> String {
    let drawn = topologies::CATALOG.find(member.name).is_ok_and(|entry| entry.claims.drawn);
    let seed = if drawn { format!(", seed {seed}") } else { String::new() };
    let parameters = member.parameters.as_object().into_iter().flatten();
    let set = parameters
        .filter(|(_, value)| value.is_number())
        .map(|(name, value)| format!("{name} {value}"));
    let set: Vec<String> = set.collect();
    let set = if set.is_empty() { String::new() } else { format!(" ({})", set.join(", ")) };
    format!("{}{set}{seed}", member.name)
}

fn page(title: &str, found: &Topology, graph: &Graph) -> String {
    let mut text = format!("{title}: {} nodes, {} edges\n\n", found.nodes, found.edges);
    let degrees = found.degrees;
    text += &line(
        "neighbours of a node",
        &format!("{} to {}, {:.2} on average", degrees.least, degrees.most, degrees.mean),
    );
    text += &line("parts", &parts(graph, found.components.len()));
    let diameter = found.diameter.map_or("none".to_owned(), |edges| edges.to_string());
    text += &line("diameter", &diameter);
    if let (Some(eigenvalues), Some(breakdown)) = (&found.spectrum, &found.breakdown) {
        text += &mixing(eigenvalues);
        text += &bearing(breakdown);
    }
    text += &weak(found);
    text
}

/// A name and what there is to say, in lines of at most 80 columns.
fn line(name: &str, value: &str) -> String {
    let lines = wrap(value, COLUMNS - NAMES - 4);
    let indented = lines.iter().enumerate().map(|(number, line)| {
        let name = if number == 0 { name } else { "" };
        format!("  {name:NAMES$}  {line}\n")
    });
    indented.collect()
}

fn parts(graph: &Graph, count: usize) -> String {
    match connected(graph) {
        Ok(()) => count.to_string(),
        Err(apart) => apart,
    }
}

fn mixing(eigenvalues: &Eigenvalues) -> String {
    let gap = number(eigenvalues.spectral_gap);
    let gap = format!("{gap} of the disagreement goes each round, at least");
    let times = match eigenvalues.multiplicity {
        0 | 1 => String::new(),
        several => format!(", {several} times over"),
    };
    let connectivity = format!("lambda_2 = {}{times}", number(eigenvalues.algebraic_connectivity));
    line("spectral gap", &gap) + &line("algebraic connectivity", &connectivity)
}

/// How many liars it bears; the numbers of liars are whole, the bounds are not.
fn bearing(breakdown: &Breakdown) -> String {
    let below = |bound: f64, part: u32| {
        let most = least_from(bound).saturating_sub(1);
        let so = if bound > 0.0 { format!("so up to {most}") } else { "so never".to_owned() };
        format!("b < {}, lambda_2 / {part}: {so}", number(bound))
    };
    let from = least_from(breakdown.any).max(1);
    let none = format!("b >= {}, lambda_2 / 2: so from {from} on", number(breakdown.any));
    let heading = "\nIf these are the honest nodes, and each hears b liars besides\n".to_owned();
    heading
        + &line("guaranteed: NNA, GTS", &below(breakdown.dropping, 8))
        + &line("guaranteed: CS+", &below(breakdown.clipping, 4))
        + &line("guaranteed: no rule", &none)
}

/// The least whole number that is not below a bound, which may be off by rounding.
fn least_from(bound: f64) -> u64 {
    (bound - 1e-9).ceil() as u64
}

fn weak(found: &Topology) -> String {
    let mut text = "\nWhere it is weakest\n".to_owned();
    let named: Vec<String> = found.bridges.iter().take(BRIDGES).map(|it| edge(*it)).collect();
    let bridges = match found.bridges.len() {
        0 => "none".to_owned(),
        several if several > BRIDGES => format!("{several}: {}, …", named.join(", ")),
        several => format!("{several}: {}", named.join(", ")),
    };
    text += &line("bridges", &bridges);
    let points = match found.articulation_points.len() {
        0 => "none".to_owned(),
        several => format!("{several} of {} nodes", found.nodes),
    };
    text += &line("nodes that part it", &points);
    let pairs = found.nodes * found.nodes.saturating_sub(1) / 2;
    let edges: Vec<String> = found.busiest_edges.iter().map(|busy| edge(busy.edge)).collect();
    let width = edges.iter().map(String::len).max().unwrap_or(0);
    for (rank, (edge, busy)) in edges.iter().zip(&found.busiest_edges).enumerate() {
        let name = if rank == 0 { "busiest edges" } else { "" };
        let way = format!("on the way of {:.1} of {pairs} pairs", busy.pairs);
        text += &format!("  {name:NAMES$}  {edge:width$}  {way}\n");
    }
    text
}

fn edge((from, to): (NodeId, NodeId)) -> String {
    format!("{from} - {to}")
}

/// Four places behind the point, or a power of ten where they would say nothing.
fn number(value: f64) -> String {
    if value != 0.0 && value.abs() < 1e-3 { format!("{value:.2e}") } else { format!("{value:.4}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_of_liars_are_not_shifted_by_rounding() {
        assert_eq!(least_from(2.0), 2);
        assert_eq!(least_from(2.0 + 1e-14), 2);
        assert_eq!(least_from(2.1), 3);
        assert_eq!((least_from(0.3), least_from(0.0)), (1, 0));
    }

    #[test]
    fn a_page_as_it_is_printed() {
        let arguments = Arguments {
            name: "two_worlds".into(),
            nodes: 26,
            settings: vec![Setting::parse("links=8").unwrap()],
            seed: 1,
            json: false,
        };
        let (member, graph) = drawn(&arguments).unwrap();
        let text = page(&title(&member, 1), &Topology::of(&graph), &graph);
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS));
        insta::assert_snapshot!(text, @r"
        two_worlds (links 8): 26 nodes, 260 edges

          neighbours of a node      20 to 20, 20.00 on average
          parts                     1
          diameter                  2
          spectral gap              0.7619 of the disagreement goes each round, at least
          algebraic connectivity    lambda_2 = 16.0000

        If these are the honest nodes, and each hears b liars besides
          guaranteed: NNA, GTS      b < 2.0000, lambda_2 / 8: so up to 1
          guaranteed: CS+           b < 4.0000, lambda_2 / 4: so up to 3
          guaranteed: no rule       b >= 8.0000, lambda_2 / 2: so from 8 on

        Where it is weakest
          bridges                   none
          nodes that part it        none
          busiest edges             0 - 5   on the way of 1.6 of 325 pairs
                                    0 - 6   on the way of 1.6 of 325 pairs
                                    0 - 7   on the way of 1.6 of 325 pairs
                                    0 - 8   on the way of 1.6 of 325 pairs
                                    0 - 13  on the way of 1.6 of 325 pairs
        ");
    }
}
