//! Attackers who flood: they push nothing but each other, and answer with nothing else.

use rand::{Rng, RngExt};

use super::{Say, Word, draw};
use crate::node::NodeId;

/// What each attacker does in each step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flood {
    /// How many pushes it sends in a step, on top of its answers.
    pub force: usize,
    /// To whom.
    pub aim: Aim,
}

/// Whom the attackers push to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// Honest nodes, each time drawn anew: they know who is honest and waste nothing.
    Everybody,
    /// One honest node, to cut it off.
    Victim(NodeId),
}

impl Flood {
    /// The pushes of one attacker: each lists up to `view` random attackers.
    pub(super) fn strike(
        &self,
        attackers: &[NodeId],
        honest: &[NodeId],
        view: usize,
        rng: &mut dyn Rng,
    ) -> Vec<Say> {
        let mut push = |_| {
            let to = match self.aim {
                Aim::Everybody => honest[rng.random_range(0..honest.len() as u32) as usize],
                Aim::Victim(victim) => victim,
            };
            Say { to, word: Word::Push(draw::without_repeats(attackers, view, rng)) }
        };
        if honest.is_empty() { Vec::new() } else { (0..self.force).map(&mut push).collect() }
    }
}

/// What an attacker answers: to a pull up to `view` random attackers.
pub(super) fn answer(
    attackers: &[NodeId],
    from: NodeId,
    word: &Word,
    view: usize,
    rng: &mut dyn Rng,
) -> Vec<Say> {
    if *word != Word::Pull {
        return Vec::new();
    }
    vec![Say { to: from, word: Word::Answer(draw::without_repeats(attackers, view, rng)) }]
}
