//! Agreement on a model among those who were sent several: by equal digests, or by the median.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::aggregators::{CATALOG, Context};
use crate::memory::Memory;
use crate::node::{NodeId, Round};
use crate::seed::{Purpose, run_stream};
use crate::vector::{Digest, Shared, stack};

/// How a model is chosen among those that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accept {
    /// The one that at least `needed` senders sent to the last bit. With f liars f + 1 are enough:
    /// one of them is honest.
    Matching {
        /// How many must be equal.
        needed: usize,
    },
    /// The coordinate-wise median of all, of which at least `needed` must have come. With f liars
    /// that is 2f + 1: then every coordinate lies between those of two honest models.
    Median {
        /// How many must have come.
        needed: usize,
    },
}

/// Models with their digests, by sender.
pub type Models = BTreeMap<NodeId, (Shared, Digest)>;

impl Accept {
    /// The model that is believed, or why none is. `senders` is how many could have sent one.
    pub fn choose(self, models: &Models, senders: usize) -> Result<Shared, String> {
        if models.is_empty() {
            return Err(format!("no model came from {senders} senders"));
        }
        match self {
            Accept::Matching { needed } => matching(models, needed, senders),
            Accept::Median { needed } if models.len() < needed => Err(format!(
                "the median needs {needed} models and {} of {senders} came",
                models.len()
            )),
            Accept::Median { .. } => Ok(median(models)),
        }
    }
}

/// The model that most senders agree on, if they are enough. Where two are equally many, which
/// takes more liars than were reckoned with, the first sender decides.
fn matching(models: &Models, needed: usize, senders: usize) -> Result<Shared, String> {
    let mut votes: Vec<(Digest, usize, &Shared)> = Vec::new();
    for (model, digest) in models.values() {
        match votes.iter_mut().find(|(voted, _, _)| voted == digest) {
            Some((_, count, _)) => *count += 1,
            None => votes.push((*digest, 1, model)),
        }
    }
    let most = votes.iter().map(|(_, count, _)| *count).max().unwrap_or(0);
    match votes.into_iter().find(|(_, count, _)| *count == most) {
        Some((_, count, model)) if count >= needed => Ok(Arc::clone(model)),
        _ => Err(format!(
            "{needed} equal models are needed; {} of {senders} came, {most} of them equal",
            models.len()
        )),
    }
}

/// The middle value of every coordinate, the midpoint of two for an even number of models.
fn median(models: &Models) -> Shared {
    let senders: Vec<NodeId> = models.keys().copied().collect();
    let rows = models.iter().map(|(&node, (model, _))| (node, Arc::clone(model))).collect();
    let rule = CATALOG.build_default("median").expect("the median has defaults");
    let mut context = Context {
        round: Round(0),
        rounds_total: 0,
        byzantine: 0,
        senders: &senders,
        samples: None,
        previous: None,
        trusted: None,
        head: None,
        memory: &mut Memory::default(),
        rng: &mut run_stream(0, Purpose::Aggregation),
    };
    let middle = rule.value.aggregate(stack(&rows).view(), &mut context);
    Arc::new(middle.expect("a median of at least one model is defined").vector)
}

#[cfg(test)]
mod tests {
    use ndarray::Array1;

    use super::*;
    use crate::vector::as_slice;

    fn models(values: &[f32]) -> Models {
        let model = |(index, &value): (usize, &f32)| {
            let model: Shared = Arc::new(Array1::from(vec![value]));
            let digest = Digest::of(as_slice(&model));
            (NodeId(index as u32 + 10), (model, digest))
        };
        values.iter().enumerate().map(model).collect()
    }

    fn choose(accept: Accept, values: &[f32]) -> Result<f32, String> {
        accept.choose(&models(values), 4).map(|model| model[0])
    }

    #[test]
    fn two_equal_models_are_believed_and_the_larger_party_wins() {
        let two = Accept::Matching { needed: 2 };
        assert_eq!(choose(two, &[9.0, 1.0, 1.0, 1.0]), Ok(1.0));
        assert_eq!(choose(two, &[9.0, 9.0, 1.0, 1.0]), Ok(9.0));
        assert_eq!(choose(two, &[9.0, 1.0]).unwrap_err(), EQUAL);
        let none = "no model came from 4 senders";
        assert_eq!(choose(two, &[]).unwrap_err(), none);
    }

    const EQUAL: &str = "2 equal models are needed; 2 of 4 came, 1 of them equal";

    #[test]
    fn the_median_stands_one_liar_among_three() {
        let median = Accept::Median { needed: 3 };
        assert_eq!(choose(median, &[1e30, 1.0, 2.0]), Ok(2.0));
        let refusal = choose(median, &[1.0, 2.0]).unwrap_err();
        assert_eq!(refusal, "the median needs 3 models and 2 of 4 came");
    }
}
