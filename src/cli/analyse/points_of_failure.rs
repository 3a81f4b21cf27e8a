//! `byzlab analyse points_of_failure`: how many parts of a system must fall.

mod text;

use clap::Args;
use serde_json::json;

use super::trials::{End, Group, TrialArguments};
use crate::analyses::points_of_failure::cost::{Prices, SERVER};
use crate::analyses::points_of_failure::{self, Analysis, AnalysisError, Settings, parts};
use crate::catalog::did_you_mean;
use crate::cli::print;
use crate::cli::usage::Usage;

/// Finds how many parts of a system must fall: k*, c1, targets, blast radius and break-even price.
///
/// Runs the system with parts that crash, and with parts that lie, against the same run with nobody
/// fallen: one part after the other, the one that hurts most first, and then every smaller set as
/// far as the budget goes. A sweep is searched for each combination of its values.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    trials: TrialArguments,
    /// The most runs for a combination of swept values, half for each harm that is run
    #[arg(long, value_name = "RUNS", default_value_t = 300)]
    budget: usize,
    /// Integrity has failed when the worst honest node is so many points of accuracy below that of
    /// the run with nobody fallen
    #[arg(long, value_name = "POINTS", default_value_t = 20.0)]
    margin: f64,
    /// Availability has failed below this share of rounds
    #[arg(long, value_name = "SHARE", default_value_t = 0.5)]
    threshold: f64,
    /// What the vectors of a captured part are multiplied with
    #[arg(long, value_name = "FACTOR", default_value_t = -1.0, allow_negative_numbers = true)]
    factor: f32,
    /// What a part of a role costs an attacker, such as `replica=2`; 1 for roles that are not named
    #[arg(long = "price", value_name = "ROLE=PRICE", value_parser = price)]
    prices: Vec<(String, f64)>,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (experiment, groups) = arguments.trials.groups()?;
    let settings = arguments.settings(&groups)?;
    let analyses =
        arguments.trials.each("points_of_failure", &experiment, &groups, |group, trials| {
            points_of_failure::analyse(&group.plans, trials, &settings).map_err(|error| match error
            {
                AnalysisError::Unsuited(message) => End::Usage(message),
                AnalysisError::Trial(error) => End::Trial(error),
            })
        })?;
    let found = groups.iter().zip(&analyses);
    if arguments.trials.json {
        let lines: Vec<String> = found.map(|(group, analysis)| line(group, analysis)).collect();
        return print(&(lines.join("\n") + "\n"));
    }
    let tables: Vec<String> =
        found.map(|(group, analysis)| text::table(&group.suffix(), analysis)).collect();
    print(&format!("{}\n{}", tables.join("\n"), text::legend(&settings)))
}

fn line(group: &Group, analysis: &Analysis) -> String {
    json!({ "cell": group.cell(), "analysis": analysis }).to_string()
}

impl Arguments {
    fn settings(&self, groups: &[Group]) -> Result<Settings, Usage> {
        let seeds = groups.iter().map(|group| group.plans.len()).max().unwrap_or(1);
        if self.budget < 2 * seeds {
            return Err(Usage(format!(
                "--budget {} is too small: two harms and {seeds} seeds take {} runs at least",
                self.budget,
                2 * seeds
            )));
        }
        if !(self.margin > 0.0 && self.margin <= 100.0) {
            return Err(Usage(format!("--margin is above 0 and up to 100, got {}", self.margin)));
        }
        if !(self.threshold > 0.0 && self.threshold <= 1.0) {
            let threshold = self.threshold;
            return Err(Usage(format!("--threshold is above 0 and up to 1, got {threshold}")));
        }
        if !self.factor.is_finite() {
            return Err(Usage(format!("--factor must be a finite number, got {}", self.factor)));
        }
        Ok(Settings {
            budget: self.budget,
            margin: self.margin / 100.0,
            threshold: self.threshold,
            factor: self.factor,
            prices: self.prices(groups)?,
        })
    }

    /// The prices, of roles that some system has.
    fn prices(&self, groups: &[Group]) -> Result<Prices, Usage> {
        let first = groups.iter().filter_map(|group| group.plans.first());
        let mut roles: Vec<&str> = first.flat_map(parts).map(|(_, role)| role).collect();
        roles.push(SERVER);
        roles.sort_unstable();
        roles.dedup();
        let prices = Prices::new(self.prices.iter().cloned());
        if let Some(unknown) = prices.roles().find(|role| !roles.contains(role)) {
            let help = did_you_mean(unknown, roles.iter().copied())
                .unwrap_or_else(|| format!("there are {}", roles.join(", ")));
            return Err(Usage(format!("no part is a `{unknown}`; {help}")));
        }
        Ok(prices)
    }
}

/// Reads `role=price`.
fn price(text: &str) -> Result<(String, f64), String> {
    let (role, price) =
        text.split_once('=').ok_or_else(|| format!("expected role=price, got `{text}`"))?;
    match price.trim().parse::<f64>() {
        Ok(price) if price.is_finite() && price > 0.0 => Ok((role.trim().to_owned(), price)),
        _ => Err(format!("a price is a number above 0, got `{price}`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_read_or_refused() {
        assert_eq!(price("bridge=2.5"), Ok(("bridge".to_owned(), 2.5)));
        for wrong in ["bridge", "bridge=", "bridge=0", "bridge=-1", "bridge=inf", "bridge=nan"] {
            assert!(price(wrong).is_err(), "{wrong}");
        }
    }
}
