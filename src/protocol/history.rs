//! The last two states of a machine.
//!
//! Whoever is killed and comes back may be asked for the last round once more, since its answer
//! may have been lost on the way. So a machine keeps the state after its last round and the one
//! before, and answers from the latter. What it was before the first round it always knows, so a
//! run that begins anew finds everybody ready, whatever they remember of an earlier attempt.

use crate::node::Round;

/// States after the last round and after the one before, and the one before the first.
#[derive(Debug, Clone)]
pub struct History<S> {
    initial: S,
    older: Option<(Round, S)>,
    newest: (Round, S),
}

impl<S: Clone> History<S> {
    /// A history that begins before the first round.
    pub fn new(initial: S) -> Self {
        History { older: None, newest: (Round(0), initial.clone()), initial }
    }

    /// The state that `round` starts from, if it is remembered.
    pub fn before(&self, round: Round) -> Option<&S> {
        self.since(round.previous(), round)
    }

    /// The state that `round` starts from, where the machine had nothing to do after `last`.
    ///
    /// A checkpoint of a whole run dates all states from its own round, which may be later.
    pub fn since(&self, last: Round, round: Round) -> Option<&S> {
        if last == Round(0) && round > last {
            return Some(&self.initial);
        }
        [Some(&self.newest), self.older.as_ref()]
            .into_iter()
            .flatten()
            .find(|(finished, _)| (last..round).contains(finished))
            .map(|(_, state)| state)
    }

    /// The newest state and its round.
    pub fn newest(&self) -> (Round, &S) {
        (self.newest.0, &self.newest.1)
    }

    /// Remembers the state after `round`; doing the last round again replaces its state. Returns
    /// the state that it forgets.
    pub fn push(&mut self, round: Round, state: S) -> Option<S> {
        let before = std::mem::replace(&mut self.newest, (round, state));
        let forgotten = match before.0 < round {
            true => self.older.replace(before),
            false => Some(before),
        };
        forgotten.map(|(_, state)| state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_round_can_be_repeated_but_no_earlier_one() {
        let mut history = History::new("start");
        history.push(Round(1), "one");
        history.push(Round(2), "two");
        assert_eq!(history.before(Round(3)), Some(&"two"));
        assert_eq!(history.before(Round(2)), Some(&"one"));
        assert_eq!(history.before(Round(4)), None);
        assert_eq!(history.before(Round(0)), None);
        history.push(Round(2), "two again");
        assert_eq!(history.before(Round(2)), Some(&"one"));
        assert_eq!(history.newest(), (Round(2), &"two again"));
    }

    #[test]
    fn rounds_without_the_machine_change_nothing() {
        let mut history = History::new("start");
        assert_eq!(history.since(Round(0), Round(3)), Some(&"start"));
        history.push(Round(3), "three");
        assert_eq!(history.since(Round(3), Round(7)), Some(&"three"));
        history.push(Round(7), "seven");
        assert_eq!(history.since(Round(3), Round(7)), Some(&"three"), "asked once more");
        assert_eq!(history.since(Round(7), Round(9)), Some(&"seven"));
        assert_eq!(history.since(Round(8), Round(9)), None, "a state is lost");
        // As a checkpoint of round 8 gives it back.
        let mut restored = History::new("start");
        restored.push(Round(8), "seven");
        assert_eq!(restored.since(Round(7), Round(9)), Some(&"seven"));
        let mut never = History::new("start");
        never.push(Round(8), "start");
        assert_eq!(never.since(Round(0), Round(9)), Some(&"start"));
    }

    #[test]
    fn a_run_can_begin_anew_and_its_last_round_be_repeated_as_before() {
        let mut history = History::new("start");
        history.push(Round(40), "forty");
        history.push(Round(41), "forty-one");
        assert_eq!(history.before(Round(1)), Some(&"start"));
        history.push(Round(1), "one");
        history.push(Round(2), "two");
        assert_eq!(history.before(Round(2)), Some(&"one"));
        assert_eq!(history.before(Round(3)), Some(&"two"));
        // A checkpoint may still hold a state of the earlier attempt beside one of this one.
        let mut restored = History::new("start");
        restored.push(Round(1), "one");
        restored.push(Round(40), "forty");
        assert_eq!(restored.before(Round(2)), Some(&"one"));
        restored.push(Round(2), "two");
        assert_eq!(restored.before(Round(2)), Some(&"one"));
        assert_eq!(restored.before(Round(3)), Some(&"two"));
    }
}
