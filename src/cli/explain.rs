//! `byzlab explain`: the manual page of one member.

use clap::Args;
use serde_json::Value;

use super::list::{Listed, shelves, wrap};
use super::print;
use super::usage::Usage;
use crate::catalog::did_you_mean;

/// Explains a rule, an attack, a data set, …: what it does, when it fails, its parameters.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The member: krum, little_is_enough, byzfl.Krum, …
    name: String,
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let shelves = shelves();
    let found = shelves.iter().flat_map(|shelf| {
        let members = shelf.members.iter().filter(|member| member.name == arguments.name);
        members.map(move |member| (shelf.kind, member))
    });
    let found: Vec<(&str, &Listed)> = found.collect();
    if found.is_empty() {
        let names = shelves.iter().flat_map(|shelf| shelf.members.iter().map(|member| member.name));
        let help = did_you_mean(&arguments.name, names)
            .unwrap_or_else(|| "`byzlab list` names everything".to_owned());
        return Err(Usage::new(format!("nothing is called `{}`; {help}", arguments.name)).into());
    }
    if arguments.json {
        let pages: Vec<Value> = found.iter().map(|(kind, member)| as_json(kind, member)).collect();
        return print(&format!("{:#}\n", Value::Array(pages)));
    }
    let pages: Vec<String> = found.iter().map(|(kind, member)| page(kind, member)).collect();
    print(&pages.join("\n"))
}

fn as_json(kind: &str, member: &Listed) -> Value {
    serde_json::json!({
        "kind": kind,
        "name": member.name,
        "summary": member.summary,
        "reference": member.reference,
        "manual": member.manual,
        "parameters": member.parameters,
    })
}

fn page(kind: &str, member: &Listed) -> String {
    let mut text = format!("{} ({kind})\n\n{}\n", member.name, member.manual.trim_end());
    let properties = member.parameters["properties"].as_object();
    let Some(properties) = properties.filter(|properties| !properties.is_empty()) else {
        text.push_str("\nIt takes no parameters.\n");
        return text;
    };
    text.push_str("\nParameters\n");
    for (name, schema) in properties {
        let default = match &schema["default"] {
            Value::Null => String::new(),
            value => format!(" = {value}"),
        };
        text.push_str(&format!("  {name}{default}\n"));
        let description = schema["description"].as_str().unwrap_or_default();
        for line in wrap(description, 74) {
            text.push_str(&format!("      {line}\n"));
        }
    }
    text
}
