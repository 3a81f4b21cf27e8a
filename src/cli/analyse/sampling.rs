//! `byzlab analyse sampling`: peer samplers under flooding attackers.

use std::sync::Mutex;

use clap::Args;
use serde_json::json;

use crate::analyses::sampling::intervals::{Mean, Proportion};
use crate::analyses::sampling::{self, Arena, Line};
use crate::catalog::Member;
use crate::cli::print;
use crate::cli::settings::{Setting, choose};
use crate::cli::usage::Usage;
use crate::runtime;
use crate::sampling::{CATALOG, Protocol};

/// Print who is eclipsed when attackers flood those who sample their peers.
///
/// Each attacker sends pushes that list attackers only, and answers with nothing else. Intervals
/// are over seeds: Student's 95 % for means, Wilson's for how often anybody is eclipsed.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// How many nodes there are, attackers among them.
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(2..=100_000))]
    nodes: u32,
    /// How many identities a view holds.
    #[arg(long, value_name = "V", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    view: u32,
    /// How many steps are taken.
    #[arg(long, value_name = "T", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// The shares of nodes that attack.
    #[arg(long, value_name = "SHARES", value_delimiter = ',', default_values_t = [0.1, 0.2, 0.3])]
    attackers: Vec<f64>,
    /// How many pushes each attacker sends in a step.
    #[arg(long, value_name = "F", default_value_t = 10, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    flood: u32,
    /// All push to one honest node, and only that one is looked at.
    #[arg(long)]
    isolate: bool,
    /// How many seeds, from 1.
    #[arg(long, value_name = "S", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    seeds: u32,
    /// The samplers [default: all].
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    samplers: Vec<String>,
    /// A parameter of a sampler, such as `variant=basalt_baseline`.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = Setting::parse)]
    settings: Vec<Setting>,
    /// How many threads; the result does not depend on it [default: all cores].
    #[arg(long)]
    threads: Option<usize>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let arena = arena(arguments)?;
    let threads = arguments.threads.unwrap_or_else(runtime::cores).max(1);
    let result = Mutex::new(None);
    // One job that has all threads.
    runtime::local::for_each(&[0], 1, threads, |_| {
        *result.lock().expect("nobody panics with it") = Some(sampling::run(&arena));
    })?;
    let lines = result.into_inner().expect("nobody panics with it").expect("the job was done");
    let lines = lines.map_err(|error| Usage(error.to_string()))?;
    if arguments.json {
        return print(&(json(&arena, &lines) + "\n"));
    }
    print(&table(&arena, &lines))
}

fn arena(arguments: &Arguments) -> Result<Arena, Usage> {
    let nodes = arguments.nodes as usize;
    let count = |share: &f64| {
        if !(0.0..1.0).contains(share) {
            return Err(Usage(format!("a share of attackers is from 0 to below 1, got {share}")));
        }
        Ok((share * nodes as f64).round() as usize)
    };
    Ok(Arena {
        samplers: samplers(arguments)?,
        nodes,
        view: arguments.view as usize,
        steps: arguments.steps,
        attackers: arguments.attackers.iter().map(count).collect::<Result<_, _>>()?,
        force: arguments.flood as usize,
        isolate: arguments.isolate,
        seeds: (1..=u64::from(arguments.seeds)).collect(),
    })
}

/// Those asked for, or all, with their parameters.
fn samplers(arguments: &Arguments) -> Result<Vec<Member<dyn Protocol>>, Usage> {
    let entries = if arguments.samplers.is_empty() {
        CATALOG.entries.to_vec()
    } else {
        let names = arguments.samplers.iter();
        names.map(|name| CATALOG.find(name)).collect::<Result<_, _>>()?
    };
    let members: Vec<_> = entries.iter().map(|entry| (entry.name, (entry.parameters)())).collect();
    let choices = choose(&members, &arguments.settings)?;
    Ok(choices.iter().map(|choice| CATALOG.build(choice)).collect::<Result<_, _>>()?)
}

fn json(arena: &Arena, lines: &[Line]) -> String {
    json!({
        "nodes": arena.nodes,
        "view": arena.view,
        "steps": arena.steps,
        "flood": arena.force,
        "isolate": arena.isolate,
        "seeds": arena.seeds,
        "lines": lines,
    })
    .to_string()
}

/// A row: its name and what it shows of a line.
type Row = (&'static str, fn(&Line) -> String);

const ROWS: [Row; 7] = [
    ("eclipsed, %", |line| percent(&line.eclipsed)),
    ("seeds with any, %", |line| proportion(&line.anybody)),
    ("in views, %", |line| percent(&line.in_views)),
    ("in worst view, %", |line| percent(&line.in_worst_view)),
    ("distinct sampled", |line| plain(&line.attackers_sampled)),
    ("of samples, %", |line| percent(&line.among_sampled)),
    ("eclipsed in step", |line| line.step_of_eclipse.as_ref().map_or("-".to_owned(), plain)),
];

/// What the rows are.
const LEGEND: &str = "\
eclipsed: honest nodes that keep no other honest node; seeds with any: networks in which
somebody is; in views: attackers' share, in the mean and in the worst view; distinct sampled:
attackers that a node was given as samples in all steps, and their share of all it was given;
eclipsed in step: of those who ever are, the first. Each as mean of the seeds with its 95 %
interval (Student; for the seeds with any: Wilson).
";

fn table(arena: &Arena, lines: &[Line]) -> String {
    let seeds = arena.seeds.len();
    let mut text = format!(
        "{} nodes, views of {}, {} steps, {} pushes of each attacker in a step{}, {seeds} seeds.\n",
        arena.nodes,
        arena.view,
        arena.steps,
        arena.force,
        if arena.isolate { ", all to one victim" } else { "" },
    );
    for page in lines.chunks(arena.samplers.len().max(1)) {
        let attackers = page[0].attackers;
        let share = 100.0 * attackers as f64 / arena.nodes as f64;
        text.push_str(&format!("\n{attackers} attackers ({share:.1} %)\n\n{}", body(page)));
    }
    if arena.isolate {
        text.push_str("\nHonest nodes here: the victim alone.");
    }
    text.push_str(&format!("\n{LEGEND}"));
    text
}

/// A column for each sampler.
fn body(page: &[Line]) -> String {
    let names = std::iter::once("").chain(ROWS.iter().map(|(name, _)| *name));
    let mut columns = vec![names.map(str::to_owned).collect::<Vec<String>>()];
    for line in page {
        let cells = ROWS.iter().map(|(_, show)| show(line));
        columns.push(std::iter::once(line.sampler.to_owned()).chain(cells).collect());
    }
    let width = |column: &Vec<String>| column.iter().map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = columns.iter().map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in 0..=ROWS.len() {
        let cells = columns.iter().zip(&widths);
        let cells: Vec<String> =
            cells.map(|(column, width)| format!("{:<width$}", column[row])).collect();
        text.push_str(format!("  {}", cells.join("  ")).trim_end());
        text.push('\n');
    }
    text
}

fn percent(mean: &Mean) -> String {
    let part = |share: f64| match share {
        1.0 => "100".to_owned(),
        _ => format!("{:.1}", 100.0 * share),
    };
    interval(mean, part)
}

fn plain(mean: &Mean) -> String {
    let number = |value: f64| format!("{value:.1}");
    interval(mean, number)
}

fn interval(mean: &Mean, show: impl Fn(f64) -> String) -> String {
    let middle = show(mean.mean);
    match (mean.low, mean.high) {
        (Some(low), Some(high)) => format!("{middle} ({}..{})", show(low), show(high)),
        _ => middle,
    }
}

fn proportion(seeds: &Proportion) -> String {
    let Proportion { count, of, low, high } = seeds;
    format!("{count}/{of} ({:.0}..{:.0})", 100.0 * low, 100.0 * high)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn arguments(words: &[&str]) -> Arguments {
        Program::parse_from(["sampling"].iter().chain(words)).arguments
    }

    #[test]
    fn what_is_asked_for_is_run() {
        let words = ["--nodes", "40", "--attackers", "0.1,0.25", "--samplers", "basalt,brahms"];
        let set = ["--set", "replace_every=3", "--set", "variant=advdv", "--seeds", "2"];
        let arena = arena(&arguments(&[&words[..], &set].concat())).unwrap();
        assert_eq!(arena.attackers, [4, 10]);
        assert_eq!(arena.samplers[0].parameters["replace_every"], 3);
        assert_eq!(arena.samplers[1].parameters["variant"], "advdv");
        assert_eq!(arena.seeds, [1, 2]);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        let refusal = |words: &[&str]| arena(&arguments(words)).unwrap_err().0;
        let text = refusal(&["--samplers", "basal"]);
        assert_eq!(text, "no sampler is called `basal`; did you mean `basalt`?");
        let text = refusal(&["--attackers", "0.1,1"]);
        assert_eq!(text, "a share of attackers is from 0 to below 1, got 1");
        assert!(refusal(&["--set", "replace_evry=3"]).contains("replace_every"));
    }

    #[test]
    fn a_table_as_it_is_printed() {
        let line = Line {
            sampler: "basalt",
            parameters: serde_json::Value::Null,
            attackers: 30,
            eclipsed: Mean { mean: 1.0, low: Some(0.875), high: Some(1.0) },
            anybody: Proportion { count: 1, of: 2, low: 0.1, high: 0.9 },
            in_views: Mean { mean: 0.25, low: None, high: None },
            in_worst_view: Mean { mean: 0.5, low: Some(0.5), high: Some(0.5) },
            attackers_sampled: Mean { mean: 3.0, low: Some(2.5), high: Some(3.5) },
            among_sampled: Mean { mean: 0.0, low: Some(0.0), high: Some(0.0) },
            step_of_eclipse: None,
        };
        let arena = arena(&arguments(&["--samplers", "basalt", "--seeds", "2"])).unwrap();
        let expected = "\
300 nodes, views of 20, 60 steps, 10 pushes of each attacker in a step, 2 seeds.

30 attackers (10.0 %)

                     basalt
  eclipsed, %        100 (87.5..100)
  seeds with any, %  1/2 (10..90)
  in views, %        25.0
  in worst view, %   50.0 (50.0..50.0)
  distinct sampled   3.0 (2.5..3.5)
  of samples, %      0.0 (0.0..0.0)
  eclipsed in step   -

";
        assert_eq!(table(&arena, &[line]), format!("{expected}{LEGEND}"));
    }
}
