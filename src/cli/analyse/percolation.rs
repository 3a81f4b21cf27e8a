//! `byzlab analyse percolation`: who falls with captured peers, predicted and run.

use clap::Args;
use serde_json::json;

use super::trials::{End, Group, TrialArguments};
use crate::analyses::percolation::{self, Analysis, AnalysisError, Case, Score, Settings};
use crate::cli::print;
use crate::cli::usage::Usage;
use crate::node::NodeId;

/// Nodes that are named in a line; more are counted.
const NAMED: usize = 6;

/// Holds who is predicted to fall with captured peers against who does.
///
/// A peer is predicted to fall when more of its neighbours are captured or have fallen than its
/// rule tolerates. It has fallen when its accuracy is beyond the margin below that of the same run
/// with everybody honest. The attack is the config's; so is how many are captured together.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    trials: TrialArguments,
    /// How many nodes are captured together [default: the config's `threat.corrupted`]
    #[arg(long, value_name = "B")]
    together: Option<usize>,
    /// Around how many nodes a set is captured, the most valuable first
    #[arg(long, value_name = "K", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    sets: u32,
    /// How many points of accuracy an honest node must drop to have fallen
    #[arg(long, value_name = "POINTS", default_value_t = 20.0)]
    margin: f64,
}

/// Runs the command.
pub(super) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    if !(arguments.margin > 0.0 && arguments.margin <= 100.0) {
        let margin = arguments.margin;
        return Err(Usage(format!("--margin is above 0 and up to 100, got {margin}")).into());
    }
    let (experiment, groups) = arguments.trials.groups()?;
    let analyses =
        arguments.trials.each("percolation", &experiment, &groups, |group, trials| {
            let settings = Settings {
                together: arguments.together.unwrap_or(group.plans[0].threat.corrupted.len()),
                sets: arguments.sets as usize,
                margin: arguments.margin / 100.0,
            };
            percolation::analyse(&group.plans, trials, &settings).map_err(|error| match error {
                AnalysisError::Unsuited(message) => End::Usage(message),
                AnalysisError::Trial(error) => End::Trial(error),
            })
        })?;
    let found = groups.iter().zip(&analyses);
    if arguments.trials.json {
        let line = |(group, analysis): (&Group, &Analysis)| {
            json!({ "cell": group.cell(), "analysis": analysis }).to_string() + "\n"
        };
        return print(&found.map(line).collect::<String>());
    }
    let tables: Vec<String> =
        found.map(|(group, analysis)| table(&group.suffix(), analysis)).collect();
    print(&format!("{}\n{LEGEND}", tables.join("\n")))
}

/// What the columns are.
const LEGEND: &str = "\
predicted: honest nodes with more captured or fallen neighbours than their rule
tolerates, one after the other; fell: whose accuracy dropped by more than the
margin; precision: of those predicted, who fell; recall: of those who fell, who
was predicted; surprised: of those predicted safe, who fell.
";

fn table(suffix: &str, analysis: &Analysis) -> String {
    let (least, most) = analysis.tolerated;
    let tolerated = if least == most { least.to_string() } else { format!("{least} to {most}") };
    let mut text = format!(
        "{}{suffix}\n{}, {}; peers tolerate {tolerated} liars\n\n  \
         seed   captured                  honest  predicted  fell   both\n",
        analysis.system, analysis.rule, analysis.attack
    );
    for case in &analysis.cases {
        text.push_str(&line(case));
    }
    let Score { honest, predicted, fell, both, precision, recall, surprised } = analysis.score;
    text.push_str(&format!("  {:<33}{honest:<8}{predicted:<11}{fell:<7}{both}\n", "all"));
    let share = |share: Option<f64>| match share {
        Some(share) => format!("{:.1} %", 100.0 * share),
        None => "-".to_owned(),
    };
    text.push_str(&format!(
        "\n  precision {}, recall {}, surprised {}\n",
        share(precision),
        share(recall),
        share(surprised)
    ));
    text
}

fn line(case: &Case) -> String {
    let mut captured: Vec<String> =
        case.captured.iter().take(NAMED).map(NodeId::to_string).collect();
    if case.captured.len() > NAMED {
        captured.push("...".to_owned());
    }
    format!(
        "  {:<7}{:<26}{:<8}{:<11}{:<7}{}\n",
        case.seed,
        captured.join(" "),
        case.honest,
        case.predicted.len(),
        case.fell.len(),
        case.both()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_as_it_is_printed() {
        let nodes = |ids: &[u32]| ids.iter().copied().map(NodeId).collect::<Vec<_>>();
        let cases = vec![
            Case {
                seed: 1,
                captured: nodes(&[0, 2]),
                predicted: nodes(&[1]),
                fell: nodes(&[1, 3]),
                honest: 6,
            },
            Case { seed: 1, captured: nodes(&[4]), predicted: vec![], fell: vec![], honest: 7 },
        ];
        let analysis = Analysis {
            system: "gossip:ring".to_owned(),
            rule: "median".to_owned(),
            attack: "sign_flip".to_owned(),
            tolerated: (1, 1),
            score: Score::of(&cases),
            cases,
        };
        let expected = "\
gossip:ring
median, sign_flip; peers tolerate 1 liars

  seed   captured                  honest  predicted  fell   both
  1      0 2                       6       1          2      1
  1      4                         7       0          0      0
  all                              13      1          2      1

  precision 100.0 %, recall 50.0 %, surprised 8.3 %
";
        assert_eq!(table("", &analysis), expected);
    }
}
