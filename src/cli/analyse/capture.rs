//! `byzlab analyse capture`: how likely a random committee is in byzantine hands.

use clap::Args;

use crate::analyses::capture::{Capture, Chance};
use crate::cli::print;
use crate::cli::usage::Usage;

/// Print how likely a random committee or neighbourhood is captured.
///
/// For the neighbours of one honest node, the population is everybody else.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// How many candidates there are.
    #[arg(long, value_name = "N", default_value_t = 100)]
    population: u64,
    /// How many of them are byzantine.
    #[arg(long, value_name = "B", default_value_t = 20)]
    byzantine: u64,
    /// How many are drawn, without repetition.
    #[arg(long, value_name = "SIZES", value_delimiter = ',', default_values_t = [4, 7, 13])]
    size: Vec<u64>,
    /// How many times a committee is drawn anew.
    #[arg(long, value_name = "R", default_value_t = 1000)]
    rounds: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let Arguments { population, byzantine, rounds, .. } = *arguments;
    let captures = arguments
        .size
        .iter()
        .map(|size| Capture::of(population, byzantine, *size, rounds))
        .collect::<Result<Vec<Capture>, _>>()
        .map_err(|error| Usage(error.to_string()))?;
    if arguments.json {
        return print(&(serde_json::to_string(&captures)? + "\n"));
    }
    let mut text = format!(
        "{byzantine} of {population} candidates are byzantine. In one draw, and at least once in \
         {rounds}:\n\n  \
         size          more than 1/3       more than 1/2       1/2 or more         all\n"
    );
    for capture in &captures {
        let chances =
            [capture.more_than_third, capture.majority, capture.half_or_more, capture.all];
        for (name, value) in [("once", once as fn(Chance) -> f64), ("ever", ever)] {
            let size = if name == "once" { capture.size.to_string() } else { String::new() };
            let cells = chances.map(|chance| format!("{:<18}", short(value(chance))));
            text.push_str(format!("  {size:<8}{name}  {}", cells.join("  ")).trim_end());
            text.push('\n');
        }
    }
    print(&text)
}

fn once(chance: Chance) -> f64 {
    chance.once
}

fn ever(chance: Chance) -> f64 {
    chance.ever
}

/// Six digits, as powers of ten where it is tiny; certainty is not rounded up to.
fn short(probability: f64) -> String {
    if probability == 0.0 || probability == 1.0 {
        format!("{probability}")
    } else if probability < 1e-3 {
        format!("{probability:.5e}")
    } else if probability > 1.0 - 1e-6 {
        format!("1 - {:.5e}", 1.0 - probability)
    } else {
        format!("{probability:.6}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_certainty_is_exact() {
        assert_eq!(short(0.0), "0");
        assert_eq!(short(1.0), "1");
        assert_eq!(short(0.028_126_6), "0.028127");
        assert_eq!(short(5.116e-7), "5.11600e-7");
        assert_eq!(short(1.0 - 2f64.powi(-30)), "1 - 9.31323e-10");
    }
}
