//! Ten thousand random schedules: never two values at one height; and agreement wherever enough
//! members are honest and the network settles.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

use super::liars::Liar;
use super::network::{Keys, Network, Weather};

const SCHEDULES: u64 = 10_000;

/// Far more than any schedule needs that settles by tick 300.
const LONG: u64 = 20_000;

fn liar(count: usize, rng: &mut ChaCha8Rng) -> Liar {
    match rng.random_range(0..12) {
        0 => Liar::Silent,
        1 => Liar::BadProposer,
        2 => Liar::TwoProposals,
        3 => Liar::FalseVoter,
        4 => Liar::TwoVotes,
        5 => Liar::Divider(rng.random_range(0..count)),
        6..9 => Liar::Turncoat(rng.random_range(0..count)),
        _ => Liar::Anything,
    }
}

/// Up to f members lie, each in its way or all in one; others crash, for a while or, if `settles` allows fewer than f liars,
/// for ever.
fn schedule(seed: u64) -> (Network, bool) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (count, tolerated) = if seed.is_multiple_of(2) { (4, 1) } else { (7, 2) };
    let settles = rng.random_bool(0.5);
    let mut order: Vec<usize> = (0..count).collect();
    for at in (1..count).rev() {
        order.swap(at, rng.random_range(0..=at));
    }
    let liars = rng.random_range(0..=tolerated);
    let gone =
        if settles { rng.random_range(0..=tolerated - liars) } else { rng.random_range(0..3) };
    let mut down = BTreeMap::new();
    for (place, member) in order[liars..].iter().enumerate() {
        let from = rng.random_range(0..150);
        if place < gone {
            down.insert(*member, (from, u64::MAX));
        } else if rng.random_bool(0.3) {
            down.insert(*member, (from, from + rng.random_range(1..200)));
        }
    }
    let side: BTreeSet<usize> = (0..count).filter(|_| rng.random_bool(0.4)).collect();
    let weather = Weather {
        settles: settles.then(|| rng.random_range(0..300)),
        delay: rng.random_range(2..80),
        loss: rng.random_range(0..5) as f64 * 0.1,
        down,
        partition: (if rng.random_bool(0.3) { rng.random_range(0..300) } else { 0 }, side),
    };
    let (conspiracy, plan) = (rng.random_bool(0.5), liar(count, &mut rng));
    let own = |member: &usize| {
        let drawn = liar(count, &mut rng);
        (*member, if conspiracy { plan.clone() } else { drawn })
    };
    let liars = order[..liars].iter().map(own).collect();
    (Network::new(count, Keys::Cheap, weather, liars, seed), settles)
}

/// Runs the schedules `of`; returns how many came to a decision, and the latest view of any.
fn run(of: impl Iterator<Item = u64>) -> (u64, u32) {
    let (mut decided, mut latest) = (0, 0);
    for seed in of {
        let (mut network, settles) = schedule(seed);
        network.run(if settles { LONG } else { 600 });
        assert!(!settles || network.is_over(), "schedule {seed} does not end");
        decided += u64::from(network.agreed().is_some());
        latest = latest.max(network.views().last().copied().unwrap_or(0));
        network.accused();
    }
    (decided, latest)
}

#[test]
fn even_schedules_of_four() {
    let (decided, latest) = run((0..SCHEDULES).filter(|seed| seed.is_multiple_of(2)));
    // The half that settles always decides; the rest is no use if it never does.
    assert!(decided > SCHEDULES / 4 + SCHEDULES / 20, "{decided}");
    assert!(latest > 3, "no schedule was hard: view {latest}");
}

#[test]
fn odd_schedules_of_seven() {
    let (decided, latest) = run((0..SCHEDULES).filter(|seed| !seed.is_multiple_of(2)));
    assert!(decided > SCHEDULES / 4 + SCHEDULES / 20, "{decided}");
    assert!(latest > 3, "no schedule was hard: view {latest}");
}
