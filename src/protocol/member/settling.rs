//! What a round comes to for a member: the ledger's next line and the model after it.

use std::sync::Arc;

use ndarray::Array1;

use super::Member;
use super::open::Open;
use super::sitting::Sitting;
use crate::ledger::file;
use crate::vector::{Shared, as_slice};

impl Member {
    /// Takes in what was decided; returns the ledger's line, and why the model stayed if it did.
    pub(super) fn settle(&mut self, open: &Open) -> (Option<Arc<str>>, Option<String>) {
        let reason = open.sitting.as_ref().and_then(Sitting::reason).map(str::to_owned);
        let Some((decision, block)) = &open.found else {
            let nothing = || "the committee came to no decision".to_owned();
            return (None, Some(reason.unwrap_or_else(nothing)));
        };
        let appended = self.chain.append(block.clone(), decision.certificate.clone());
        let entry = match appended {
            Ok(entry) => entry,
            Err(fault) => return (None, Some(format!("the decided block does not fit: {fault}"))),
        };
        let line = Some(file::line(&entry).into());
        if block.list.is_empty() {
            let refused = || "the committee agreed that the rule refuses the rows".to_owned();
            return (line, Some(reason.unwrap_or_else(refused)));
        }
        let step = open.sitting.as_ref().and_then(Sitting::step).map(|step| &step.model);
        match step.or(open.model.as_ref()) {
            Some(model) => {
                self.previous = self.direction(model);
                self.model = Arc::clone(model);
                (line, None)
            }
            None => (line, Some("the model of the decided block did not come".to_owned())),
        }
    }

    /// The aggregate that led to this model, as everybody can tell from the two models.
    fn direction(&self, after: &Shared) -> Option<Shared> {
        let rate = self.settings.aggregation.learning_rate;
        let steps = as_slice(&self.model).iter().zip(as_slice(after));
        let steps = steps.map(|(before, after)| (before - after) / rate);
        (rate != 0.0).then(|| Arc::new(steps.collect::<Array1<f32>>()))
    }
}
