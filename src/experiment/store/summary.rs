//! What a run comes to, and what a checkpoint carries along to be able to say so.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

/// What a finished run came to; the content of `DONE`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The run.
    pub run_id: String,
    /// The degree of decentralization.
    pub system: String,
    /// Which runtime drove it.
    pub runtime: String,
    /// The rule.
    pub rule: String,
    /// The attack, or `none`.
    pub attack: String,
    /// What became of the system's parts, or `none`.
    pub downfall: String,
    /// The partition.
    pub partition: String,
    /// The seed.
    pub seed: u64,
    /// How many rounds were closed.
    pub rounds: u32,
    /// Accuracy on the test set after the last round, 0 to 1; of the worst honest node where
    /// there are several models.
    pub final_accuracy: f64,
    /// Mean cross-entropy on the test set after the last round; NaN where that is no number.
    #[serde(deserialize_with = "number_or_nan")]
    pub final_loss: f64,
    /// Accuracy on the training samples that were held out, after the last round, 0 to 1, of the
    /// honest node that does worst on them; absent where none were held out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_validation_accuracy: Option<f64>,
    /// Mean cross-entropy of that node on them; absent where that is no number, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_validation_loss: Option<f64>,
    /// The digest of the last model.
    pub final_digest: String,
    /// The accuracy that a tenth of the honest nodes do not exceed.
    pub accuracy_p10: f64,
    /// The median accuracy over honest nodes.
    pub accuracy_median: f64,
    /// The mean accuracy over honest nodes.
    pub accuracy_mean: f64,
    /// The accuracy of the mean of all honest models, which nobody holds.
    pub averaged_model_accuracy: f64,
    /// The mean squared distance of honest models to their mean; NaN where that is no number.
    #[serde(deserialize_with = "number_or_nan")]
    pub disagreement: f64,
    /// The success of a poison's trigger after the last round, 0 to 1; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attack_success_rate: Option<f64>,
    /// The share of rounds for which more of the corrupted were drawn than were declared; absent
    /// where everybody takes part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overdrawn: Option<f64>,
    /// The share of rounds, over honest workers, that came to something.
    pub availability: f64,
    /// How long the run takes on the configured network, in seconds.
    pub virtual_seconds: f64,
    /// Encoded bytes that all nodes sent.
    pub bytes_total: u64,
    /// Encoded bytes of the busiest node of each round.
    pub bytes_busiest: u64,
    /// Rounds in which the rule refused the rows.
    pub skipped: u32,
    /// Messages that were refused.
    pub refused: u64,
    /// Rounds that a deadline closed.
    pub timed_out: u32,
    /// Honest workers whose steps ended in no number, with the first round of each.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub diverged: BTreeMap<u32, u32>,
    /// Wall time of the part of the run that ended it, in seconds.
    pub seconds: f64,
}

/// Totals that a checkpoint carries along.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// The sum over rounds of the share of honest workers for which they came to something.
    pub completed: f64,
    /// Virtual seconds.
    pub virtual_seconds: f64,
    /// Encoded bytes.
    pub bytes_total: u64,
    /// Encoded bytes of the busiest node of each round.
    pub bytes_busiest: u64,
    /// Rounds in which the rule refused the rows.
    pub skipped: u32,
    /// Messages that were refused.
    pub refused: u64,
    /// Rounds that a deadline closed.
    pub timed_out: u32,
    /// Honest workers whose steps ended in no number, with the first round of each.
    #[serde(default)]
    pub diverged: BTreeMap<u32, u32>,
}

impl Summary {
    /// What is to be said of a run that did not go as its question supposes.
    pub fn verdict(&self) -> Option<String> {
        let first = self.diverged.values().min();
        if let Some(first) = first {
            let workers = self.diverged.len();
            return Some(format!(
                "{workers} honest worker(s) diverged, the first in round {first}: loss or \
                 parameters were no numbers, and they were absent; lower the learning rate"
            ));
        }
        if !self.final_loss.is_finite() {
            let diverged = "the last model has no finite loss: the run diverged; lower the \
                            learning rate";
            return Some(diverged.to_owned());
        }
        let overdrawn = self.overdrawn.filter(|share| *share > 0.0)?;
        Some(format!(
            "{:.1} % of the rounds drew more corrupted workers than `aggregation.byzantine`",
            overdrawn * 100.0
        ))
    }
}

/// Reads what JSON has no number for, and writes as null.
fn number_or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}
