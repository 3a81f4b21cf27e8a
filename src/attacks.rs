//! Model poisoning: what corrupted identities send in place of an honest update.

mod adaptive;
mod anti_elimination;
mod boundary;
mod byzantine_mean;
mod defence;
mod dissensus;
mod drag;
mod echo;
mod fang_krum;
mod fang_trimmed_mean;
mod free_rider;
mod gaussian;
mod heard;
mod infinity;
mod inner_product;
mod isolation;
mod line_search;
mod little_is_enough;
mod mimic;
mod min_max;
mod min_sum;
mod moments;
mod nan;
mod neighbourhood;
mod nested;
mod neurotoxin;
mod on_off;
mod one_coordinate;
mod opposite;
mod optimised_inner_product;
mod optimised_little_is_enough;
mod outcome;
#[cfg(test)]
mod peers;
mod perturbation;
mod plain;
mod relocated_orthogonal;
mod rule_tailored;
mod scale;
mod scaling;
mod sign_flip;
mod slow_drift;
mod spectral;
mod state_override;
mod target;
#[cfg(test)]
pub(crate) mod tests;
mod zero;

use std::fmt::Debug;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::defence::{Lent, Trying, stacked};
pub use self::heard::Heard;
use crate::catalog::{Catalog, ConfigError};
use crate::graph::Graph;
use crate::memory::Memory;
use crate::node::{NodeId, Round};
use crate::vector::slices_of;

/// All attacks.
pub static CATALOG: Catalog<dyn Attack, Claims> = Catalog {
    kind: "attack",
    entries: &[
        &sign_flip::ENTRY,
        &inner_product::ENTRY,
        &optimised_inner_product::ENTRY,
        &little_is_enough::ENTRY,
        &optimised_little_is_enough::ENTRY,
        &min_max::ENTRY,
        &min_sum::ENTRY,
        &rule_tailored::ENTRY,
        &fang_krum::ENTRY,
        &fang_trimmed_mean::ENTRY,
        &relocated_orthogonal::ENTRY,
        &one_coordinate::ENTRY,
        &anti_elimination::ENTRY,
        &byzantine_mean::ENTRY,
        &boundary::ENTRY,
        &mimic::ENTRY,
        &adaptive::ENTRY,
        &gaussian::ENTRY,
        &zero::ENTRY,
        &infinity::ENTRY,
        &nan::ENTRY,
        &free_rider::ENTRY,
        &scaling::ENTRY,
        &neurotoxin::ENTRY,
        &on_off::ENTRY,
        &slow_drift::ENTRY,
        &dissensus::ENTRY,
        &spectral::ENTRY,
        &state_override::ENTRY,
        &echo::ENTRY,
        &drag::ENTRY,
        &isolation::ENTRY,
    ],
};

/// Crafts what the corrupted identities of one adversary send in a round.
pub trait Attack: Debug + Send + Sync {
    /// The least that the adversary must know for the attack to make sense.
    fn needs(&self) -> Knowledge;

    /// Whether it reads what its own identities would have sent, given this knowledge; where it
    /// does not, nobody computes that.
    fn uses_own(&self, knowledge: Knowledge) -> bool;

    /// Whether it speaks to one peer at a time, about that peer's neighbourhood: it reads
    /// [`View::victim`] and cannot be crafted without.
    fn directed(&self) -> bool {
        false
    }

    /// Whether it can be crafted at all by an adversary with this knowledge, when nobody is
    /// missing: asked before a run.
    fn admits(
        &self,
        _knowledge: Knowledge,
        _participants: usize,
        _corrupted: usize,
    ) -> Result<(), AttackError> {
        Ok(())
    }

    /// Why it may come to nothing with such numbers, though it can be crafted: told before a run,
    /// which goes on.
    fn doubt(&self, _participants: usize, _corrupted: usize) -> Option<String> {
        None
    }

    /// What to send, one row per identity of the view.
    fn craft(
        &self,
        view: &View<'_>,
        memory: &mut Memory,
        rng: &mut dyn Rng,
    ) -> Result<Crafted, AttackError>;
}

/// How much an adversary knows, least first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Knowledge {
    /// Each corrupted identity acts alone and sees its own data.
    OwnData,
    /// The corrupted identities share what they see.
    Colluders,
    /// The adversary also reads every honest update of the round before it answers.
    Omniscient,
    /// And it can run the server's rule on what it considers sending.
    OmniscientAndRule,
}

impl Knowledge {
    /// How many updates of a round an adversary knows when nobody is missing.
    pub fn updates_known(self, participants: usize, corrupted: usize) -> usize {
        match self {
            Knowledge::OwnData => 1,
            Knowledge::Colluders => corrupted,
            _ => participants.saturating_sub(corrupted),
        }
    }

    /// Refuses an attack that needs more known updates than there are when nobody is missing.
    fn require(
        self,
        attack: &'static str,
        needed: usize,
        participants: usize,
        corrupted: usize,
    ) -> Result<(), AttackError> {
        let got = self.updates_known(participants, corrupted);
        if got < needed { Err(AttackError::TooFewKnown { attack, needed, got }) } else { Ok(()) }
    }
}

/// The rule of the other side, lent to an attacker that knows it.
///
/// A server's takes all updates of a round and returns their aggregate. A victim's takes what
/// the identities of the view would send to it, one row each, and returns the model that the
/// victim would then have, its own and its honest neighbours' models mixed in.
pub type Defence<'a> = dyn Lent + 'a;

/// What an adversary sees in one round.
pub struct View<'a> {
    /// The round.
    pub round: Round,
    /// The model that the round started from.
    pub global: ArrayView1<'a, f32>,
    /// The identities that must send something, ascending.
    pub identities: &'a [NodeId],
    /// What these identities would have sent, one row each; no rows where
    /// [`Attack::uses_own`] says so.
    pub own: ArrayView2<'a, f32>,
    /// The honest updates of the round in sender order, for the omniscient.
    pub honest: Option<&'a Heard<'a>>,
    /// Who sent these, in the order of the rows; empty where that is not known.
    pub senders: &'a [NodeId],
    /// How many take part, honest and corrupted, `n`.
    pub participants: usize,
    /// How many of them are corrupted, `m`.
    pub corrupted: usize,
    /// The rule of the server, or of the victim, for those who know it.
    pub defence: Option<&'a Defence<'a>>,
    /// The one node that this is to be sent to, where each receiver can be told another lie: a
    /// peer among its neighbours. All vectors of the view are models then, not updates, and
    /// `honest` holds the victim's own model and those of its honest neighbours, in node order.
    pub victim: Option<Victim<'a>>,
}

/// A peer that its corrupted neighbours speak to.
#[derive(Debug, Clone, Copy)]
pub struct Victim<'a> {
    /// Who it is.
    pub node: NodeId,
    /// Its model in this round, which it is about to mix with those of its neighbours, length `d`.
    pub model: ArrayView1<'a, f32>,
    /// The weight of its own model in its row of the mixing matrix.
    pub own_weight: f64,
    /// Its honest neighbours, ascending.
    pub neighbours: &'a [NodeId],
    /// Their models of this round, one row each, shape `[neighbours, d]`.
    pub models: ArrayView2<'a, f32>,
    /// Their weights in its row of the mixing matrix.
    pub weights: &'a [f64],
    /// How many of its neighbours are corrupted, `b`; at least one.
    pub liars: usize,
    /// The weights of these in its row, summed.
    pub liar_weight: f64,
    /// All honest nodes, ascending; the victim is one of them.
    pub honest: &'a [NodeId],
    /// The models of this round of all honest nodes, one row each, shape `[honest, d]`.
    pub everyone: ArrayView2<'a, f32>,
    /// The graph among the honest, whose node `k` is `honest[k]`.
    pub graph: &'a Graph,
    /// How many rounds the run has.
    pub rounds: u32,
}

impl View<'_> {
    /// The updates that the adversary takes the honest ones to look like: the honest ones if it
    /// reads them, else what its own identities would have sent.
    pub fn known(&self) -> ArrayView2<'_, f32> {
        self.honest.map_or(self.own, Heard::in_one_piece)
    }

    /// The same where they stand.
    pub fn known_rows(&self) -> Vec<&[f32]> {
        match self.honest {
            Some(honest) => honest.rows().to_vec(),
            None => slices_of(&self.own),
        }
    }

    /// The same view with other honest updates in it.
    fn seeing<'a>(&'a self, honest: Option<&'a Heard<'a>>) -> View<'a> {
        View {
            round: self.round,
            global: self.global.reborrow(),
            identities: self.identities,
            own: self.own.reborrow(),
            honest,
            senders: self.senders,
            participants: self.participants,
            corrupted: self.corrupted,
            defence: self.defence,
            victim: self.victim.map(|victim| Victim {
                model: victim.model.reborrow(),
                models: victim.models.reborrow(),
                everyone: victim.everyone.reborrow(),
                ..victim
            }),
        }
    }

    /// The name under which an attack remembers something: one for each peer that is lied to.
    fn memory_of(&self, name: &str) -> String {
        self.victim.map_or_else(|| name.to_owned(), |victim| format!("{name}.{}", victim.node))
    }
}

impl Debug for View<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("View")
            .field("round", &self.round)
            .field("identities", &self.identities)
            .field("participants", &self.participants)
            .field("corrupted", &self.corrupted)
            .finish_non_exhaustive()
    }
}

/// What the adversary sends.
#[derive(Debug, Clone, PartialEq)]
pub enum Crafted {
    /// One row per identity, shape `[identities, d]`.
    PerNode(Array2<f32>),
    /// The same vector from each of so many identities, which is held once.
    Same(Array1<f32>, usize),
    /// Nothing: every identity announces its absence.
    Silence,
}

impl Crafted {
    /// The same vector from every identity.
    pub fn same(vector: Array1<f32>, identities: usize) -> Self {
        Crafted::Same(vector, identities)
    }

    /// One row per identity, shape `[identities, d]`; `None` for silence.
    pub fn per_node(self) -> Option<Array2<f32>> {
        match self {
            Crafted::PerNode(rows) => Some(rows),
            Crafted::Same(vector, identities) => {
                let row = vector.view().insert_axis(ndarray::Axis(0));
                Some(row.broadcast((identities, vector.len())).expect("one row").to_owned())
            }
            Crafted::Silence => None,
        }
    }
}

/// What an attack promises.
#[derive(Debug, Clone, Copy)]
pub struct Claims {
    /// With its defaults it moves the mean of the updates.
    pub moves_mean: bool,
    /// Its vectors stay within the spread of the honest ones, so that no distance test sees them:
    /// those sent to one peer are no further from it than its furthest honest neighbour.
    pub stays_inside: bool,
}

/// Why an attack cannot craft anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttackError {
    /// It has too few updates to learn from.
    #[error(
        "{attack} needs at least {needed} known updates and has {got}: give the adversary more \
         identities that collude, or let it read the honest updates (`omniscient`)"
    )]
    TooFewKnown {
        /// The attack's name.
        attack: &'static str,
        /// The least it needs.
        needed: usize,
        /// What it has.
        got: usize,
    },
    /// It speaks to a peer about its neighbourhood, and there is no peer.
    #[error("{attack} tells each peer another lie, so it needs peers: use it in system `gossip`")]
    NoVictim {
        /// The attack's name.
        attack: &'static str,
    },
    /// It tries what it sends on the victim's rule, and that was not handed to it.
    #[error(
        "{attack} searches with the victim's rule and does not know it: give the adversary \
         `omniscient_and_rule`"
    )]
    NoDefence {
        /// The attack's name.
        attack: &'static str,
    },
    /// It looks for what a rule selects, and a peer's rule mixes.
    #[error(
        "{attack} looks at whose updates a server's rule selects, and a peer mixes models: leave \
         out `goal` there, or use it in a system with a server"
    )]
    NoSelection {
        /// The attack's name.
        attack: &'static str,
    },
    /// The formula for the size of its shift gives nothing to send.
    #[error(
        "{attack} has no z for n = {participants} participants and m = {corrupted} corrupted: \
         {reason}; set `deviations` in place of `formula`"
    )]
    NoShift {
        /// The attack's name.
        attack: &'static str,
        /// How many take part.
        participants: usize,
        /// How many of them are corrupted.
        corrupted: usize,
        /// What is wrong with that.
        reason: &'static str,
    },
}

/// Refuses a parameter that is NaN or infinite.
fn finite(parameter: &str, value: f64) -> Result<(), ConfigError> {
    if value.is_finite() {
        return Ok(());
    }
    Err(ConfigError::new(format!("`{parameter}` must be a finite number, got {value}")))
}
