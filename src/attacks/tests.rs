//! Every member is held to what it promises, whatever it does.

use std::sync::Arc;

use ndarray::Axis;

use super::peers::Peers;
use super::*;
use crate::catalog::{Choice, Entry};
use crate::seed::{Purpose, run_stream};
use crate::vector::squared_distance;

/// One adversary from round to round, in a system as large as its rows say.
pub(crate) struct Stage<'a> {
    /// The next round.
    pub(crate) round: u32,
    /// The model that rounds start from; else zeros.
    pub(crate) global: Option<Array1<f32>>,
    /// What its identities would have sent; else nobody computes that.
    pub(crate) own: Option<Array2<f32>>,
    /// The rule, if it is known.
    pub(crate) defence: Option<&'a Defence<'a>>,
    /// What the attack remembers.
    pub(crate) memory: Memory,
}

impl Default for Stage<'_> {
    fn default() -> Self {
        Stage { round: 1, global: None, own: None, defence: None, memory: Memory::default() }
    }
}

impl Stage<'_> {
    /// What `corrupted` identities send that read these honest updates.
    pub(crate) fn craft(
        &mut self,
        attack: &dyn Attack,
        honest: &Array2<f32>,
        corrupted: usize,
    ) -> Result<Array2<f32>, AttackError> {
        self.play(attack, Some(honest.view()), honest.nrows() + corrupted, corrupted)
    }

    fn play(
        &mut self,
        attack: &dyn Attack,
        honest: Option<ArrayView2<'_, f32>>,
        participants: usize,
        corrupted: usize,
    ) -> Result<Array2<f32>, AttackError> {
        let identities: Vec<NodeId> = (0..corrupted as u32).map(NodeId).collect();
        let columns = match (&honest, &self.own) {
            (Some(honest), _) => honest.ncols(),
            (None, Some(own)) => own.ncols(),
            (None, None) => 0,
        };
        let global = self.global.clone().unwrap_or_else(|| Array1::zeros(columns));
        let own = self.own.clone().unwrap_or_else(|| Array2::zeros((0, columns)));
        let honest = honest.map(Heard::from);
        let view = View {
            round: Round(self.round),
            global: global.view(),
            identities: &identities,
            own: own.view(),
            honest: honest.as_ref(),
            senders: &[],
            participants,
            corrupted,
            defence: self.defence,
            victim: None,
        };
        self.round += 1;
        let mut rng = run_stream(1, Purpose::Attack);
        let crafted = attack.craft(&view, &mut self.memory, &mut rng)?;
        Ok(crafted.per_node().expect("one row per identity"))
    }
}

/// The median of each column, the upper one of two.
#[expect(clippy::unnecessary_wraps, reason = "a defence may refuse")]
pub(crate) fn middle(rows: ArrayView2<'_, f32>) -> Result<Array1<f32>, String> {
    let column = |column: ArrayView1<'_, f32>| {
        let mut values = column.to_vec();
        values.sort_unstable_by(f32::total_cmp);
        values[values.len() / 2]
    };
    Ok(rows.columns().into_iter().map(column).collect())
}

/// What `corrupted` identities send that read these honest updates and know that the server
/// takes the mean.
pub(crate) fn craft_omniscient(
    attack: &dyn Attack,
    honest: &Array2<f32>,
    corrupted: usize,
) -> Result<Array2<f32>, AttackError> {
    let mean = |rows: ArrayView2<'_, f32>| {
        rows.mean_axis(Axis(0)).ok_or_else(|| "there are no rows".to_owned())
    };
    craft_against(attack, honest, corrupted, &mean)
}

/// What `corrupted` identities send that read these honest updates and know the rule.
pub(crate) fn craft_against(
    attack: &dyn Attack,
    honest: &Array2<f32>,
    corrupted: usize,
    rule: &Defence<'_>,
) -> Result<Array2<f32>, AttackError> {
    Stage { defence: Some(rule), ..Stage::default() }.craft(attack, honest, corrupted)
}

/// What identities send that know only their own would-be updates, one row each, in a system
/// of 10.
pub(crate) fn craft_alone(
    attack: &dyn Attack,
    own: &Array2<f32>,
) -> Result<Array2<f32>, AttackError> {
    let mut stage = Stage { own: Some(own.clone()), ..Stage::default() };
    stage.play(attack, None, 10, own.nrows())
}

/// A member with these parameters.
pub(crate) fn build(name: &str, parameters: &str) -> Arc<dyn Attack> {
    CATALOG.build(&Choice::with(name, parameters).unwrap()).unwrap().value
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
        if !attack.uses_own(Knowledge::Omniscient) {
            let mut stage = Stage { own: Some(Array2::from_elem((2, 3), 1e3)), ..Stage::default() };
            stage.defence = Some(&middle);
            let with = stage.craft(&*attack, &honest, 2).unwrap();
            let mut stage = Stage { defence: Some(&middle), ..Stage::default() };
            let without = stage.craft(&*attack, &honest, 2).unwrap();
            let bits = |rows: &Array2<f32>| rows.mapv(f32::to_bits);
            assert_eq!(bits(&with), bits(&without), "{} reads its own", entry.name);
        }
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
        let honest = view.honest.unwrap().in_one_piece();
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
        let (mut moves, mut inside) = (false, true);
        for column in 0..2 {
            let honest = honest.column(column);
            let sent = sent.column(column);
            let mean = honest.mean().unwrap();
            let all = (honest.sum() + sent.sum()) / 8.0;
            // What is no number has moved, too.
            moves |= !all.is_finite() || (all - mean).abs() > 0.01;
            let furthest = |values: &ndarray::ArrayView1<'_, f32>| {
                values.iter().map(|value| (value - mean).abs()).fold(0.0, f32::max)
            };
            let finite = sent.iter().all(|value| value.is_finite());
            // Evenly spaced rows reach 1.46 population deviations from their mean.
            inside &= finite && furthest(&sent) <= furthest(&honest) * 1.05;
        }
        assert_eq!(entry.claims.moves_mean, moves, "{}", entry.name);
        assert_eq!(entry.claims.stays_inside, inside, "{}", entry.name);
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
