//! The tables of points of failure, at most 80 columns wide.

use crate::analyses::points_of_failure::search::{Effect, Set, Step};
use crate::analyses::points_of_failure::{Analysis, Finding, Settings};
use crate::node::NodeId;
use crate::systems::formula::Bounds;

/// Columns of a line.
const WIDTH: usize = 80;

/// Sets that are named; more are counted.
const SETS_NAMED: usize = 4;

/// Nodes of a set that are named; more are counted.
const NODES_NAMED: usize = 12;

/// A row: its name and what it shows of a finding, given how many parts there are.
type Row = (&'static str, fn(&Finding, usize) -> String);

const ROWS: [Row; 7] = [
    ("k*", |found, parts| bounds(&found.parts, parts)),
    ("by formula", |found, parts| {
        found.formula.as_ref().map_or("-".to_owned(), |known| bounds(&known.parts, parts))
    }),
    ("c1", |found, _| {
        let more = if found.alone_is_complete { "" } else { " or more" };
        format!("{}{more}", found.alone.len())
    }),
    ("targets", |found, _| found.targets.to_string()),
    ("cheapest set", |found, parts| cost(found, parts, found.cost.at_least, found.cost.price)),
    ("h*", |found, parts| cost(found, parts, found.cost.hardening_at_least, found.cost.hardening)),
    ("sets run", |found, _| found.tried.to_string()),
];

/// Everything that was found for one system.
pub(super) fn table(suffix: &str, analysis: &Analysis) -> String {
    let Analysis { availability, integrity, confidentiality, .. } = analysis;
    let findings = [availability, integrity, confidentiality];
    let mut text = wrapped(&opening(suffix, analysis), 0);
    text.push_str("\n                availability        integrity           confidentiality\n");
    for (name, show) in ROWS {
        let cells = findings.map(|found| format!("{:<18}", show(found, analysis.parts.len())));
        text.push_str(format!("  {name:<14}{}", cells.join("  ")).trim_end());
        text.push('\n');
    }
    text.push('\n');
    for (name, found) in ["availability", "integrity", "confidentiality"].iter().zip(findings) {
        text.push_str(&wrapped(&reasons(name, found), 2));
    }
    text.push_str(&curve("crash", &analysis.untouched, &availability.curve));
    text.push_str(&curve("lie", &analysis.untouched, &integrity.curve));
    text
}

fn opening(suffix: &str, analysis: &Analysis) -> String {
    let mut roles: Vec<(&str, usize)> = Vec::new();
    for (_, role) in &analysis.parts {
        match roles.iter_mut().find(|(known, _)| known == role) {
            Some((_, count)) => *count += 1,
            None => roles.push((role, 1)),
        }
    }
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let parts: Vec<String> =
        roles.iter().map(|(role, count)| format!("{count} {role}{}", plural(*count))).collect();
    let seeds = analysis.seeds.len();
    format!(
        "{}{suffix}: made up of {}; {seeds} seed{}, {} runs. With nobody fallen the worst honest \
         node comes to {} %.",
        analysis.system,
        parts.join(", "),
        plural(seeds),
        analysis.runs,
        percent(analysis.untouched.worst)
    )
}

/// Which sets do it, which parts alone, and what the formula rests on.
fn reasons(name: &str, found: &Finding) -> String {
    let mut sets: Vec<String> = found.sets.iter().take(SETS_NAMED).map(named).collect();
    if found.sets.len() > SETS_NAMED {
        sets.push(format!("and {} more", found.sets.len() - SETS_NAMED));
    }
    let mut text = if sets.is_empty() {
        format!("{name}: no set was found")
    } else {
        format!("{name}: found to be enough {}", sets.join(", "))
    };
    if !found.alone.is_empty() {
        text.push_str(&format!("; alone {}", named(&found.alone)));
    }
    if let Some(known) = &found.formula {
        text.push_str(&format!(". Formula: {}", known.why));
    }
    if found.agrees == Some(false) {
        text.push_str(". THE FORMULA AND WHAT WAS FOUND DISAGREE");
    }
    text + "."
}

fn named(set: &Set) -> String {
    let mut nodes: Vec<String> = set.iter().take(NODES_NAMED).map(NodeId::to_string).collect();
    if set.len() > NODES_NAMED {
        nodes.push(format!("and {} more", set.len() - NODES_NAMED));
    }
    format!("{{{}}}", nodes.join(", "))
}

/// What happens as parts fall, a line for each.
fn curve(done: &str, untouched: &Effect, steps: &[Step]) -> String {
    if steps.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "\n  Parts that {done}:\n    fallen  the last  available, %  worst, %  beyond, %\n"
    );
    let line = |fallen: usize, last: String, effect: &Effect| {
        let mark = if effect.fails { "  failed" } else { "" };
        format!(
            "    {fallen:<8}{last:<10}{:<14}{:<10}{:<9}{mark}",
            percent(effect.availability),
            percent(effect.worst),
            percent(effect.beyond),
        )
        .trim_end()
        .to_owned()
            + "\n"
    };
    text.push_str(&line(0, "-".to_owned(), untouched));
    for (index, step) in steps.iter().enumerate() {
        let mark = if step.compared { "" } else { "*" };
        text.push_str(&line(index + 1, format!("{}{mark}", step.part), &step.effect));
    }
    text
}

/// What the words mean.
pub(super) fn legend(settings: &Settings) -> String {
    wrapped(
        &format!(
            "k*: the fewest parts that must fall together; c1: parts that are enough alone; \
             targets: parts to try. Availability has failed when fewer than {} % of the rounds \
             come to something for those who are left; integrity when the worst honest node is \
             more than {} points below that of the run with nobody fallen, or no better than \
             chance; confidentiality when every worker's own update or model is seen. beyond: \
             honest nodes that have dropped by more than the margin. h*: how many times dearer \
             one server must be for its capture to cost as much as the cheapest set here. \
             *: the most valuable part that stood; the budget did not allow to compare all.",
            percent(settings.threshold),
            percent(settings.margin)
        ),
        0,
    )
}

fn bounds(bounds: &Bounds, parts: usize) -> String {
    match bounds.at_most {
        None if bounds.at_least > parts => "never".to_owned(),
        _ => bounds.to_string(),
    }
}

fn cost(found: &Finding, parts: usize, at_least: f64, at_most: Option<f64>) -> String {
    match at_most {
        Some(most) if most <= at_least => number(most),
        Some(most) => format!("{}..{}", number(at_least), number(most)),
        None if found.parts.at_least > parts => "-".to_owned(),
        None => format!("{} or more", number(at_least)),
    }
}

/// At most two decimals, and none that say nothing.
fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn percent(share: f64) -> String {
    number((1000.0 * share).round() / 10.0)
}

/// Lines of at most 80 columns, those after the first indented.
fn wrapped(text: &str, indent: usize) -> String {
    let mut lines = String::new();
    let mut line = " ".repeat(indent);
    let mut empty = true;
    for word in text.split_whitespace() {
        if !empty && line.chars().count() + 1 + word.chars().count() > WIDTH {
            lines.push_str(&line);
            lines.push('\n');
            line = " ".repeat(2 * indent);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    lines + &line + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        assert_eq!([1.0, 2.5, 10.0, 0.333].map(number), ["1", "2.5", "10", "0.33"]);
        assert_eq!([1.0, 0.5, 0.333].map(percent), ["100", "50", "33.3"]);
        assert_eq!(bounds(&Bounds::at_least(5), 4), "never");
        assert_eq!(bounds(&Bounds::at_least(4), 4), "4 or more");
    }

    #[test]
    fn long_lines_are_broken_between_words() {
        let long = "nineteen letters on ".repeat(9);
        let text = wrapped(&long, 2);
        assert!(text.lines().count() == 3 && text.lines().all(|line| line.len() <= WIDTH));
        assert!(text.starts_with("  nineteen"), "{text}");
        assert!(text.lines().skip(1).all(|line| line.starts_with("    ")), "{text}");
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(&text), words(&long));
    }
}
