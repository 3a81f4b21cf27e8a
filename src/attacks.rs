//! Model poisoning: what corrupted identities send in place of an honest update.

mod dissensus;
mod drag;
mod echo;
mod gaussian;
mod inner_product;
mod isolation;
mod little_is_enough;
mod moments;
mod neighbourhood;
#[cfg(test)]
mod peers;
mod sign_flip;
mod spectral;
mod state_override;
mod target;

use std::fmt::Debug;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::catalog::{Catalog, ConfigError};
use crate::graph::Graph;
use crate::memory::Memory;
use crate::node::{NodeId, Round};

/// All attacks.
pub static CATALOG: Catalog<dyn Attack, Claims> = Catalog {
    kind: "attack",
    entries: &[
        &sign_flip::ENTRY,
        &inner_product::ENTRY,
        &little_is_enough::ENTRY,
        &gaussian::ENTRY,
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
}

/// The rule of the other side, lent to an attacker that knows it.
///
/// A server's takes all updates of a round and returns their aggregate. A victim's takes what
/// the identities of the view would send to it, one row each, and returns the model that the
/// victim would then have, its own and its honest neighbours' models mixed in.
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
    /// One row per identity, shape `[identities, d]`.
    PerNode(Array2<f32>),
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
    /// The formula for the size of its shift gives nothing to send.
    #[error(
        "{attack} has z = {deviations} for n = {participants} participants and m = {corrupted} \
         corrupted: {reason}; set `deviations` in place of `formula`"
    )]
    NoShift {
        /// The attack's name.
        attack: &'static str,
        /// How many take part.
        participants: usize,
        /// How many of them are corrupted.
        corrupted: usize,
        /// What the formula gives, in standard deviations.
        deviations: String,
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

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;

    use ndarray::Axis;

    use super::peers::Peers;
    use super::*;
    use crate::catalog::{Choice, Entry};
    use crate::seed::{Purpose, run_stream};
    use crate::vector::squared_distance;

    /// What `corrupted` identities send that read these honest updates.
    pub(crate) fn craft_omniscient(
        attack: &dyn Attack,
        honest: &Array2<f32>,
        corrupted: usize,
    ) -> Result<Array2<f32>, AttackError> {
        let own = Array2::zeros((0, honest.ncols()));
        let participants = honest.nrows() + corrupted;
        craft(attack, &own, Some(honest.view()), participants, corrupted)
    }

    /// What identities send that know only their own would-be updates, one row each, in a system
    /// of 10.
    pub(crate) fn craft_alone(
        attack: &dyn Attack,
        own: &Array2<f32>,
    ) -> Result<Array2<f32>, AttackError> {
        craft(attack, own, None, 10, own.nrows())
    }

    fn craft(
        attack: &dyn Attack,
        own: &Array2<f32>,
        honest: Option<ArrayView2<'_, f32>>,
        participants: usize,
        corrupted: usize,
    ) -> Result<Array2<f32>, AttackError> {
        let identities: Vec<NodeId> = (0..corrupted as u32).map(NodeId).collect();
        let global = Array1::zeros(own.ncols());
        let view = View {
            round: Round(1),
            global: global.view(),
            identities: &identities,
            own: own.view(),
            honest,
            participants,
            corrupted,
            defence: None,
            victim: None,
        };
        let mut rng = run_stream(1, Purpose::Attack);
        match attack.craft(&view, &mut Memory::default(), &mut rng)? {
            Crafted::PerNode(rows) => Ok(rows),
            Crafted::Silence => panic!("expected one row per identity, got silence"),
        }
    }

    type Row = &'static Entry<dyn Attack, Claims>;

    /// All members that speak to one peer at a time, or all others, with their defaults.
    fn members(directed: bool) -> Vec<(Row, Arc<dyn Attack>)> {
        let built = CATALOG
            .entries
            .iter()
            .map(|&entry| (entry, CATALOG.build_default(entry.name).unwrap().value));
        built.filter(|(_, attack)| attack.directed() == directed).collect()
    }

    #[test]
    fn every_member_answers_with_one_row_per_identity_and_stays_total() {
        let honest = Array2::from_shape_fn((4, 3), |(row, column)| (row * 3 + column) as f32);
        for (entry, attack) in members(false) {
            let sent = craft_omniscient(&*attack, &honest, 2).unwrap();
            assert_eq!(sent.dim(), (2, 3), "{}", entry.name);
            let broken = Array2::from_elem((4, 3), f32::NAN);
            assert!(craft_omniscient(&*attack, &broken, 2).is_ok(), "{}", entry.name);
            assert!(!attack.uses_own(Knowledge::Omniscient), "{}", entry.name);
        }
    }

    /// Two rings of four, joined by one edge, with two liars for each peer.
    fn two_rings(models: Array2<f32>) -> Peers {
        let ring = |first: u32| (0..4).map(move |at| (first + at, first + (at + 1) % 4));
        let edges: Vec<(u32, u32)> = ring(0).chain(ring(4)).chain([(3, 4)]).collect();
        Peers::new(&edges, models, 2)
    }

    #[test]
    fn members_that_speak_to_a_peer_answer_each_and_need_one() {
        let models = Array2::from_shape_fn((8, 3), |(row, column)| (row * row + column) as f32);
        let peers = two_rings(models.clone());
        for (entry, attack) in members(true) {
            assert!(!attack.uses_own(Knowledge::OwnData), "{}", entry.name);
            for node in 0..8 {
                let sent = peers.craft(&*attack, node, None).unwrap();
                assert_eq!(sent.dim(), (2, 3), "{}", entry.name);
                assert_eq!(sent.row(0), sent.row(1), "{}", entry.name);
                assert_eq!(sent, peers.craft(&*attack, node, None).unwrap(), "{}", entry.name);
            }
            let alone = craft_omniscient(&*attack, &models, 2);
            assert_eq!(alone, Err(AttackError::NoVictim { attack: entry.name }));
        }
    }

    #[test]
    fn members_that_speak_to_a_peer_stay_total() {
        let strange = [f32::MAX, f32::MIN, 1e30, -1e30, 1e-45, -0.0, 0.0, f32::MIN_POSITIVE];
        let huge = |(row, column): (usize, usize)| strange[(row * 5 + column * 3) % 8];
        for models in [Array2::from_shape_fn((8, 5), huge), Array2::zeros((8, 5))] {
            let peers = two_rings(models);
            for (entry, attack) in members(true) {
                for node in 0..8 {
                    let sent = peers.craft(&*attack, node, None).unwrap();
                    assert!(sent.iter().all(|x| x.is_finite()), "{} {node}: {sent}", entry.name);
                }
            }
        }
        for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let peers = two_rings(Array2::from_elem((8, 5), broken));
            let empty = two_rings(Array2::zeros((8, 0)));
            for (entry, attack) in members(true) {
                assert!(peers.craft(&*attack, 3, None).is_ok(), "{} {broken}", entry.name);
                assert_eq!(empty.craft(&*attack, 3, None).unwrap().dim(), (2, 0));
            }
        }
    }

    /// Whether the sent rows move the mean of what the victim has, and whether each lies no
    /// further from the victim than its furthest honest neighbour: peers measure from themselves.
    fn moves_and_stays(peers: &Peers, attack: &dyn Attack, node: u32) -> (bool, bool) {
        let sent = peers.craft(attack, node, None).unwrap();
        peers.with_view(node, None, |view| {
            let honest = view.honest.unwrap();
            let mean = honest.mean_axis(Axis(0)).unwrap();
            let moved = sent.mean_axis(Axis(0)).unwrap() - mean;
            let victim = view.victim.unwrap();
            let away = |row: ArrayView1<'_, f32>| {
                squared_distance(&row.to_vec(), &victim.model.to_vec()).sqrt()
            };
            let furthest = victim.models.rows().into_iter().map(away).fold(0.0, f64::max);
            let inside = sent.rows().into_iter().all(|row| away(row) <= furthest * 1.000_001);
            (moved.iter().any(|moved| moved.abs() > 0.01), inside)
        })
    }

    #[test]
    fn claims_of_members_that_speak_to_a_peer_hold_with_the_defaults() {
        let world = |row: usize| if row < 4 { -10.0 } else { 10.0 };
        let place =
            |(row, column): (usize, usize)| world(row) + ((row * 7 + column * 3) % 5) as f32 * 0.7;
        // Where liars weigh less than the honest, what they have to say lies further out.
        let two = two_rings(Array2::from_shape_fn((8, 4), place));
        let one = Peers { liars: 1, ..two_rings(two.models.clone()) };
        for (entry, attack) in members(true) {
            let found = (0..8).map(|node| (&one, node)).chain((0..8).map(|node| (&two, node)));
            let found: Vec<(bool, bool)> =
                found.map(|(peers, node)| moves_and_stays(peers, &*attack, node)).collect();
            let moves = found.iter().any(|&(moves, _)| moves);
            let inside = found.iter().all(|&(_, inside)| inside);
            assert_eq!(entry.claims.moves_mean, moves, "{}", entry.name);
            assert_eq!(entry.claims.stays_inside, inside, "{}", entry.name);
        }
    }

    #[test]
    fn claims_hold_with_the_defaults() {
        let honest =
            Array2::from_shape_fn((6, 2), |(row, column)| 1.0 + row as f32 * 0.5 + column as f32);
        for (entry, attack) in members(false) {
            let sent = craft_omniscient(&*attack, &honest, 2).unwrap();
            for column in 0..2 {
                let honest = honest.column(column);
                let sent = sent.column(column);
                let mean = honest.mean().unwrap();
                let all = (honest.sum() + sent.sum()) / 8.0;
                assert_eq!(entry.claims.moves_mean, (all - mean).abs() > 0.01, "{}", entry.name);
                let furthest = |values: &ndarray::ArrayView1<'_, f32>| {
                    values.iter().map(|value| (value - mean).abs()).fold(0.0, f32::max)
                };
                // Evenly spaced rows reach 1.46 population deviations from their mean.
                let inside = furthest(&sent) <= furthest(&honest) * 1.05;
                assert_eq!(entry.claims.stays_inside, inside, "{}", entry.name);
            }
        }
    }

    #[test]
    fn parameters_that_are_no_numbers_are_refused() {
        for (name, field) in [
            ("sign_flip", "factor"),
            ("inner_product", "epsilon"),
            ("gaussian", "mean"),
            ("dissensus", "epsilon"),
            ("spectral", "scale"),
        ] {
            let choice = Choice::with(name, &format!("{field} = nan")).unwrap();
            let error = CATALOG.build(&choice).unwrap_err();
            assert_eq!(error.message, format!("`{field}` must be a finite number, got NaN"));
        }
    }
}
