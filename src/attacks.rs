//! Model poisoning: what corrupted identities send in place of an honest update.

use std::collections::BTreeMap;
use std::fmt::Debug;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::Catalog;
use crate::memory::Memory;
use crate::node::{NodeId, Round};

/// All attacks.
pub static CATALOG: Catalog<dyn Attack, Claims> = Catalog { kind: "attack", entries: &[] };

/// Crafts what the corrupted identities of one adversary send in a round.
pub trait Attack: Debug + Send + Sync {
    /// The least that the adversary must know for the attack to make sense.
    fn needs(&self) -> Knowledge;

    /// Whether it reads what its own identities would have sent, given this knowledge; where it
    /// does not, nobody computes that.
    fn uses_own(&self, knowledge: Knowledge) -> bool;

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

/// The server's rule, lent to an attacker that knows it.
pub type Defence<'a> = dyn Fn(ArrayView2<'_, f32>) -> Result<Array1<f32>, String> + 'a;

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
    pub honest: Option<ArrayView2<'a, f32>>,
    /// How many take part, honest and corrupted, `n`.
    pub participants: usize,
    /// How many of them are corrupted, `m`.
    pub corrupted: usize,
    /// The server's rule, for those who know it.
    pub defence: Option<&'a Defence<'a>>,
}

impl View<'_> {
    /// The updates that the adversary takes the honest ones to look like: the honest ones if it
    /// reads them, else what its own identities would have sent.
    pub fn known(&self) -> ArrayView2<'_, f32> {
        self.honest.unwrap_or(self.own)
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
    /// One row per identity, the same to every receiver, shape `[identities, d]`.
    PerNode(Array2<f32>),
    /// Another vector to every receiver: equivocation. Keys are (sender, receiver).
    PerEdge(BTreeMap<(NodeId, NodeId), Array1<f32>>),
    /// Nothing: every identity announces its absence.
    Silence,
}

impl Crafted {
    /// The same vector from every identity.
    pub fn same(vector: &Array1<f32>, identities: usize) -> Self {
        let row = vector.view().insert_axis(ndarray::Axis(0));
        Crafted::PerNode(row.broadcast((identities, vector.len())).expect("one row").to_owned())
    }
}

/// What an attack promises.
#[derive(Debug, Clone, Copy)]
pub struct Claims {
    /// With its defaults it moves the mean of the updates.
    pub moves_mean: bool,
    /// Its vectors stay within the spread of the honest ones, so that no distance test sees them.
    pub stays_inside: bool,
}

/// Why an attack cannot craft anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttackError {
    /// It has too few updates to learn from.
    #[error("{attack} needs at least {needed} known updates and has {got}")]
    TooFewKnown {
        /// The attack's name.
        attack: &'static str,
        /// The least it needs.
        needed: usize,
        /// What it has.
        got: usize,
    },
}
