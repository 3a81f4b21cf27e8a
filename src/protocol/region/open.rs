//! The round that a region is in, and what it thinks of its bridges.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::RegionSettings;
use crate::node::{NodeId, Round};
use crate::protocol::admission::admit;
use crate::protocol::aggregation::Aggregation;
use crate::protocol::agreement::{Accept, Models};
use crate::protocol::collection::{Contribution, Rows};
use crate::protocol::{Message, Reason};
use crate::vector::{Digest, Shared, as_slice};

/// The round that a region is in.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) round: Round,
    /// What its workers' updates came to, once all are there, or why there is nothing.
    pub(super) own: Option<Result<Contribution, String>>,
    pub(super) weights: BTreeMap<NodeId, f32>,
    /// What the model moves along if the region goes on by itself.
    pub(super) direction: Option<Shared>,
    /// The bridges' models; `None` for a bridge that has none.
    words: BTreeMap<NodeId, Option<Shared>>,
    /// What the other regions claim to have shared.
    claims: BTreeMap<NodeId, Option<Digest>>,
    /// What a bridge says that a region has shared, by bridge and region.
    copies: BTreeMap<(NodeId, NodeId), Contribution>,
    pub(super) timed_out: bool,
}

/// What a region thinks of what its bridges say.
pub(super) enum Verdict {
    /// This is the model.
    Believed(Shared),
    /// There is rightly none.
    Nothing(String),
    /// Nobody is believed.
    Unbelieved(String),
}

impl Open {
    pub(super) fn new(round: Round) -> Self {
        Open {
            round,
            own: None,
            weights: BTreeMap::new(),
            direction: None,
            words: BTreeMap::new(),
            claims: BTreeMap::new(),
            copies: BTreeMap::new(),
            timed_out: false,
        }
    }

    /// Whether a bridge has said its last word in this round.
    pub(super) fn has_word_of(&self, bridge: NodeId) -> bool {
        self.words.contains_key(&bridge)
    }

    /// Whether another region has claimed what it has shared.
    pub(super) fn has_claim_of(&self, region: NodeId) -> bool {
        self.claims.contains_key(&region)
    }

    /// Goes on after a bridge has sent what cannot be read.
    pub(super) fn garbled_by_bridge(&mut self, bridge: NodeId) {
        self.words.entry(bridge).or_insert(None);
    }

    /// Goes on after another region has sent what cannot be read.
    pub(super) fn garbled_by_region(&mut self, region: NodeId) {
        self.claims.entry(region).or_insert(None);
    }

    pub(super) fn take_from_bridge(
        &mut self,
        from: NodeId,
        message: Message,
        values: usize,
    ) -> Result<(), Reason> {
        if self.words.contains_key(&from) {
            return Err(Reason::Twice);
        }
        match message {
            Message::Copy { sender, update, loss, samples, .. } => {
                if self.copies.contains_key(&(from, sender)) {
                    return Err(Reason::Twice);
                }
                admit(as_slice(&update), values)?;
                self.copies.insert((from, sender), Contribution { update, loss, samples });
                Ok(())
            }
            Message::Model { model, .. } => {
                let admitted = admit(as_slice(&model), values);
                self.words.insert(from, admitted.is_ok().then_some(model));
                admitted
            }
            _ => {
                self.words.insert(from, None);
                Ok(())
            }
        }
    }

    pub(super) fn take_from_region(
        &mut self,
        from: NodeId,
        message: &Message,
    ) -> Result<(), Reason> {
        if self.claims.contains_key(&from) {
            return Err(Reason::Twice);
        }
        let claim = match message {
            Message::Claims { claims, .. } => match claims.as_slice() {
                [(sender, digest)] if *sender == from => Ok(*digest),
                _ => Err(Reason::Malformed("claims of more than one's own share".to_owned())),
            },
            _ => Ok(None),
        };
        self.claims.insert(from, claim.clone().unwrap_or(None));
        claim.map(|_| ())
    }

    /// The model that more than half of the bridges sent.
    pub(super) fn trusted(&self, bridges: usize) -> Verdict {
        let sent = self.words.iter().filter_map(|(&bridge, word)| Some((bridge, word.as_ref()?)));
        let models: Models = sent
            .map(|(bridge, model)| (bridge, (Arc::clone(model), Digest::of(as_slice(model)))))
            .collect();
        match (Accept::Matching { needed: bridges / 2 + 1 }).choose(&models, bridges) {
            Ok(model) => Verdict::Believed(model),
            Err(reason) => Verdict::Unbelieved(reason),
        }
    }

    /// The model that the regions' shares come to, if a bridge has sent it.
    pub(super) fn checked(
        &self,
        settings: &RegionSettings,
        between: &mut Aggregation,
        model: &Shared,
    ) -> Verdict {
        let mut rows = Err("no bridge is there".to_owned());
        for &bridge in self.words.keys() {
            rows = self.proven(bridge, settings.node);
            if rows.is_ok() {
                break;
            }
        }
        let rows = match rows {
            Ok(rows) => rows,
            Err(reason) => return Verdict::Unbelieved(reason),
        };
        let due =
            between.aggregate(self.round, &rows).map(|step| between.moved(model, &step.direction));
        match due {
            Ok(due) if self.words.values().flatten().any(|sent| *sent == due) => {
                Verdict::Believed(due)
            }
            Ok(_) => {
                Verdict::Unbelieved("no model is what the regions' updates come to".to_owned())
            }
            Err(refusal) if self.words.values().any(Option::is_none) => Verdict::Nothing(refusal),
            Err(_) => Verdict::Unbelieved("a model came where there can be none".to_owned()),
        }
    }

    /// The rows of all regions that claim to have shared, as this bridge hands them on, if it
    /// leaves none out and alters none.
    fn proven(&self, bridge: NodeId, node: NodeId) -> Result<Rows, String> {
        let mut rows = BTreeMap::new();
        if let Some(Ok(own)) = &self.own {
            rows.insert(node, own.clone());
        }
        for (&region, digest) in &self.claims {
            let Some(digest) = digest else { continue };
            let copy = self.copies.get(&(bridge, region)).ok_or_else(|| {
                format!("bridge {bridge} leaves out the update of region {region}")
            })?;
            if copy.digest() != *digest {
                return Err(format!(
                    "what bridge {bridge} hands on is not what region {region} claims to have sent"
                ));
            }
            rows.insert(region, copy.clone());
        }
        Ok(Rows::of(&rows))
    }
}
