//! What a round comes to for a member: the ledger's next line and the model after it.

use std::sync::Arc;

use ndarray::Array1;

use super::Member;
use super::open::Open;
use super::sitting::Sitting;
use crate::ledger::file;
use crate::training::Descent;
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
                let direction = self.moved_along(model);
                self.previous = self.aggregate_of(direction.as_ref());
                self.direction = direction;
                self.model = Arc::clone(model);
                (line, None)
            }
            None => (line, Some("the model of the decided block did not come".to_owned())),
        }
    }

    /// What led to this model, as everybody can tell from the two models.
    fn moved_along(&self, after: &Shared) -> Option<Shared> {
        let rate = self.settings.aggregation.descent.learning_rate;
        let steps = as_slice(&self.model).iter().zip(as_slice(after));
        let steps = steps.map(|(before, after)| (before - after) / rate);
        (rate != 0.0).then(|| Arc::new(steps.collect::<Array1<f32>>()))
    }

    /// The aggregate in this direction: what is new in it beside the momentum, which is the
    /// direction before. Everybody can tell, whoever sat in which round.
    fn aggregate_of(&self, direction: Option<&Shared>) -> Option<Shared> {
        let direction = direction?;
        let Descent { momentum, dampening, .. } = self.settings.aggregation.descent;
        if momentum == 0.0 && dampening == 0.0 {
            return Some(Arc::clone(direction));
        }
        let fresh = 1.0 - dampening;
        let before = self.direction.as_ref().map_or(&[][..], |before| as_slice(before));
        let before = before.iter().copied().chain(std::iter::repeat(0.0));
        let steps = as_slice(direction).iter().zip(before);
        let steps = steps.map(|(now, before)| (now - momentum * before) / fresh);
        (fresh != 0.0).then(|| Arc::new(steps.collect::<Array1<f32>>()))
    }
}
