//! The round that a replica is in, and what it hears from the others.

use std::collections::{BTreeMap, BTreeSet};

use super::ReplicaSettings;
use crate::node::{NodeId, Round};
use crate::protocol::admission::admit;
use crate::protocol::agreement::Models;
use crate::protocol::collection::{Collection, Contribution};
use crate::protocol::echo::Echo;
use crate::protocol::{Action, Message, Reason};
use crate::vector::{Digest, as_slice};

/// An open round.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) round: Round,
    pub(super) stage: Stage,
    pub(super) echo: Echo,
    /// The other replicas that are lost or say that they are done with the round.
    pub(super) out: BTreeSet<NodeId>,
    /// The models of replicas after their own steps, this one's among them.
    pub(super) models: Models,
    /// What the rows came to: each sender's weight, or why there is no step.
    pub(super) weights: Result<BTreeMap<NodeId, f32>, String>,
    pub(super) timed_out: bool,
    others: Vec<NodeId>,
    echoes: bool,
    contracts: bool,
    /// Those whose model has come, admitted or not.
    met: BTreeSet<NodeId>,
}

/// What a round waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// The workers' shares.
    Shares,
    /// The others' claims.
    Claims,
    /// Copies of shares that others hold.
    Copies,
    /// Others who wait for copies.
    Settling,
    /// The others' models.
    Models,
}

/// Whether a message was taken, and what is said in return.
type Taken = (Result<(), Reason>, Vec<Action>);

impl Open {
    pub(super) fn new(round: Round, settings: &ReplicaSettings, out: BTreeSet<NodeId>) -> Self {
        let ReplicaSettings { node, others, echo, contract, .. } = settings;
        Open {
            round,
            stage: Stage::Shares,
            echo: Echo::new(*node, round, others.clone(), echo.unwrap_or(1)),
            out,
            models: Models::new(),
            weights: Ok(BTreeMap::new()),
            timed_out: false,
            others: others.clone(),
            echoes: echo.is_some(),
            contracts: contract.is_some(),
            met: BTreeSet::new(),
        }
    }

    /// Those whom the stage waits for.
    pub(super) fn awaited(&self, collection: &Collection) -> Vec<NodeId> {
        match self.stage {
            Stage::Shares => collection.awaited(),
            Stage::Claims => self.echo.unclaimed(&self.out),
            Stage::Copies => self.echo.asked(),
            Stage::Settling => self.echo.unsettled(&self.out),
            Stage::Models if !self.contracts => Vec::new(),
            Stage::Models => {
                let silent =
                    |other: &&NodeId| !self.met.contains(other) && !self.out.contains(other);
                self.others.iter().filter(silent).copied().collect()
            }
        }
    }

    /// Takes what another replica says in this round.
    pub(super) fn take(
        &mut self,
        from: NodeId,
        message: Message,
        collection: &mut Collection,
    ) -> Taken {
        if self.out.contains(&from) {
            return (Err(Reason::Twice), Vec::new());
        }
        match message {
            Message::Absent { .. } => (Ok(()), self.leave(from)),
            Message::Model { model, .. } if self.contracts => {
                if !self.met.insert(from) {
                    return (Err(Reason::Twice), Vec::new());
                }
                let admitted = admit(as_slice(&model), collection.values());
                if admitted.is_ok() {
                    let digest = Digest::of(as_slice(&model));
                    self.models.insert(from, (model, digest));
                }
                (admitted, Vec::new())
            }
            message if self.echoes => self.take_echo(from, message, collection),
            _ => (Err(Reason::WrongKind), Vec::new()),
        }
    }

    fn take_echo(&mut self, from: NodeId, message: Message, collection: &mut Collection) -> Taken {
        match message {
            Message::Claims { claims, .. } => {
                (self.echo.take_claims(from, &claims, collection), Vec::new())
            }
            // Nobody can ask before it has seen this replica's claims.
            Message::Fetch { sender, .. } if self.stage != Stage::Shares => {
                match self.echo.serve(from, sender, collection) {
                    Ok(copy) => (Ok(()), vec![copy]),
                    Err(reason) => (Err(reason), Vec::new()),
                }
            }
            Message::Copy { sender, update, loss, samples, .. } => {
                let copy = Contribution { update, loss, samples };
                let (taken, asked) = self.echo.take_copy(from, sender, copy, collection, &self.out);
                (taken, asked.into_iter().collect())
            }
            Message::Settled { .. } => (self.echo.take_settled(from), Vec::new()),
            _ => (Err(Reason::WrongKind), Vec::new()),
        }
    }

    /// Goes on without a replica; what it was asked for, others are asked for.
    pub(super) fn leave(&mut self, node: NodeId) -> Vec<Action> {
        self.out.insert(node);
        self.echo.ask_others(&self.out)
    }

    /// Goes on after a replica has sent what cannot be read in place of what it owed.
    pub(super) fn garbled(&mut self, from: NodeId) -> Vec<Action> {
        if self.contracts && !self.echoes {
            self.met.insert(from);
            return Vec::new();
        }
        // Which of its words it was cannot be told: it is done with the round.
        self.leave(from)
    }

    /// Why no row can count, if too few replicas are there.
    pub(super) fn too_few(&self) -> Option<String> {
        let (there, needed) = (self.echo.claimants(), self.echo.quorum());
        (self.echoes && there < needed).then(|| {
            format!(
                "{there} of {} replicas are there, and {needed} must hold a row for it to count",
                self.others.len() + 1
            )
        })
    }
}
