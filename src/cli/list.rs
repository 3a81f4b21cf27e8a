//! `byzlab list`: what there is of every kind.

use clap::Args;
use serde_json::{Value, json};

use super::print;
use super::usage::Usage;
use crate::catalog::{Catalog, did_you_mean};
use crate::{
    aggregators, attacks, datasets, like, metrics, models, partitions, poisons, preaggregators,
    systems, threats, topologies,
};

/// Lists the members of all catalogs, or of one kind.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The kind: aggregator, attack, data set, … [default: all]
    kind: Option<String>,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

/// One kind with its members, as `list` and `explain` show them.
#[derive(Debug)]
pub struct Shelf {
    /// What one member is called.
    pub kind: &'static str,
    /// The members.
    pub members: Vec<Listed>,
}

/// One member.
#[derive(Debug)]
pub struct Listed {
    /// Its name.
    pub name: &'static str,
    /// One line about it.
    pub summary: String,
    /// Authors, venue, year.
    pub reference: String,
    /// Its manual page.
    pub manual: String,
    /// The schema of its parameters.
    pub parameters: Value,
}

/// Every catalog, and the names of other libraries.
pub fn shelves() -> Vec<Shelf> {
    vec![
        shelf(&aggregators::CATALOG),
        shelf(&preaggregators::CATALOG),
        shelf(&attacks::CATALOG),
        shelf(&poisons::CATALOG),
        shelf(&threats::CATALOG),
        shelf(&topologies::CATALOG),
        shelf(&datasets::CATALOG),
        shelf(&partitions::CATALOG),
        shelf(&models::CATALOG),
        shelf(&systems::CATALOG),
        shelf(&metrics::CATALOG),
        Shelf { kind: "like", members: like::entries().map(borrowed).collect() },
    ]
}

fn shelf<T: ?Sized, C>(catalog: &Catalog<T, C>) -> Shelf {
    let members = catalog
        .entries
        .iter()
        .map(|entry| Listed {
            name: entry.name,
            summary: entry.summary.to_owned(),
            reference: entry.reference.to_owned(),
            manual: entry.manual(),
            parameters: (entry.parameters)().to_value(),
        })
        .collect();
    Shelf { kind: catalog.kind, members }
}

/// A name of another library, which stands for one of our members.
fn borrowed(entry: &'static like::Entry) -> Listed {
    let library = entry.name.split('.').next().unwrap_or_default();
    Listed {
        name: entry.name,
        summary: format!("{}: {} under that library's conventions", entry.kind, entry.member),
        reference: format!("outputs of {library}, compared to 2e-5 of the largest coordinate"),
        manual: format!(
            "What `{}` does, by our `{}` with that library's conventions and parameter names.\n\n\
             See `byzlab explain {}` for the formula and for when it fails.",
            entry.name, entry.member, entry.member
        ),
        parameters: (entry.parameters)().to_value(),
    }
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let mut shelves = shelves();
    if let Some(kind) = &arguments.kind {
        let wanted = kind.trim_end_matches('s').replace(['_', '-'], " ");
        let wanted = if wanted == "rule" { "aggregator".to_owned() } else { wanted };
        let kinds: Vec<&str> = shelves.iter().map(|shelf| shelf.kind).collect();
        if !shelves.iter().any(|shelf| matches(shelf.kind, &wanted)) {
            let help = did_you_mean(&wanted, kinds.iter().copied())
                .unwrap_or_else(|| format!("there are: {}", kinds.join(", ")));
            return Err(Usage::new(format!("there is no kind called `{kind}`; {help}")).into());
        }
        shelves.retain(|shelf| matches(shelf.kind, &wanted));
    }
    if arguments.json {
        return print(&format!("{:#}\n", Value::Array(shelves.iter().map(as_json).collect())));
    }
    let text: Vec<String> = shelves.iter().map(as_text).collect();
    print(&text.join("\n"))
}

/// Whether the user's word names this kind: `dataset` and `data set` are the same.
fn matches(kind: &str, wanted: &str) -> bool {
    let plain = |text: &str| text.replace([' ', '-'], "");
    plain(kind) == plain(wanted)
}

fn as_json(shelf: &Shelf) -> Value {
    let members: Vec<Value> = shelf
        .members
        .iter()
        .map(|member| {
            json!({
                "name": member.name,
                "summary": member.summary,
                "reference": member.reference,
                "parameters": member.parameters["properties"],
            })
        })
        .collect();
    json!({ "kind": shelf.kind, "members": members })
}

/// A heading and a line for each member, no wider than 80 columns where words allow it.
fn as_text(shelf: &Shelf) -> String {
    let width = shelf.members.iter().map(|member| member.name.len()).max().unwrap_or(0);
    let mut text = format!("{}\n", shelf.kind);
    for member in &shelf.members {
        let indent = width + 4;
        let lines = wrap(&member.summary, 80usize.saturating_sub(indent).max(20));
        for (number, line) in lines.iter().enumerate() {
            let name = if number == 0 { member.name } else { "" };
            text.push_str(&format!("  {name:width$}  {line}\n"));
        }
    }
    text
}

/// Breaks a text into lines of at most `columns` columns, at spaces.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always a line");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > columns {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_at_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("indivisible", 4), ["indivisible"]);
        assert_eq!(wrap("", 4), [""]);
    }

    #[test]
    fn kinds_are_found_however_they_are_written() {
        assert!(matches("data set", "dataset"));
        assert!(matches("pre-aggregator", "pre aggregator"));
        assert!(!matches("attack", "poison"));
    }
}
