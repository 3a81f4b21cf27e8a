//! The comparison as text, at most 80 columns wide.

use super::{Comparison, Over, Place};

/// The widest line.
const WIDTH: usize = 80;

/// The columns of numbers: ours, theirs, the difference, the band, the verdict.
const NUMBERS: usize = 7 + 8 + 8 + 14 + 9;

/// The table of a folder.
pub fn render(title: &str, comparisons: &[Comparison]) -> String {
    let mut text = format!("{title}: published and our own accuracies, in percent\n\n");
    let shared = shared(comparisons);
    if !shared.is_empty() {
        text.push_str(&wrapped(&format!("all with {}", name(&shared)), 0));
        text.push('\n');
    }
    let head = numbers(["ours", "theirs", "differ", "band", ""]);
    text.push_str(&format!("{:width$}{head}\n", "", width = WIDTH - NUMBERS));
    for comparison in comparisons {
        text.push_str(&line(comparison, &shared));
    }
    let count = |place| comparisons.iter().filter(|found| found.place() == place).count();
    let seeds = comparisons.iter().map(|found| found.seeds).filter(|seeds| *seeds > 0).min();
    text.push_str(&format!(
        "\n{} of {} inside the band, {} outside, {} not run; {} seed(s) at least\n",
        count(Place::Inside),
        comparisons.len(),
        count(Place::Outside),
        count(Place::Missing),
        seeds.unwrap_or(0)
    ));
    text
}

/// The keys and values that all rows name.
fn shared(comparisons: &[Comparison]) -> Vec<(String, String)> {
    let Some(first) = comparisons.first().filter(|_| comparisons.len() > 1) else {
        return Vec::new();
    };
    let everywhere = |pair: &&(String, String)| {
        comparisons.iter().all(|found| found.expectation.keys.contains(pair))
    };
    first.expectation.keys.iter().filter(everywhere).cloned().collect()
}

fn line(comparison: &Comparison, shared: &[(String, String)]) -> String {
    let expectation = &comparison.expectation;
    let keys: Vec<(String, String)> =
        expectation.keys.iter().filter(|pair| !shared.contains(pair)).cloned().collect();
    let over = match &expectation.over {
        Over::One => String::new(),
        Over::Minimum(key) => format!("least of {} over {}", comparison.cells, short(key)),
        Over::Maximum(key) => format!("greatest of {} over {}", comparison.cells, short(key)),
        Over::Mean(key) => format!("mean of {} over {}", comparison.cells, short(key)),
        Over::Difference { from, subtracted, .. } => format!("{from} minus {subtracted}"),
    };
    let parts = [name(&keys), over, expectation.metric.name().to_owned()];
    let named: Vec<String> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    let percent = |value: Option<f64>| value.map_or("-".to_owned(), |it| shown(it, false));
    let values = numbers([
        &percent(comparison.ours),
        &percent(expectation.expected),
        &comparison.difference().map_or("-".to_owned(), |it| shown(it, true)),
        &band(expectation.low, expectation.high),
        match comparison.place() {
            Place::Inside => "inside",
            Place::Outside => "OUTSIDE",
            Place::Missing => "not run",
        },
    ]);
    let text = wrapped(&named.join(", "), WIDTH - NUMBERS - 1);
    let mut lines: Vec<&str> = text.lines().collect();
    let last = lines.pop().unwrap_or_default();
    let last = format!("{last:width$}{values}", width = WIDTH - NUMBERS);
    lines.push(&last);
    lines.join("\n") + "\n"
}

fn numbers([ours, theirs, difference, band, verdict]: [&str; 5]) -> String {
    let line = format!("{ours:>7}{theirs:>8}{difference:>8}{band:>14}  {verdict}");
    line.trim_end().to_owned()
}

fn shown(value: f64, sign: bool) -> String {
    let value = value * 100.0;
    if sign { format!("{value:+.1}") } else { format!("{value:.1}") }
}

fn band(low: Option<f64>, high: Option<f64>) -> String {
    match (low, high) {
        (Some(low), Some(high)) => format!("{}..{}", shown(low, false), shown(high, false)),
        (Some(low), None) => format!("from {}", shown(low, false)),
        (None, Some(high)) => format!("to {}", shown(high, false)),
        (None, None) => String::new(),
    }
}

/// The last part of a key: `training.momentum` is momentum.
fn short(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

/// A cell by its values; a bare number by its key as well.
pub(super) fn name(keys: &[(String, String)]) -> String {
    let named = keys.iter().map(|(key, value)| match value.parse::<f64>() {
        Ok(_) => format!("{} {value}", short(key)),
        Err(_) => value.clone(),
    });
    named.collect::<Vec<_>>().join(", ")
}

/// The text in lines of at most `width` characters, or of 80; words that are longer are cut.
fn wrapped(text: &str, width: usize) -> String {
    let width = if width == 0 { WIDTH } else { width };
    let mut lines: Vec<String> = vec![String::new()];
    for word in text.split(' ') {
        let mut word: Vec<char> = word.chars().collect();
        let used = lines.last().map_or(0, |line| line.chars().count());
        if used > 0 && used + 1 + word.len() > width {
            lines.push(String::new());
        } else if used > 0 {
            lines.last_mut().expect("there is a line").push(' ');
        }
        while word.len() > width {
            let rest = word.split_off(width);
            lines.last_mut().expect("there is a line").extend(word);
            lines.push(String::new());
            word = rest;
        }
        lines.last_mut().expect("there is a line").extend(word);
    }
    lines.join("\n") + "\n"
}
