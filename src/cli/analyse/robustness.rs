//! `byzlab analyse robustness`: how far liars can move a rule, found and proven.

use std::fmt::Write as _;

use clap::Args;
use serde::Serialize;

use crate::aggregators::{self, Aggregator};
use crate::analyses::robustness::{Bounds, Search, Worst, lower_bound, worst_case};
use crate::catalog::Member;
use crate::cli::print;
use crate::cli::settings::{Setting, choose};
use crate::cli::usage::Usage;
use crate::preaggregators::{self, Chain, Link, PreAggregator};

/// Search for the worst input of rules, and print it next to what is proven.
///
/// κ is the squared distance of the aggregate from the mean of the honest updates, in multiples of
/// their variance. What is found is a lower bound on a rule's κ; that nothing worse was found
/// proves nothing.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// A rule; repeat for several [default: all]
    #[arg(long, value_name = "NAME")]
    rule: Vec<String>,
    /// A pre-aggregator before each rule; repeat for several, in order.
    #[arg(long, value_name = "NAME")]
    before: Vec<String>,
    /// How many updates there are.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(2..=1000))]
    rows: u16,
    /// How many of them lie, which is also what the rules are told.
    #[arg(long, value_name = "F", default_value_t = 2)]
    byzantine: u16,
    /// How many inputs are tried for each rule.
    #[arg(long, value_name = "COUNT", default_value_t = 50_000, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    evaluations: u32,
    /// A parameter, for every part that knows it.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = Setting::parse)]
    settings: Vec<Setting>,
    /// The seed of the search.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print JSON, one object per line and rule.
    #[arg(long)]
    json: bool,
}

/// What is said about one rule.
#[derive(Serialize)]
struct Report {
    rule: &'static str,
    parameters: serde_json::Value,
    before: Vec<serde_json::Value>,
    rows: usize,
    byzantine: usize,
    lower_bound: f64,
    #[serde(flatten)]
    bounds: Bounds,
    #[serde(skip_serializing_if = "Option::is_none")]
    worst: Option<Worst>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (rows, byzantine) = (usize::from(arguments.rows), usize::from(arguments.byzantine));
    if byzantine >= rows {
        return Err(Usage(format!("--byzantine {byzantine} leaves nobody honest of {rows}")).into());
    }
    let (before, rules) = parts(arguments)?;
    let mut reports = Vec::new();
    for rule in rules {
        reports.push(report(arguments, &before, &rule));
    }
    if let [Report { refused: Some(reason), .. }] = &reports[..] {
        return Err(Usage(reason.clone()).into());
    }
    if arguments.json {
        let lines: Result<String, serde_json::Error> =
            reports.iter().map(|report| Ok(serde_json::to_string(report)? + "\n")).collect();
        return print(&lines?);
    }
    let mut text = format!(
        "The worst of {} inputs each, n = {rows}, f = {byzantine}. No rule has a κ below {}.\n\n  {:<36}  \
         found       published   sharper\n",
        arguments.evaluations,
        short(lower_bound(rows, byzantine)),
        "rule",
    );
    for report in &reports {
        text.push_str(&line(report));
    }
    if let [Report { worst: Some(worst), .. }] = &reports[..] {
        text.push_str(&page(worst));
    }
    print(&text)
}

/// The parts that were named, built with the settings; without a rule all of them.
#[allow(clippy::type_complexity, reason = "said once, where both are made")]
fn parts(
    arguments: &Arguments,
) -> Result<(Vec<Member<dyn PreAggregator>>, Vec<Member<dyn Aggregator>>), Usage> {
    let all = || aggregators::CATALOG.entries.iter().map(|entry| entry.name.to_owned()).collect();
    let names: Vec<String> = if arguments.rule.is_empty() { all() } else { arguments.rule.clone() };
    let mut schemas = Vec::new();
    for name in &arguments.before {
        let entry = preaggregators::CATALOG.find(name)?;
        schemas.push((entry.name, (entry.parameters)()));
    }
    for name in &names {
        let entry = aggregators::CATALOG.find(name)?;
        schemas.push((entry.name, (entry.parameters)()));
    }
    let choices = choose(&schemas, &arguments.settings)?;
    let (before, rules) = choices.split_at(arguments.before.len());
    let before: Result<_, _> =
        before.iter().map(|choice| preaggregators::CATALOG.build(choice)).collect();
    let rules: Result<_, _> =
        rules.iter().map(|choice| aggregators::CATALOG.build(choice)).collect();
    Ok((before?, rules?))
}

/// Searches the worst case of one rule.
fn report(
    arguments: &Arguments,
    before: &[Member<dyn PreAggregator>],
    rule: &Member<dyn Aggregator>,
) -> Report {
    let (rows, byzantine) = (usize::from(arguments.rows), usize::from(arguments.byzantine));
    let link =
        |member: &Member<dyn PreAggregator>| Link { part: member.value.clone(), byzantine: None };
    let chain = Chain {
        before: before.iter().map(link).collect(),
        rule: Link { part: rule.value.clone(), byzantine: None },
    };
    let evaluations = arguments.evaluations as usize;
    let search = Search { rows, byzantine, evaluations, seed: arguments.seed };
    let (worst, refused) = match worst_case(&chain, search) {
        Ok(worst) => (Some(worst), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let own = Bounds::of(rule.name, &*rule.value, &rule.parameters, rows, byzantine);
    // What is nearest to the rule is applied first.
    let bounds =
        before.iter().rev().fold(own, |bounds, member| bounds.behind(member.name, rows, byzantine));
    Report {
        rule: rule.name,
        parameters: rule.parameters.clone(),
        before: before.iter().map(Member::resolved).collect(),
        rows,
        byzantine,
        lower_bound: lower_bound(rows, byzantine),
        bounds,
        worst,
        refused,
    }
}

/// One line of the table.
fn line(report: &Report) -> String {
    if let Some(reason) = &report.refused {
        return format!("  {:<36}  refused: {reason}\n", report.rule);
    }
    let found = report.worst.as_ref().map_or(f64::NAN, |worst| worst.kappa);
    let published = report.bounds.published.map_or("-".to_owned(), short);
    let sharper = report.bounds.sharper.map_or("-".to_owned(), short);
    let exact = if report.bounds.exact { " (exact)" } else { "" };
    let found = short(found);
    format!("  {:<36}  {found:<10}  {published:<10}  {sharper}{exact}\n", report.rule)
}

/// The worst input of one rule.
fn page(worst: &Worst) -> String {
    let mut page = String::from("\nThe worst input found:\n");
    let mut list = |what: &str, rows: &[Vec<f32>]| {
        for row in rows {
            let values: Vec<String> = row.iter().map(f32::to_string).collect();
            // Writing to a string cannot fail.
            let _ = writeln!(page, "  {what:<10} {}", values.join("  "));
        }
    };
    list("honest", &worst.honest);
    list("byzantine", &worst.byzantine);
    list("aggregate", std::slice::from_ref(&worst.aggregate));
    let place = if worst.liars_first { "lowest" } else { "highest" };
    let _ = writeln!(page, "The liars are the {place} senders.");
    page
}

/// Four digits, and powers of ten where it is large.
fn short(value: f64) -> String {
    if value.is_finite() && value >= 1e4 { format!("{value:.1e}") } else { format!("{value:.4}") }
}
