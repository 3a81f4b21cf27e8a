//! Who sees what: the fewest parts that together see every worker's own vectors.
//!
//! A cover of the workers by parts. Greedily first, which gives a number that is enough, then by
//! branching over who could see a worker that nobody sees yet: exact as long as that takes fewer
//! than a million branches a size.

use super::search::{Found, Set};
use crate::node::{NodeId, Roster};
use crate::systems::Wiring;
use crate::systems::formula::Bounds;

/// The most branches that are looked at for one size.
const BRANCHES_MAX: usize = 1_000_000;

/// The fewest of `parts` that see everybody in the roster.
pub fn listening(wiring: &dyn Wiring, workers: &Roster, parts: &[NodeId]) -> Found {
    let seers = workers.ids().iter().map(|&worker| {
        let mut seers = wiring.told_by(worker);
        seers.push(worker);
        parts
            .iter()
            .enumerate()
            .filter(|(_, part)| seers.contains(part))
            .map(|(at, _)| at)
            .collect()
    });
    let audience = Audience::new(seers.collect(), parts.len());
    let set = |cover: &Vec<usize>| {
        let mut set: Set = cover.iter().map(|&part| parts[part]).collect();
        set.sort_unstable();
        set
    };
    let (bounds, cover) = audience.least();
    let sets: Vec<Set> = cover.iter().map(set).collect();
    let all = workers.len();
    let mut alone: Set = (0..parts.len())
        .filter(|&part| audience.sees[part].len() == all)
        .map(|part| parts[part])
        .collect();
    alone.sort_unstable();
    let ears = audience.sees.iter().filter(|seen| !seen.is_empty()).count();
    Found {
        parts: bounds,
        enough: sets.clone(),
        sets,
        alone,
        alone_is_complete: true,
        targets: ears,
        exhausted: bounds.at_least - 1,
        curve: Vec::new(),
        trials: 0,
    }
}

/// Workers and those who see them, by number.
struct Audience {
    /// Who sees each worker.
    seers: Vec<Vec<usize>>,
    /// Whom each part sees.
    sees: Vec<Vec<usize>>,
}

impl Audience {
    fn new(seers: Vec<Vec<usize>>, parts: usize) -> Self {
        let mut sees = vec![Vec::new(); parts];
        for (worker, seers) in seers.iter().enumerate() {
            for &seer in seers {
                sees[seer].push(worker);
            }
        }
        Audience { seers, sees }
    }

    /// How many parts must listen together, and such parts as were found.
    fn least(&self) -> (Bounds, Option<Vec<usize>>) {
        let most = self.sees.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let floor = self.seers.len().div_ceil(most);
        let Some(mut cover) = self.greedy() else {
            // Somebody is seen by no part: not even all are enough.
            return (Bounds::at_least(self.sees.len() + 1), None);
        };
        for size in floor..cover.len() {
            let mut branches = BRANCHES_MAX;
            let mut seen = vec![0; self.seers.len()];
            let mut chosen = Vec::new();
            match self.branch(size, &mut seen, &mut chosen, &mut branches) {
                Some(true) => cover = chosen,
                Some(false) => continue,
                None => return (Bounds::between(size, cover.len()), Some(cover)),
            }
            break;
        }
        (Bounds::exactly(cover.len()), Some(cover))
    }

    /// One part after the other, each the one that sees most who are not seen yet.
    fn greedy(&self) -> Option<Vec<usize>> {
        let mut seen = vec![false; self.seers.len()];
        let mut cover = Vec::new();
        while seen.contains(&false) {
            let new = |part: &usize| self.sees[*part].iter().filter(|&&at| !seen[at]).count();
            let best = (0..self.sees.len()).rev().max_by_key(new).filter(|part| new(part) > 0)?;
            for &worker in &self.sees[best] {
                seen[worker] = true;
            }
            cover.push(best);
        }
        Some(cover)
    }

    /// Whether `left` more parts can see everybody; none where that takes too long to tell.
    fn branch(
        &self,
        left: usize,
        seen: &mut Vec<usize>,
        chosen: &mut Vec<usize>,
        branches: &mut usize,
    ) -> Option<bool> {
        let unseen = (0..seen.len()).filter(|&worker| seen[worker] == 0);
        let Some(worker) = unseen.min_by_key(|&worker| self.seers[worker].len()) else {
            return Some(true);
        };
        if left == 0 {
            return Some(false);
        }
        *branches = branches.checked_sub(1)?;
        for &part in &self.seers[worker] {
            for &other in &self.sees[part] {
                seen[other] += 1;
            }
            chosen.push(part);
            if self.branch(left - 1, seen, chosen, branches)? {
                return Some(true);
            }
            chosen.pop();
            for &other in &self.sees[part] {
                seen[other] -= 1;
            }
        }
        Some(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The least cover of a ring of n, where everybody sees itself and both neighbours: n / 3.
    #[test]
    fn rings_by_hand() {
        for (nodes, expected) in [(3, 1), (6, 2), (7, 3), (9, 3), (10, 4), (20, 7)] {
            let seers = |at: usize| vec![(at + nodes - 1) % nodes, at, (at + 1) % nodes];
            let audience = Audience::new((0..nodes).map(seers).collect(), nodes);
            let (bounds, cover) = audience.least();
            assert_eq!(bounds, Bounds::exactly(expected), "{nodes}");
            assert_eq!(cover.unwrap().len(), expected);
        }
    }

    /// Greed takes the part that sees four of six, and then needs two more; two others do.
    #[test]
    fn greed_is_corrected() {
        let seers = vec![vec![0, 1], vec![0, 1], vec![0, 2], vec![0, 2], vec![1], vec![2]];
        let audience = Audience::new(seers, 3);
        assert_eq!(audience.greedy().unwrap().len(), 3);
        let (bounds, cover) = audience.least();
        assert_eq!((bounds, cover), (Bounds::exactly(2), Some(vec![1, 2])));
    }

    #[test]
    fn who_is_seen_by_nobody_cannot_be_covered() {
        let audience = Audience::new(vec![vec![0], vec![]], 1);
        assert_eq!(audience.least(), (Bounds::at_least(2), None));
    }
}
