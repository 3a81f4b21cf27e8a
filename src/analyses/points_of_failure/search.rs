//! The search for the fewest parts that must fall together.
//!
//! First greedily: the part that hurts most falls, then the one that hurts most beside it, and so
//! on until the harm is done. That many parts are enough. Then all sets of 1, 2, ... parts below
//! that, as far as the budget goes: sizes that were tried whole and did no harm are too few. Where
//! both meet, the number is exact. What is left of the budget goes into the curve of what happens
//! as more and more parts fall.

mod kinds;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::Serialize;

use self::kinds::{Counts, Kinds};
use crate::node::NodeId;
use crate::systems::formula::Bounds;

/// Parts that fall together, ascending.
pub type Set = Vec<NodeId>;

/// What the fall of a set does.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Effect {
    /// Whether the harm is done.
    pub fails: bool,
    /// The share of rounds, over honest workers, that came to something.
    pub availability: f64,
    /// The accuracy of the worst honest node, 0 to 1.
    pub worst: f64,
    /// The share of honest nodes whose accuracy has dropped by more than the margin.
    pub beyond: f64,
    /// How bad that is for the one who counts it; compared from the front.
    #[serde(skip)]
    pub harm: [f64; 3],
}

impl Effect {
    fn compare(&self, other: &Effect) -> Ordering {
        let pairs = self.harm.iter().zip(&other.harm);
        pairs.fold(Ordering::Equal, |order, (one, two)| order.then(one.total_cmp(two)))
    }
}

/// What can fall.
#[derive(Debug, Clone)]
pub struct Field {
    /// The parts, the most valuable first.
    pub parts: Vec<NodeId>,
    /// Groups of which only the number matters.
    pub interchangeable: Vec<Set>,
    /// A set with which nobody is left to be harmed: the harm is done without a trial.
    pub everybody: Option<Set>,
}

/// One more part that falls.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// The part.
    pub part: NodeId,
    /// Whether all that stood were compared; else it is the most valuable of those.
    pub compared: bool,
    /// What the fall of this part and all before does.
    pub effect: Effect,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// How many parts must fall together.
    pub parts: Bounds,
    /// Sets of the least number that were found to be enough; of interchangeable parts the first
    /// stand for all.
    pub sets: Vec<Set>,
    /// The parts each of which is enough alone, ascending.
    pub alone: Vec<NodeId>,
    /// Whether every part was tried alone.
    pub alone_is_complete: bool,
    /// The parts that an attacker may try.
    pub targets: usize,
    /// All sets up to this size were tried.
    pub exhausted: usize,
    /// What the greedy attacker comes to, part by part.
    pub curve: Vec<Step>,
    /// How many sets were tried.
    pub trials: usize,
    /// Every set that was found to be enough.
    pub enough: Vec<Set>,
}

/// Tries sets, and says in their order what the fall of each does.
pub type Evaluate<'a, E> = dyn FnMut(&[Set]) -> Result<Vec<Effect>, E> + 'a;

/// Searches with at most `budget` trials. `evaluate` is given no set twice.
pub fn search<E>(field: &Field, budget: usize, evaluate: &mut Evaluate<'_, E>) -> Result<Found, E> {
    let mut search = Search {
        kinds: Kinds::new(&field.parts, &field.interchangeable),
        everybody: field.everybody.as_ref(),
        tried: BTreeMap::new(),
        left: budget,
        evaluate,
    };
    let mut path = Path { counts: search.kinds.none(), steps: Vec::new() };
    while path.steps.last().is_none_or(|step| !step.effect.fails)
        && search.grow(&mut path, budget / 2)?
    {}
    let mut exhausted = 0;
    let below = search.least().unwrap_or(field.parts.len() + 1);
    for size in 1..below {
        if !search.exhaust(size)? {
            break;
        }
        exhausted = size;
        if search.least() == Some(size) {
            break;
        }
    }
    while search.grow(&mut path, 0)? {}
    Ok(search.found(field, path.steps, exhausted))
}

/// The greedy attacker's way.
struct Path {
    counts: Counts,
    steps: Vec<Step>,
}

/// A search under way.
struct Search<'a, E> {
    kinds: Kinds,
    everybody: Option<&'a Set>,
    tried: BTreeMap<Counts, Effect>,
    left: usize,
    evaluate: &'a mut Evaluate<'a, E>,
}

impl<E> Search<'_, E> {
    /// Tries those that were not tried before.
    fn try_all(&mut self, sets: &[Counts]) -> Result<(), E> {
        let new: Vec<&Counts> = sets.iter().filter(|set| !self.tried.contains_key(*set)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let named: Vec<Set> = new.iter().map(|set| self.kinds.set(set)).collect();
        let effects = (self.evaluate)(&named)?;
        self.left = self.left.saturating_sub(new.len());
        self.tried.extend(new.into_iter().cloned().zip(effects));
        Ok(())
    }

    /// Lets one more part fall, as long as `reserve` trials stay; says whether one did.
    fn grow(&mut self, path: &mut Path, reserve: usize) -> Result<bool, E> {
        let mut next = self.kinds.extensions(&path.counts);
        next.retain(|(_, set)| !self.leaves_nobody(set));
        let all = next.len();
        let mut room = self.left.saturating_sub(reserve);
        if next.iter().filter(|(_, set)| !self.tried.contains_key(set)).count() > room {
            // Those that cost nothing, and the most valuable of the others.
            next.retain(|(_, set)| {
                let known = self.tried.contains_key(set);
                let takes = !known && room > 0;
                room -= usize::from(takes);
                known || takes
            });
        }
        let compared = next.len() == all;
        if next.is_empty() || (!compared && reserve > 0) {
            return Ok(false);
        }
        if !compared {
            next.truncate(1);
        }
        let sets: Vec<Counts> = next.iter().map(|(_, set)| set.clone()).collect();
        self.try_all(&sets)?;
        // The first of equals is the most valuable.
        let worst = next
            .into_iter()
            .rev()
            .max_by(|(_, one), (_, two)| self.tried[one].compare(&self.tried[two]));
        let (part, counts) = worst.expect("there is one");
        path.steps.push(Step { part, compared, effect: self.tried[&counts] });
        path.counts = counts;
        Ok(true)
    }

    /// Whether nobody would be left to be harmed.
    fn leaves_nobody(&self, set: &Counts) -> bool {
        let fallen = self.kinds.set(set);
        self.everybody.is_some_and(|all| all.iter().all(|node| fallen.contains(node)))
    }

    /// Tries all sets of this size if the budget allows; says whether all were tried.
    fn exhaust(&mut self, size: usize) -> Result<bool, E> {
        let known = self.tried.keys().filter(|set| set.iter().sum::<usize>() == size).count();
        if self.kinds.sets_of(size).saturating_sub(known) > self.left {
            return Ok(false);
        }
        let mut sets = self.kinds.all_of(size);
        sets.retain(|set| !self.leaves_nobody(set));
        self.try_all(&sets)?;
        Ok(true)
    }

    /// The size of the smallest set known to be enough.
    fn least(&self) -> Option<usize> {
        let enough = self.tried.iter().filter(|(_, effect)| effect.fails);
        let tried = enough.map(|(set, _)| set.iter().sum::<usize>());
        tried.chain(self.everybody.map(Vec::len)).min()
    }

    fn found(self, field: &Field, curve: Vec<Step>, exhausted: usize) -> Found {
        let least = self.least();
        let mut enough: Vec<Set> = self
            .tried
            .iter()
            .filter(|(_, effect)| effect.fails)
            .map(|(set, _)| self.kinds.set(set))
            .chain(field.everybody.clone())
            .collect();
        enough.sort_by(|one, two| one.len().cmp(&two.len()).then(one.cmp(two)));
        let smallest = |set: &&Set| Some(set.len()) == least;
        let mut alone = Vec::new();
        let mut known = 0;
        for (set, nodes) in self.kinds.singles() {
            let effect = self.tried.get(&set);
            known += usize::from(effect.is_some() || self.leaves_nobody(&set));
            let fails = effect.is_some_and(|effect| effect.fails) || self.leaves_nobody(&set);
            alone.extend(nodes.iter().filter(|_| fails).copied());
        }
        alone.sort_unstable();
        let exhausted_without = match least {
            Some(least) if exhausted >= least => least - 1,
            _ => exhausted,
        };
        Found {
            parts: Bounds { at_least: exhausted_without + 1, at_most: least },
            sets: enough.iter().filter(smallest).cloned().collect(),
            alone,
            alone_is_complete: known == self.kinds.len(),
            targets: field.parts.len(),
            exhausted,
            curve,
            trials: self.tried.len(),
            enough,
        }
    }
}

#[cfg(test)]
mod tests;
