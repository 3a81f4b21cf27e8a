use std::convert::Infallible;

use super::*;

fn nodes(ids: &[u32]) -> Set {
    ids.iter().copied().map(NodeId).collect()
}

fn field(parts: u32) -> Field {
    Field { parts: (0..parts).map(NodeId).collect(), interchangeable: vec![], everybody: None }
}

/// Searches a field in which `harm` says how bad the fall of a set is; 1 and more is enough.
fn run(field: &Field, budget: usize, harm: impl Fn(&Set) -> f64) -> (Found, Vec<Set>) {
    let mut asked: Vec<Set> = Vec::new();
    let mut evaluate = |sets: &[Set]| {
        asked.extend_from_slice(sets);
        let effect = |set: &Set| {
            let harm = harm(set);
            let (fails, availability) = (harm >= 1.0, 1.0 - harm);
            Effect { fails, availability, worst: 0.0, beyond: 0.0, harm: [harm, 0.0, 0.0] }
        };
        Ok::<_, Infallible>(sets.iter().map(effect).collect())
    };
    let found = search(field, budget, &mut evaluate).unwrap();
    (found, asked)
}

/// Only nodes 2 and 4 together do harm, and neither shows it alone: greed goes another way.
#[test]
fn what_greed_misses_is_found_by_trying_all() {
    let harm = |set: &Set| {
        if set.contains(&NodeId(2)) && set.contains(&NodeId(4)) {
            return 1.0;
        }
        0.2 * set.iter().filter(|node| node.0 % 2 == 1).count() as f64 + 0.01 * set.len() as f64
    };
    let (found, asked) = run(&field(6), 1000, harm);
    assert_eq!(found.parts, Bounds::exactly(2));
    assert_eq!(found.sets, [nodes(&[2, 4])]);
    assert!(found.alone.is_empty() && found.alone_is_complete);
    assert_eq!(found.curve[0].part, NodeId(1));
    let mut once = asked.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), asked.len(), "no set is tried twice");
    assert_eq!(found.trials, asked.len());
}

#[test]
fn a_budget_that_is_too_small_leaves_bounds() {
    // Any four of ten.
    let harm = |set: &Set| set.len() as f64 / 4.0;
    let (found, asked) = run(&field(10), 70, harm);
    // 10 + 9 + 8 + 7 sets of the greedy attacker and 36 that are left of 45 pairs; 112 of the
    // triples are not tried.
    assert_eq!(found.parts, Bounds::between(3, 4), "{found:?}");
    assert_eq!(found.exhausted, 2);
    assert!(asked.len() <= 70, "{}", asked.len());
    let (exact, _) = run(&field(10), 1000, harm);
    assert_eq!(exact.parts, Bounds::exactly(4));
    assert_eq!(exact.curve.len(), 10);
}

#[test]
fn interchangeable_parts_cost_one_trial_a_number() {
    let mut field = field(100);
    field.interchangeable = vec![field.parts.clone()];
    let (found, asked) = run(&field, 300, |set| set.len() as f64 / 34.0);
    assert_eq!(found.parts, Bounds::exactly(34));
    assert_eq!(asked.len(), 100);
    let (alone, _) = run(&field, 300, |_| 1.0);
    assert_eq!((alone.parts, alone.alone.len()), (Bounds::exactly(1), 100));
}

#[test]
fn where_nothing_helps_all_must_fall() {
    let mut field = field(4);
    field.everybody = Some(field.parts.clone());
    let (found, asked) = run(&field, 100, |_| 0.0);
    assert_eq!(found.parts, Bounds::exactly(4));
    assert_eq!(asked.len(), 14, "all sets but the empty one and the whole");
    field.everybody = None;
    let (never, _) = run(&field, 100, |_| 0.0);
    assert_eq!(never.parts, Bounds::at_least(5));
    let (poor, asked) = run(&field, 2, |_| 0.0);
    assert_eq!(poor.parts, Bounds::at_least(1));
    assert!(asked.len() <= 2 && !poor.alone_is_complete);
}
